import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hub.context import Context
from hub.federation.errors import NoSuchSource
from hub.federation.service import FederationService
from hub.imaging.model import FindStudies, PublishStudy, SourceState, StudyAnswer, StudyState
from hub.imaging.service import ImagingService
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.imaging.archive import (
    AFFINITY,
    STUDY,
    A,
    Archive,
    B,
    FakePatients,
    rooms,
    study_files,
)
from tests.imaging.living import key_object

LOCAL_A = PatientIdentifier("A-1", A.authority_oid)
LOCAL_B = PatientIdentifier("B-7", B.authority_oid)


@dataclass
class Region:
    service: FederationService
    imaging: ImagingService
    a: Archive
    b: Archive
    patients: FakePatients

    def find(self, **values: object) -> StudyAnswer:
        return self.service.find(FindStudies(**values), Context())  # type: ignore[arg-type]

    def states(self, answer: StudyAnswer) -> dict[str, SourceState]:
        return {status.source: status.state for status in answer.statuses}


@pytest.fixture
def region(database: Database, tmp_path: Path) -> Iterator[Region]:
    a, b, patients = Archive("PACS_A"), Archive("PACS_B"), FakePatients()
    infos = (replace(A, deadline=2.0), replace(B, deadline=2.0))
    imaging, service = rooms(database, tmp_path, (a, b), infos, patients)
    patients.add("R1", LOCAL_A, LOCAL_B)
    a.datasets = study_files()
    doctor = {"StudyTime": "143000", "ReferringPhysicianName": "ÉTIENNE^LÉA"}
    b.datasets = study_files("1.2.3.4", "B-7", "ACC-2", StudyDate="20260401", **doctor)
    yield Region(service, imaging, a, b, patients)
    imaging.close()


def uids(answer: StudyAnswer) -> list[str]:
    return [item.study.study_instance_uid for item in answer.studies]


def test_every_source_is_asked_for_its_own_number(region: Region) -> None:
    answer = region.find(person=PatientIdentifier("R1", AFFINITY), live=True)
    assert uids(answer) == ["1.2.3.4", STUDY]
    assert {item.person for item in answer.studies} == {PatientIdentifier("R1", AFFINITY)}
    assert region.states(answer) == {
        "index": SourceState.INDEX,
        "PACS_A": SourceState.ANSWERED,
        "PACS_B": SourceState.ANSWERED,
    }


def test_an_identifier_without_authority_is_regional(region: Region) -> None:
    assert len(region.find(person=PatientIdentifier("R1", ""), live=True).studies) == 2


def test_a_study_in_index_and_source_is_one(region: Region) -> None:
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    answer = region.find(person=LOCAL_B, live=True)
    assert uids(answer) == ["1.2.3.4", STUDY]
    assert answer.studies[1].state is StudyState.PUBLISHED


def test_a_study_at_two_sources_is_one(region: Region) -> None:
    region.b.datasets = study_files(patient="B-7")
    answer = region.find(person=LOCAL_A, live=True)
    assert uids(answer) == [STUDY]
    assert {answer.studies[0].study.source, *answer.studies[0].also_at} == {"PACS_A", "PACS_B"}


def test_a_source_that_is_down_is_named(region: Region) -> None:
    region.b.down = True
    answer = region.find(person=LOCAL_A, live=True)
    assert uids(answer) == [STUDY]
    assert region.states(answer)["PACS_B"] is SourceState.FAILED
    assert next(status.reason for status in answer.statuses if status.source == "PACS_B")


def test_a_source_that_hangs_holds_nothing_up(region: Region) -> None:
    region.b.hang = threading.Event()
    try:
        started = time.monotonic()
        answer = region.find(person=LOCAL_A, live=True)
        assert time.monotonic() - started < 5
        assert uids(answer) == [STUDY]
        assert region.states(answer)["PACS_B"] is SourceState.LATE
    finally:
        region.b.hang.set()


def test_hanging_questions_are_bounded(region: Region) -> None:
    region.b.hang = threading.Event()
    region.service.archives.fanout.per_source = 1
    try:
        region.find(person=LOCAL_A, live=True)
        answer = region.find(person=LOCAL_A, live=True)
        assert region.states(answer)["PACS_B"] is SourceState.FAILED
        assert len([thread for thread in threading.enumerate() if thread.name == "ask-PACS_B"]) == 1
    finally:
        region.b.hang.set()


