import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from hub.context import Context
from hub.errors import Invalid
from hub.imaging.errors import UnknownInstance
from hub.imaging.model import (
    FailedInstance,
    FindStudies,
    GetMetadata,
    IndexedStudy,
    InstanceRequest,
    PassedThrough,
    RetrievedInstance,
    RetrieveFrames,
    RetrieveInstances,
    SourceState,
    SourceStatus,
    StudyAnswer,
    StudyState,
)
from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Dicomweb
from hub.values import PatientIdentifier
from hub.wire import multipart
from hub.wire.dicom import DatasetReader, study_of_instances
from hub.wire.dicomweb.errors import NotAcceptable
from hub.wire.http import HttpRequest, HttpResponse
from profiles.wia import rad107_wado_rs as wado
from profiles.wia import rad129_qido_rs as qido
from tests.imaging.archive import STUDY, part10, study_files

Query = tuple[tuple[str, str], ...]
BASE = "http://127.0.0.1:8080/dicom-web"
CONTEXT = Context()


def request(path: str, query: Query = (), accept: str = "", **named: str) -> HttpRequest:
    return HttpRequest("GET", f"/dicom-web{path}", BASE, named, query, {"accept": accept})


def indexed() -> IndexedStudy:
    study = study_of_instances(map(DatasetReader, study_files()), "PACS_A")
    assert study is not None
    return IndexedStudy(study, PatientIdentifier("R1", "1.2.3"), StudyState.PUBLISHED)


def body(answer: HttpResponse) -> bytes:
    return b"".join(answer.chunks())


def test_every_resource_is_bound_once() -> None:
    paths = [(binding.method, binding.root + binding.path) for binding, _ in discover().bindings(Dicomweb)]
    assert len(paths) == len(set(paths)) >= 17


def test_a_search_by_tags_and_keywords() -> None:
    query = (
        ("00100020", "A-1"),
        ("00100024.00400032", "1.2.250.1.999.2.1"),
        ("StudyDate", "20260301-"),
        ("ModalitiesInStudy", "CT,MR"),
        ("StudyDescription", "*thorax*"),
        ("00200010", "S1"),
        ("includefield", "all"),
        ("fuzzymatching", "false"),
        ("limit", "7"),
        ("offset", "14"),
        ("00080050", ""),
    )
    assert qido.decode(request("/studies", query), CONTEXT) == FindStudies(
        person=PatientIdentifier("A-1", "1.2.250.1.999.2.1"),
        modalities=("CT", "MR"),
        started_from="20260301",
        keys=(("StudyDescription", "*thorax*"), ("StudyID", "S1")),
        live=True,
        limit=7,
        offset=14,
    )


@pytest.mark.parametrize(
    "query",
    [
        (("Rows", "1"),),
        (("NoSuchKeyword", "1"),),
        (("limit", "-1"),),
        (("StudyDate", "2026"),),
        (("SeriesNumber", "1"),),
    ],
)
def test_searches_that_are_refused(query: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Invalid):
        qido.decode(request("/studies", query), CONTEXT)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("all", ""),
        ("00081030,PatientSex,0020000D", ""),
        ("00081110.00081155", "Not available, though asked for by includefield: ReferencedStudySequence"),
        ("StationName,Rows", "Not available, though asked for by includefield: Rows, StationName"),
        ("nonsense", "An includefield names no attribute known here and was ignored."),
        ("<script>,00291010", "An includefield names no attribute known here and was ignored."),
    ],
)
def test_what_includefield_can_t_have_is_told(text: str, told: str) -> None:
    answer = qido.encode(StudyAnswer((indexed(),), (), 1), request("/studies", (("includefield", text),)), CONTEXT)
    assert answer.headers.get("Warning", "") == (f'299 maillage "{told}"' if told else "")


def test_studies_as_json() -> None:
    answer = qido.encode(
        StudyAnswer((indexed(),), (SourceStatus("index", SourceState.INDEX, 1),), 1), request("/studies"), CONTEXT
    )
    [found] = json.loads(body(answer))
    assert found["0020000D"]["Value"] == [STUDY]
    assert found["00081190"]["Value"] == [f"{BASE}/studies/{STUDY}"]
    assert found["00201208"]["Value"] == [5]
    assert Dataset.from_json(found).OtherPatientIDsSequence[0].PatientID == "R1"
    assert answer.headers["X-Maillage-Sources"] == "index;state=index;count=1;ms=0"
    assert "Warning" not in answer.headers


