"""RAD-8 Modality Images Stored: C-STORE (RAD TF-2: 4.8)."""

from hub.context import Context
from hub.errors import Malformed
from hub.imaging.model import StudyArrived
from hub.pipeline.transaction import AuditEvent, Dimse, Kind, Transaction
from hub.wire.dimse.messages import DimseAnswer, DimseRequest

TRANSACTION = Transaction(
    id="RAD-8",
    title="Modality Images Stored",
    profile="SWF.b",
    initiator="Acquisition Modality",
    responder="Image Manager/Archive",
    bindings=(Dimse("C-STORE"),),
    section="RAD TF-2: 4.8",
    kind=Kind.CHANGE,
    permission="imaging.store",
    audit=AuditEvent("110104", "DICOM Instances Transferred", "C"),
    options=("every storage SOP class, private ones as well", "objects are kept as they were encoded"),
)


def decode(message: DimseRequest, context: Context) -> StudyArrived:
    """What one association brought of one study; every object is on disk by now."""
    if message.stored is None:
        raise Malformed("Nothing was stored.")
    stored = message.stored
    return StudyArrived(stored.study_instance_uid, stored.calling, stored.studies, stored.speaks_for)


def encode(outcome: None, message: DimseRequest, context: Context) -> DimseAnswer:
    """Each object has been answered already."""
    return DimseAnswer()
