"""Which manifests another DRIMbox may name: what stands in the national record, never what is not there any more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.app.outside.published_manifests import PublishedManifests
from hub.context import Context
from hub.imaging.by_manifest import Published
from hub.imaging.manifest_model import Flavour
from hub.imaging.model import PublishStudy
from hub.storage.engine import Database
from hub.testing.dmp.pki import make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import APPROVED
from hub.values import new_uid
from tests.imaging.archive import STUDY, study_files
from tests.record.national import Nation, nation


@pytest.fixture(params=[Flavour.XDS_I, Flavour.DRIM_M])
def region(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Iterator[Nation]:
    with DmpSimulator(make_pki(tmp_path / "pki")) as dmp:
        made = nation(database, tmp_path, dmp, request.param)
        yield made
        made.rooms.imaging.close()
        made.connector.close()


def found(region: Nation, uid: str, study: str = STUDY) -> Published | None:
    published = PublishedManifests(region.service.database, region.rooms.documents, national=True)
    return published.find(uid, study, Context())


MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"


def classes(published: Published | None) -> list[str]:
    """Of the instances that it refers to."""
    assert published is not None
    assert published.manifest is not None
    return [kind for series in published.manifest.series for kind, _ in series.instances]


def test_a_manifests_life(region: Nation) -> None:
    regional = region.qualify()
    region.rooms.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    region.work()
    [entry] = region.rooms.found(regional, mime="application/dicom")
    assert found(region, entry.unique_id) is None, "in the region's registry, not in the record yet"
    report = region.report()
    region.work()
    first = region.there(APPROVED)["IMG-KOS"].unique_id
    assert classes(found(region, first)) == [CT]
    assert found(region, first, "1.2.3") is None
    assert found(region, new_uid()) is None
    region.rooms.archive.datasets[:] = study_files(names=("MR_small.dcm",))
    region.rooms.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    region.work()
    second = region.there(APPROVED)["IMG-KOS"].unique_id
    assert second != first
    assert classes(found(region, second)) == [MR]
    assert found(region, first) == Published(None), "replaced"
    region.report(status="D", document_id=report)
    region.work()
    assert found(region, second) == Published(None), "withdrawn with its report"
    region.report(set_id="1.2.3.10")
    region.work()
    third = region.there(APPROVED)["IMG-KOS"].unique_id
    assert third not in (first, second), "a number that was deleted is never good again"
    assert classes(found(region, third)) == [MR]
    assert found(region, second) == Published(None)
