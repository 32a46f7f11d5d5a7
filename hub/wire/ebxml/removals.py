"""RemoveObjectsRequest and RemoveDocumentsRequest (ITI TF-2: 3.62, RMD: 3.86)."""

from collections.abc import Iterable

from lxml import etree

from hub.documents.errors import NothingRemoved, RegistryError, RepositoryError
from hub.documents.model import DocumentRequest, RemovedDocuments
from hub.errors import HubError
from hub.wire.ebxml.errors import RegistryProblem, problem_of, warnings_of
from hub.wire.ebxml.names import FAILURE, LCM, NAMESPACES, RMD, SUCCESS, XDSB, lcm, rim, rmd, xdsb
from hub.wire.ebxml.retrieve import read_document_request, write_document_request
from hub.wire.ebxml.submissions import registry_response
from hub.wire.xml import Element

#: What ebRS takes for granted; the others leave an object's metadata or its content behind.
DELETE_ALL = "urn:oasis:names:tc:ebxml-regrep:DeletionScopeType:DeleteAll"
REPEATED = "The message was carried out before; what it led to then is not said again."


def read_removal(request: Element) -> tuple[str, ...]:
    """A RemoveObjectsRequest: the ids of what is to go. Raises RegistryError."""
    query = request.find(rim("AdhocQuery"))
    if query is not None and (query.attrib or len(query)):  # IPF leaves an empty one behind
        raise RegistryError(
            "The objects are named one by one, not by a query (ITI TF-2: 3.62.4.1.2).", location="AdhocQuery"
        )
    if request.get("deletionScope", DELETE_ALL) != DELETE_ALL:
        raise RegistryError("deletionScope can't be chosen (ITI TF-2: 3.62.4.1.2).", location="deletionScope")
    listed = request.find(rim("ObjectRefList"))
    ids = [item.get("id", "") for item in listed.iterchildren(rim("ObjectRef"))] if listed is not None else []
    if not ids or not all(ids):
        raise RegistryError(
            "The request needs an ObjectRefList with the ids of the objects (ITI TF-2: 3.62.4.1.2).",
            location="ObjectRefList",
        )
    return tuple(dict.fromkeys(ids))


def write_removal(ids: Iterable[str]) -> Element:
    """A RemoveObjectsRequest."""
    request = etree.Element(lcm("RemoveObjectsRequest"), nsmap={"lcm": LCM, **NAMESPACES})
    listed = etree.SubElement(request, rim("ObjectRefList"))
    for item in ids:
        etree.SubElement(listed, rim("ObjectRef"), {"id": item})
    return request


def read_document_removal(request: Element) -> tuple[DocumentRequest, ...]:
    """A RemoveDocumentsRequest. Raises RepositoryError."""
    wanted = tuple(read_document_request(item) for item in request.iterchildren(xdsb("DocumentRequest")))
    if not wanted:
        raise RepositoryError("The request has no DocumentRequest (RMD: 3.86.4.1.2).", location="DocumentRequest")
    return tuple(dict.fromkeys(wanted))


def write_document_removal(requests: Iterable[DocumentRequest]) -> Element:
    """A RemoveDocumentsRequest."""
    body = etree.Element(rmd("RemoveDocumentsRequest"), nsmap={"rmd": RMD, "xdsb": XDSB})
    for wanted in requests:
        write_document_request(body, wanted)
    return body


def write_documents_removed(outcome: RemovedDocuments | None) -> Element:
    """A RegistryResponse: Success. None: the message was carried out before (a repeat)."""
    return registry_response(SUCCESS, warnings_of((REPEATED,), "XDSRepositoryError") if outcome is None else ())


def write_removal_refusal(error: HubError) -> Element:
    """A RegistryResponse that says why nothing was removed, for each document that stands in the way."""
    if isinstance(error, NothingRemoved) and error.failures:
        return registry_response(FAILURE, _problems(error.failures))
    return registry_response(FAILURE, (problem_of(error, repository=True),))


def _problems(failures: Iterable[tuple[str, HubError]]) -> list[RegistryProblem]:
    return [problem_of(error, repository=True, location=unique_id[:128]) for unique_id, error in failures]
