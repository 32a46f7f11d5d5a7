"""A hub that is told to stop does so within seconds, whatever its sources do."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from hub.app.settings.model import Authority, Security, Settings, Source, Storage
from hub.app.wiring import Hub
from hub.wire.lines import Lines
from tests.loopback import PORTS

#: Far below the sources' own deadlines, far above what a loaded machine needs.
PATIENCE = 60.0
FOREVER = 600.0


class Mute:
    """Takes connections and says nothing."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.taken = threading.Event()
        self._links: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                self._links.append(self.listener.accept()[0])
                self.taken.set()

    def stop(self) -> None:
        self.listener.close()
        for link in self._links:
            link.close()


@pytest.fixture
def mute() -> Iterator[Mute]:
    found = Mute()
    yield found
    found.stop()


def hub_with(directory: Path, source: Source) -> Hub:
    return Hub(
        Settings(
            authorities=(Authority(namespace=source.name, oid="1.2.250.1.999.7"),),
            sources=(source,),
            **PORTS,
            security=Security(node_authentication=False),
            storage=Storage(database=f"sqlite:///{directory / 'hub.sqlite'}", content=directory / "content"),
        )
    )


@pytest.mark.parametrize("kind", ["dicomweb", "dimse"])
def test_a_source_that_hangs_does_not_hold_the_stop_up(tmp_path: Path, mute: Mute, kind: str) -> None:
    place: dict[str, object] = {"url": f"http://127.0.0.1:{mute.port}/dicom-web"}
    if kind == "dimse":
        place = {"host": "127.0.0.1", "port": mute.port, "ae_title": "MUTE"}
    config = place | {"timeout": FOREVER}
    hub = hub_with(tmp_path, Source(name="MUTE", kind=kind, deadline=FOREVER, config=config))
    hub.start()
    url = f"{hub.public_url()}/dicom-web/studies/1.2.3/metadata"
    asking = threading.Thread(target=_ask, args=(url,), daemon=True)
    asking.start()
    assert mute.taken.wait(PATIENCE)
    began = time.monotonic()
    hub.stop()
    assert time.monotonic() - began < PATIENCE
    asking.join(PATIENCE)
    assert not asking.is_alive()


def _ask(url: str) -> None:
    with suppress(httpx.HTTPError):
        httpx.get(url, headers={"Accept": "application/dicom+json"}, timeout=FOREVER)


def test_lines_are_cut_while_they_connect_and_while_they_read(mute: Mute) -> None:
    lines = Lines()
    line = lines.line()
    link = line.connect(("127.0.0.1", mute.port), 30)
    reading: list[bytes] = []
    thread = threading.Thread(target=lambda: reading.append(link.recv(1)))
    thread.start()
    lines.cut()
    thread.join(PATIENCE)
    assert reading == [b""]
    with pytest.raises(OSError, match="closed"):
        lines.line().connect(("127.0.0.1", mute.port), 30)
    line.close()
    link.close()


def test_a_closed_line_really_ends(mute: Mute) -> None:
    lines = Lines()
    with lines.line() as line:
        link = line.connect(("127.0.0.1", mute.port), 30)
        assert mute.taken.wait(PATIENCE)
        link.close()
    (other,) = mute._links
    other.settimeout(PATIENCE)
    assert other.recv(1) == b"", "a twin is left open"