def test_a_source_that_did_not_answer_is_a_warning() -> None:
    late = SourceStatus("PACS_B", SourceState.LATE)
    answer = qido.encode(StudyAnswer((), (late,)), request("/studies"), CONTEXT)
    assert answer.headers["Warning"] == '299 maillage "Incomplete: PACS_B late"'
    assert (answer.status, body(answer)) == (200, b"[]")


def test_a_source_that_may_hold_more_is_a_warning() -> None:
    cut = SourceStatus("PACS_B", SourceState.CUT, 500, reason="It may hold more.")
    answer = qido.encode(StudyAnswer((indexed(),), (cut,)), request("/studies"), CONTEXT)
    assert answer.headers["Warning"] == '299 maillage "PACS_B: It may hold more."'


def test_no_match_is_no_content() -> None:
    assert qido.encode(StudyAnswer(()), request("/studies"), CONTEXT).status == 204


def test_who_prefers_xml_gets_it() -> None:
    for accept in ('multipart/related; type="application/dicom+xml"', "application/dicom+xml"):
        for query in ((), (("accept", accept),)):
            asked = request("/studies", query, accept="" if query else accept)
            answer = qido.encode(StudyAnswer((indexed(),)), asked, CONTEXT)
            assert answer.media_type.startswith('multipart/related; type="application/dicom+xml"; boundary=')
            assert body(answer).count(b"<NativeDicomModel") == 1
    late = SourceStatus("PACS_B", SourceState.LATE)
    answer = qido.encode(StudyAnswer((), (late,)), request("/studies", accept="application/dicom+xml"), CONTEXT)
    assert (answer.status, "Incomplete" in answer.headers["Warning"]) == (204, True)
    objects = [{"00080018": {"vr": "UI", "Value": ["1.2"]}}] * 2
    metadata = request("/studies/1.2/metadata", accept="application/dicom+xml", study="1.2")
    assert body(wado.encode(iter(objects), metadata, CONTEXT)).count(b"<NativeDicomModel") == 2


def test_fuzzy_matching_is_not_pretended() -> None:
    fuzzy = (("fuzzymatching", "true"), ("PatientName", "zoe"))
    answer = qido.encode(StudyAnswer((indexed(),)), request("/studies", fuzzy), CONTEXT)
    assert answer.headers["Warning"].startswith('299 maillage "The fuzzymatching parameter is not supported. Only lit')
    both = qido.encode(
        StudyAnswer((indexed(),), (), 3, more=True), request("/studies", (*fuzzy, ("limit", "1"))), CONTEXT
    )
    assert both.headers["Warning"].count("299 maillage") == 2
    for query in ((("fuzzymatching", "false"), fuzzy[1]), fuzzy[:1]):
        assert "Warning" not in qido.encode(StudyAnswer((indexed(),)), request("/studies", query), CONTEXT).headers
    with pytest.raises(Invalid):
        qido.decode(request("/studies", (("fuzzymatching", "perhaps"),)), CONTEXT)


def test_more_pages_are_announced() -> None:
    answer = qido.encode(StudyAnswer((indexed(),), (), 3, more=True), request("/studies", (("limit", "1"),)), CONTEXT)
    assert answer.headers["Warning"] == '299 maillage "There are 2 additional results that can be requested"'
    late = SourceStatus("PACS_B", SourceState.LATE)
    answer = qido.encode(StudyAnswer((indexed(),), (late,), more=True), request("/studies"), CONTEXT)
    incomplete, more = answer.headers["Warning"].split(", ")
    assert incomplete == '299 maillage "Incomplete: PACS_B late"'
    assert more == '299 maillage "There are additional results that can be requested"'


