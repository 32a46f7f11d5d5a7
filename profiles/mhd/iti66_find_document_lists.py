"""ITI-66 Find Document Lists (MHD: 2:3.66): a person's submission sets and folders, page by page, and one by its id."""

from hub.context import Context
from hub.documents.model import DocumentEntry
from hub.documents.sharing_model import FindShared, SharedPage
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir import search
from hub.wire.fhir.document_communities import community_outcomes, without_strangers
from hub.wire.fhir.document_list import document_list
from hub.wire.fhir.document_search import LIST_PARAMETERS, LISTS, lists_asked
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-66",
    title="Find Document Lists",
    profile="MHD",
    initiator="Document Consumer",
    responder="Document Responder",
    bindings=(
        Fhir("GET", "/List", "List", "search-type", LIST_PARAMETERS),
        Fhir("POST", "/List/_search", "List", "search-type"),
        Fhir("GET", "/List/{id}", "List", "read"),
    ),
    section="MHD: 2:3.66",
    kind=Kind.QUERY,
    permission="documents.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=(
        "Comprehensive Metadata",
        "XDS on FHIR",
        "Target Communities: grouped with the initiating gateway, each community's part in an OperationOutcome",
        "_count and links to the next page; _elements, _summary, _total; Prefer: handling=lenient",
        "_sort by date, identifier, _id, status",
        "JSON only",
    ),
)


def decode(message: HttpRequest, context: Context) -> FindShared:
    """Search parameters or an id -> stored queries."""
    return lists_asked(message)


def encode(outcome: SharedPage, message: HttpRequest, context: Context) -> HttpResponse:
    """A searchset, or the one List."""
    resources = [
        without_strangers(
            document_list(item, outcome.associations, outcome.members, outcome.custodian), outcome.strangers
        )
        for item in outcome.objects
        if not isinstance(item, DocumentEntry)
    ]
    outcomes = community_outcomes(outcome.communities)
    return search.one_or_page(message, LISTS, resources, outcome.total, outcomes=outcomes)
