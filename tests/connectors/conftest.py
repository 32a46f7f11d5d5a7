"""Archives, real and simulated, each with the same three studies; the connectors to them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.connector.contract import Connector, Environment, MoveDestination
from hub.connector.loader import SourceConfig, Sources
from hub.imaging.model import Study
from hub.testing.dicom import Label, relabelled, synthetic_ct
from hub.testing.sites import Site, dicomweb_site, dimse_site, has_dcmtk, has_orthanc

Opener = Callable[..., Connector]


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Study, list[Path]]]:
    """Files of three studies by name."""
    root = tmp_path_factory.mktemp("studies")
    mixed = relabelled(root / "mixed", Label("PA-1", "LÉGER^ZOË", accession_number="ACC-MIXED"))
    ct = synthetic_ct(
        root / "ct",
        Label("PA-2", "MARTIN^PAUL", "19610102", "M", "ACC-CT", study_date="20251224"),
        slices=24, size=64, series=2,
    )  # fmt: skip
    other = relabelled(root / "other", Label("PA-3", "BERNARD^LUC", accession_number="ACC-OTHER"), ("CT_small.dcm",))
    return {
        name: (study, sorted((root / name).glob("*.dcm")))
        for name, study in (("mixed", mixed), ("ct", ct), ("other", other))
    }


@pytest.fixture(scope="session")
def all_files(studies: dict[str, tuple[Study, list[Path]]]) -> list[Path]:
    return [path for _, files in studies.values() for path in files]


def _started(site: Site, files: list[Path]) -> Iterator[Site]:
    try:
        assert site.store(files) == len(files)
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory, all_files: list[Path]) -> Iterator[Site]:
    if not has_orthanc():
        pytest.skip("Orthanc with its DICOMweb plugin is not installed")
    yield from _started(dicomweb_site(tmp_path_factory.mktemp("orthanc")), all_files)


@pytest.fixture(scope="session")
def dcmqrscp(tmp_path_factory: pytest.TempPathFactory, all_files: list[Path]) -> Iterator[Site]:
    if not has_dcmtk():
        pytest.skip("DCMTK is not installed")
    yield from _started(dimse_site(tmp_path_factory.mktemp("dcmqrscp")), all_files)


@pytest.fixture(scope="session")
def web_simulator(tmp_path_factory: pytest.TempPathFactory, all_files: list[Path]) -> Iterator[Site]:
    yield from _started(dicomweb_site(tmp_path_factory.mktemp("web"), simulate=True), all_files)


@pytest.fixture(scope="session")
def pacs_simulator(tmp_path_factory: pytest.TempPathFactory, all_files: list[Path]) -> Iterator[Site]:
    yield from _started(dimse_site(tmp_path_factory.mktemp("pacs"), simulate=True), all_files)


@pytest.fixture
def connect() -> Iterator[Opener]:
    """Open a connector to a site as ``dicomweb`` or ``dimse``."""
    opened: list[Sources] = []

    def open_connector(site: Site, kind: str, receive: MoveDestination | None = None, **config: Any) -> Connector:
        if kind == "dicomweb":
            settings = {"url": site.dicomweb_url, **config}
        else:
            assert site.dimse is not None
            address = {"host": site.dimse.host, "port": site.dimse.port, "ae_title": site.dimse.ae_title}
            settings = {**address, **config}
        source = SourceConfig("PACS", kind, config=settings)
        sources = Sources([source], Environment("MAILLAGE", receive))
        opened.append(sources)
        return sources.get("PACS").connector

    yield open_connector
    for sources in opened:
        sources.close()