def test_what_a_source_should_not_have_sent_is_dropped(region: Region) -> None:
    region.a.answer = lambda studies: [replace(study, patient_id="A-999") for study in studies]
    assert uids(region.find(person=LOCAL_A, live=True)) == ["1.2.3.4"]


def test_an_unknown_person_has_no_studies(region: Region) -> None:
    answer = region.find(person=PatientIdentifier("nobody", AFFINITY), live=True)
    assert not answer.studies
    assert "find" not in region.a.calls


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"accession_number": "ACC-2"}, ["1.2.3.4"]),
        ({"accession_number": "ACC"}, []),
        ({"started_from": "20260302"}, ["1.2.3.4"]),
        ({"started_to": "20260301"}, [STUDY]),
        ({"started_from": "20260301", "started_to": "20260401"}, ["1.2.3.4", STUDY]),
        ({"modalities": ("MR",)}, ["1.2.3.4", STUDY]),
        ({"modalities": ("XA",)}, []),
        ({"patient_name": "durand^elo*"}, ["1.2.3.4", STUDY]),
        ({"patient_name": "DURAND*"}, ["1.2.3.4", STUDY]),
        ({"patient_name": "URAND*"}, []),
        ({"patient_birth_date": "19790327"}, ["1.2.3.4", STUDY]),
        ({"keys": (("StudyDescription", "*THORACIQUE"),)}, ["1.2.3.4", STUDY]),
        ({"keys": (("StudyDescription", "THORACIQUE"),)}, []),
        ({"keys": (("StudyDescription", "100%"),)}, []),
        ({"keys": (("StudyTime", "1015"),)}, [STUDY]),
        ({"keys": (("StudyTime", "103000-"),)}, ["1.2.3.4"]),
        ({"keys": (("StudyTime", "-1015"),)}, [STUDY]),
        ({"keys": (("StudyID", "S?"),)}, ["1.2.3.4", STUDY]),
        ({"keys": (("StudyID", "S2"),)}, []),
        ({"keys": (("ReferringPhysicianName", "etienne*"),)}, ["1.2.3.4"]),
        ({"keys": (("AccessionNumber", "acc-?"), ("StudyTime", "10"))}, [STUDY]),
        ({"keys": (("PatientBirthDate", "19790101-19791231"),)}, ["1.2.3.4", STUDY]),
        ({"keys": (("PatientBirthDate", "-19790326"),)}, []),
        ({"keys": (("ModalitiesInStudy", "X?\\M*"),)}, ["1.2.3.4", STUDY]),
        ({"keys": (("StudyTime", "10-"),), "limit": 1, "offset": 1}, [STUDY]),
        ({"study_instance_uids": (STUDY,)}, [STUDY]),
        ({"sources": ("PACS_B",)}, ["1.2.3.4"]),
        ({"limit": 1}, ["1.2.3.4"]),
        ({"limit": 1, "offset": 1}, [STUDY]),
    ],
)
@pytest.mark.parametrize("live", [True, False])
def test_criteria(region: Region, criteria: dict[str, object], found: list[str], *, live: bool) -> None:
    if not live:
        region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
        region.imaging.publish_study(PublishStudy("PACS_B", "1.2.3.4"), Context())
        region.a.down = region.b.down = True
    answer = region.find(live=live, **criteria)
    assert uids(answer) == found
    if not live:
        assert list(region.states(answer)) == ["index"]


def test_letters_beyond_ascii_are_found_whatever_their_case(region: Region) -> None:
    region.a.datasets = study_files(StudyDescription="ÉCHOGRAPHIE")
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    for wanted in ("*échographie*", "ÉCHO*", "?chographie"):
        assert uids(region.find(keys=(("StudyDescription", wanted),))) == [STUDY]


def test_keys_are_counted_in_the_whole_index(region: Region) -> None:
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    region.imaging.publish_study(PublishStudy("PACS_B", "1.2.3.4"), Context())
    assert region.find(keys=(("StudyID", "S1"),), limit=1).total == 2
    assert region.find(keys=(("StudyTime", "10"),), limit=0).total == 1


