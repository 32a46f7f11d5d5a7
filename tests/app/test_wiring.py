"""The hub in one process: starts with any roles, stops cleanly, says what can't work."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hub.app.commands.ask import ask_health
from hub.app.settings.model import DimsePort, HealthPort, Mllp, Settings, Storage, Web
from hub.app.settings.roles import Role
from hub.app.web.server import CannotListen
from hub.app.wiring import Hub, TablesBehind
from hub.storage import migrate


def settings(directory: Path, **more: object) -> Settings:
    values = {
        "web": Web(port=0),
        "mllp": Mllp(port=0),
        "dimse": DimsePort(port=0),
        "health": HealthPort(port=0),
        "storage": Storage(database=f"sqlite:///{directory / 'hub.sqlite'}", content=directory / "content"),
        **more,
    }
    return Settings.model_validate(values)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_all_roles_start_and_leave_no_thread_behind(tmp_path: Path) -> None:
    before = {thread.name for thread in threading.enumerate()}
    hub = Hub(settings(tmp_path))
    hub.start()
    try:
        assert hub.health().ready, hub.health().document()
        assert httpx.get(f"{hub.public_url()}/fhir/metadata").json()["fhirVersion"] == "4.0.1"
        assert len(list(hub.addresses())) == 3
    finally:
        hub.stop()
    left = {thread.name for thread in threading.enumerate() if not thread.name.startswith(("AnyIO", "exchange-leases"))}
    assert left <= before
    assert list((tmp_path / "content" / "series").iterdir()) == []


def event_loops() -> int:
    """How many of them hold descriptors in this process."""
    kinds = (str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return sum(kind == "anon_inode:[eventpoll]" for kind in kinds)


@pytest.mark.parametrize("role", [None, *Role])
def test_what_does_not_listen_holds_no_descriptors(tmp_path: Path, role: Role | None) -> None:
    """A process of one role makes the others' servers and starts none of them. None: it was not started at all."""
    before = event_loops()
    hub = Hub(settings(tmp_path))
    if role is not None:
        hub.start({role})
        hub.stop()
    assert event_loops() == before


@pytest.mark.parametrize("role", [Role.MLLP, Role.DIMSE, Role.WORKER])
def test_a_process_without_web_tells_its_health(tmp_path: Path, role: Role, free_port: int) -> None:
    told = settings(tmp_path, health=HealthPort(port=free_port), web=Web(port=1))
    hub = Hub(told)
    hub.start({role})
    try:
        ready, document = ask_health(told)
        assert ready, document
        assert httpx.get(f"http://127.0.0.1:{free_port}/fhir/metadata").status_code == 404
    finally:
        hub.stop()


@pytest.mark.parametrize("name", ["web", "mllp", "dimse"])
def test_a_taken_port_is_told(tmp_path: Path, taken: int, name: str) -> None:
    kinds = {"web": Web, "mllp": Mllp, "dimse": DimsePort}
    hub = Hub(settings(tmp_path, **{name: kinds[name](port=taken)}))
    with pytest.raises(CannotListen, match=str(taken)):
        hub.start()


@pytest.mark.postgresql
def test_tables_of_an_earlier_version_are_not_changed_by_a_start(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(settings(tmp_path, storage=Storage(database=postgresql_url, content=tmp_path / "content")))
    try:
        hub.prepare()  # an empty database is set up
        hub.prepare()
        monkeypatch.setattr(migrate, "pending", lambda _database: ("a later revision",))
        with pytest.raises(TablesBehind, match="db upgrade"):
            hub.prepare()
    finally:
        hub.stop()
