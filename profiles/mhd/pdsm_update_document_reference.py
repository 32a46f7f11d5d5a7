"""PDSm's metadata update (PDSm 3.1: flux 03, 04): PATCH of a DocumentReference's status and confidentiality."""

from hub.context import Context
from hub.documents.sharing_model import AmendDocument, Published
from hub.pipeline.transaction import AuditEvent, Durability, Fhir, Kind, Transaction
from hub.wire.fhir.document_patch import answer_patch, patch_asked
from hub.wire.http import HttpRequest, HttpResponse

TRANSACTION = Transaction(
    id="PDSm-update",
    title="Update Document Metadata",
    profile="MHD",
    initiator="Document Source",
    responder="Document Recipient",
    bindings=(
        Fhir("PATCH", "/DocumentReference", "DocumentReference", "patch"),
        Fhir("PATCH", "/DocumentReference/{id}", "DocumentReference", "patch"),
    ),
    section="PDSm 3.1: Flux 03, 04",
    kind=Kind.CHANGE,
    permission="administration.update",
    audit=AuditEvent("110107", "Import", "U"),
    durability=Durability.ORIGINAL,
    options=(
        "FHIRPath Patch",
        "conditional on identifier, If-Match with the version's ETag",
        "status, securityLabel",
        "no archive and no logical deletion",
    ),
)


def decode(message: HttpRequest, context: Context) -> AmendDocument:
    """Parameters with operations -> what is to be changed."""
    return patch_asked(message)


def encode(outcome: Published | None, message: HttpRequest, context: Context) -> HttpResponse:
    """The DocumentReference as it is now."""
    return answer_patch(outcome, message)
