"""A document's bytes as an answer: in their own media type, or as a Binary resource (FHIR R4: 2.40, MHD: 2:3.68)."""

import base64
import re
from collections.abc import Iterator

import orjson

from hub.documents.model import RetrievedDocument
from hub.documents.sharing_model import OpenedDocument
from hub.wire.fhir.errors import NotAcceptable
from hub.wire.fhir.r4 import MEDIA_TYPE
from hub.wire.http import HttpRequest, HttpResponse

_CHUNK = 3 * 256 * 1024  #: a multiple of 3: base64 of the pieces is the base64 of the whole
_FHIR = ("application/fhir+json", "application/json", "json")
_DEFAULT = "application/octet-stream"


def answer(opened: OpenedDocument, message: HttpRequest) -> HttpResponse:
    """The answer to a GET of the document. Raises NotAcceptable."""
    document, entry = opened.document, opened.entry
    media_type = document.mime_type if document.mime_type.isascii() and document.mime_type.isprintable() else _DEFAULT
    as_resource = _as_resource(message, media_type)
    headers = {"Vary": "Accept"}
    if entry.hash:  # what is made on demand has none: it may be another each time
        headers["ETag"] = f'W/"{entry.hash}-resource"' if as_resource else f'"{entry.hash}"'
    if entry.hash and _has(message.headers.get("if-none-match", ""), headers["ETag"]):
        return HttpResponse(304, b"", "", headers)
    if as_resource:
        resource_id = entry.id.removeprefix("urn:uuid:")
        return HttpResponse(200, _resource(document, resource_id, media_type), MEDIA_TYPE, headers)
    # As a header: a media type alone would get a charset that its submitter never said.
    headers |= {"Content-Length": str(document.size), "Content-Type": media_type}
    return HttpResponse(200, _pieces(document), "", headers)


def _as_resource(message: HttpRequest, media_type: str) -> bool:
    """Whether the caller wants a Binary resource: only when it asks for FHIR and not for the document's own type."""
    own = media_type.split(";", maxsplit=1)[0].strip().lower()
    if message.parameter("_format") in _FHIR and own not in _FHIR:
        return True
    refused, ranges = set(), []
    for item in message.headers.get("accept", "").lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        if any(re.fullmatch(r"q\s*=\s*0(\.0*)?", part) for part in parameters):
            refused.add(name)
        elif name:
            ranges.append(name)
    if not ranges and not refused:
        return False
    kind = own.split("/", maxsplit=1)[0]
    if own in ranges or f"{kind}/*" in ranges:
        return False
    if any(name in _FHIR for name in ranges):
        return True
    if "*/*" in ranges and own not in refused:
        return False
    raise NotAcceptable(f"The document is {media_type}; it is also offered as {MEDIA_TYPE}.")


def _has(if_none_match: str, etag: str) -> bool:
    known = [item.strip().removeprefix("W/") for item in if_none_match.split(",") if item.strip()]
    return "*" in known or etag.removeprefix("W/") in known


def _pieces(document: RetrievedDocument) -> Iterator[bytes]:
    try:
        with document.path.open("rb") as file:
            while piece := file.read(_CHUNK):
                yield piece
    finally:
        if document.lease is not None:
            document.lease.release()


def _resource(document: RetrievedDocument, resource_id: str, media_type: str) -> Iterator[bytes]:
    head = orjson.dumps({"resourceType": "Binary", "id": resource_id, "contentType": media_type})
    yield head[:-1]
    start = b',"data":"'
    for piece in _pieces(document):
        yield start + base64.b64encode(piece)
        start = b""
    yield b"}" if start else b'"}'
