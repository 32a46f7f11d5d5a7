"""``Patient/$explain``: why two identities are one person, or are not."""

from hub.context import Context
from hub.patients.steward_model import ExplainPair, Explanation
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir.patient_steward import explanation_told, pair_asked
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="FHIR-Patient-explain",
    title="Explain two identities",
    profile="Stewardship",
    initiator="Steward's program",
    responder="Patient Identity Registry",
    bindings=(
        Fhir("GET", "/Patient/$explain", "Patient", "$explain"),
        Fhir("POST", "/Patient/$explain", "Patient", "$explain"),
    ),
    section="FHIR R4: 3.2",
    kind=Kind.QUERY,
    permission="patients.steward",
    audit=AuditEvent("110112", "Query", "E"),
    options=("two parameters identifier (valueIdentifier)",),
)


def decode(message: HttpRequest, context: Context) -> ExplainPair:
    """Two identifiers."""
    return pair_asked(message)


def encode(outcome: Explanation, message: HttpRequest, context: Context) -> HttpResponse:
    """Parameters."""
    return explanation_told(outcome)