@pytest.mark.parametrize("level", ["series", "instances"])
def test_more_pages_of_a_study_are_announced(level: str) -> None:
    asked = request(f"/studies/{STUDY}/{level}", (("limit", "2"), ("offset", "1")), study=STUDY)
    answer = qido.encode(StudyAnswer((indexed(),)), asked, CONTEXT)
    assert len(json.loads(body(answer))) == 2
    assert "There are 2 additional results" in answer.headers["Warning"]


def test_series_and_instances() -> None:
    answer = StudyAnswer((indexed(),))
    message = request(f"/studies/{STUDY}/series", (("Modality", "MR"),), study=STUDY)
    assert qido.decode(message, CONTEXT).level == "SERIES"
    found = json.loads(body(qido.encode(answer, message, CONTEXT)))
    assert {item["00080060"]["Value"][0] for item in found} == {"MR"}
    for key in ("SeriesDescription", "BodyPartExamined"):
        message = request(f"/studies/{STUDY}/series", ((key, "no such*"),), study=STUDY)
        assert qido.encode(answer, message, CONTEXT).status == 204
    message = request(f"/studies/{STUDY}/instances", (("limit", "2"), ("offset", "1")), study=STUDY)
    found = json.loads(body(qido.encode(answer, message, CONTEXT)))
    assert [item["00080018"]["Value"][0] for item in found] == [f"{STUDY}.2.1", f"{STUDY}.3.1"]
    message = request(f"/studies/{STUDY}/series/{STUDY}.1/instances", study=STUDY, series=f"{STUDY}.1")
    assert qido.decode(message, CONTEXT).series_instance_uid == f"{STUDY}.1"


@pytest.mark.parametrize(("path", "level", "count"), [("/series", "SERIES", 5), ("/instances", "IMAGE", 5)])
def test_series_and_instances_of_a_study_that_is_a_key(path: str, level: str, count: int) -> None:
    message = request(path, (("StudyInstanceUID", STUDY), ("0020000E", "")))
    command = qido.decode(message, CONTEXT)
    assert (command.level, command.study_instance_uids, command.limit) == (level, (STUDY,), 1)
    found = json.loads(body(qido.encode(StudyAnswer((indexed(),)), message, CONTEXT)))
    assert len(found) == count
    assert found[0]["00081190"]["Value"][0].startswith(f"{BASE}/studies/{STUDY}/series/")
    with pytest.raises(Invalid, match="StudyInstanceUID"):
        qido.decode(request(path, (("Modality", "CT"),)), CONTEXT)


INSTANCE = {"study": "1.2", "series": "1.2.3", "instance": "1.2.3.4"}
ROOT = "/studies/1.2/series/1.2.3/instances/1.2.3.4"


@pytest.mark.parametrize(
    ("rest", "path"),
    [
        ("/frames/1,2", "frames/1,2"),
        ("/frames/3/rendered", "frames/3/rendered"),
        ("/rendered", "rendered"),
        ("/thumbnail", "thumbnail"),
        ("/bulkdata/7FE00010/1", "bulkdata/7FE00010/1"),
        ("/bulk/00420011", "bulk/00420011"),
    ],
)
def test_parts_of_an_instance(rest: str, path: str) -> None:
    command = wado.decode(request(ROOT + rest, (), "", **INSTANCE), CONTEXT)
    assert command == RetrieveFrames(InstanceRequest("1.2", "1.2.3", "1.2.3.4"), path)


def test_rendered_images_of_a_study_and_a_series() -> None:
    assert wado.decode(request("/studies/1.2/rendered", study="1.2"), CONTEXT) == RetrieveFrames(
        InstanceRequest("1.2"), "rendered"
    )
    path = "/studies/1.2/series/1.2.3/thumbnail"
    assert wado.decode(request(path, study="1.2", series="1.2.3"), CONTEXT) == RetrieveFrames(
        InstanceRequest("1.2", "1.2.3"), "thumbnail"
    )


