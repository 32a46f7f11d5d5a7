"""dicomweb-client (which no one here wrote) reads both archives through a whole hub: Orthanc, and dcmqrscp by DIMSE."""

from collections.abc import Iterator
from typing import Any

import pytest

from hub.imaging.model import Study
from hub.testing.dicom import Label, relabelled, synthetic_ct
from hub.testing.sandbox import SandboxProcess
from hub.testing.sites import dicomweb_site, dimse_site

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
