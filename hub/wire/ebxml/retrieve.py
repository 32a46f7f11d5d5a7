"""RetrieveDocumentSetRequest and -Response (ITI TF-2: 3.43), which RAD-69 answers with as well."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from lxml import etree

from hub.documents.errors import RepositoryError
from hub.documents.model import DocumentRequest, RetrievedDocument, RetrievedDocuments, RetrieveDocuments
from hub.errors import HubError
from hub.values import new_key
from hub.wire.ebxml.errors import RegistryProblem, problem_of, read_problems
from hub.wire.ebxml.names import ERROR, FAILURE, NAMESPACES, PARTIAL_SUCCESS, SUCCESS, XDSB, rs, xdsb
from hub.wire.ebxml.submissions import registry_response
from hub.wire.ebxml.writing import escaped
from hub.wire.pieces import Chunk, file_pieces, plain
from hub.wire.soap.message import Attachment, Filling, Outgoing, SoapMessage, SoapResponse, include_text
from hub.wire.xml import Element


@dataclass(frozen=True, slots=True)
class ReceivedDocument:
    """One document of a peer's answer; its bytes lie in a file."""

    request: DocumentRequest
    mime_type: str
    content: Attachment
    new_repository_unique_id: str = ""
    new_document_unique_id: str = ""


@dataclass(frozen=True, slots=True)
class RetrieveAnswer:
    """A repository's answer as a client reads it."""

    status: str
    documents: tuple[ReceivedDocument, ...]
    problems: tuple[RegistryProblem, ...]


@dataclass(frozen=True, slots=True)
class SentDocument:
    """One document to send."""

    request: DocumentRequest
    mime_type: str
    chunks: Iterable[Chunk]
    size: int | None = None
    new_document_unique_id: str = ""
    new_repository_unique_id: str = ""


def read_retrieve(request: Element) -> RetrieveDocuments:
    """A RetrieveDocumentSetRequest. Raises RepositoryError where an identifier is missing."""
    wanted = tuple(read_document_request(item) for item in request.iterchildren(xdsb("DocumentRequest")))
    if not wanted:
        raise RepositoryError("The request has no DocumentRequest (ITI TF-2: 3.43.4.1.2).", location="DocumentRequest")
    return RetrieveDocuments(wanted)


def read_document_request(element: Element) -> DocumentRequest:
    """One DocumentRequest. Raises RepositoryError."""
    repository, document = _one(element, "RepositoryUniqueId"), _one(element, "DocumentUniqueId")
    return DocumentRequest(repository, document, (element.findtext(xdsb("HomeCommunityId")) or "").strip())


def _one(element: Element, name: str) -> str:
    found = [(item.text or "").strip() for item in element.iterchildren(xdsb(name))]
    if len(found) != 1 or not found[0]:
        raise RepositoryError(f"A DocumentRequest needs one {name} (ITI TF-2: 3.43.4.1.2).", location=name)
    return found[0]


def write_retrieve(requests: Iterable[DocumentRequest]) -> Element:
    """A RetrieveDocumentSetRequest."""
    body = etree.Element(xdsb("RetrieveDocumentSetRequest"), nsmap={"xdsb": XDSB})
    for wanted in requests:
        write_document_request(body, wanted)
    return body


def write_document_request(parent: Element, wanted: DocumentRequest) -> None:
    """Append a DocumentRequest."""
    _identify(etree.SubElement(parent, xdsb("DocumentRequest")), wanted)


def _identify(element: Element, wanted: DocumentRequest) -> None:
    if wanted.home:
        etree.SubElement(element, xdsb("HomeCommunityId")).text = wanted.home
    etree.SubElement(element, xdsb("RepositoryUniqueId")).text = wanted.repository_unique_id
    etree.SubElement(element, xdsb("DocumentUniqueId")).text = wanted.document_unique_id


def retrieved(
    outcome: RetrievedDocuments,
    action: str,
    *,
    location: Callable[[DocumentRequest], str] = attrgetter("document_unique_id"),
) -> SoapResponse:
    """The answer to ITI-43: what was found, streamed from its files, and why the rest was not.

    ``location``: where an error says that it is; gateways name a community (ITI TF-2: 3.39.4.1.3)."""
    documents = [
        SentDocument(
            item.request,
            item.mime_type,
            _chunks(item),
            item.size,
            item.new_document_unique_id,
            item.new_repository_unique_id,
        )
        for item in outcome.documents
    ]
    problems = dict.fromkeys(
        problem_of(error, repository=True, location=location(request)) for request, error in outcome.failures
    )
    return retrieve_response(documents, list(problems), action)


