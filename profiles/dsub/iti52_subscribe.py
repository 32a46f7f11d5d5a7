"""ITI-52 Document Metadata Subscribe (ITI TF-2: 3.52): who wants to hear of what, from when to when."""

from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.subscriptions.model import Renew, Subscribe, Subscription, Unsubscribe
from hub.values import now
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.wsn.faults import refuse
from hub.wire.wsn.names import BROKER, RENEW, SUBSCRIBE, UNSUBSCRIBE, request, response, wsnt
from hub.wire.wsn.reading import read_renew, read_subscribe, resource_id
from hub.wire.wsn.writing import write_empty, write_renewed, write_subscribed

__all__ = ["TRANSACTION", "decode", "encode", "refuse"]

TRANSACTION = Transaction(
    id="ITI-52",
    title="Document Metadata Subscribe",
    profile="DSUB",
    initiator="Document Metadata Subscriber",
    responder="Document Metadata Notification Broker",
    bindings=(
        Soap(BROKER, request(SUBSCRIBE), response(SUBSCRIBE), wsnt("Subscribe")),
        *(
            Soap(path, request(operation), response(operation), wsnt(name))
            for path in (BROKER, f"{BROKER}/{{subscription}}")
            for operation, name in ((UNSUBSCRIBE, "Unsubscribe"), (RENEW, "Renew"))
        ),
    ),
    section="ITI TF-2: 3.52",
    kind=Kind.CHANGE,
    permission="subscriptions.subscribe",
    audit=AuditEvent("110112", "Query", "E"),
    options=(
        "Document Metadata Publish Recipient Option",
        "Folder Subscription Option",
        "Patient-Independent Subscription Option",
        "Extended Events Document Metadata Subscription Option",
        "Update Events Folder Subscription Option",
        "Extended Events Folder Subscription Option",
    ),
)


def decode(message: SoapMessage, context: Context) -> Subscribe | Unsubscribe | Renew:
    """Subscribe, Unsubscribe or Renew, by the body. A subscription is named by the address that it was given."""
    if message.body.tag == wsnt("Subscribe"):
        return read_subscribe(message.body)
    subscription = resource_id(message, BROKER)
    if message.body.tag == wsnt("Renew"):
        return read_renew(message.body, subscription)
    return Unsubscribe(subscription)


def encode(outcome: Subscription | None, message: SoapMessage, context: Context) -> SoapResponse:
    """The subscription's address and end; nothing for one that was ended."""
    if outcome is None:
        return SoapResponse(write_empty("UnsubscribeResponse"), response(UNSUBSCRIBE))
    if message.body.tag == wsnt("Renew"):
        return SoapResponse(write_renewed(outcome, now()), response(RENEW))
    address = f"{message.base}{BROKER}/{outcome.id}"
    return SoapResponse(write_subscribed(outcome, address, now()), response(SUBSCRIBE))
