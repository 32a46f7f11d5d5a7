"""Objects sent to the hub for a study that an archive holds: the study is read whole, by every wire."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from hub.app.settings.model import Source
from hub.app.wiring import Hub
from hub.testing.dicom import Label, relabelled
from hub.testing.sites import Site, dicomweb_site, has_orthanc, send
from tests.app.test_hub_archive import announce, port, settings
from tests.waiting import until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not has_orthanc(), reason="Orthanc with its DICOMweb plugin is not installed"),
]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    relabelled(tmp_path / "files", Label("PA-1", "LEGER^ZOE"))
    return sorted((tmp_path / "files").glob("*.dcm"))


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Site]:
    site = dicomweb_site(tmp_path / "orthanc")
    yield site
    site.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def hub(request: pytest.FixtureRequest, tmp_path: Path, orthanc: Site) -> Iterator[Hub]:
    pacs = Source(
        name="PACS_A", kind="dicomweb", authority="HOSPITAL_A", deadline=30.0, config={"url": orthanc.dicomweb_url}
    )
    chosen = settings(tmp_path, request.getfixturevalue(f"{request.param}_url"))
    hub = Hub(chosen.model_copy(update={"sources": (pacs,)}))
    hub.start()
    yield hub
    hub.stop()


@pytest.mark.parametrize("stable_after", [0.5, 3600.0, None])
def test_a_capture_that_is_sent_to_the_hub_joins_its_study(
    hub: Hub, orthanc: Site, files: list[Path], stable_after: float | None
) -> None:
    hub.imaging.stable_after = stable_after  # others are asked at once, whenever it is published
    announce(hub)
    here, there = files[:1], files[1:]
    assert orthanc.store(there) == len(there)
    base = f"{hub.public_url()}/dicom-web/studies/{dcmread(files[0]).StudyInstanceUID}"
    assert len(httpx.get(f"{base}/instances", timeout=60).json()) == len(there)
    assert send(port(hub), here) == len(here)
    until(lambda: len(httpx.get(f"{base}/instances", timeout=60).json()) == len(files))
    wanted = sorted(str(dcmread(path).SOPInstanceUID) for path in files)
    metadata = httpx.get(f"{base}/metadata", headers={"Accept": "application/dicom+json"}, timeout=60).json()
    assert sorted(item["00080018"]["Value"][0] for item in metadata) == wanted
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    body = httpx.get(base, headers={"Accept": accept}, timeout=60).raise_for_status().content
    assert all(uid.encode() in body for uid in wanted)
    [study] = httpx.get(base.rpartition("/")[0], params={"PatientID": "PA-1"}, timeout=60).json()
    assert study["00201208"]["Value"] == [len(files)]
