"""RAD-2 Placer Order Management (RAD TF-2: 4.2): ORM^O01, new, changed and cancelled orders.

A sender of v2.3.1 sends Procedure Scheduled (RAD-4) and Procedure Update (RAD-13) as ORM^O01 as well, with the study in
ZDS: the same decoding serves them.
"""

from hub.context import Context
from hub.imaging.model import FeedOrder, IndexedStudy
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.wire.hl7v2.answers import acknowledge
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.orders import order

TRANSACTION = Transaction(
    id="RAD-2",
    title="Placer Order Management",
    profile="SWF",
    initiator="Order Placer",
    responder="Order Filler",
    bindings=(Hl7(events=("ORM^O01",)),),
    section="RAD TF-2: 4.2",
    kind=Kind.CHANGE,
    permission="imaging.order",
    audit=AuditEvent("110109", "Order Record", "U"),
    durability=Durability.INBOX,
    options=("RAD-4 and RAD-13 of HL7 v2.3.1 (ORM^O01 with ZDS)",),
)


def decode(message: Hl7Message, context: Context) -> FeedOrder:
    """PID, ORC, OBR and what identifies the study (ZDS, or IPC) to the order."""
    return FeedOrder(order(message, context.source))


def encode(outcome: IndexedStudy | None, message: Hl7Message, context: Context) -> bytes:
    """AA: stored and visible."""
    return acknowledge(message)
