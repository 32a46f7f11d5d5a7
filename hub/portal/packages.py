"""A person's documents as a package to take along (XDM, ITI-32)."""

import tempfile
from collections.abc import Iterator
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
from hub.values import PatientIdentifier
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
        documents = [self._document(visit, entry) for entry in entries]
        file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed when it is sent)
        try:
            institution = self.hub.settings.region.name
            write_package(file, documents, person.regional, source_id=SOURCE_ID, institution=institution)
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

    def _document(self, visit: Visit, entry: DocumentEntry) -> PackedDocument:
        wanted = DocumentRequest(entry.repository_unique_id, entry.unique_id, entry.home)
        answer: RetrievedDocuments = visit.perform(actions.PACKAGE, RetrieveDocuments((wanted,)))
        for _, error in answer.failures:
            raise error
        return PackedDocument(entry, answer.documents[0].path)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(256 * 1024):
            yield chunk
