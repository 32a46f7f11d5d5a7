"""DCMTK's tools (which no one here wrote) drive the hub's DICOM port."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from hub.errors import HubError
from hub.imaging.model import SourceState, SourceStatus, Study
from hub.testing.dicom import COMPRESSED, PLAIN, Label, relabelled
from hub.testing.ports import free_port
from hub.testing.sites import has_dcmtk
from tests.app.dimse_hub import DimseHub

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not has_dcmtk(), reason="DCMTK is not installed (apt-get install dcmtk)"),
]


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, timeout=60, cwd=cwd, check=False, errors="replace",
        env={**os.environ, "TCP_NODELAY": "1"},
    )  # fmt: skip


@pytest.fixture
def receiver_port() -> int:
    return free_port()


@pytest.fixture
def hub(tmp_path: Path, receiver_port: int) -> Iterator[DimseHub]:
    hub = DimseHub(tmp_path / "hub", destinations={"STATION": f"127.0.0.1:{receiver_port}"})
    yield hub
    hub.stop()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    relabelled(tmp_path / "files", Label("PA-1", "LÉGER^ZOË"), PLAIN)
    return sorted((tmp_path / "files").glob("*.dcm"))


@pytest.fixture
def study(hub: DimseHub, files: list[Path]) -> Study:
    hub.archive.add(files)
    return next(iter(hub.archive.studies()))


def peer(hub: DimseHub) -> tuple[str, ...]:
    return ("-aec", "MAILLAGE", "127.0.0.1", str(hub.port))


def test_echoscu(hub: DimseHub) -> None:
    assert run("echoscu", *peer(hub)).returncode == 0


@pytest.mark.parametrize("model", ["-S", "-P"])
def test_findscu_finds_the_study_of_a_patient(hub: DimseHub, study: Study, tmp_path: Path, model: str) -> None:
    answer = run(
        "findscu", model, "-X", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=PA-1", "-k", "PatientName",
        "-k", "StudyInstanceUID", "-k", "ModalitiesInStudy", "-k", "NumberOfStudyRelatedInstances", *peer(hub),
        cwd=tmp_path,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    (found,) = [dcmread(path, force=True) for path in sorted(tmp_path.glob("rsp*.dcm"))]
    assert found.StudyInstanceUID == study.study_instance_uid
    assert found.PatientName == "LÉGER^ZOË"
    assert found.NumberOfStudyRelatedInstances == len(PLAIN)
    assert sorted(found.ModalitiesInStudy) == sorted(study.modalities)
    assert hub.noted.audited == [("RAD-14", "success")]


@pytest.mark.parametrize("asked", ["SpecificCharacterSet", "SpecificCharacterSet=ISO_IR 100"])
def test_findscu_is_told_the_character_set_of_each_match(
    hub: DimseHub, study: Study, tmp_path: Path, asked: str
) -> None:
    run(
        "findscu", "-S", "-X", "-k", "QueryRetrieveLevel=STUDY", "-k", asked, "-k", "PatientName",
        "-k", f"StudyInstanceUID={study.study_instance_uid}", *peer(hub), cwd=tmp_path,
    )  # fmt: skip
    (found,) = [dcmread(path, force=True) for path in sorted(tmp_path.glob("rsp*.dcm"))]
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.PatientName == "LÉGER^ZOË"


@pytest.mark.parametrize(
    ("key", "count"),
    [
        ("AccessionNumber=ACC?", 1),
        ("AccessionNumber=X*", 0),
        ("PatientBirthDate=19520101-19521231", 1),
        ("PatientBirthDate=-19520315", 0),
        ("StudyTime=1015", 1),
        ("StudyTime=103000-", 0),
        ("ModalitiesInStudy=C*", 1),
        ("StudyDescription=*thor*", 1),
    ],
)
def test_findscu_matches_wildcards_and_ranges(
    hub: DimseHub, study: Study, tmp_path: Path, key: str, count: int
) -> None:
    answer = run("findscu", "-S", "-X", "-k", "QueryRetrieveLevel=STUDY", "-k", key, *peer(hub), cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert len(list(tmp_path.glob("rsp*.dcm"))) == count


def test_findscu_goes_down_to_the_instances(hub: DimseHub, study: Study, tmp_path: Path) -> None:
    series = study.series[0]
    answer = run(
        "findscu", "-S", "-X", "-k", "QueryRetrieveLevel=IMAGE", "-k", f"StudyInstanceUID={study.study_instance_uid}",
        "-k", f"SeriesInstanceUID={series.series_instance_uid}", "-k", "SOPInstanceUID", "-k", "SOPClassUID",
        "-k", "Rows", *peer(hub), cwd=tmp_path,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    found = [dcmread(path, force=True) for path in sorted(tmp_path.glob("rsp*.dcm"))]
    assert [item.SOPInstanceUID for item in found] == [item.sop_instance_uid for item in series.instances]
    assert found[0].Rows == series.instances[0].rows


@pytest.mark.parametrize("level", ["SERIES", "IMAGE"])
def test_findscu_is_told_that_no_study_was_named(hub: DimseHub, study: Study, level: str) -> None:
    answer = run(
        "findscu", "-v", "-d", "-S", "-k", f"QueryRetrieveLevel={level}", "-k", "SeriesInstanceUID", *peer(hub)
    )
    assert "name it" in answer.stdout + answer.stderr


def test_findscu_is_told_that_there_are_more(hub: DimseHub, study: Study) -> None:
    ask = ("findscu", "-v", "-d", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", *peer(hub))
    assert "narrow the search" not in run(*ask).stderr
    hub.rooms.more = True
    told = run(*ask).stderr
    assert "There are more studies than these: narrow the search" in told
    assert study.study_instance_uid in told


def test_a_silent_source_is_named_in_the_final_answer(hub: DimseHub, study: Study) -> None:
    hub.rooms.statuses = (SourceStatus("PACSB", SourceState.LATE, reason="The deadline passed."),)
    answer = run("findscu", "-v", "-d", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", *peer(hub))
    assert "PACSB" in answer.stdout + answer.stderr


def test_an_index_that_was_looked_through_in_part_says_so(hub: DimseHub, study: Study) -> None:
    hub.rooms.statuses = (SourceStatus("index", SourceState.CUT, reason="Only the newest were looked through."),)
    answer = run("findscu", "-v", "-d", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", *peer(hub))
    assert "Only the newest" in answer.stdout + answer.stderr


def test_findscu_without_a_level_is_refused(hub: DimseHub) -> None:
    answer = run("findscu", "-v", "-S", "-k", "PatientID=PA-1", *peer(hub))
    assert "DataSetDoesNotMatchSOPClass" in answer.stdout + answer.stderr  # A900


@pytest.mark.parametrize("preferred", ["+xe", "+xy", "+xv"])  # explicit, JPEG baseline, JPEG 2000: all with others
def test_getscu_gets_every_object_unchanged(
    hub: DimseHub, study: Study, files: list[Path], tmp_path: Path, preferred: str
) -> None:
    target = tmp_path / "got"
    target.mkdir()
    answer = run(
        "getscu", preferred, "-S", "-od", target, "-k", "QueryRetrieveLevel=STUDY",
        "-k", f"StudyInstanceUID={study.study_instance_uid}", *peer(hub),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    found = {dataset.SOPInstanceUID: dataset for dataset in map(dcmread, target.iterdir())}
    assert len(found) == len(files)
    for path in files:
        sent = dcmread(path)
        assert found[sent.SOPInstanceUID].PixelData == sent.PixelData
        assert found[sent.SOPInstanceUID].PatientName == sent.PatientName


def test_getscu_is_told_what_could_not_be_had(hub: DimseHub, study: Study, tmp_path: Path) -> None:
    hub.rooms.broken = {study.series[0].instances[0].sop_instance_uid}
    answer = run(
        "getscu", "-v", "-S", "-od", tmp_path, "-k", "QueryRetrieveLevel=STUDY",
        "-k", f"StudyInstanceUID={study.study_instance_uid}", *peer(hub),
    )  # fmt: skip
    said = answer.stdout + answer.stderr
    assert "Number of Failed Suboperations    : 1" in said or "Failed" in said
    assert len(list(tmp_path.glob("*"))) >= len(PLAIN) - 1
    assert hub.noted.audited == [("RAD-16", "some-not-retrieved")]


def test_a_get_of_which_nothing_comes_is_no_success(hub: DimseHub, study: Study, tmp_path: Path) -> None:
    hub.rooms.broken = {item.sop_instance_uid for series in study.series for item in series.instances}
    run(
        "getscu", "-v", "-S", "-od", tmp_path, "-k", "QueryRetrieveLevel=STUDY",
        "-k", f"StudyInstanceUID={study.study_instance_uid}", *peer(hub),
    )  # fmt: skip
    assert hub.noted.audited == [("RAD-16", "not-found")]


@pytest.mark.parametrize(("names", "accepts"), [(PLAIN, "+xa"), (COMPRESSED, "+xa"), (COMPRESSED[1:2], "+x=")])
def test_movescu_has_the_study_sent_to_a_station(
    hub: DimseHub, tmp_path: Path, receiver_port: int, names: tuple[str, ...], accepts: str
) -> None:
    study = relabelled(tmp_path / "files", Label("PA-2"), names)
    hub.archive.add((tmp_path / "files").glob("*.dcm"))
    target = tmp_path / "station"
    target.mkdir()
    with subprocess.Popen(
        ["storescp", accepts, "-aet", "STATION", "-od", str(target), str(receiver_port)],
        env={**os.environ, "TCP_NODELAY": "1"},
    ) as station:
        try:
            _wait_for(receiver_port)
            answer = run(
                "movescu", "-v", "-S", "-aem", "STATION", "-k", "QueryRetrieveLevel=STUDY",
                "-k", f"StudyInstanceUID={study.study_instance_uid}", *peer(hub),
            )  # fmt: skip
        finally:
            station.terminate()
    assert answer.returncode == 0, answer.stderr
    found = {dcmread(path).SOPInstanceUID for path in target.iterdir()}
    assert found == {instance.sop_instance_uid for _, instance in study.instances}


def test_movescu_to_an_unknown_station_is_refused(hub: DimseHub, study: Study) -> None:
    answer = run(
        "movescu", "-v", "-S", "-aem", "ELSEWHERE", "-k", "QueryRetrieveLevel=STUDY",
        "-k", f"StudyInstanceUID={study.study_instance_uid}", *peer(hub),
    )  # fmt: skip
    assert "MoveDestinationUnknown" in answer.stdout + answer.stderr
    assert hub.noted.audited == [("RAD-16", "unknown-move-destination")]


def test_storescu_objects_are_kept_as_they_were_sent(hub: DimseHub, files: list[Path], tmp_path: Path) -> None:
    answer = run("storescu", "-aec", "MAILLAGE", "127.0.0.1", str(hub.port), *files)
    assert answer.returncode == 0, answer.stderr
    kept = list((tmp_path / "hub" / "dimse" / "kept").glob("*/*.dcm"))
    assert len(kept) == len(files)
    sent = {dataset.SOPInstanceUID: dataset for dataset in map(dcmread, files)}
    for path in kept:
        assert dcmread(path).PixelData == sent[path.stem].PixelData
        assert dcmread(path).PatientName == sent[path.stem].PatientName
    hub.stop()
    (arrived,) = hub.rooms.arrived
    assert [study.instance_count for study in arrived.studies] == [len(files)]
    assert hub.noted.audited == [("RAD-8", "success")]


def test_an_unknown_caller_is_rejected(tmp_path: Path) -> None:
    hub = DimseHub(tmp_path / "hub", node_authentication=True, callers=("STATION",))
    try:
        assert run("echoscu", "-aet", "NOBODY", *peer(hub)).returncode != 0
        assert run("echoscu", "-aet", "STATION", *peer(hub)).returncode == 0
        assert run("echoscu", "-aet", "STATION", "-aec", "OTHER", "127.0.0.1", str(hub.port)).returncode != 0
        answer = run("findscu", "-v", "-S", "-aet", "STATION", "-k", "QueryRetrieveLevel=STUDY", *peer(hub))
        assert answer.returncode == 0
        turned_away = ("DIMSE-ASSOCIATION", "not-authenticated")
        assert hub.noted.audited == [turned_away, turned_away, ("RAD-14", "success")]
    finally:
        hub.stop()


def _wait_for(port: int) -> None:
    import socket
    import time

    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise HubError("storescp did not start")
