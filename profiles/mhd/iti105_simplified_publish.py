"""ITI-105 Simplified Publish (MHD: 2:3.105): one document inside its DocumentReference; the hub does the rest."""

from hub.context import Context
from hub.documents.sharing_model import PublishDocument, Published
from hub.pipeline.transaction import AuditEvent, Durability, Fhir, Kind, Transaction
from hub.wire.fhir import search
from hub.wire.fhir.document_publish import answer_publication, read_publication
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-105",
    title="Simplified Publish",
    profile="MHD",
    initiator="Document Source",
    responder="Document Recipient",
    bindings=(Fhir("POST", "/DocumentReference", "DocumentReference", "create"),),
    section="MHD: 2:3.105",
    kind=Kind.CHANGE,
    permission="documents.submit",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.ORIGINAL,
    options=(
        "Simplified Publish",
        "XDS on FHIR",
        "limited metadata where an attribute of comprehensive metadata is missing",
        "relatesTo replaces, transforms, appends, signs",
        "JSON only",
    ),
)


def decode(message: HttpRequest, context: Context) -> PublishDocument:
    """The DocumentReference and the document in it."""
    search.accept_json(message)
    return read_publication(message)


def encode(outcome: Published, message: HttpRequest, context: Context) -> HttpResponse:
    """201, where the DocumentReference is and what it says."""
    return answer_publication(outcome, message)
