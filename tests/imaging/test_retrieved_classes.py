"""What the audit trail tells of a retrieval: SOP classes of what is sent, and how many instances of each."""

from collections.abc import Callable

import pytest

from hub.access.model import HUB
from hub.context import Context
from hub.imaging.model import InstanceRequest, PublishStudy, RetrieveInstances
from hub.values import PatientIdentifier
from tests.imaging.archive import STUDY, A, study_files
from tests.imaging.conftest import Room


def told(context: Context) -> set[str]:
    return {item.reference for item in context.touched if item.kind == "sop class"}


def expected(count: Callable[[str], int] | None = None) -> set[str]:
    classes = [str(ds.SOPClassUID) for ds in study_files()]
    return {f"{STUDY}|{item}|{count(item) if count else classes.count(item)}" for item in classes}


@pytest.fixture
def indexed(room: Room) -> Room:
    room.patients.add("R1", PatientIdentifier("A-1", A.authority_oid))
    room.a.datasets = study_files()
    room.service.publish_study(PublishStudy("PACS_A", STUDY), Context(principal=HUB))
    return room


def test_a_study(indexed: Room) -> None:
    context = Context(principal=HUB)
    stream = indexed.service.retrieve(RetrieveInstances((InstanceRequest(STUDY),)), context)
    assert told(context) == expected()  # before anything is sent: the record is written with the answer's head
    for item in stream:
        assert b"".join(item.chunks)  # type: ignore[union-attr]


def test_single_instances(indexed: Room) -> None:
    first, *_ = study_files()
    wanted = InstanceRequest(STUDY, str(first.SeriesInstanceUID), str(first.SOPInstanceUID))
    for _ in range(2):
        context = Context(principal=HUB)
        indexed.service.retrieve(RetrieveInstances((wanted,)), context)
        assert told(context) == {f"{STUDY}|{first.SOPClassUID}|1"}
        numbers = {item.reference for item in context.touched if item.kind == "accession"}
        assert numbers == {f"{STUDY}|{first.AccessionNumber}"}
        assert first.AccessionNumber
    missing = Context(principal=HUB)
    indexed.service.retrieve(RetrieveInstances((InstanceRequest(STUDY, "1.2", "1.2.3"),)), missing)
    assert told(missing) == set()
