"""``Consent``: create, and update as a new version of the same word."""

from hub.access.rights_model import KeptConsent, RecordConsent
from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Durability, Fhir, Kind, Transaction
from hub.wire.fhir.consent import consent_kept, consent_told
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="FHIR-Consent-record",
    title="Record a patient's consent or opposition",
    profile="Consent",
    initiator="Consent Recorder",
    responder="Consent Registry",
    bindings=(
        Fhir("POST", "/Consent", "Consent", "create"),
        Fhir("PUT", "/Consent/{id}", "Consent", "update"),
    ),
    section="FHIR R4: 6.2",
    kind=Kind.CHANGE,
    permission="consents.record",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
    options=("consultation, alimentation, emergency access", "one actor at most", "If-Match with the version's ETag"),
)


def decode(message: HttpRequest, context: Context) -> RecordConsent:
    """The word, under the patient's identifier as it is given."""
    return consent_told(message, context.received_at)


def encode(outcome: KeptConsent | None, message: HttpRequest, context: Context) -> HttpResponse:
    """The Consent as it is kept, 201 with its place when it is new."""
    return consent_kept(outcome, message)
