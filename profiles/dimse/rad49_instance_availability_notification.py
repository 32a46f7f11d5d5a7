"""RAD-49 Instance Availability Notification: N-CREATE (RAD TF-2: 4.49, PS3.4: Annex R)."""

from hub.context import Context
from hub.errors import HubError
from hub.imaging.model import InstancesAvailable
from hub.pipeline.transaction import AuditEvent, Dimse, Kind, Transaction
from hub.wire.dimse.availability import read_notice
from hub.wire.dimse.contexts import AVAILABILITY
from hub.wire.dimse.errors import notice_refused
from hub.wire.dimse.messages import DimseAnswer, DimseRequest

TRANSACTION = Transaction(
    id="RAD-49",
    title="Instance Availability Notification",
    profile="SWF.b",
    initiator="Image Manager/Archive",
    responder="Department System Scheduler/Order Filler",
    bindings=(Dimse("N-CREATE", (AVAILABILITY,)),),
    section="RAD TF-2: 4.49",
    kind=Kind.CHANGE,
    permission="imaging.notify",
    audit=AuditEvent("110103", "DICOM Instances Accessed", "U"),
    options=("the study is read from its source anew", "imaging.publish_on = ian: published for the first time"),
)


def decode(message: DimseRequest, context: Context) -> InstancesAvailable:
    """The data set as a notice. Raises MissingAttribute, MissingValue, Invalid, Malformed."""
    return read_notice(message.identifier)


def encode(outcome: None, message: DimseRequest, context: Context) -> DimseAnswer:
    """Taken note of."""
    return DimseAnswer()


def refuse(error: HubError, message: DimseRequest, context: Context) -> DimseAnswer:
    """A status of the N-services (PS3.7: 10.1.5.1.6)."""
    return notice_refused(error)
