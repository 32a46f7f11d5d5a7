"""ITI-104 Patient Identity Feed FHIR (PIXm: 2:3.104): add or revise, resolve a duplicate, remove."""

from collections.abc import Sequence

from hub.context import Context
from hub.patients.feeding_model import Received, ReceiveIdentities
from hub.pipeline.transaction import AuditEvent, Durability, Fhir, Kind, Transaction
from hub.wire.fhir.patient_feed import feed_answered, feed_of
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-104",
    title="Patient Identity Feed FHIR",
    profile="PIXm",
    initiator="Patient Identity Source",
    responder="Patient Identifier Cross-reference Manager",
    bindings=(
        Fhir("PUT", "/Patient", "Patient", "update"),
        Fhir("DELETE", "/Patient", "Patient", "delete"),
    ),
    section="PIXm: 2:3.104",
    kind=Kind.CHANGE,
    permission="patients.feed",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
    options=(
        "Patient Identity Feed FHIR",
        "Remove Patient",
        "Prefer: return=minimal, representation, OperationOutcome",
        "INS for qualified identities only (fr-core-patient-ins)",
        "owners of authorities are checked",
    ),
)


def decode(message: HttpRequest, context: Context) -> ReceiveIdentities:
    """The Patient as its source now has it."""
    return feed_of(message)


def encode(outcome: Sequence[Received] | None, message: HttpRequest, context: Context) -> HttpResponse:
    """201, 200 or 204."""
    return feed_answered(outcome or (), message, context)
