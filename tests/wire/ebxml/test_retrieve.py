from pathlib import Path

import pytest
from lxml import etree

from hub.documents.errors import DocumentUniqueIdError, RepositoryError, UnknownRepositoryId
from hub.documents.model import DocumentRequest, RetrievedDocument, RetrievedDocuments
from hub.wire.ebxml.names import FAILURE, PARTIAL_SUCCESS, SUCCESS, xdsb
from hub.wire.ebxml.retrieve import (
    RetrieveAnswer,
    read_retrieve,
    read_retrieved,
    retrieve_refused,
    retrieved,
    write_retrieve,
)
from hub.wire.soap.client import spool_to
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.reading import parse_response
from hub.wire.soap.writing import render
from tests.tapped import untapped
from tests.wire.ebxml.schemas import validate

FIRST = DocumentRequest("1.2.3", "1.2.3.4^a", "urn:oid:1.2")
SECOND = DocumentRequest("1.2.3", "1.2.3.5")


def over_the_wire(response: SoapResponse, directory: Path, *, mtom: bool = True) -> SoapMessage:
    answer = render(response, SoapMessage("urn:x", etree.Element("a"), message_id="urn:uuid:1", mtom=mtom))
    return parse_response(answer.media_type, answer.chunks(), spool_to(directory))


def test_a_request_survives_and_is_valid() -> None:
    request = write_retrieve([FIRST, SECOND])
    validate(request)
    assert read_retrieve(request).requests == (FIRST, SECOND)


@pytest.mark.parametrize("name", ["RepositoryUniqueId", "DocumentUniqueId"])
def test_incomplete_requests_are_refused(name: str) -> None:
    for text in ("", " ", None):
        request = write_retrieve([SECOND])
        element = request.find(f".//{xdsb(name)}")
        if text is None:
            element.getparent().remove(element)
        else:
            element.text = text
        with pytest.raises(RepositoryError) as caught:
            read_retrieve(request)
        assert caught.value.location == name
    twice = write_retrieve([SECOND])
    etree.SubElement(twice[0], xdsb(name)).text = "1.2"
    with pytest.raises(RepositoryError):
        read_retrieve(twice)
    with pytest.raises(RepositoryError):
        read_retrieve(write_retrieve([]))


@pytest.mark.parametrize("mtom", [True, False])
def test_documents_arrive_whole(tmp_path: Path, mtom: bool) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(range(256)) * 8000)
    small = tmp_path / "small"
    small.write_bytes(b"<a/>")
    outcome = RetrievedDocuments(
        (
            RetrievedDocument(FIRST, "application/dicom", big, big.stat().st_size),
            RetrievedDocument(SECOND, "text/xml", small, 4),
        )
    )
    response = retrieved(outcome, "urn:x")
    validate(response.body)
    answer = read_retrieved(over_the_wire(response, tmp_path, mtom=mtom))
    assert answer.status == SUCCESS
    assert [item.request for item in answer.documents] == [FIRST, SECOND]
    assert [item.mime_type for item in answer.documents] == ["application/dicom", "text/xml"]
    assert answer.documents[0].content.path.read_bytes() == big.read_bytes()
    assert answer.documents[1].content.path.read_bytes() == b"<a/>"


def test_some_or_none(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a")
    failure = (SECOND, DocumentUniqueIdError("Not here."))
    some = retrieved(RetrievedDocuments((RetrievedDocument(FIRST, "a/b", file, 1),), (failure,)), "urn:x")
    none = retrieved(RetrievedDocuments((), (failure, (FIRST, UnknownRepositoryId()))), "urn:x")
    for response, status, count in ((some, PARTIAL_SUCCESS, 1), (none, FAILURE, 2)):
        validate(response.body)
        answer = read_retrieved(over_the_wire(response, tmp_path))
        assert answer.status == status
        assert len(answer.problems) == count
        assert (answer.problems[0].code, answer.problems[0].location) == ("XDSDocumentUniqueIdError", "1.2.3.5")


def test_a_refusal(tmp_path: Path) -> None:
    response = retrieve_refused(RepositoryError("No."), "urn:x")
    validate(response.body)
    answer = read_retrieved(over_the_wire(response, tmp_path))
    assert answer == RetrieveAnswer(FAILURE, (), answer.problems)
    assert answer.problems[0].code == "XDSRepositoryError"


def test_a_peer_that_answers_something_else(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError):
        read_retrieved(over_the_wire(SoapResponse(etree.Element("a"), "urn:x"), tmp_path))
    hollow = retrieve_refused(RepositoryError(), "urn:x")
    assert hollow.body is not None
    etree.SubElement(hollow.body, xdsb("DocumentResponse"))
    with pytest.raises(RepositoryError), untapped():
        read_retrieved(over_the_wire(hollow, tmp_path))
