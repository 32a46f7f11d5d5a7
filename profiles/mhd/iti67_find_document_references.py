"""ITI-67 Find Document References (MHD: 2:3.67): a person's documents, page by page, and one by its id."""

from hub.context import Context
from hub.documents.model import DocumentEntry
from hub.documents.sharing_model import FindShared, SharedPage
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir import search
from hub.wire.fhir.document_communities import community_outcomes, without_strangers
from hub.wire.fhir.document_reference import document_reference
from hub.wire.fhir.document_search import DOCUMENT_PARAMETERS, DOCUMENTS, documents_asked
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-67",
    title="Find Document References",
    profile="MHD",
    initiator="Document Consumer",
    responder="Document Responder",
    bindings=(
        Fhir("GET", "/DocumentReference", "DocumentReference", "search-type", DOCUMENT_PARAMETERS),
        Fhir("POST", "/DocumentReference/_search", "DocumentReference", "search-type"),
        Fhir("GET", "/DocumentReference/{id}", "DocumentReference", "read"),
    ),
    section="MHD: 2:3.67",
    kind=Kind.QUERY,
    permission="documents.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=(
        "Comprehensive Metadata",
        "XDS on FHIR",
        "Target Communities: grouped with the initiating gateway, each community's part in an OperationOutcome",
        "_count and links to the next page; _elements, _summary, _total; Prefer: handling=lenient",
        "_sort by date, creation, period, period-start, period-end, identifier, _id, status",
        "the search parameters of PDSm",
        "JSON only",
    ),
)


def decode(message: HttpRequest, context: Context) -> FindShared:
    """Search parameters or an id -> stored queries."""
    return documents_asked(message)


def encode(outcome: SharedPage, message: HttpRequest, context: Context) -> HttpResponse:
    """A searchset, or the one DocumentReference."""
    resources = [
        without_strangers(
            document_reference(item, outcome.associations, message.base, outcome.custodian), outcome.strangers
        )
        for item in outcome.objects
        if isinstance(item, DocumentEntry)
    ]
    outcomes = community_outcomes(outcome.communities)
    return search.one_or_page(message, DOCUMENTS, resources, outcome.total, outcomes=outcomes)
