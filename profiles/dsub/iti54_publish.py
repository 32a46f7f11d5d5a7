"""ITI-54 Document Metadata Publish (ITI TF-2: 3.54): another registry tells what it has registered."""

from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.subscriptions.model import Publish
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.wsn.faults import refuse
from hub.wire.wsn.names import BROKER, NOTIFY, wsnt
from hub.wire.wsn.reading import read_publication

__all__ = ["TRANSACTION", "decode", "encode", "refuse"]

TRANSACTION = Transaction(
    id="ITI-54",
    title="Document Metadata Publish",
    profile="DSUB",
    initiator="Document Metadata Publisher",
    responder="Document Metadata Notification Broker",
    bindings=(Soap(BROKER, NOTIFY, "", wsnt("Notify")),),
    section="ITI TF-2: 3.54",
    kind=Kind.CHANGE,
    permission="subscriptions.publish",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.ORIGINAL,
)


def decode(message: SoapMessage, context: Context) -> Publish:
    """Notify without a subscription -> the objects that were registered."""
    return read_publication(message.body)


def encode(outcome: int | None, message: SoapMessage, context: Context) -> SoapResponse:
    """One-way: accepted."""
    return SoapResponse(None, "")