def retrieve_response(
    documents: Sequence[SentDocument], problems: Sequence[RegistryProblem], action: str
) -> SoapResponse:
    """A RetrieveDocumentSetResponse: Success, PartialSuccess or Failure by what there is."""
    failed = any(problem.severity == ERROR for problem in problems)
    status = SUCCESS if not failed else PARTIAL_SUCCESS if documents else FAILURE
    registry = registry_response(status, problems)
    sent, text = [], []
    for document in documents:
        content_id = f"{new_key()}@maillage"
        text.append(_document_text(document, content_id))
        sent.append(Outgoing(content_id, document.mime_type, document.chunks, document.size))
    filling = Filling(registry, "".join(text), behind=True)
    return SoapResponse(_response(registry), action, tuple(sent), filling=filling)


def _document_text(document: SentDocument, content_id: str) -> str:
    """A DocumentResponse. As text: ten thousand of them would be most of what an answer costs in time and memory."""
    said = (
        ("HomeCommunityId", document.request.home),
        ("RepositoryUniqueId", document.request.repository_unique_id),
        ("DocumentUniqueId", document.request.document_unique_id),
        ("NewRepositoryUniqueId", document.new_repository_unique_id),
        ("NewDocumentUniqueId", document.new_document_unique_id),
        ("mimeType", document.mime_type),
    )
    parts = [f"<xdsb:{name}>{escaped(value)}</xdsb:{name}>" for name, value in said if value]
    content = f"<xdsb:Document>{include_text(content_id)}</xdsb:Document>"
    return f"<xdsb:DocumentResponse>{''.join(parts)}{content}</xdsb:DocumentResponse>"


def retrieve_refused(error: HubError, action: str, *, location: str = "") -> SoapResponse:
    """A RetrieveDocumentSetResponse that says why nothing is returned. ``location`` overrides the error's own."""
    problem = problem_of(error, repository=True, location=location)
    return SoapResponse(_response(registry_response(FAILURE, (problem,))), action)


def _response(registry: Element) -> Element:
    body = etree.Element(xdsb("RetrieveDocumentSetResponse"), nsmap={"xdsb": XDSB, **NAMESPACES})
    body.append(registry)
    return body


def _chunks(document: RetrievedDocument) -> Iterator[Chunk]:
    try:
        yield from _file_pieces(document.path)
    finally:
        if document.lease is not None:
            document.lease.release()


def file_chunks(path: Path) -> Iterator[bytes]:
    """A file, piece by piece; opened when the first piece is asked for."""
    return plain(_file_pieces(path))


def _file_pieces(path: Path) -> Iterator[Chunk]:
    with path.open("rb", buffering=0) as file:
        yield from file_pieces(file.fileno(), 0, os.fstat(file.fileno()).st_size)


def read_retrieved(message: SoapMessage) -> RetrieveAnswer:
    """A peer's RetrieveDocumentSetResponse. Raises Malformed, RepositoryError."""
    registry = message.body.find(rs("RegistryResponse"))
    if message.body.tag != xdsb("RetrieveDocumentSetResponse") or registry is None:
        raise RepositoryError("The peer's answer is not a RetrieveDocumentSetResponse.")
    documents = []
    for element in message.body.iterchildren(xdsb("DocumentResponse")):
        content = element.find(xdsb("Document"))
        if content is None:
            raise RepositoryError("The peer's answer has a DocumentResponse without its Document.")
        documents.append(
            ReceivedDocument(
                read_document_request(element),
                (element.findtext(xdsb("mimeType")) or "").strip(),
                message.content(content),
                (element.findtext(xdsb("NewRepositoryUniqueId")) or "").strip(),
                (element.findtext(xdsb("NewDocumentUniqueId")) or "").strip(),
            )
        )
    return RetrieveAnswer(registry.get("status", ""), tuple(documents), read_problems(registry))
