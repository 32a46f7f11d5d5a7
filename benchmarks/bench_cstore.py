"""C-STORE receive of CT images, sent by DCMTK's storescu: the hub beside Orthanc and DCMTK's storescp."""

import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, seconds
from hub.testing.dicom import Label, synthetic_ct
from hub.testing.ports import free_port
from hub.testing.sandbox import SandboxProcess
from hub.testing.sites import DimseAddress, OrthancSite, echoes

#: Without it DCMTK's receivers (and Orthanc's) wait 40 ms at every object, see docs/howto.
NO_DELAY = {**os.environ, "TCP_NODELAY": "1"}


def run(*, quick: bool) -> Iterator[Figure]:
    count, rounds = (40, 1) if quick else (300, 5)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        studies = []
        for number in range(rounds):
            synthetic_ct(root / f"study{number}", Label(f"P{number}", accession_number=f"A{number}"), slices=count)
            studies.append(root / f"study{number}")
        with SandboxProcess("--open", "--data", str(root / "hub")) as box:
            host, _, port = box["dimse"].rpartition("@")[2].rpartition(":")
            hub = DimseAddress("MAILLAGE", host, int(port))
            orthanc = OrthancSite(root / "orthanc")
            try:
                with Storescp(root / "storescp") as storescp:
                    assert orthanc.dimse is not None
                    places = {"hub": hub, "Orthanc": orthanc.dimse, "DCMTK storescp": storescp}
                    rates = measure(places, studies, count)
            finally:
                orthanc.stop()
    note = f"{count} CT of 512 x 512, one association, TCP_NODELAY=1 for both peers, median of {rounds} rounds"
    yield Figure(
        "cstore", "C-STORE receive", rates["hub"], "objects/s", "Orthanc", rates["Orthanc"], "at least 2",
        rates["hub"] >= 2 * rates["Orthanc"], f"{note}; the hub has every object on disk (fdatasync) before Success",
    )  # fmt: skip
    yield Figure(
        "cstore", "C-STORE receive, beside a bare receiver", rates["hub"], "objects/s", "DCMTK storescp",
        rates["DCMTK storescp"], note="storescp writes the same files and nothing else, without syncing them",
    )  # fmt: skip


def measure(places: dict[str, DimseAddress], studies: list[Path], count: int) -> dict[str, float]:
    """Objects a second, by receiver: all of them in every round, so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in places}
    for study in studies:
        for name, address in places.items():
            times[name].append(seconds(lambda address=address, study=study: send(address, study)))  # type: ignore[misc]
    return {name: count / statistics.median(found) for name, found in times.items()}


def send(address: DimseAddress, directory: Path) -> None:
    """Send a directory; raises when one object is not taken."""
    command = ["storescu", "-R", "+sd", "-aec", address.ae_title, address.host, str(address.port), str(directory)]
    subprocess.run(command, check=True, env=NO_DELAY, capture_output=True)


class Storescp:
    """DCMTK's receiver, which writes files and does nothing else."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.address = DimseAddress("STORESCP", "127.0.0.1", free_port())
        command = ["storescp", "-od", str(directory), str(self.address.port)]
        self._process = subprocess.Popen(command, env=NO_DELAY)

    def __enter__(self) -> DimseAddress:
        while self._process.poll() is None and not echoes(self.address):
            pass
        return self.address

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
