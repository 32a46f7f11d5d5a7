"""Sites of hospitals for tests and the demo: Orthanc and DCMTK's dcmqrscp, or built-in simulators in their place.

Everything listens on loopback; ports are free ones; a stopped site leaves nothing behind but its directory.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from hub.errors import HubError
from hub.testing.ports import free_port
from hub.values import AETitle
from hub.wire.dimse import client
from hub.wire.dimse.association import Association
from hub.wire.dimse.contexts import VERIFICATION, for_services, for_storage
from hub.wire.dimse.errors import NoContext
from hub.wire.dimse.part10 import pieces, read_meta

ORTHANC = ("/usr/sbin/Orthanc", "/usr/local/sbin/Orthanc", "Orthanc")
_PLUGINS = ("/usr/share/orthanc/plugins", "/usr/local/share/orthanc/plugins")


@dataclass(frozen=True, slots=True)
class DimseAddress:
    """Where a DICOM peer listens."""

    ae_title: str
    host: str
    port: int


class Site(Protocol):
    """An archive. ``dicomweb_url`` is "" when it has none."""

    kind: str
    simulated: bool
    dicomweb_url: str
    dimse: DimseAddress | None

    def store(self, files: Iterable[Path]) -> int:
        """Put files into the archive; how many it took."""
        ...

    def stop(self) -> None:
        """Stop it and wait until its ports are free."""
        ...


def send(address: DimseAddress, files: Sequence[Path], *, calling: str = "MODALITY") -> int:
    """C-STORE files to a peer; how many it took."""
    metas = []
    for path in files:
        with path.open("rb") as file:
            metas.append(read_meta(file))
    pairs = dict.fromkeys((meta["sop_class"], meta["transfer_syntax"]) for meta in metas)
    proposals = [item for sop_class, syntax in pairs for item in for_storage([sop_class], [syntax])]
    taken = 0
    with Association.request(
        (address.host, address.port), called=address.ae_title, calling=calling, proposals=proposals, idle=30.0
    ) as association:
        for path, meta in zip(files, metas, strict=True):
            with path.open("rb") as file, contextlib.suppress(client.OperationFailed, NoContext):
                read_meta(file)
                status = client.store(
                    association, meta["sop_class"], meta["sop_instance"], meta["transfer_syntax"], pieces(file)
                )
                taken += status in (0, 0xB000, 0xB006, 0xB007)
    return taken


def echoes(address: DimseAddress) -> bool:
    """Whether a peer answers C-ECHO."""
    try:
        with Association.request(
            (address.host, address.port),
            called=address.ae_title, calling="MAILLAGE", proposals=for_services([VERIFICATION]), idle=2.0,
        ) as association:  # fmt: skip
            return client.echo(association) == 0
    except HubError:
        return False


class _Process:
    """A server process of a site."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        self._log = (directory / "log.txt").open("wb")
        self._process = subprocess.Popen(
            command, cwd=directory, stdout=self._log, stderr=subprocess.STDOUT, env={**os.environ, "TCP_NODELAY": "1"}
        )

    def wait_for(self, ready: "Ready", seconds: float = 20.0) -> None:
        """Wait until the server answers. Raises RuntimeError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self._process.args!r} ended with {self._process.returncode}")
            if ready():
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self._process.args!r} did not get ready in {seconds} s")

    def stop(self) -> None:
        """End the process, the hard way after ten seconds."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()


class Ready(Protocol):
    """Whether a server answers."""

    def __call__(self) -> bool:
        """True when it does."""
        ...


