"""Bearer tokens that are not listed: the hub's own signed ones, and those of a provider."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.app.rooms import Rooms


def open_door(rooms: "Rooms") -> None:
    """Nothing is asked for yet."""
