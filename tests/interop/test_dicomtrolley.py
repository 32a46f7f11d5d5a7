"""dicomtrolley (which no one here wrote) retrieves images by RAD-69 from a sandbox, as a research pipeline does."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
from pydicom import dcmread

from hub.imaging.model import Study
from hub.testing.sandbox import SandboxProcess
from hub.testing.simulators.dicomweb import DicomwebSimulator
from tests.hostile.hospital import KOS, Hospital, published, regional
from tests.interop.by_hand import Integrator, package

core = pytest.importorskip("dicomtrolley.core")
rad69 = pytest.importorskip("dicomtrolley.rad69")
pytestmark = pytest.mark.interop
HOSPITAL = Hospital(name="HOPT", oid="1.2.250.1.999.96", number="T-1", family="CHARIOT", accession="ACC-T")
FIXED = "1.3.6.1.4.1000"  #: the repositoryUniqueId of its template


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Integrator, Study, str]]:
    """A sandbox in front of an archive whose one study is published, the study, its repositoryUniqueId."""
    root = tmp_path_factory.mktemp("trolley")
    archive = DicomwebSimulator(root / "archive")
    try:
        study, files = HOSPITAL.files(root / "files")
        archive.store(files)
        source = f"{HOSPITAL.name}=dicomweb:{archive.dicomweb_url}"
        with SandboxProcess("--open", "--source", source) as box, Integrator(box) as vendor:
            for message in (HOSPITAL.announcement(), HOSPITAL.order(), HOSPITAL.report()):
                assert "MSA|AA|" in vendor.feed(message)
            published(vendor, HOSPITAL)
            yield vendor, study, located(vendor)
    finally:
        archive.stop()


def located(system: Integrator) -> str:
    """Where the manifest says that the images are."""
    found = system.find(regional(system, HOSPITAL), FormatCode=f"('{KOS}^^1.2.840.10008.2.6.1')")
    (content,) = system.retrieve((system.box["repository_unique_id"], found.uids[0])).documents().values()
    manifest = dcmread(BytesIO(content))
    (study,) = manifest.CurrentRequestedProcedureEvidenceSequence
    return str(study.ReferencedSeriesSequence[0].RetrieveLocationUID)


class Packaged(requests.auth.AuthBase):
    """RAD-69 is MTOM both ways (ITI TF-2: V.3.6): its plain envelope becomes the root of a package."""

    def __call__(self, request: Any) -> Any:
        kind, body = package(request.body.encode(), {})
        request.headers["Content-Type"] = kind
        request.prepare_body(body, None)
        return request


@pytest.fixture
def client(region: tuple[Integrator, Study, str]) -> Any:
    """Its RAD-69 client, with the template's repositoryUniqueId set to the source's."""
    system, _, repository = region
    with requests.Session() as session:
        session.auth = Packaged()
        made = rad69.Rad69(session, system.box["xds_imaging"])
        made.template = made.template.replace(FIXED, repository)
        yield made


def wanted(study: Study) -> list[Any]:
    return [
        core.InstanceReference(
            study_uid=study.study_instance_uid,
            series_uid=series.series_instance_uid,
            instance_uid=instance.sop_instance_uid,
        )
        for series, instance in study.instances
    ]


@pytest.mark.parametrize("together", [True, False])
def test_every_object_is_retrieved(client: Any, region: tuple[Integrator, Study, str], together: bool) -> None:
    client.request_per_series = not together
    found = {item.SOPInstanceUID: item for item in client.datasets(wanted(region[1]))}
    assert set(found) == {instance.sop_instance_uid for _, instance in region[1].instances}
    assert all(item.PixelData for item in found.values())


def test_one_object(client: Any, region: tuple[Integrator, Study, str]) -> None:
    [first, *_] = wanted(region[1])
    assert client.get_dataset(first).SOPInstanceUID == first.instance_uid


def test_many_at_once(client: Any, region: tuple[Integrator, Study, str]) -> None:
    client.use_async = True
    found = {item.SOPInstanceUID for item in client.datasets(wanted(region[1]) * 4)}
    assert found == {instance.sop_instance_uid for _, instance in region[1].instances}


def test_an_unknown_object(client: Any, region: tuple[Integrator, Study, str]) -> None:
    unknown = core.InstanceReference(study_uid=region[1].study_instance_uid, series_uid="1.2.3", instance_uid="1.2.4")
    assert list(client.datasets([unknown])) == []  # a Failure in a package: it looks at the parts alone
