"""``Patient/$unlink``: a steward says that two identities are two persons."""

from hub.context import Context
from hub.patients.steward_model import Decided, UnlinkIdentities
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir.patient_steward import decision_told, unlink_asked
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="FHIR-Patient-unlink",
    title="Unlink two identities",
    profile="Stewardship",
    initiator="Steward's program",
    responder="Patient Identity Registry",
    bindings=(Fhir("POST", "/Patient/$unlink", "Patient", "$unlink"),),
    section="FHIR R4: 3.2",
    kind=Kind.CHANGE,
    permission="patients.steward",
    audit=AuditEvent("110110", "Patient Record", "U"),
    options=("two parameters identifier (valueIdentifier), reason",),
)


def decode(message: HttpRequest, context: Context) -> UnlinkIdentities:
    """Two identifiers."""
    return unlink_asked(message)


def encode(outcome: Decided, message: HttpRequest, context: Context) -> HttpResponse:
    """Parameters."""
    return decision_told(outcome)
