"""ITI-53 Document Metadata Notify (ITI TF-2: 3.53): sent to consumers by the outbox, taken into pull points here."""

from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Direction, Durability, Kind, Soap, Transaction
from hub.subscriptions.model import ReceiveNotifications
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.wsn.faults import refuse
from hub.wire.wsn.names import NOTIFY, PULL_POINTS, wsnt
from hub.wire.wsn.reading import read_notifications, resource_id

__all__ = ["TRANSACTION", "decode", "encode", "refuse"]

TRANSACTION = Transaction(
    id="ITI-53",
    title="Document Metadata Notify",
    profile="DSUB",
    initiator="Document Metadata Notification Broker",
    responder="Document Metadata Notification Recipient",
    bindings=(Soap(f"{PULL_POINTS}/{{pull_point}}", NOTIFY, "", wsnt("Notify")),),
    section="ITI TF-2: 3.53",
    kind=Kind.CHANGE,
    permission="subscriptions.notify",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.ORIGINAL,
    direction=Direction.BOTH,
)


def decode(message: SoapMessage, context: Context) -> ReceiveNotifications:
    """Notify -> what is to wait in the pull point that it was sent to."""
    return ReceiveNotifications(resource_id(message, PULL_POINTS), read_notifications(message.body))


def encode(outcome: int | None, message: SoapMessage, context: Context) -> SoapResponse:
    """One-way: accepted."""
    return SoapResponse(None, "")
