"""RAD-3 Filler Order Management (RAD TF-2: 4.3): OMG^O19 of HL7 v2.5.1.

The filler tells its own number and the order's status; the content is that of an order.
"""

from hub.context import Context
from hub.imaging.model import FeedOrder, IndexedStudy
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.wire.hl7v2.answers import acknowledge
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.orders import order

TRANSACTION = Transaction(
    id="RAD-3",
    title="Filler Order Management",
    profile="SWF",
    initiator="Order Filler",
    responder="Order Placer",
    bindings=(Hl7(events=("OMG^O19",)),),
    section="RAD TF-2: 4.3",
    kind=Kind.CHANGE,
    permission="imaging.order",
    audit=AuditEvent("110109", "Order Record", "U"),
    durability=Durability.INBOX,
    options=("RAD-2 of HL7 v2.5.1 (OMG^O19)",),
)


def decode(message: Hl7Message, context: Context) -> FeedOrder:
    """PID, ORC, OBR and what identifies the study (IPC, or ZDS) to the order."""
    return FeedOrder(order(message, context.source))


def encode(outcome: IndexedStudy | None, message: Hl7Message, context: Context) -> bytes:
    """AA: stored and visible."""
    return acknowledge(message)