class OrthancSite:
    """Orthanc with its DICOMweb and GDCM plugins. ``find_at_most``: matches of a C-FIND, 0: all."""

    kind = "orthanc"
    simulated = False

    def __init__(
        self,
        directory: Path,
        *,
        ae_title: str = "ORTHANC",
        destinations: Mapping[str, DimseAddress] | None = None,
        find_at_most: int = 0,
    ) -> None:
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        http, dicom = free_port(), free_port()
        self.rest_url = f"http://127.0.0.1:{http}"
        self.dicomweb_url = f"{self.rest_url}/dicom-web"
        self.dimse: DimseAddress | None = DimseAddress(AETitle(ae_title), "127.0.0.1", dicom)
        settings = {
            "Name": ae_title,
            "StorageDirectory": str(directory / "db"),
            "IndexDirectory": str(directory / "db"),
            "HttpPort": http,
            "DicomPort": dicom,
            "DicomAet": ae_title,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "UnknownSopClassAccepted": True,
            "LimitFindResults": find_at_most,
            "DicomModalities": {
                name: [item.ae_title, item.host, item.port] for name, item in (destinations or {}).items()
            },
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
            "Plugins": [str(item) for item in _orthanc_plugins()],
            "StoreMD5ForAttachments": False,
            "OverwriteInstances": True,
        }
        path = directory / "orthanc.json"
        path.write_text(json.dumps(settings, indent=2))
        self._process = _Process([orthanc_path() or "Orthanc", str(path)], directory)
        self._process.wait_for(self._ready)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.rest_url}/system", timeout=2.0, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def add_destination(self, name: str, address: DimseAddress) -> None:
        """Make a DICOM peer known as a C-MOVE destination."""
        answer = httpx.put(
            f"{self.rest_url}/modalities/{name}",
            json={"AET": address.ae_title, "Host": address.host, "Port": address.port},
            timeout=10.0,
            trust_env=False,
        )
        answer.raise_for_status()

    def store(self, files: Iterable[Path]) -> int:
        """Upload files over REST."""
        taken = 0
        with httpx.Client(base_url=self.rest_url, timeout=60.0, trust_env=False) as http:
            for path in files:
                taken += http.post("/instances", content=path.read_bytes()).status_code == 200
        return taken

    def stop(self) -> None:
        """Stop Orthanc."""
        self._process.stop()


class DcmqrscpSite:
    """DCMTK's dcmqrscp: DIMSE only, uncompressed only, destinations fixed at start."""

    kind = "dcmqrscp"
    simulated = False
    dicomweb_url = ""

    def __init__(
        self, directory: Path, *, ae_title: str = "DCMQRSCP", destinations: Mapping[str, DimseAddress] | None = None
    ) -> None:
        directory = directory.resolve()
        (directory / "db").mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.dimse: DimseAddress | None = DimseAddress(AETitle(ae_title), "127.0.0.1", port)
        hosts = "".join(
            f"{name} = ({item.ae_title}, {item.host}, {item.port})\n" for name, item in (destinations or {}).items()
        )
        path = directory / "dcmqrscp.cfg"
        path.write_text(
            f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
            f"HostTable BEGIN\n{hosts}HostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{ae_title} {directory / 'db'} RW (500, 1024mb) ANY\nAETable END\n"
        )
        self._process = _Process(["dcmqrscp", "-c", str(path)], directory)
        self._process.wait_for(self._ready)

    def _ready(self) -> bool:
        return self.dimse is not None and echoes(self.dimse)

    def store(self, files: Iterable[Path]) -> int:
        """Send files by C-STORE."""
        assert self.dimse is not None
        return send(self.dimse, list(files))

    def stop(self) -> None:
        """Stop dcmqrscp."""
        self._process.stop()


def orthanc_path() -> str | None:
    """Where Orthanc is installed."""
    return next((found for item in ORTHANC if (found := shutil.which(item))), None)


def has_orthanc() -> bool:
    """Whether Orthanc with its DICOMweb plugin is installed."""
    return orthanc_path() is not None and any("DicomWeb" in item.name for item in _orthanc_plugins())


def has_dcmtk() -> bool:
    """Whether DCMTK's tools are installed."""
    return all(shutil.which(item) for item in ("dcmqrscp", "storescu", "findscu", "getscu", "movescu", "echoscu"))


def dicomweb_site(directory: Path, *, ae_title: str = "SITEA", simulate: bool = False) -> Site:
    """An archive with DICOMweb: Orthanc, or the simulator where Orthanc is missing (or ``simulate``)."""
    if has_orthanc() and not simulate:
        return OrthancSite(directory, ae_title=ae_title)
    from hub.testing.simulators.dicomweb import DicomwebSimulator  # noqa: PLC0415 - only where it is needed

    return DicomwebSimulator(directory)


def dimse_site(
    directory: Path,
    *,
    ae_title: str = "SITEB",
    destinations: Mapping[str, DimseAddress] | None = None,
    simulate: bool = False,
) -> Site:
    """An archive with DIMSE only: dcmqrscp, or the simulator where DCMTK is missing (or ``simulate``)."""
    if has_dcmtk() and not simulate:
        return DcmqrscpSite(directory, ae_title=ae_title, destinations=destinations)
    from hub.testing.simulators.pacs import PacsSimulator  # noqa: PLC0415 - only where it is needed

    return PacsSimulator(directory, ae_title=ae_title, destinations=destinations)


def _orthanc_plugins() -> list[Path]:
    found = []
    for directory in _PLUGINS:
        for name in ("libOrthancDicomWeb.so", "libOrthancGdcm.so"):
            path = Path(directory) / name
            if path.exists():
                found.append(path)
    return found
