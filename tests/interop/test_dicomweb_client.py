"""dicomweb-client (which no one here wrote) reads both archives through a whole hub: Orthanc, and dcmqrscp by DIMSE."""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from hub.imaging.model import Study
from hub.testing.dicom import Label, relabelled, synthetic_ct
from hub.testing.sandbox import SandboxProcess
from hub.testing.sites import dicomweb_site, dimse_site
from hub.wire import multipart

dicomweb_client = pytest.importorskip("dicomweb_client.api")
pytestmark = pytest.mark.interop


class Region:
    """A sandbox in front of two archives that hold one study each."""

    def __init__(self, endpoints: dict[str, Any], studies: dict[str, Study]) -> None:
        self.endpoints = endpoints
        self.studies = studies


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    root = tmp_path_factory.mktemp("region")
    studies = {
        "dicomweb": relabelled(root / "a", Label("PA-1", "LÉGER^ZOË", accession_number="ACC-A")),
        "dimse": synthetic_ct(root / "b", Label("PB-1", accession_number="ACC-B"), slices=12, size=64),
    }
    web, pacs = dicomweb_site(root / "web"), dimse_site(root / "pacs")
    assert pacs.dimse is not None
    options = [
        "--open", "--data", str(root / "hub"),
        "--source", f"HOPA=dicomweb:{web.dicomweb_url}",
        "--source", f"HOPB=dimse:{pacs.dimse.ae_title}@{pacs.dimse.host}:{pacs.dimse.port}",
    ]  # fmt: skip
    try:
        web.store(sorted((root / "a").glob("*.dcm")))
        pacs.store(sorted((root / "b").glob("*.dcm")))
        with SandboxProcess(*options) as box:
            yield Region(box.description, studies)
    finally:
        web.stop()
        pacs.stop()


@pytest.fixture
def client(region: Region) -> Any:
    return dicomweb_client.DICOMwebClient(region.endpoints["dicomweb"])


@pytest.fixture(params=["dicomweb", "dimse"])
def study(request: pytest.FixtureRequest, region: Region) -> Study:
    return region.studies[request.param]


def test_both_archives_answer_one_search(client: Any, region: Region) -> None:
    found = {item["0020000D"]["Value"][0] for item in client.search_for_studies()}
    assert found == {study.study_instance_uid for study in region.studies.values()}


def test_a_study_is_found_by_accession(client: Any, study: Study) -> None:
    (found,) = client.search_for_studies(search_filters={"AccessionNumber": study.accession_number})
    assert found["0020000D"]["Value"] == [study.study_instance_uid]


def test_series_and_instances_are_listed(client: Any, study: Study) -> None:
    series = client.search_for_series(study.study_instance_uid)
    assert {item["0020000E"]["Value"][0] for item in series} == {item.series_instance_uid for item in study.series}
    instances = client.search_for_instances(study.study_instance_uid)
    assert len(instances) == study.instance_count


def test_every_object_is_retrieved(client: Any, study: Study) -> None:
    found = client.retrieve_study(study.study_instance_uid)
    assert {item.SOPInstanceUID for item in found} == {instance.sop_instance_uid for _, instance in study.instances}


def test_metadata_is_retrieved(client: Any, study: Study) -> None:
    assert len(client.retrieve_study_metadata(study.study_instance_uid)) == study.instance_count


def test_a_frame_is_retrieved(client: Any, study: Study) -> None:
    series, instance = next(study.instances)
    (frame,) = client.retrieve_instance_frames(
        study.study_instance_uid, series.series_instance_uid, instance.sop_instance_uid, [1]
    )
    assert len(frame) == (instance.rows or 0) * (instance.columns or 0) * 2


def test_a_whole_study_is_rendered(region: Region, study: Study) -> None:
    (first, *_) = study.series
    root = f"{region.endpoints['dicomweb']}/studies/{study.study_instance_uid}"
    series = f"{root}/series/{first.series_instance_uid}"
    images = sum(1 for _, item in study.instances if item.rows)
    for url, accept, expected in (
        (root, "", ["JPEG"] * images),
        (series, 'multipart/related; type="image/png"', ["PNG"] * len(first.instances)),
    ):
        answer = httpx.get(f"{url}/rendered", headers={"Accept": accept}, timeout=60)
        parts = multipart.read(iter([answer.content]), answer.headers["Content-Type"])
        assert [Image.open(io.BytesIO(b"".join(part.chunks))).format for part in parts] == expected
    for url in (f"{root}/thumbnail", f"{series}/thumbnail?viewport=64,64"):
        answer = httpx.get(url, timeout=60)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
        assert max(Image.open(io.BytesIO(answer.content)).size) <= 128


def test_what_can_not_be_rendered(region: Region, study: Study) -> None:
    root = f"{region.endpoints['dicomweb']}/studies"
    assert httpx.get(f"{root}/1.2.3/rendered").status_code == 404
    assert httpx.get(f"{root}/1.2.3/thumbnail").status_code == 404
    whole = f"{root}/{study.study_instance_uid}"
    assert httpx.get(f"{whole}/rendered", headers={"Accept": "image/gif"}).status_code == 406
    assert httpx.get(f"{whole}/rendered", params={"viewport": "0,0"}, timeout=60).status_code == 400
    series, instance = next(study.instances)
    frames = f"{whole}/series/{series.series_instance_uid}/instances/{instance.sop_instance_uid}/frames"
    assert [httpx.get(f"{frames}/{item}").status_code for item in ("a", "1,a", "1,", "9")] == [400, 400, 400, 404]
