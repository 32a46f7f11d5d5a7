"""What identity feeds have in common: PID to FeedIdentity, PID and MRG to MergeIdentities (ITI TF-2: 3.8, 3.30)."""

from hub.patients.model import FeedIdentity, MergeIdentities
from hub.wire.hl7v2.errors import Hl7Invalid
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.pid import identity, patient_numbers

MERGE = "A40"


def feed(message: Hl7Message) -> FeedIdentity | MergeIdentities:
    """The command of an ADT message. Raises SegmentMissing, FieldMissing, DataTypeError, TableValueUnknown."""
    event = message.event.partition("^")[2]
    second = next((pid for pid in message.all("PID") if pid.index > 1), None)
    if second is not None:
        raise Hl7Invalid("One message must be about one patient.", location="PID[2]")
    if event != MERGE:
        return FeedIdentity(identity(message), event)
    mrg = message.require("MRG")
    lost = patient_numbers(mrg, 1).local
    survivor = identity(message, names_required=False)  # what remains is the number; the name may be left out
    if lost == survivor.identifier and (lost.authority or lost.namespace == survivor.identifier.namespace):
        raise Hl7Invalid("A number can't be merged into itself.", location=mrg.at(1))
    return MergeIdentities(survivor, lost)
