"""RAD-16 Retrieve Images: C-MOVE and C-GET (RAD TF-2: 4.16)."""

from hub.context import Context
from hub.imaging.model import InstanceStream, RetrieveInstances, RetrievePerson
from hub.pipeline.transaction import AuditEvent, Dimse, Kind, Transaction
from hub.wire.dimse.contexts import GET, MOVE, PATIENT_GET, PATIENT_MOVE
from hub.wire.dimse.errors import UnknownDestination
from hub.wire.dimse.messages import DimseAnswer, DimseRequest
from hub.wire.dimse.query import level_of, wanted_instances, wanted_person

TRANSACTION = Transaction(
    id="RAD-16",
    title="Retrieve Images",
    profile="SWF.b",
    initiator="Image Display",
    responder="Image Manager/Archive",
    bindings=(Dimse("C-MOVE", MOVE), Dimse("C-GET", GET)),
    section="RAD TF-2: 4.16",
    kind=Kind.RETRIEVE,
    permission="imaging.retrieve",
    audit=AuditEvent("110104", "DICOM Instances Transferred", "R"),
    options=("Patient Root and Study Root", "C-GET", "PATIENT (Patient Root), STUDY, SERIES and IMAGE level"),
)


def decode(message: DimseRequest, context: Context) -> RetrieveInstances | RetrievePerson:
    """The identifier as requests. Raises UnknownDestination, Invalid, Malformed."""
    if message.service == "C-MOVE" and not message.destination:
        raise UnknownDestination()
    identifier, acceptable = message.identifier, message.acceptable or ("*",)
    if message.sop_class in (PATIENT_GET, PATIENT_MOVE) and level_of(identifier) == "PATIENT":
        return RetrievePerson(wanted_person(identifier), acceptable)
    return RetrieveInstances(wanted_instances(identifier), acceptable)


def encode(outcome: InstanceStream, message: DimseRequest, context: Context) -> DimseAnswer:
    """The stream; the association sends it on."""
    return DimseAnswer(instances=outcome)
