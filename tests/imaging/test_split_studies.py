"""A study that two archives hold in parts, as after a secondary capture: found and read as one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hub.connector.contract import SourceUnavailable
from hub.context import Context
from hub.federation.service import FederationService
from hub.imaging.model import (
    FailedInstance,
    FindStudies,
    GetMetadata,
    IndexedStudy,
    InstanceRequest,
    PublishStudy,
    RetrievedInstance,
    RetrieveInstances,
    StudyState,
)
from hub.imaging.service import ImagingService
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.imaging.archive import (
    STUDY,
    A,
    Archive,
    B,
    FakePatients,
    WebArchive,
    rooms,
    study_files,
)

LOCAL_A = PatientIdentifier("A-1", A.authority_oid)
LOCAL_B = PatientIdentifier("B-7", B.authority_oid)
EVERY = {f"{STUDY}.{number}.1" for number in range(1, 6)}


@dataclass
class Region:
    """A holds the series 1 to 3, B 3 to 5."""

    imaging: ImagingService
    service: FederationService
    a: Archive
    b: Archive
    patients: FakePatients

    def publish(self) -> None:
        for name in ("PACS_A", "PACS_B"):
            self.imaging.publish_study(PublishStudy(name, STUDY), Context())

    def find(self, level: str = "STUDY") -> IndexedStudy:
        command = FindStudies(study_instance_uids=(STUDY,), level=level)
        [found] = self.service.find(command, Context()).studies
        return found

    def retrieved(self, series: str = "") -> list[str]:
        stream = self.imaging.retrieve(RetrieveInstances((InstanceRequest(STUDY, series),)), Context())
        found = []
        for item in stream:
            assert isinstance(item, RetrievedInstance)
            b"".join(item.chunks)
            found.append(str(item.sop_instance_uid))
        return found

    def described(self) -> list[str]:
        objects = self.imaging.metadata(GetMetadata(InstanceRequest(STUDY)), Context())
        return [item["00080018"]["Value"][0] for item in objects]


@pytest.fixture(params=[Archive, WebArchive])
def region(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Region]:
    a, b, patients = request.param("PACS_A"), request.param("PACS_B"), FakePatients()
    imaging, service = rooms(database, tmp_path, (a, b), (A, B), patients)
    patients.add("R1", LOCAL_A, LOCAL_B)
    a.datasets = study_files()[:3]
    b.datasets = study_files(STUDY, "B-7", "ACC-2")[2:]
    yield Region(imaging, service, a, b, patients)
    imaging.close()


def test_it_is_counted_and_described_as_one(region: Region) -> None:
    region.publish()
    for level in ("STUDY", "SERIES", "IMAGE"):
        found = region.find(level)
        assert {str(item.sop_instance_uid) for _, item in found.study.instances} == EVERY
        assert (len(found.study.series), found.also_at) == (
            5,
            ("PACS_B",) if found.study.source == "PACS_A" else ("PACS_A",),
        )


def test_it_is_read_as_one_each_object_once(region: Region) -> None:
    region.publish()
    assert sorted(region.retrieved()) == sorted(EVERY)
    assert sorted(region.described()) == sorted(EVERY)
    assert region.retrieved(f"{STUDY}.5") == [f"{STUDY}.5.1"]
    assert region.retrieved(f"{STUDY}.1") == [f"{STUDY}.1.1"]


def test_an_archive_that_is_down_is_told_for_what_it_alone_holds(region: Region) -> None:
    region.publish()
    region.b.down = True
    stream = region.imaging.retrieve(RetrieveInstances((InstanceRequest(STUDY),)), Context())
    found = [item for item in stream if isinstance(item, FailedInstance) or b"".join(item.chunks)]
    failed = {item.request.sop_instance_uid for item in found if isinstance(item, FailedInstance)}
    assert failed == {f"{STUDY}.{number}.1" for number in (4, 5)}
    assert len(found) == len(EVERY)
    with pytest.raises(SourceUnavailable):
        region.described()


def test_whole_copies_are_read_once(region: Region) -> None:
    region.b.datasets = study_files(STUDY, "B-7", "ACC-2")
    region.a.datasets = study_files()
    region.publish()
    region.a.calls.clear()
    region.b.calls.clear()
    assert sorted(region.retrieved()) == sorted(EVERY)
    assert sorted(region.described()) == sorted(EVERY)
    assert not region.b.calls


def test_what_is_another_persons_never_joins(region: Region) -> None:
    region.patients.add("R2", replace(LOCAL_B, value="B-9"))
    region.b.datasets = study_files(STUDY, "B-9", "ACC-2")[2:]
    region.publish()
    assert len(region.find("IMAGE").study.series) == 3
    assert len(region.retrieved()) == 3


def test_a_copy_that_nobody_asked_for_yet_is_indexed(region: Region) -> None:
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    assert len(region.retrieved()) == 3
    region.b.down = True
    assert not region.imaging.publisher.index_others(STUDY), "it has to be asked again"
    region.b.down = False
    assert region.imaging.publisher.index_others(STUDY)
    assert sorted(region.retrieved()) == sorted(EVERY)
    assert region.imaging.indexed(STUDY, "PACS_B").state is StudyState.INDEXED
