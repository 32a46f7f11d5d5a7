"""ITI-105's DocumentReference with its document inside -> one document to publish (MHD 4.2: 2:3.105)."""

from functools import partial
from typing import Any

from hub.documents.sharing_model import PublishDocument, Published
from hub.errors import Invalid
from hub.wire.fhir import french, search
from hub.wire.fhir.body import bytes_of, resource_in
from hub.wire.fhir.codes import text
from hub.wire.fhir.document_reference import bare, document_reference, entry_of, relations_of
from hub.wire.fhir.people import Box, first, listed
from hub.wire.http import HttpRequest, HttpResponse

_NAME = "DocumentReference01"


def read_publication(message: HttpRequest) -> PublishDocument:
    """The document and what is said of it (profile IHE.MHD.SimplifiedPublish.DocumentReference).

    Raises Malformed, Invalid; the location is the element."""
    resource = resource_in(message, "DocumentReference")
    if resource.get("status") != "current":
        raise Invalid("A new document is current.", location="DocumentReference.status")
    if "docStatus" in resource:
        raise Invalid("docStatus has no place in what is published.", location="DocumentReference.docStatus")
    if len(listed(resource, "content")) != 1:
        raise Invalid("A DocumentReference has one content.", location="DocumentReference.content")
    attachment = first(resource, "content").get("attachment")
    if not isinstance(attachment, dict) or "data" not in attachment or "url" in attachment:
        raise Invalid("The document stands in data, without a url.", location="DocumentReference.content.attachment")
    entry = entry_of(resource, Box(resource.get("contained"), base=message.base), _NAME)
    if not entry.unique_id:  # MHD: 1..1; the registry would call it uniqueId
        raise Invalid("A DocumentReference needs a masterIdentifier.", location="DocumentReference.masterIdentifier")
    return PublishDocument(
        entry,
        bytes_of(attachment, "DocumentReference.content.attachment.data"),
        tuple(relations_of(resource, _NAME, partial(_target, base=message.base))),
        french.missing(resource, french.SIMPLIFIED),
    )


def answer_publication(outcome: Published, message: HttpRequest) -> HttpResponse:
    """201 with the DocumentReference as it was made (FHIR R4: 3.1.0.8)."""
    made = document_reference(outcome.entry, outcome.associations, message.base, outcome.custodian)
    where = f"{message.base}/DocumentReference/{bare(outcome.entry.id)}"
    return search.answer(made, 201, {"Location": where, "ETag": f'W/"{outcome.entry.version}"'})


def _target(reference: Any, base: str) -> str:
    where = "DocumentReference.relatesTo.target"
    url = text(reference, "reference") if isinstance(reference, dict) else ""
    return f"urn:uuid:{search.reference_id(url, 'DocumentReference', where, base).lower()}"
