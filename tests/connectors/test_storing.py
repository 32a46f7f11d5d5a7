"""Objects are added to archives: STOW-RS and C-STORE, to real ones."""

from pathlib import Path

import pytest

from hub.connector.contract import Connector, ConnectorError, RetrievesInstances, SourceUnavailable, StoresInstances
from hub.imaging.model import InstanceRequest
from hub.testing.dicom import Label, relabelled
from hub.testing.ports import free_port
from tests.connectors.conftest import Opener

PEERS = (
    pytest.param(("orthanc", "dicomweb"), marks=pytest.mark.interop, id="dicomweb-orthanc"),
    pytest.param(("orthanc", "dimse"), marks=pytest.mark.interop, id="dimse-orthanc"),
    pytest.param(("dcmqrscp", "dimse"), marks=pytest.mark.interop, id="dimse-dcmqrscp"),
)


@pytest.fixture(params=PEERS)
def connector(request: pytest.FixtureRequest, connect: Opener) -> Connector:
    peer, kind = request.param
    return connect(request.getfixturevalue(peer), kind)


def test_what_is_stored_can_be_retrieved_and_stored_again(connector: Connector, tmp_path: Path) -> None:
    study = relabelled(tmp_path / "files", Label("PA-1", accession_number="ACC-STORED"))
    assert isinstance(connector, StoresInstances)
    assert isinstance(connector, RetrievesInstances)
    files = sorted((tmp_path / "files").glob("*.dcm"))
    for file in (*files, files[0]):
        connector.store(file, timeout=60)
    found = {}
    for item in connector.retrieve(InstanceRequest(study.study_instance_uid), ("*",), timeout=60):
        found[item.sop_instance_uid] = b"".join(item.chunks)
    assert found.keys() == {instance.sop_instance_uid for _, instance in study.instances}


def test_what_is_no_object_is_refused(connector: Connector, tmp_path: Path) -> None:
    assert isinstance(connector, StoresInstances)
    (tmp_path / "text.dcm").write_bytes(b"no object at all " * 100)
    with pytest.raises(ConnectorError):
        connector.store(tmp_path / "text.dcm", timeout=60)


def test_an_archive_that_is_down(tmp_path: Path) -> None:
    from connectors.dicomweb import MANIFEST
    from hub.connector.contract import Environment
    from hub.connector.loader import SourceConfig, read_config

    relabelled(tmp_path, Label("PA-1"), ("CT_small.dcm",))
    config = {"url": f"http://127.0.0.1:{free_port()}/dicom-web"}
    down = MANIFEST.open("A", read_config(SourceConfig("A", "dicomweb", config=config), MANIFEST), Environment())
    with pytest.raises(SourceUnavailable):
        down.store(next(tmp_path.glob("*.dcm")), timeout=10)  # type: ignore[attr-defined]
