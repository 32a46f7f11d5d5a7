"""A CT study out of the hub (RAD-69, WADO-RS): beside the PACS that it fetches from, and nginx with the same files.

curl is the client of all four: it costs next to nothing on cores that everybody shares.
"""

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx

from benchmarks.figures import Figure
from hub.app.demo import ask
from hub.app.settings.regional import derived_oid
from hub.imaging.model import Study
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.cda import ImagingReport, build_report
from hub.testing.dicom import Label, synthetic_ct
from hub.testing.ports import free_port
from hub.testing.sandbox import SandboxProcess
from hub.testing.sites import OrthancSite
from hub.wire.hl7v2.client import MllpClient
from hub.wire.soap.names import ANONYMOUS
from hub.wire.soap.writing import build_envelope, mtom_package

SOURCE = "PACS"
AUTHORITY = "1.2.250.1.999.8.1"
EXPLICIT = "1.2.840.10008.1.2.1"
ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PUBLISHED_WITHIN = 120.0
MEMORY_MB = 300.0


@dataclass(frozen=True, slots=True)
class Fetch:
    """One way to get the study: curl's arguments."""

    name: str
    arguments: tuple[str, ...]

    def megabytes_a_second(self, least: int) -> float:
        """Fetch once, and throw it away. Raises RuntimeError when less than ``least`` bytes come."""
        started = time.perf_counter()
        command = ["curl", "-sS", "--fail", "-w", "%{size_download}\n", *self.arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        elapsed = time.perf_counter() - started
        size = sum(int(line) for line in done.stdout.split())
        if size < least:
            raise RuntimeError(f"{self.name} gave {size} bytes of {least}")
        return size / elapsed / 1e6


def run(*, quick: bool) -> Iterator[Figure]:
    count, rounds = (30, 1) if quick else (600, 5)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)  # nginx's worker is another user
        large = make_study(root / "large", count, "2")
        small = make_study(root / "small", max(5, count // 10), "1")
        size = sum(path.stat().st_size for path in (root / "large").iterdir())
        orthanc = OrthancSite(root / "orthanc")
        try:
            for name in ("small", "large"):
                orthanc.store(sorted((root / name).iterdir()))
            source = f"{SOURCE}=dicomweb:{orthanc.dicomweb_url}"
            with (
                Nginx(root / "nginx", root / "large") as nginx,
                SandboxProcess("--open", "--data", str(root / "hub"), "--source", source) as box,
            ):
                idle = peak_mb(box)
                for study, accession in ((small, "1"), (large, "2")):
                    publish(box, study, accession)
                for fetch in hub_fetches(root, box, small):
                    fetch.megabytes_a_second(size // 11)
                after_small = peak_mb(box)
                wado = f"/studies/{large.study_instance_uid}"
                fetches = [
                    *hub_fetches(root, box, large),
                    Fetch("Orthanc", ("-o", "/dev/null", "-H", f"Accept: {ACCEPT}", orthanc.dicomweb_url + wado)),
                    nginx,
                ]
                rates = measure(fetches, rounds, size)
                after_large = peak_mb(box)
        finally:
            orthanc.stop()
    what = f"{count} x 512 KB CT, one client, median of {rounds} rounds"
    for name, note in (
        ("WADO-RS", f"{what}; the hub streams from Orthanc's WADO-RS, all on the same cores"),
        (
            "RAD-69",
            f"{what}; the envelope names every instance: all are spooled first, then sent from the file",
        ),
    ):
        yield Figure(
            "retrieve", f"{name} of a study through the hub", rates[name], "MB/s", "Orthanc's own WADO-RS",
            rates["Orthanc"], "at least 0.6", rates[name] >= 0.6 * rates["Orthanc"], note,
        )  # fmt: skip
    yield Figure(
        "retrieve", "WADO-RS, beside the same bytes as files", rates["WADO-RS"], "MB/s", "nginx", rates["nginx"],
        note=what,
    )  # fmt: skip
    yield Figure(
        "retrieve", "peak memory of the hub", after_large, "MB", f"after a study of a tenth (idle: {idle:.0f} MB)",
        after_small, f"under {MEMORY_MB:.0f} MB", after_large < MEMORY_MB,
        "VmHWM of the whole sandbox process; flat means that the ratio is near 1",
    )  # fmt: skip


def make_study(directory: Path, slices: int, number: str) -> Study:
    """Write it, for patient P1."""
    label = Label(f"P{number}", accession_number=f"A{number}", issuer=AUTHORITY)
    return synthetic_ct(directory, label, slices=slices)


def publish(box: SandboxProcess, study: Study, number: str) -> None:
    """As a hospital does: announce the patient, send the report; then wait until the study is in the index."""
    traits = Traits(birth_name="DUPONT", birth_given="JEANNE", birth_date="19520316", sex="F")
    patient = hl7.Patient(identifier=hl7.local(f"P{number}", SOURCE, AUTHORITY), traits=traits)
    examination = hl7.Examination(
        placer_number=f"O{number}", accession_number=f"A{number}", study_instance_uid=study.study_instance_uid
    )
    cda = build_report(
        ImagingReport(
            patient_ids=[patient.identifier],
            traits=traits,
            study_instance_uid=study.study_instance_uid,
            accession_number=f"A{number}",
            placer_number=f"O{number}",
        )
    )
    host, _, port = box["mllp"].rpartition(":")
    with MllpClient(host, int(port), timeout=60) as client:
        for system, message in (("HIS", hl7.adt), ("RIS", hl7.oru)):
            sender = hl7.Sender(application=system, facility=SOURCE)
            made = message(sender, patient) if message is hl7.adt else hl7.oru(sender, patient, examination, cda)
            answer = client.send(made)
            if b"|AA|" not in answer:
                raise RuntimeError(f"{system}: {answer!r}")
    with httpx.Client(timeout=60, trust_env=False) as http:
        deadline = time.monotonic() + PUBLISHED_WITHIN
        while time.monotonic() < deadline:
            found = http.get(f"{box['dicomweb']}/studies", params={"StudyInstanceUID": study.study_instance_uid})
            if "index;state=index;count=1" in found.headers.get("X-Maillage-Sources", ""):
                return
            time.sleep(0.2)
    raise RuntimeError(f"the study was not published within {PUBLISHED_WITHIN:.0f} s: {box.log[-2000:]}")


def hub_fetches(root: Path, box: SandboxProcess, study: Study) -> list[Fetch]:
    """WADO-RS of the study, and RAD-69 of all its instances."""
    url = f"{box['dicomweb']}/studies/{study.study_instance_uid}"
    images = [(str(one.series_instance_uid), str(instance.sop_instance_uid)) for one, instance in study.instances]
    repository = derived_oid(box["repository_unique_id"], SOURCE)
    body = ask.retrieve_images(study.study_instance_uid, images, repository, [EXPLICIT])
    envelope = build_envelope(body, ask.RETRIEVE_IMAGES, to=box["xds_imaging"], reply_to=ANONYMOUS)
    content_type, chunks = mtom_package(envelope, (), ask.RETRIEVE_IMAGES)
    request = root / f"rad69-{len(images)}.bin"
    request.write_bytes(b"".join(chunks))
    return [
        Fetch("WADO-RS", ("-o", "/dev/null", "-H", f"Accept: {ACCEPT}", url)),
        Fetch(
            "RAD-69",
            ("-o", "/dev/null", "-H", f"Content-Type: {content_type}", "--data-binary", f"@{request}",
             box["xds_imaging"]),
        ),
    ]  # fmt: skip


def measure(fetches: list[Fetch], rounds: int, least: int) -> dict[str, float]:
    """MB/s by name: all of them in every round, so that a busy moment hits all alike."""
    found: dict[str, list[float]] = {fetch.name: [] for fetch in fetches}
    for _ in range(rounds):
        for fetch in fetches:
            found[fetch.name].append(fetch.megabytes_a_second(least))
    return {name: statistics.median(rates) for name, rates in found.items()}


def peak_mb(box: SandboxProcess) -> float:
    """Most memory that the process ever had resident."""
    text = Path(f"/proc/{box.process.pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


class Nginx:
    """nginx with a directory of files: the physical limit of HTTP on this machine."""

    def __init__(self, directory: Path, files: Path) -> None:
        directory.mkdir()
        self._port = free_port()
        self._files = files
        self._urls = directory / "urls"
        settings = directory / "nginx.conf"
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{name}_temp_path {directory}/{name};" for name in names)
        settings.write_text(
            f"daemon off; pid {directory}/pid; error_log {directory}/error.log; worker_processes 1;"
            " events { worker_connections 64; }"
            f" http {{ access_log off; sendfile on; {temporary}"
            f" server {{ listen 127.0.0.1:{self._port}; root {files}; }} }}"
        )
        self._command = [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(settings)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Fetch:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        base = f"http://127.0.0.1:{self._port}"
        lines = [f'url = "{base}/{path.name}"\noutput = "/dev/null"' for path in sorted(self._files.iterdir())]
        self._urls.write_text("\n".join(lines))
        probe = ["curl", "-s", "--retry-connrefused", "--retry", "20", "--retry-delay", "1", "-o", "/dev/null", base]
        subprocess.run(probe, check=True)
        return Fetch("nginx", ("-K", str(self._urls)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
