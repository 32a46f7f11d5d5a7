"""A person's documents as a package to take along (XDM, ITI-32)."""

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from starlette.responses import Response, StreamingResponse

from hub.documents.model import (
    APPROVED,
    DocumentEntry,
    DocumentRequest,
    QueryResult,
    RetrievedDocuments,
    RetrieveDocuments,
    StoredQuery,
)
from hub.patients.model import GetPerson, Person
from hub.portal import actions
from hub.portal.clinical import FIND_DOCUMENTS
from hub.portal.ports import PortalHub
from hub.portal.render import PRIVATE, SECURITY_HEADERS
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import PatientIdentifier, new_uid
from hub.wire.xdm.writing import PackedDocument, write_package

SOURCE_ID = "2.25.96912434153843285716391742263087443"  #: sourceId of packages that people make
_IN_MEMORY = 8 * 1024 * 1024


class Packages:
    """Export for people who may read documents."""

    def __init__(self, hub: PortalHub) -> None:
        self.hub = hub

    @property
    def routes(self) -> tuple[Route, ...]:
        """The page of this module."""
        return (Route("/portal/person/{person}/xdm", self.export),)

    def export(self, visit: Visit) -> Response:
        """Every approved document, or nothing when one can't be had. Raises PackageInvalid when there is none."""
        value, authority = visit.handles.open("person", visit.parameters["person"])
        person: Person = visit.perform(actions.PERSON, GetPerson(PatientIdentifier(value, authority)))
        parameters = {
            "$XDSDocumentEntryPatientId": ((person.regional.cx,),),
            "$XDSDocumentEntryStatus": ((APPROVED,),),
        }
        result: QueryResult = visit.perform(actions.DOCUMENTS, StoredQuery(FIND_DOCUMENTS, parameters))
        entries = [entry for entry in result.objects if isinstance(entry, DocumentEntry)]
        unique_id = new_uid()
        documents = self._documents(visit, entries, unique_id)
        file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed when it is sent)
        try:
            institution = self.hub.settings.region.name
            write_package(
                file, documents, person.regional, source_id=SOURCE_ID, institution=institution, unique_id=unique_id
            )
        except BaseException:
            file.close()
            raise
        size = file.tell()
        file.seek(0)
        headers = {
            **SECURITY_HEADERS,
            **PRIVATE,
            "Content-Disposition": 'attachment; filename="documents.zip"',
            "Content-Length": str(size),
        }
        return StreamingResponse(_chunks(file), media_type="application/zip", headers=headers)

    @staticmethod
    def _documents(visit: Visit, entries: Sequence[DocumentEntry], unique_id: str) -> list[PackedDocument]:
        """All of them, in one record of the trail that names the package's submission set (ITI TF-2: 3.32.5.1.1)."""
        wanted = tuple(DocumentRequest(entry.repository_unique_id, entry.unique_id, entry.home) for entry in entries)
        named = ("submission set", unique_id)
        answer: RetrievedDocuments = visit.perform(actions.PACKAGE, RetrieveDocuments(wanted), named)
        for _, error in answer.failures:
            raise error
        return [PackedDocument(entry, found.path) for entry, found in zip(entries, answer.documents, strict=True)]


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(256 * 1024):
            yield chunk
