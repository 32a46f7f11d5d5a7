"""RAD-49 by pynetdicom: a notice has the study looked at again, whoever may not tell is refused, and so is nonsense."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import InstanceAvailabilityNotification

from hub.app.settings.model import (
    Archive,
    Authority,
    Imaging,
    Security,
    Settings,
    Source,
    Storage,
)
from hub.app.wiring import Hub
from hub.context import Context
from hub.errors import HubError
from hub.imaging.model import PublishStudy, StudyState
from hub.testing import hl7
from hub.testing.simulators.dicomweb import DicomwebSimulator
from hub.testing.sites import DimseAddress, send
from tests.app.dimse_hub import DimseHub
from tests.app.test_hub_archive import PATIENT, feed
from tests.imaging.archive import STUDY, part10, study_files
from tests.loopback import PORTS
from tests.waiting import until

OID = "1.2.250.1.999.71"
REPORTED = "ReferencedPerformedProcedureStepSequence"


def notice(state: str = "ONLINE", title: str = "PACS_A") -> Dataset:
    """About one instance of one series."""
    instance = Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"{STUDY}.1.1"
    instance.InstanceAvailability, instance.RetrieveAETitle = state, title
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = f"{STUDY}.1", [instance]
    found = Dataset()
    found.ReferencedPerformedProcedureStepSequence = []
    found.StudyInstanceUID, found.ReferencedSeriesSequence = STUDY, [series]
    return found


def tell(port: int, dataset: Dataset, *, calling: str = "PACS_A", instance: str | None = "1.2.3.4") -> Dataset:
    """The answer's status, with the SOP Instance UID that was made."""
    entity = AE(calling)
    entity.add_requested_context(InstanceAvailabilityNotification)
    association = entity.associate("127.0.0.1", port, ae_title="MAILLAGE")
    assert association.is_established
    status, _ = association.send_n_create(dataset, InstanceAvailabilityNotification, instance)
    association.release()
    assert isinstance(status, Dataset)
    return status


def _without(keyword: str) -> Callable[[Dataset], None]:
    def change(found: Dataset) -> None:
        series = found.ReferencedSeriesSequence[0]
        for place in (found, series, series.ReferencedSOPSequence[0]):
            if keyword in place:
                del place[keyword]

    return change


def _empty(keyword: str) -> Callable[[Dataset], None]:
    def change(found: Dataset) -> None:
        series = found.ReferencedSeriesSequence[0]
        for place in (found, series, series.ReferencedSOPSequence[0]):
            if keyword in place:
                setattr(place, keyword, [] if keyword.endswith("Sequence") else "")

    return change


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    hub = DimseHub(tmp_path, node_authentication=True, callers=("PACS_A",), senders={"MODALITY": ""},
                   sources=(Source(name="PACS_B", kind="dimse", config={"ae_title": "PACS_B", "host": "127.0.0.1", "port": 104}),))  # fmt: skip  # noqa: E501
    yield hub.port
    hub.stop()


REQUIRED = ("StudyInstanceUID", "ReferencedSeriesSequence", "SeriesInstanceUID", "ReferencedSOPSequence",
            "ReferencedSOPClassUID", "ReferencedSOPInstanceUID", "InstanceAvailability", "RetrieveAETitle")  # fmt: skip


def test_what_a_notice_must_say(port: int) -> None:
    for keyword in (REPORTED, *REQUIRED):
        found = notice()
        _without(keyword)(found)
        assert (keyword, tell(port, found).Status) == (keyword, 0x0120)
    for keyword in REQUIRED:
        found = notice()
        _empty(keyword)(found)
        assert (keyword, tell(port, found).Status) == (keyword, 0x0121)
    assert tell(port, notice("SOMEWHERE")).Status == 0x0106
    assert tell(port, notice()).Status == 0


def test_who_may_tell(port: int) -> None:
    assert tell(port, notice(), calling="MODALITY").Status == 0
    assert tell(port, notice(), calling="PACS_B").Status == 0x0124  # a source that delivers may do nothing else


@pytest.fixture
def source(tmp_path: Path) -> Iterator[DicomwebSimulator]:
    made = DicomwebSimulator(tmp_path / "archive")
    yield made
    made.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def hub(request: pytest.FixtureRequest, tmp_path: Path, source: DicomwebSimulator) -> Iterator[Hub]:
    hub = Hub(
        Settings(
            authorities=(Authority(namespace="HOSPITAL_A", oid=OID),),
            sources=(
                Source(name="PACS_A", kind="dicomweb", authority="HOSPITAL_A", config={"url": source.dicomweb_url}),
            ),
            archive=Archive(senders={"PACS_A": ""}, stable_after=0.2),
            imaging=Imaging(publish_on=("ian",), archive_follows=0.2),
            **PORTS,
            security=Security(node_authentication=False),
            storage=Storage(database=request.getfixturevalue(f"{request.param}_url"), content=tmp_path / "content"),
        )
    )
    hub.start()
    assert "MSA|AA" in feed(hub, hl7.adt(hl7.Sender(application="HIS_A", facility="HOSPITAL_A"), PATIENT))
    yield hub
    hub.stop()


def shown(hub: Hub) -> tuple[str, int]:
    """(state, instances) of the study in the index."""
    try:
        found = hub.imaging.indexed(STUDY)
    except HubError:
        return "", 0
    return found.state.value, found.study.instance_count or 0


def test_a_notice_publishes_and_publishes_again(hub: Hub, source: DicomwebSimulator) -> None:
    assert hub.dimse is not None
    first, second = study_files(patient="PA-1", names=("CT_small.dcm", "MR_small.dcm"))
    assert tell(hub.dimse.port, notice("UNAVAILABLE")).Status == 0  # nothing is published of what can't be had
    source.archive.put(part10(first))
    status = tell(hub.dimse.port, notice(), instance=None)
    assert status.Status == 0
    until(lambda: shown(hub) == (StudyState.PUBLISHED.value, 1))
    source.archive.put(part10(second))
    assert tell(hub.dimse.port, notice("NEARLINE")).Status == 0
    until(lambda: shown(hub) == (StudyState.PUBLISHED.value, 2))


def test_a_late_object_that_the_hub_is_sent_has_the_archive_asked_again(
    hub: Hub, source: DicomwebSimulator, tmp_path: Path
) -> None:
    assert hub.dimse is not None
    first, late = study_files(patient="PA-1", names=("CT_small.dcm", "MR_small.dcm"))
    source.archive.put(part10(first))
    hub.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    source.archive.put(part10(late))  # the modality sends it to the archive and to the hub
    file = tmp_path / "late.dcm"
    file.write_bytes(part10(late))
    assert send(DimseAddress("MAILLAGE", "127.0.0.1", hub.dimse.port), [file]) == 1
    until(lambda: hub.imaging.indexed(STUDY, "PACS_A").study.instance_count == 2)
