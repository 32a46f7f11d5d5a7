"""IPF's XDS clients (Java, CXF, IPF's own model and validators; none of it written here) against a sandbox."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from hub.testing.sandbox import SandboxProcess
from hub.testing.simulators.dicomweb import DicomwebSimulator
from tests import java
from tests.hostile.hospital import KOS, Hospital, published, regional
from tests.interop.by_hand import Integrator

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]  # the artifacts are fetched once
PROJECT = Path(__file__).parent / "ipf"
SECONDS = 120
HOSPITAL = Hospital(name="HOPI", oid="1.2.250.1.999.95", number="I-1", family="DUMAS", accession="ACC-I")
SCENARIOS = (
    "ITI-41 ITI-18 ITI-43",
    "ITI-42",
    "ITI-18 of every kind",
    "ITI-41 replacement",
    "ITI-57 new version",
    "ITI-57 status",
    "ITI-62",
    "ITI-86",
    "RAD-69",
    "refusals",
)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Integrator]:
    """A sandbox in front of an archive whose one study is published."""
    java.program(PROJECT)  # skips before anything is started
    root = tmp_path_factory.mktemp("ipf")
    archive = DicomwebSimulator(root / "archive")
    try:
        archive.store(HOSPITAL.files(root / "files")[1])
        source = f"{HOSPITAL.name}=dicomweb:{archive.dicomweb_url}"
        with SandboxProcess("--open", "--source", source) as box, Integrator(box) as vendor:
            for message in (HOSPITAL.announcement(), HOSPITAL.order(), HOSPITAL.report()):
                assert "MSA|AA|" in vendor.feed(message)
            published(vendor, HOSPITAL)
            yield vendor
    finally:
        archive.stop()


def instances(system: Integrator) -> str:
    """What the study's manifest names: series/instance/repository, separated by blanks."""
    found = system.find(regional(system, HOSPITAL), FormatCode=f"('{KOS}^^1.2.840.10008.2.6.1')")
    (content,) = system.retrieve((system.box["repository_unique_id"], found.uids[0])).documents().values()
    (study,) = dcmread(BytesIO(content)).CurrentRequestedProcedureEvidenceSequence
    return " ".join(
        f"{series.SeriesInstanceUID}/{item.ReferencedSOPInstanceUID}/{series.RetrieveLocationUID}"
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    )


@pytest.fixture(scope="module")
def told(system: Integrator) -> dict[str, str]:
    """Scenario -> "ok" or what is wrong."""
    domain = system.box["affinity_domain"]
    system.announce("IPF1", domain)
    given = {
        "registry": system.box["xds_registry"],
        "repository": system.box["xds_repository"],
        "imaging": system.box["xds_imaging"],
        "repositoryUniqueId": system.box["repository_unique_id"],
        "domain": domain,
        "patient": "IPF1",
        "study": HOSPITAL.study_uid,
        "instances": instances(system),
    }
    output = java.run(
        PROJECT, "Scenarios", "".join(f"{key}={value}\n" for key, value in given.items()), seconds=SECONDS
    )
    return dict(line.split("\t", 1) for line in output.splitlines())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_ipf(told: dict[str, str], scenario: str) -> None:
    assert told[scenario] == "ok"


def test_every_scenario_is_known(told: dict[str, str]) -> None:
    assert tuple(told) == SCENARIOS
