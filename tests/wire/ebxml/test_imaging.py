import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from hub.documents.errors import UnknownRepositoryId
from hub.errors import DeadlineExceeded
from hub.federation.errors import CommunityError
from hub.imaging.model import FailedInstance, InstanceRequest, InstanceStream, RetrievedInstance
from hub.values import Uid
from hub.wire.ebxml.errors import ImagingRequestError
from hub.wire.ebxml.imaging import imaging_retrieved, read_imaging_retrieve, write_imaging_retrieve
from hub.wire.ebxml.names import FAILURE, PARTIAL_SUCCESS, SUCCESS, iherad, xdsb
from hub.wire.ebxml.retrieve import read_retrieved
from hub.wire.soap.message import Limits, SoapMessage
from tests.wire.ebxml.schemas import validate
from tests.wire.ebxml.test_retrieve import over_the_wire

IMPLICIT = "1.2.840.10008.1.2"
WANTED = tuple(
    InstanceRequest(Uid("1.2.3"), Uid(f"1.2.3.{series}"), Uid(f"1.2.3.{series}.{number}"), repository_unique_id="1.9")
    for series in (1, 2)
    for number in (1, 2)
)


def message(*, home: str = "", spool: Path | None = None) -> SoapMessage:
    body = write_imaging_retrieve(WANTED, [IMPLICIT], home=home)
    return SoapMessage("urn:x", body, mtom=True, limits=Limits(spool=spool))


def got(item: InstanceRequest, chunks: Iterator[bytes]) -> RetrievedInstance:
    return RetrievedInstance(
        item.study_instance_uid, item.series_instance_uid, item.sop_instance_uid, "1.2", IMPLICIT, chunks
    )


def test_a_request_survives() -> None:
    command = read_imaging_retrieve(message(home="urn:oid:1.2").body)
    assert command.requests == tuple(replace(item, home="urn:oid:1.2") for item in WANTED)
    assert command.transfer_syntaxes == (IMPLICIT,)


def test_the_schema_s_own_namespace_is_accepted() -> None:
    body = message().body
    for element in body.iter(xdsb("*")):
        element.tag = iherad(etree.QName(element).localname)
    assert read_imaging_retrieve(body).requests == WANTED


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("StudyRequest", "remove"),
        ("StudyRequest", "studyInstanceUID"),
        ("SeriesRequest", "remove"),
        ("SeriesRequest", "seriesInstanceUID"),
        ("DocumentRequest", "remove"),
        ("DocumentUniqueId", "remove"),
        ("DocumentUniqueId", "blank"),
        ("DocumentUniqueId", "twice"),
        ("RepositoryUniqueId", "remove"),
        ("RepositoryUniqueId", "blank"),
        ("RepositoryUniqueId", "twice"),
        ("TransferSyntaxUIDList", "remove"),
        ("TransferSyntaxUID", "blank"),
    ],
)
def test_incomplete_requests_are_refused(path: str, change: str) -> None:
    body = message().body
    for element in body.findall(f".//{{*}}{path}"):
        if change == "remove":
            element.getparent().remove(element)
        elif change == "blank":
            element.text = " "
        elif change == "twice":
            etree.SubElement(element.getparent(), element.tag).text = element.text
        else:
            element.set(change, " ")
    with pytest.raises(ImagingRequestError):
        read_imaging_retrieve(body)


def test_instances_arrive_whole(tmp_path: Path) -> None:
    stream: InstanceStream = iter([got(item, iter([b"DICM", item.sop_instance_uid.encode()])) for item in WANTED])
    response = imaging_retrieved(message(home="urn:oid:1.2"), stream, "urn:x")
    validate(response.body)
    answer = read_retrieved(over_the_wire(response, tmp_path))
    assert answer.status == SUCCESS
    assert [item.request.document_unique_id for item in answer.documents] == [item.sop_instance_uid for item in WANTED]
    assert {item.request.repository_unique_id for item in answer.documents} == {"1.9"}
    assert {item.request.home for item in answer.documents} == {"urn:oid:1.2"}
    assert {item.mime_type for item in answer.documents} == {"application/dicom"}
    for item in answer.documents:
        assert item.content.path.read_bytes() == b"DICM" + item.request.document_unique_id.encode()


def test_whatever_fails_is_named(tmp_path: Path) -> None:
    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise DeadlineExceeded("The source is too slow.")

    stranger = InstanceRequest(Uid("1.2.3"), Uid("1.2.3.1"), Uid("1.2.99"))
    stream: InstanceStream = iter(
        [
            got(WANTED[0], breaks()),
            got(stranger, iter([b"not asked for"])),
            got(WANTED[1], iter([b"DICM"])),
            FailedInstance(WANTED[2], UnknownRepositoryId()),
        ]
    )
    response = imaging_retrieved(message(), stream, "urn:x")
    validate(response.body)
    answer = read_retrieved(over_the_wire(response, tmp_path))
    assert answer.status == PARTIAL_SUCCESS
    assert [item.content.path.read_bytes() for item in answer.documents] == [b"DICM"]
    assert {(problem.location, problem.code) for problem in answer.problems} == {
        (WANTED[0].sop_instance_uid, "XDSRepositoryError"),
        (WANTED[2].sop_instance_uid, "XDSUnknownRepositoryId"),
        (WANTED[3].sop_instance_uid, "XDSDocumentUniqueIdError"),
    }


def test_a_source_that_fails_as_a_whole(tmp_path: Path) -> None:
    whole = FailedInstance(InstanceRequest("1.2.3"), DeadlineExceeded("Too slow."))
    answer = read_retrieved(over_the_wire(imaging_retrieved(message(), iter([whole]), "urn:x"), tmp_path))
    assert answer.status == FAILURE
    assert [problem.context for problem in answer.problems] == ["Too slow."] * 4


def test_memory_stays_flat(tmp_path: Path) -> None:
    def large() -> Iterator[bytes]:
        for _ in range(64):
            yield bytes(1024 * 1024)

    stream: InstanceStream = iter([got(item, large()) for item in WANTED])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = read_retrieved(over_the_wire(imaging_retrieved(message(spool=tmp_path), stream, "urn:x"), tmp_path))
    assert [item.content.size for item in answer.documents] == [64 * 1024 * 1024] * 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


def test_a_warning_goes_with_its_instance(tmp_path: Path) -> None:
    def warned(item: InstanceRequest) -> FailedInstance:
        return FailedInstance(item, CommunityError.said("XDSRepositoryError", "Lossy.", warning=True))

    first, second, *rest = WANTED
    given = [got(item, iter([b"DICM"])) for item in (first, *rest)]
    stream: InstanceStream = iter([*given, warned(first)])
    answer = read_retrieved(over_the_wire(imaging_retrieved(message(), stream, "urn:x"), tmp_path))
    assert len(answer.documents) == len(given)
    rows = {(item.location, item.code, item.severity.rpartition(":")[2]) for item in answer.problems}
    assert rows == {
        (first.sop_instance_uid, "XDSRepositoryError", "Warning"),
        (second.sop_instance_uid, "XDSDocumentUniqueIdError", "Error"),
    }
    whole: InstanceStream = iter([warned(first), *(got(item, iter([b"DICM"])) for item in WANTED)])
    answer = read_retrieved(over_the_wire(imaging_retrieved(message(), whole, "urn:x"), tmp_path))
    assert (answer.status, len(answer.documents), len(answer.problems)) == (SUCCESS, len(WANTED), 1)
