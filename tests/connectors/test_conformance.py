"""The conformance kit against both connectors, on real archives and on the simulators."""

from pathlib import Path

import pytest

from connectors.dicomweb import MANIFEST as DICOMWEB
from connectors.dimse import MANIFEST as DIMSE
from hub.connector.contract import Connector, Environment
from hub.connector.loader import SourceConfig, read_config
from hub.imaging.model import Study
from hub.testing.connector_kit import ConnectorConformance, check_manifest
from tests.connectors.conftest import Opener

Studies = dict[str, tuple[Study, list[Path]]]
POOR = {"finds_per_association": 1, "modalities_in_study": "loop"}
PEERS = (
    pytest.param(("orthanc", "dicomweb", {}), marks=pytest.mark.interop, id="dicomweb-orthanc"),
    pytest.param(("orthanc", "dicomweb", {"describe": "metadata"}), marks=pytest.mark.interop, id="metadata-orthanc"),
    pytest.param(("orthanc", "dimse", {}), marks=pytest.mark.interop, id="dimse-orthanc"),
    pytest.param(("dcmqrscp", "dimse", {}), marks=pytest.mark.interop, id="dimse-dcmqrscp"),
    pytest.param(("web_simulator", "dicomweb", {}), id="dicomweb-simulator"),
    pytest.param(("pacs_simulator", "dimse", {}), id="dimse-simulator"),
    pytest.param(("pacs_simulator", "dimse", POOR), id="dimse-poor-pacs"),
)


class TestConformance(ConnectorConformance):
    @pytest.fixture(params=PEERS)
    def connector(self, request: pytest.FixtureRequest, connect: Opener) -> Connector:
        peer, kind, config = request.param
        return connect(request.getfixturevalue(peer), kind, **config)

    @pytest.fixture(params=["mixed", "ct"])
    def expected(self, request: pytest.FixtureRequest, studies: Studies) -> Study:
        return studies[request.param][0]


def test_the_manifests_say_what_the_connectors_can() -> None:
    web = SourceConfig("A", "dicomweb", config={"url": "http://127.0.0.1:1/dicom-web"})
    check_manifest(DICOMWEB, DICOMWEB.open("A", read_config(web, DICOMWEB), Environment()))
    pacs = SourceConfig("B", "dimse", config={"host": "127.0.0.1", "port": 104, "ae_title": "B"})
    check_manifest(DIMSE, DIMSE.open("B", read_config(pacs, DIMSE), Environment()))
