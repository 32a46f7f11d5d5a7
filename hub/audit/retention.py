"""What is old enough leaves the trail, and a sealed segment takes its place: the chain still holds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hub.audit.chain import GENESIS, seal
from hub.audit.model import Segment
from hub.audit.store import AuditStore
from hub.audit.store_trail import TrailStore
from hub.storage.engine import Database
from hub.values import now

_AT_ONCE = 5_000


class Retention:
    """``keep``: how long a record stays; None: for ever. ``destinations``: nothing leaves before they all have it."""

    def __init__(self, database: Database, keep: timedelta | None, destinations: Sequence[str] = ()) -> None:
        self.database = database
        self.keep = keep
        self.destinations = tuple(destinations)

    def sweep(self) -> int:
        """Remove what is too old, some thousands in a unit of work; how many records left."""
        gone = 0
        while self.keep is not None:
            removed = self._segment(self.keep)
            gone += removed
            if removed < _AT_ONCE:
                break
        return gone

    def _segment(self, keep: timedelta) -> int:
        with self.database.transaction() as work:
            AuditStore(work).lock()  # one at a time: two segments can't begin at the same place
            trail = TrailStore(work)
            segments = trail.segments()
            before = segments[-1] if segments else None
            first = before.last + 1 if before else 1
            until = now() - keep
            limit = _AT_ONCE
            for lag in trail.lags(self.destinations, 0):
                limit = min(limit, lag.position - first + 1)
            for aside in trail.asides(self.destinations)[:1]:
                limit = min(limit, aside.position - first)
            found = trail.last_before(until, first - 1, limit) if limit > 0 else None
            if found is None:
                return 0
            segment = Segment(first, found[0], found[1], now(), until, "")
            return trail.remove(replace(segment, seal=seal(segment, before.seal if before else GENESIS)))
