"""ITI-70 Pull Notification (ITI TF-2: 3.70): what waits in a pull point, and lets it go."""

from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.subscriptions.model import GetMessages, Notification
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.wsn.faults import refuse
from hub.wire.wsn.names import BROKER, GET_MESSAGES, PULL_POINTS, request, response, wsnt
from hub.wire.wsn.reading import read_maximum, resource_id
from hub.wire.wsn.writing import write_pulled

__all__ = ["TRANSACTION", "decode", "encode", "refuse"]

TRANSACTION = Transaction(
    id="ITI-70",
    title="Pull Notification",
    profile="DSUB",
    initiator="Notification Puller",
    responder="Notification Pull Point",
    bindings=tuple(
        Soap(path, request(GET_MESSAGES), response(GET_MESSAGES), wsnt("GetMessages"))
        for path in (PULL_POINTS, f"{PULL_POINTS}/{{pull_point}}")
    ),
    section="ITI TF-2: 3.70",
    kind=Kind.RETRIEVE,
    permission="subscriptions.pull",
    audit=AuditEvent("110106", "Export", "R"),
)


def decode(message: SoapMessage, context: Context) -> GetMessages:
    """GetMessages, with the number that is wanted at most."""
    return GetMessages(resource_id(message, PULL_POINTS), read_maximum(message.body))


def encode(outcome: tuple[Notification, ...], message: SoapMessage, context: Context) -> SoapResponse:
    """The notifications, the oldest first."""
    broker = f"{message.base}{BROKER}"
    return SoapResponse(write_pulled(outcome, broker, broker), response(GET_MESSAGES))