def test_an_index_that_was_looked_through_in_part_says_so(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    region.imaging.publish_study(PublishStudy("PACS_B", "1.2.3.4"), Context())
    monkeypatch.setattr("hub.federation.service._BLOCK", 1)
    monkeypatch.setattr("hub.federation.service._MOST_READ", 1)
    answer = region.find(keys=(("StudyID", "S1"),))
    assert (uids(answer), answer.total) == (["1.2.3.4"], None)
    assert answer.statuses[0].reason


def test_totals_from_the_index(region: Region) -> None:
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    region.imaging.publish_study(PublishStudy("PACS_B", "1.2.3.4"), Context())
    assert region.find(limit=1).total == 2
    assert region.find(person=LOCAL_A, limit=1, offset=1).total == 2


def test_series_and_instances_of_a_study_that_only_its_source_knows(region: Region) -> None:
    answer = region.find(study_instance_uids=(STUDY,), level="IMAGE", live=True)
    assert len(answer.studies[0].study.series) == 5
    narrowed = region.find(
        study_instance_uids=(STUDY,), level="IMAGE", live=True, series_instance_uid=f"{STUDY}.2"
    ).studies[0]
    assert [series.series_instance_uid for series in narrowed.study.series] == [f"{STUDY}.2"]


def test_a_known_study_is_not_asked_for_again(region: Region) -> None:
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    region.a.calls.clear()
    region.find(study_instance_uids=(STUDY,), level="SERIES", live=True)
    assert not region.a.calls


def test_a_source_that_is_not_configured(region: Region) -> None:
    with pytest.raises(NoSuchSource):
        region.find(sources=("PACS_X",))


def test_the_answer_grows_as_sources_answer(region: Region) -> None:
    answers = list(region.service.find_as_answered(FindStudies(person=LOCAL_A, live=True), Context()))
    assert [len(answer.studies) for answer in answers] in ([0, 1, 2, 2],)
    assert len(answers[-1].statuses) == 3


def test_a_source_that_may_hold_more_than_it_told_says_so(region: Region) -> None:
    region.service.max_studies = 1
    answer = region.find(person=LOCAL_A, live=True)
    assert region.states(answer)["PACS_A"] is SourceState.CUT
    assert all(status.reason for status in answer.statuses if not status.whole)
    region.service.max_studies = 2
    assert all(status.whole for status in region.find(person=LOCAL_A, live=True).statuses)


@pytest.mark.parametrize("published", [0, 1, 2])
def test_a_page_tells_whether_there_are_more(region: Region, published: int) -> None:
    for source, uid in (("PACS_A", STUDY), ("PACS_B", "1.2.3.4"))[:published]:
        region.imaging.publish_study(PublishStudy(source, uid), Context())
    pages = [region.find(person=LOCAL_A, live=True, limit=1, offset=offset) for offset in (0, 1)]
    assert [(uids(page), page.more, page.total) for page in pages] == [
        (["1.2.3.4"], True, None if published == 2 else 2),  # of those the index has, an archive may have others
        ([STUDY], False, 2),
    ]
    assert not region.find(person=LOCAL_A, live=True).more
    region.service.max_studies = 1
    first = region.find(person=LOCAL_A, live=True, limit=100)
    assert (uids(first), first.more) == (["1.2.3.4"], True)


def test_a_page_is_full_where_some_are_hidden(region: Region) -> None:
    every = [f"1.2.3.{number}" for number in range(4, 8)]
    files = {uid: study_files(uid, "B-7", uid) for uid in every}
    region.a.datasets = []
    region.b.datasets = [file for uid in every for file in files[uid]]
    for uid in every:
        region.imaging.publish_study(PublishStudy("PACS_B", uid), Context())
    for uid in ("1.2.3.7", "1.2.3.5"):  # rejected as a whole (IOCM)
        region.b.datasets.append(key_object(files[uid]))
        region.imaging.publish_study(PublishStudy("PACS_B", uid), Context())
    pages = [region.find(person=LOCAL_B, live=True, limit=1, offset=offset) for offset in (0, 1)]
    assert [(uids(page), page.more) for page in pages] == [(["1.2.3.6"], True), (["1.2.3.4"], False)]
