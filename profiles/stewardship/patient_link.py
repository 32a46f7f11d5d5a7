"""``Patient/$link``: a steward says that two identities are one person."""

from hub.context import Context
from hub.patients.steward_model import Decided, LinkIdentities
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir.patient_steward import decision_told, link_asked
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="FHIR-Patient-link",
    title="Link two identities",
    profile="Stewardship",
    initiator="Steward's program",
    responder="Patient Identity Registry",
    bindings=(Fhir("POST", "/Patient/$link", "Patient", "$link"),),
    section="FHIR R4: 3.2",
    kind=Kind.CHANGE,
    permission="patients.steward",
    audit=AuditEvent("110110", "Patient Record", "U"),
    options=("two parameters identifier (valueIdentifier), reason",),
)


def decode(message: HttpRequest, context: Context) -> LinkIdentities:
    """Two identifiers."""
    return link_asked(message)


def encode(outcome: Decided, message: HttpRequest, context: Context) -> HttpResponse:
    """Parameters."""
    return decision_told(outcome)
