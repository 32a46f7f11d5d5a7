"""Everything of one person by C-GET and C-MOVE at PATIENT level, on a sandbox with two real archives."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.dicom import PLAIN, Label, relabelled
from hub.testing.ports import free_port
from hub.testing.sandbox import SandboxProcess
from hub.testing.sites import DimseAddress, Site, dicomweb_site, dimse_site, echoes, has_dcmtk
from hub.wire.hl7v2.client import MllpClient
from tests.waiting import until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not has_dcmtk(), reason="DCMTK is not installed (apt-get install dcmtk)"),
]
TRAITS = Traits(
    birth_name="KERLOCH", birth_given="SOAZIG", given_names="SOAZIG", birth_date="19610417", sex="F",
    birth_place="29019",
)  # fmt: skip
HERE, THERE = ("P-1", "HOPA", "1.2.3.71"), ("Q-9", "HOPB", "1.2.3.72")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    directory = tmp_path_factory.mktemp("sites")
    first, second = dicomweb_site(directory / "a"), dimse_site(directory / "b", ae_title="PACSB")
    for site, number, count in ((first, HERE[0], 4), (second, THERE[0], 3)):
        label = Label(number, "KERLOCH^SOAZIG", birth_date="19610417", accession_number=f"ACC-{number}")
        relabelled(directory / number, label, PLAIN[:count])
        assert site.store(sorted((directory / number).glob("*.dcm"))) == count
    yield first, second
    first.stop()
    second.stop()


@pytest.fixture(scope="module")
def station() -> int:
    return free_port()


@pytest.fixture(scope="module")
def box(sites: tuple[Site, Site], station: int) -> Iterator[SandboxProcess]:
    first, second = sites
    assert second.dimse is not None
    place = f"{second.dimse.ae_title}@{second.dimse.host}:{second.dimse.port}"
    with SandboxProcess(
        "--open", "--source", f"HOPA=dicomweb:{first.dicomweb_url}", "--source", f"HOPB=dimse:{place}",
        "--source", f"HOPC=dimse:STATION@127.0.0.1:{station}",
    ) as running:  # fmt: skip
        host, _, port = running["mllp"].rpartition(":")
        with MllpClient(host, int(port)) as client:
            for number, namespace, oid in (HERE, THERE):
                patient = hl7.Patient(identifier=hl7.local(number, namespace, oid), traits=TRAITS)
                sender = hl7.Sender(application=f"HIS_{namespace}", facility=namespace)
                assert b"MSA|AA|" in client.send(hl7.adt(sender, patient))
        yield running


def got(box: SandboxProcess, directory: Path, *keys: str, model: str = "-P") -> tuple[int, str]:
    """How many objects getscu took, and what it said."""
    title, _, place = box["dimse"].partition("@")
    host, _, port = place.rpartition(":")
    directory.mkdir()
    asked = [part for key in ("QueryRetrieveLevel=PATIENT", *keys) for part in ("-k", key)]
    done = subprocess.run(
        ["getscu", "-v", model, "-aec", title, "-od", str(directory), *asked, host, port],
        capture_output=True, text=True, timeout=120, check=False, errors="replace",
    )  # fmt: skip
    return len(list(directory.iterdir())), done.stdout + done.stderr


def test_everything_of_a_person_by_any_of_the_numbers(box: SandboxProcess, tmp_path: Path) -> None:
    for place, keys in enumerate(
        ([f"PatientID={HERE[0]}"], [f"PatientID={THERE[0]}", f"IssuerOfPatientID={THERE[2]}"])
    ):
        count, said = got(box, tmp_path / str(place), *keys)
        assert count == 4 + 3, said
        assert "Received C-GET Response (Success)" in said
    assert got(box, tmp_path / "nobody", "PatientID=NOBODY")[0] == 0


@pytest.mark.parametrize(
    ("model", "key"), [("-P", "PatientName=KERLOCH*"), ("-P", "PatientID=P*"), ("-S", "PatientID=P-1")]
)
def test_one_number_in_patient_root_alone(box: SandboxProcess, tmp_path: Path, model: str, key: str) -> None:
    count, said = got(box, tmp_path / "got", key, model=model)
    assert count == 0
    assert "DataSetDoesNotMatchSOPClass" in said


def test_movescu_has_everything_sent_to_a_source(box: SandboxProcess, station: int, tmp_path: Path) -> None:
    title, _, place = box["dimse"].partition("@")
    host, _, port = place.rpartition(":")
    (tmp_path / "received").mkdir()
    receiver = subprocess.Popen(["storescp", "-od", str(tmp_path / "received"), "-aet", "STATION", str(station)])
    try:
        until(lambda: echoes(DimseAddress("STATION", "127.0.0.1", station)))
        done = subprocess.run(
            ["movescu", "-v", "-P", "-aec", title, "-aem", "STATION", "-k", "QueryRetrieveLevel=PATIENT",
             "-k", f"PatientID={THERE[0]}", host, port],
            capture_output=True, text=True, timeout=120, check=False, errors="replace",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        receiver.terminate()
        receiver.wait(10)
    assert len(list((tmp_path / "received").iterdir())) == 4 + 3


def test_at_last_a_source_that_is_down_counts_as_a_failure(
    box: SandboxProcess, sites: tuple[Site, Site], tmp_path: Path
) -> None:
    sites[0].stop()
    count, said = got(box, tmp_path / "got", f"PatientID={HERE[0]}")
    assert count == 3, said
    assert "Number of Failed Suboperations    : 1" in said
