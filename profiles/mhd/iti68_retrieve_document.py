"""ITI-68 Retrieve Document (MHD: 2:3.68): a document's bytes as they were submitted, streamed."""

from hub.context import Context
from hub.documents.sharing_model import OpenDocument, OpenedDocument
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.wire.fhir.binary import answer
from hub.wire.fhir.document_search import community_of, uuid_urn
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="ITI-68",
    title="Retrieve Document",
    profile="MHD",
    initiator="Document Consumer",
    responder="Document Responder",
    bindings=(Fhir("GET", "/Binary/{id}", "Binary", "read", xml=False),),
    section="MHD: 2:3.68",
    kind=Kind.RETRIEVE,
    permission="documents.retrieve",
    audit=AuditEvent("110106", "Export", "R"),
    options=("the document's own media type, or a Binary resource", "ETag and If-None-Match"),
)


def decode(message: HttpRequest, context: Context) -> OpenDocument:
    """The id is that of the DocumentReference, which says the community as well."""
    wanted = message.path_parameters["id"]
    return OpenDocument(uuid_urn(wanted), community_of(wanted))


def encode(outcome: OpenedDocument, message: HttpRequest, context: Context) -> HttpResponse:
    """The bytes, 304 when the caller has them, 406 when it takes neither the media type nor FHIR's."""
    return answer(outcome, message)
