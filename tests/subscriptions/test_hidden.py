"""What a reader may not be told leaves no gap at a pull point: neither an empty answer nor a shorter one."""

from collections.abc import Sequence

import pytest

from hub.context import Context
from hub.subscriptions.model import GetMessages, Notification
from hub.subscriptions.pull_points import PullPointService
from tests.documents.builders import entry, submit
from tests.subscriptions.room import Room


@pytest.mark.parametrize("limit", [1, 2, None])
def test_the_next_ones_come_in_the_place_of_what_is_hidden(room: Room, limit: int | None) -> None:
    point, address = room.pull_point()
    room.subscribe(to=address)
    registered = [room.register(submit(entry())).entries[0].id for _ in range(5)]
    hidden = set(registered[:3])

    def told(found: Sequence[Notification], _context: Context) -> tuple[Notification, ...]:
        return tuple(item for item in found if not hidden & {one.id for one in item.objects})

    pulled = PullPointService(database=room.database, told=told)
    got = pulled.get_messages(GetMessages(point, limit), room.context())
    assert [one.id for item in got for one in item.objects] == registered[3:][: limit or 2]
