"""``Consent``: read and search."""

from collections.abc import Sequence

from hub.access.rights_errors import UnknownPatient
from hub.access.rights_model import FindConsents, GetConsent, KeptConsent
from hub.context import Context
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir.consent import consents_asked, consents_found
from hub.wire.fhir.errors import refusal
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="FHIR-Consent-query",
    title="Read a patient's consents and oppositions",
    profile="Consent",
    initiator="Consent Consumer",
    responder="Consent Registry",
    bindings=(
        Fhir("GET", "/Consent/{id}", "Consent", "read"),
        Fhir(
            "GET",
            "/Consent",
            "Consent",
            "search-type",
            (
                ("patient", "reference", "Patient/[id]; required, unless patient.identifier is there"),
                ("patient.identifier", "token", "[system]|[number]"),
                ("status", "token", "active, inactive; otherwise all"),
                ("category", "token", "consultation, feeding, emergency"),
            ),
        ),
        Fhir("POST", "/Consent/_search", "Consent", "search-type"),
    ),
    section="FHIR R4: 6.2",
    kind=Kind.QUERY,
    permission="consents.query",
    audit=AuditEvent("110112", "Query", "E"),
)


def decode(message: HttpRequest, context: Context) -> FindConsents | GetConsent:
    """One by its id, or a patient's."""
    return consents_asked(message)


def refuse(error: HubError, message: HttpRequest, context: Context) -> HttpResponse:
    """Nobody's consents are none, whether the patient is not known or not for the caller."""
    if isinstance(error, UnknownPatient):
        return consents_found((), message, context.received_at)
    return refusal(error, message, context)


def encode(outcome: KeptConsent | Sequence[KeptConsent], message: HttpRequest, context: Context) -> HttpResponse:
    """A Consent, or a searchset."""
    return consents_found(outcome, message, context.received_at)
