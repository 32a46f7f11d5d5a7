"""Is the trail as it was written? Every record against the one before it, segments against their seals."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from hub.audit.chain import GENESIS, link, seal
from hub.audit.model import ChainState, Segment
from hub.audit.store import AuditStore, StoredRecord
from hub.audit.store_trail import TrailStore
from hub.storage.engine import UnitOfWork

_TELL_EVERY = 1_000


class Verification:
    """One check of the whole chain, as it is in a unit of work. ``noted``: position and hash of an earlier head."""

    def __init__(self, work: UnitOfWork, noted: tuple[int, str] | None, progress: Callable[[int], None]) -> None:
        self._store, self._trail = AuditStore(work), TrailStore(work)
        self._noted, self._progress = noted, progress
        self._position, self._previous = 0, GENESIS
        self._removed = 0

    def run(self) -> ChainState:
        """What is wrong, at the first place where anything is."""
        furthest = self._store.furthest()  # before the head: what is appended meanwhile stands before a later head
        last, head = self._store.head()
        broken = self._segments(self._trail.segments()) or self._records(self._store.walk(after=self._position), last)
        if broken is not None:
            return broken
        if (self._position, self._previous) != (last, head):
            return self._broken("the end of the chain is missing", self._position + 1)
        if furthest > last:
            return self._broken("records stand behind the end of the chain", self._position + 1)
        if self._noted is not None and self._noted[0] > self._position:
            return self._broken("the chain is shorter than the head that was noted", self._position + 1)
        return self._state()

    def _segments(self, segments: Iterable[Segment]) -> ChainState | None:
        before = GENESIS
        for segment in segments:
            if segment.first != self._position + 1 or segment.last < segment.first:
                return self._broken("the segments that retention removed do not follow each other", self._position + 1)
            if seal(replace(segment, seal=""), before) != segment.seal:
                return self._broken("the seal of a removed segment does not fit", segment.first)
            before = segment.seal
            self._position, self._previous = segment.last, segment.last_hash
            self._removed = segment.last
            if differs := self._differs_from_noted():
                return differs
        return None

    def _records(self, records: Iterable[StoredRecord], last: int) -> ChainState | None:
        for stored in records:
            if stored.position > last:
                break  # appended since the head was read
            reason = self._reason(stored)
            if reason:
                return self._broken(reason, self._position + 1)
            self._position, self._previous = stored.position, stored.hash
            if differs := self._differs_from_noted():
                return differs
            if stored.position % _TELL_EVERY == 0:
                self._progress(stored.position)
        return None

    def _reason(self, stored: StoredRecord) -> str:
        if stored.position != self._position + 1:
            return "records are missing"
        if link(self._previous, stored.body) != stored.hash:
            return "the record was changed"
        return "" if stored.consistent else "the record's index was changed"

    def _differs_from_noted(self) -> ChainState | None:
        if self._noted is None or self._noted[0] != self._position or self._noted[1] == self._previous:
            return None
        return self._broken("the chain is not the one whose head was noted", self._position)

    def _broken(self, reason: str, at: int) -> ChainState:
        return replace(self._state(), broken_at=at, reason=reason)

    def _state(self) -> ChainState:
        return ChainState(self._position, self._previous, removed=self._removed)
