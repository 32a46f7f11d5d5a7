"""RAD-4 Procedure Scheduled (RAD TF-2: 4.4): OMI^O23 of HL7 v2.5.1, with accession and study in IPC.

Procedure Update (RAD-13, RAD TF-2: 4.13) is the same message with ORC-1 XO, CA or DC, and is taken here as well.
"""

from hub.context import Context
from hub.imaging.model import FeedOrder, IndexedStudy
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.wire.hl7v2.answers import acknowledge
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.orders import order

TRANSACTION = Transaction(
    id="RAD-4",
    title="Procedure Scheduled",
    profile="SWF",
    initiator="Order Filler",
    responder="Image Manager",
    bindings=(Hl7(events=("OMI^O23",)),),
    section="RAD TF-2: 4.4",
    kind=Kind.CHANGE,
    permission="imaging.order",
    audit=AuditEvent("110109", "Order Record", "U"),
    durability=Durability.INBOX,
    options=("RAD-13 Procedure Update (OMI^O23 with ORC-1 XO, CA, DC)",),
)


def decode(message: Hl7Message, context: Context) -> FeedOrder:
    """PID, ORC, OBR and what identifies the study (IPC) to the order."""
    return FeedOrder(order(message, context.source))


def encode(outcome: IndexedStudy | None, message: Hl7Message, context: Context) -> bytes:
    """AA: stored and visible."""
    return acknowledge(message)
