"""One hub with node authentication, one without; after every test both must still be well."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hub.testing.sandbox import SandboxProcess
from tests.interop.by_hand import Integrator

#: Stands where a patient's data would stand in every hostile input: never to be seen in an answer or in the log.
SECRET = "ZZSECRETNAME"
MEMORY = 600 * 1024 * 1024  #: what the process may have taken at most, ever
TRACE = re.compile(r'Traceback|File "/|\.py:\d+ in |\.py", line \d+|lxml\.|sqlalchemy|psycopg|/work|site-packages')


def memory(box: SandboxProcess, field: str = "VmHWM") -> int:
    """Bytes: VmRSS now, VmHWM at the worst moment."""
    status = Path(f"/proc/{box.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{field}:"))


def clean(text: str) -> None:
    """Neither patient data nor the insides of the hub."""
    assert SECRET not in text
    found = TRACE.search(text)
    assert found is None, text[max(0, found.start() - 500) : found.end() + 500]


@pytest.fixture(scope="session")
def guarded_box() -> Iterator[SandboxProcess]:
    with SandboxProcess() as box:
        yield box


@pytest.fixture(scope="session")
def opened_box() -> Iterator[SandboxProcess]:
    with SandboxProcess("--open") as box:
        yield box


def _well(box: SandboxProcess) -> Iterator[Integrator]:
    with Integrator(box) as system:
        yield system
        root = box["portal"].removesuffix("/portal")
        assert system.http.get(f"{root}/health/ready", timeout=20).json()["status"] == "ready"
        assert system.http.get(f"{box['fhir']}/ImagingStudy", timeout=20).status_code == 200
    assert memory(box) < MEMORY
    clean(box.log)
    assert " ERROR " not in box.log, box.log[-3000:]


@pytest.fixture
def guarded(guarded_box: SandboxProcess) -> Iterator[Integrator]:
    """A system before a hub that wants a token or a certificate."""
    yield from _well(guarded_box)


@pytest.fixture
def opened(opened_box: SandboxProcess) -> Iterator[Integrator]:
    """A system before a hub that asks for nothing."""
    yield from _well(opened_box)


class Operator:
    """Somebody at the operator's pages."""

    def __init__(self, box: SandboxProcess) -> None:
        self.http = httpx.Client(base_url=box["portal"].removesuffix("/portal"), follow_redirects=True, timeout=30)
        form = self.http.get("/portal/sign-in").text
        fields = {"csrf": _csrf(form), "login": box["portal_user"], "password": box["portal_password"]}
        assert self.http.post("/portal/sign-in", data=fields).status_code == 200

    def messages(self) -> str:
        """The page of messages."""
        return self.http.get("/portal/operator/messages").text


def _csrf(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None, page
    return found.group(1)


@pytest.fixture
def operator(opened_box: SandboxProcess) -> Iterator[Operator]:
    someone = Operator(opened_box)
    yield someone
    someone.http.close()
