"""Ways to prove who one is, beside what is listed in the settings one by one: each opens its own door."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hub.app.doors import assertions as door_assertions
from hub.app.doors import certificates as door_certificates
from hub.app.doors import drimbox as door_drimbox

if TYPE_CHECKING:
    from hub.app.rooms import Rooms

#: Each adds to ``rooms.access``'s doors what the settings ask for.
DOORS: tuple[Callable[["Rooms"], None], ...] = (
    door_certificates.open_door,
    door_assertions.open_door,
    door_drimbox.open_door,
)


def open_all(rooms: "Rooms") -> None:
    """Called once the access room is there."""
    for door in DOORS:
        door(rooms)
