"""Every room of the built hub asks the real rights: none was forgotten when it was wired."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.access.rights import RightsService
from hub.access.rights_model import Everything
from hub.app.settings.model import Security, Settings, Storage
from hub.app.wiring import Hub
from tests.loopback import PORTS

#: Rooms and their parts that hand something out.
ASKING = (
    *("documents", "population", "imaging", "imaging.readers", "imaging.publisher", "federation", "federation.readers"),
    *("subscriptions", "communities"),
)
_DEPTH = 5


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    built = Hub(
        Settings(
            **PORTS,
            security=Security(node_authentication=False),
            storage=Storage(database=f"sqlite:///{tmp_path / 'hub.sqlite'}", content=tmp_path / "content"),
        )
    )
    yield built
    built.stop()


def parts(thing: Any, path: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The objects of the hub that hang on an object, with the way to them."""
    if id(thing) in seen or depth < 0:
        return
    seen.add(id(thing))
    yield path, thing
    if isinstance(thing, list | tuple):
        inner = {f"[{number}]": item for number, item in enumerate(thing)}
    else:
        inner = {f".{name}": item for name, item in getattr(thing, "__dict__", {}).items()}
    for name, item in inner.items():
        if isinstance(item, list | tuple) or type(item).__module__.startswith("hub."):
            yield from parts(item, path + name, depth - 1, seen)


def test_every_room_has_the_real_rights(hub: Hub) -> None:
    for path in ASKING:
        room: Any = hub
        for name in path.split("."):
            room = getattr(room, name)
        assert room.rights is hub.rights, path
    assert isinstance(hub.rights, RightsService)


def test_no_part_of_the_hub_hides_nothing(hub: Hub) -> None:
    found = [path for path, item in parts(hub, "hub", _DEPTH, set()) if isinstance(item, Everything)]
    assert found == []


def test_pull_points_ask_the_broker(hub: Hub) -> None:
    assert hub.pull_points.told == hub.subscriptions.told
