"""Pages that show a document: CDA as HTML of our own making, PDF in the browser's reader, text as text."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from starlette.responses import Response, StreamingResponse

from hub.documents.model import (
    DocumentEntry,
    DocumentRequest,
    QueryResult,
    RetrievedDocument,
    RetrievedDocuments,
    RetrieveDocuments,
    StoredQuery,
)
from hub.errors import HubError, NotFound
from hub.patients.model import GetPerson, Person
from hub.portal import actions, cda, timeline
from hub.portal.ports import PortalHub
from hub.portal.render import PRIVATE, Renderer
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import PatientIdentifier

GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"  #: ITI TF-2: 3.18.4.1.2.4
SHOWN = 20 * 1024 * 1024
XML = ("text/xml", "application/xml", "application/hl7-cda+xml", "application/cda+xml")
INLINE = {"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png"}
SUFFIXES = {**INLINE, "text/plain": ".txt", **dict.fromkeys(XML, ".xml")}
CONTENT_HEADERS = {
    **PRIVATE,
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; object-src 'self'; plugin-types application/pdf; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}


class Documents:
    """One document of a person."""

    def __init__(self, hub: PortalHub, renderer: Renderer, names: timeline.Names) -> None:
        self.hub = hub
        self.render = renderer.page
        self.names = names

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route("/portal/document/{document}", self.document),
            Route("/portal/document/{document}/original", self.original),
            Route("/portal/document/{document}/body", self.body),
        )

    def document(self, visit: Visit) -> Response:
        """The document, as far as it can be shown safely, and its original to download."""
        person, entry, found = self._opened(visit)
        view: cda.ClinicalDocument | None = None
        text, problem = "", ""
        if found.size > SHOWN:
            problem = "document.not_shown"
        elif found.mime_type in XML:
            try:
                view = cda.read(found.path.read_bytes())
            except HubError:
                problem = "document.unreadable"
        elif found.mime_type == "text/plain":
            text = decoded(found.path.read_bytes())
        elif found.mime_type not in INLINE:
            problem = "document.not_shown"
        return self.render(
            visit,
            "document.html",
            person=person,
            person_handle=visit.handles.seal("person", person.regional.value, person.regional.authority),
            handle=visit.parameters["document"],
            entry=entry,
            view=view,
            text=text,
            problem=problem,
            mime_type=found.mime_type,
            inline=INLINE,
            names=self.names,
            timeline=timeline,
        )

    def original(self, visit: Visit) -> Response:
        """The bytes as they were registered: a download, or what the page's own frame shows."""
        _, _, found = self._opened(visit)
        inline = found.mime_type in INLINE and "inline" in visit.query
        disposition = "inline" if inline else f'attachment; filename="document{SUFFIXES.get(found.mime_type, ".bin")}"'
        media_type = found.mime_type if found.mime_type in SUFFIXES else "application/octet-stream"
        headers = {**CONTENT_HEADERS, "Content-Disposition": disposition, "Content-Length": str(found.size)}
        return StreamingResponse(_chunks(found.path), media_type=media_type, headers=headers)

    def body(self, visit: Visit) -> Response:
        """The PDF or image that a CDA carries in its nonXMLBody."""
        _, _, found = self._opened(visit)
        if found.size > SHOWN or found.mime_type not in XML:
            raise NotFound
        view = cda.read(found.path.read_bytes())
        if view.media_type not in INLINE:
            raise NotFound
        headers = {**CONTENT_HEADERS, "Content-Disposition": "inline"}
        return Response(view.body, media_type=view.media_type, headers=headers)

    def _opened(self, visit: Visit) -> tuple[Person, DocumentEntry, RetrievedDocument]:
        repository, unique_id, value, authority = visit.handles.open("document", visit.parameters["document"])
        person: Person = visit.perform(actions.PERSON, GetPerson(PatientIdentifier(value, authority)))
        query = StoredQuery(GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": ((unique_id,),)})
        result: QueryResult = visit.perform(actions.DOCUMENTS, query)
        entries = [item for item in result.objects if isinstance(item, DocumentEntry)]
        entry = next((item for item in entries if item.unique_id == unique_id), None)
        if entry is None or entry.patient_id not in person.identifiers:
            raise NotFound
        command = RetrieveDocuments((DocumentRequest(repository, unique_id, entry.home),))
        answer: RetrievedDocuments = visit.perform(actions.DOCUMENT, command)
        for _, error in answer.failures:
            raise error
        if not answer.documents:
            raise NotFound
        return person, entry, answer.documents[0]


def decoded(raw: bytes) -> str:
    """Plain text: UTF-8, else Latin-1."""
    try:
        return raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        return raw.decode("iso-8859-1")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _read(file)


def _read(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(256 * 1024):
        yield chunk
