"""ITI-106 Generate Metadata (MHD: 2:3.106): a CDA or FHIR document, whose metadata the hub reads out of it."""

from hub.context import Context
from hub.documents.sharing_model import DescribeDocument, Published
from hub.pipeline.transaction import AuditEvent, Durability, Fhir, Kind, Transaction
from hub.wire.fhir import search
from hub.wire.fhir.document_generate import answer_generated, read_document
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-106",
    title="Generate Metadata",
    profile="MHD",
    initiator="Document Source",
    responder="Document Recipient",
    bindings=(Fhir("POST", "/DocumentReference/$generate-metadata", "DocumentReference", "$generate-metadata"),),
    section="MHD: 2:3.106",
    kind=Kind.CHANGE,
    permission="documents.submit",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.ORIGINAL,
    options=(
        "Generate Metadata",
        "XDS on FHIR",
        "CDA R2 and FHIR documents",
        "a document that is registered already keeps its DocumentReference",
        "JSON only",
    ),
)


def decode(message: HttpRequest, context: Context) -> DescribeDocument:
    """The document, and the metadata that stands in it."""
    search.accept_json(message)
    return read_document(message)


def encode(outcome: Published, message: HttpRequest, context: Context) -> HttpResponse:
    """The reference of the DocumentReference."""
    return answer_generated(outcome)
