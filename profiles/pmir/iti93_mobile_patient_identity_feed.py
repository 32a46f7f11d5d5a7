"""ITI-93 Mobile Patient Identity Feed (PMIR: 2:3.93): a message of created, updated, merged and deleted Patients."""

from collections.abc import Sequence

from hub.context import Context
from hub.patients.feeding_model import Received, ReceiveIdentities
from hub.pipeline.transaction import AuditEvent, Direction, Durability, Fhir, Kind, Transaction
from hub.wire.fhir.patient_message import message_answered, message_of
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-93",
    title="Mobile Patient Identity Feed",
    profile="PMIR",
    initiator="Patient Identity Source",
    responder="Patient Identity Registry",
    bindings=(Fhir("POST", "/$process-message", "", "$process-message"),),
    section="PMIR: 2:3.93",
    kind=Kind.CHANGE,
    permission="patients.feed",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
    direction=Direction.BOTH,
    options=(
        "create, update, merge, delete; all entries of a message or none",
        "sent to the subscribers of ITI-94",
    ),
)


def decode(message: HttpRequest, context: Context) -> ReceiveIdentities:
    """The changes of the message."""
    return message_of(message)


def encode(outcome: Sequence[Received] | None, message: HttpRequest, context: Context) -> HttpResponse:
    """The response message."""
    return message_answered(outcome or (), message)
