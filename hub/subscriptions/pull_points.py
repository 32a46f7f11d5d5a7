"""Pull points: notifications wait there until a client fetches them (ITI-69, ITI-70)."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from hub.context import Context
from hub.exchange.store import new_id
from hub.storage.engine import Database
from hub.subscriptions.errors import PullPointNotFound, UnableToCreatePullPoint
from hub.subscriptions.model import (
    CreatePullPoint,
    DestroyPullPoint,
    GetMessages,
    Notification,
    PullPoint,
    ReceiveNotifications,
)
from hub.subscriptions.store import NotificationStore
from hub.usecase import use_case
from hub.values import new_key, now

log = logging.getLogger(__name__)

MOST_AT_ONCE = 1000
Told = Callable[[Sequence[Notification], Context], tuple[Notification, ...]]


class PullPointService:
    """``most``: pull points of one client. ``most_waiting``: notifications in one; beyond, the oldest go.

    ``told``: what of notifications the reader may read."""

    def __init__(self, *, database: Database, told: Told, most: int = 100, most_waiting: int = 10_000) -> None:
        self.told = told
        self.database = database
        self.most = most
        self.most_waiting = most_waiting

    @use_case
    def create(self, command: CreatePullPoint, context: Context) -> PullPoint:  # noqa: ARG002
        """Make a pull point for the caller (ITI TF-2: 3.69). Raises UnableToCreatePullPoint."""
        made = PullPoint(new_key(), context.principal.id, now())
        with self.database.transaction() as work:
            store = NotificationStore(work)
            if store.count_pull_points(made.owner) >= self.most:
                raise UnableToCreatePullPoint
            store.add_pull_point(made)
        context.touch("pull point", made.id)
        return made

    @use_case
    def destroy(self, command: DestroyPullPoint, context: Context) -> None:
        """Remove a pull point of the caller. Raises PullPointNotFound."""
        context.touch("pull point", command.pull_point_id)
        with self.database.transaction() as work:
            store = NotificationStore(work)
            store.remove_pull_point(_own(store, command.pull_point_id, context, lock=True).id)

    @use_case
    def get_messages(self, command: GetMessages, context: Context) -> tuple[Notification, ...]:
        """The oldest notifications of a pull point of the caller, which lets them go. Raises PullPointNotFound."""
        context.touch("pull point", command.pull_point_id)
        limit = MOST_AT_ONCE if command.limit is None else min(command.limit, MOST_AT_ONCE)
        found: tuple[Notification, ...] = ()
        with self.database.transaction() as work:
            store = NotificationStore(work)
            point = _own(store, command.pull_point_id, context).id
            while len(found) < limit:  # what may not be told leaves no gap: the next ones come in its place
                wanted = limit - len(found)
                taken = store.take(point, wanted)
                found += self.told(taken, context)
                if len(taken) < wanted:
                    break
        for item in found:
            for reference in (*(one.id for one in item.objects), *(one for one, _ in item.references)):
                context.touch("document entry", reference)
        return found

    @use_case
    def receive(self, command: ReceiveNotifications, context: Context) -> int:
        """Keep what another broker notifies (ITI TF-2: 3.53.4.1.3). Raises PullPointNotFound."""
        context.touch("pull point", command.pull_point_id)
        at = now()
        with self.database.transaction() as work:
            store = NotificationStore(work)
            if store.pull_point(command.pull_point_id, lock=True) is None:
                raise PullPointNotFound
            for item in command.notifications:
                store.add(replace(item, id=new_id(at)), at, command.pull_point_id)
            dropped = store.trim(command.pull_point_id, self.most_waiting)
        tell_dropped(dropped)
        return len(command.notifications)


def tell_dropped(count: int) -> None:
    """Nobody fetched them: WS-BaseNotification has no fault by which the subscriber could be told."""
    if count:
        log.warning("a pull point is full: %d notifications dropped", count)


def _own(store: NotificationStore, pull_point_id: str, context: Context, *, lock: bool = False) -> PullPoint:
    found = store.pull_point(pull_point_id, lock=lock)
    if found is None or found.owner != context.principal.id:
        raise PullPointNotFound
    return found
