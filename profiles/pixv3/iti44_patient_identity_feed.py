"""ITI-44 Patient Identity Feed HL7 V3 (ITI TF-2: 3.44): a source adds or revises a patient, or merges two."""

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import InvalidMerge, UnknownDomain
from hub.patients.model import Fed, FeedIdentity, MergeIdentities
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.wire.hl7v3.errors import Hl7v3Invalid, UnsupportedPurpose
from hub.wire.hl7v3.names import ACKNOWLEDGEMENT, ADDED, MERGED, REVISED, action, v3
from hub.wire.hl7v3.refusal import ACCEPTED, UNKNOWN_KEY, accept_code, details, warnings
from hub.wire.hl7v3.registration import read_registration, read_wrapper
from hub.wire.hl7v3.transmission import Party, write_acknowledgement
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.writing import refuse as soap_refuse

_PATHS = ("/pix/manager", "/xds/registry")  #: XDS has it at the Document Registry too (ITI TF-1: 10.1)
_EVENTS = {ADDED: "A28", REVISED: "A31"}
TRANSACTION = Transaction(
    id="ITI-44",
    title="Patient Identity Feed HL7 V3",
    profile="PIXV3",
    initiator="Patient Identity Source",
    responder="Patient Identifier Cross-reference Manager, Document Registry",
    bindings=tuple(
        Soap(path, action(name), action(ACKNOWLEDGEMENT), v3(name))
        for path in _PATHS
        for name in (ADDED, REVISED, MERGED)
    ),
    section="ITI TF-2: 3.44",
    kind=Kind.CHANGE,
    permission="patients.feed",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
    options=("Add, revise and merge", "Identity status (HL7 table 0445) in an administrative observation"),
)


def decode(message: SoapMessage, context: Context) -> FeedIdentity | MergeIdentities:
    """PRPA_IN201301UV02, 201302UV02 or 201304UV02 to the identity that the source announces, or to its merge."""
    told = read_registration(message.body)
    if told.lost is not None:
        return MergeIdentities(told.identity, told.lost, stated=told.stated)
    return FeedIdentity(told.identity, _EVENTS[told.interaction], stated=told.stated)


def encode(outcome: Fed | None, message: SoapMessage, context: Context) -> SoapResponse:
    """MCCI_IN000002UV01 with CA: stored and visible; with a detail of type W for what was not taken."""
    to = read_wrapper(message.body)
    answer = write_acknowledgement(to, Party(to.receiver.device), ACCEPTED, warnings(context))
    return SoapResponse(answer, action(ACKNOWLEDGEMENT))


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """MCCI_IN000002UV01 with CE or CR; a fault when not even the wrapper can be read."""
    try:
        to = read_wrapper(message.body)
    except Hl7v3Invalid:
        return soap_refuse(error, message, context)
    if isinstance(error, UnknownDomain):
        told = details(error, ["//subject1/patient/id"], code=UNKNOWN_KEY)
    elif isinstance(error, InvalidMerge):
        told = details(error, ["//replacementOf/priorRegistration/subject1/priorRegisteredRole/id"])
    else:
        told = details(error, [] if isinstance(error, (Hl7v3Invalid, UnsupportedPurpose)) else ["//subject1/patient"])
    answer = write_acknowledgement(to, Party(to.receiver.device), accept_code(error), told)
    return SoapResponse(answer, action(ACKNOWLEDGEMENT))