def test_metadata_and_instances() -> None:
    assert wado.decode(request("/studies/1.2/metadata", study="1.2"), CONTEXT) == GetMetadata(InstanceRequest("1.2"))
    lossless = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.70;q=0.9'
    accept = f"{lossless}, multipart/related; type=application/dicom"
    assert wado.decode(
        request("/studies/1.2/series/1.2.3", accept=accept, study="1.2", series="1.2.3"), CONTEXT
    ) == RetrieveInstances((InstanceRequest("1.2", "1.2.3"),), ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"))
    with pytest.raises(NotAcceptable):
        wado.decode(request("/studies/1.2", accept="text/html", study="1.2"), CONTEXT)


def test_a_request_names_one_manifest() -> None:
    twice = replace(request("/studies/1.2", study="1.2"), headers={"accept": "", "kos-sopinstanceuid": "1.2.3, 1.2.4"})
    with pytest.raises(Invalid, match="KOS-SOPInstanceUID is given once"):
        wado.decode(twice, CONTEXT)


def retrieved() -> Iterator[RetrievedInstance]:
    for ds in study_files():
        yield RetrievedInstance(
            STUDY,
            ds.SeriesInstanceUID,
            ds.SOPInstanceUID,
            ds.SOPClassUID,
            ds.file_meta.TransferSyntaxUID,
            iter([part10(ds)]),
        )


def test_instances_as_multipart() -> None:
    message = request(
        f"/studies/{STUDY}", accept="multipart/related; type=application/dicom; transfer-syntax=*", study=STUDY
    )
    answer = wado.encode(retrieved(), message, CONTEXT)
    parts = multipart.read(answer.chunks(), answer.media_type)
    assert [b"".join(part.chunks) for part in parts] == [part10(ds) for ds in study_files()]


def test_one_instance_without_multipart() -> None:
    answer = wado.encode(retrieved(), request(ROOT, (), "application/dicom", **INSTANCE), CONTEXT)
    assert answer.media_type.startswith("application/dicom")
    assert body(answer) == part10(study_files()[0])


def failed() -> FailedInstance:
    return FailedInstance(InstanceRequest("1.2"), UnknownInstance())


def test_nothing_at_all_is_an_error() -> None:
    with pytest.raises(UnknownInstance):
        wado.encode(iter([failed()]), request("/studies/1.2", study="1.2"), CONTEXT)


def test_what_fails_before_the_head_is_a_warning_and_after_it_ends_the_answer() -> None:
    """The head of a small answer is sent when all of it is there."""
    message = request("/studies/1.2", study="1.2")
    answer = wado.encode(iter([failed(), *retrieved()]), message, CONTEXT)
    assert answer.status == 206
    assert "1 instances" in answer.headers["Warning"]
    context = Context()
    answer = wado.encode(iter([*retrieved(), failed()]), message, context)
    assert (answer.status, answer.lasting) == (206, False)
    assert "1 instances" in answer.headers["Warning"]
    assert b"DICM" in body(answer)
    assert context.failed is not None
    assert (context.failed.code, context.failed.message[:6]) == ("some-not-retrieved", "1 of 6")
    large = [replace(item, chunks=iter((b"x" * 600_000,))) for item in retrieved()]
    answer = wado.encode(iter([*large, failed()]), message, CONTEXT)
    assert (answer.status, answer.lasting) == (200, True)
    with pytest.raises(UnknownInstance):
        body(answer)


def test_bulk_data_leads_through_the_hub() -> None:
    objects = [
        {
            "7FE00010": {"vr": "OW", "BulkDataURI": "http://pacs:8042/dicom-web/studies/1/series/2/x"},
            "00080018": {"vr": "UI", "Value": ["1"]},
        }
    ]
    answer = wado.encode(iter(objects), request("/studies/1.2/metadata", study="1.2"), CONTEXT)
    assert json.loads(body(answer))[0]["7FE00010"]["BulkDataURI"] == f"{BASE}/studies/1/series/2/x"


def test_frames_are_passed_on() -> None:
    passed = PassedThrough("image/jpeg", iter([b"x"]), {"ETag": "1"})
    answer = wado.encode(passed, request(f"{ROOT}/rendered", (), "", **INSTANCE), CONTEXT)
    assert (answer.media_type, body(answer), answer.headers) == ("image/jpeg", b"x", {"ETag": "1"})


def test_studies_of_unknown_persons_have_no_regional_identifier() -> None:
    answer = qido.encode(StudyAnswer((replace(indexed(), person=None),)), request("/studies"), CONTEXT)
    assert "00101002" not in json.loads(body(answer))[0]
