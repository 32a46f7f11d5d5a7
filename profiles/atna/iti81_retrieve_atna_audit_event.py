"""ITI-81 Retrieve ATNA Audit Event (RESTful ATNA: 3.81): search and read of the trail."""

from hub.audit.model import SearchTrail, Trail
from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir.audit_search import PARAMETERS, answered, asked
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-81",
    title="Retrieve ATNA Audit Event",
    profile="ATNA",
    initiator="Audit Consumer",
    responder="Audit Record Repository",
    bindings=(
        Fhir("GET", "/AuditEvent", "AuditEvent", "search-type", PARAMETERS),
        Fhir("POST", "/AuditEvent/_search", "AuditEvent", "search-type"),
        Fhir("GET", "/AuditEvent/{id}", "AuditEvent", "read"),
    ),
    section="RESTful ATNA: 3.81",
    kind=Kind.QUERY,
    permission="audit.query",
    audit=AuditEvent("110101", "Audit Log Used", "R"),
    options=("any number of a person finds what was recorded with another", "_count and links to the next page"),
)


def decode(message: HttpRequest, context: Context) -> SearchTrail:
    """Search parameters or an id."""
    return asked(message)


def encode(outcome: Trail, message: HttpRequest, context: Context) -> HttpResponse:
    """A searchset, or the one record."""
    return answered(outcome, message)
