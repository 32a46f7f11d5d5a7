"""ITI-69 Create Destroy Pull Point (ITI TF-2: 3.69): a place where notifications wait for who can't be called."""

from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.subscriptions.model import CreatePullPoint, DestroyPullPoint, PullPoint
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.wsn.faults import refuse
from hub.wire.wsn.names import CREATE_PULL_POINT, DESTROY_PULL_POINT, PULL_POINTS, request, response, wsnt
from hub.wire.wsn.reading import resource_id
from hub.wire.wsn.writing import write_empty, write_pull_point

__all__ = ["TRANSACTION", "decode", "encode", "refuse"]

TRANSACTION = Transaction(
    id="ITI-69",
    title="Create Destroy Pull Point",
    profile="DSUB",
    initiator="Notification Puller",
    responder="Notification Pull Point",
    bindings=(
        Soap(PULL_POINTS, request(CREATE_PULL_POINT), response(CREATE_PULL_POINT), wsnt("CreatePullPoint")),
        *(
            Soap(path, request(DESTROY_PULL_POINT), response(DESTROY_PULL_POINT), wsnt("DestroyPullPoint"))
            for path in (PULL_POINTS, f"{PULL_POINTS}/{{pull_point}}")
        ),
    ),
    section="ITI TF-2: 3.69",
    kind=Kind.CHANGE,
    permission="subscriptions.pull",
    audit=AuditEvent("110100", "Application Activity", "C"),
)


def decode(message: SoapMessage, context: Context) -> CreatePullPoint | DestroyPullPoint:
    """By the body."""
    if message.body.tag == wsnt("CreatePullPoint"):
        return CreatePullPoint()
    return DestroyPullPoint(resource_id(message, PULL_POINTS))


def encode(outcome: PullPoint | None, message: SoapMessage, context: Context) -> SoapResponse:
    """The new pull point's address; nothing for one that is gone."""
    if outcome is None:
        return SoapResponse(write_empty("DestroyPullPointResponse"), response(DESTROY_PULL_POINT))
    return SoapResponse(write_pull_point(f"{message.base}{PULL_POINTS}/{outcome.id}"), response(CREATE_PULL_POINT))
