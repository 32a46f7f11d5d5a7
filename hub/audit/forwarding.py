"""The trail on its way to others: how far each destination has it. Nothing is lost, the order is kept.

There is no copy: a destination is a place in the chain. Who sends takes the turn for a while, so that only one process
of several sends; what was sent before a process died is sent again."""

from collections.abc import Sequence
from datetime import timedelta

from hub.audit.model import Aside, AuditRecord, Lag
from hub.audit.store import AuditStore
from hub.audit.store_trail import TrailStore
from hub.storage.engine import Database
from hub.values import new_key


class Forwarding:
    """``destinations``: their names. One object is one process's. ``turn``: how long nobody else may send."""

    def __init__(self, database: Database, destinations: Sequence[str]) -> None:
        self.database = database
        self.destinations = tuple(destinations)
        self.turn = timedelta(seconds=60)
        self._owner = new_key()

    def open(self, destination: str, *, history: bool) -> None:
        """A destination is sent to from now on. ``history``: a new one gets what is kept already as well."""
        with self.database.transaction() as work:
            position = 0 if history else AuditStore(work).head()[0]
            TrailStore(work).open_cursor(destination, position)

    def next(self, destination: str, limit: int) -> list[tuple[int, AuditRecord]]:
        """The next records, with their places in the chain; none where another process has the turn."""
        with self.database.reading() as work:
            if not self._due(work_head=AuditStore(work).head()[0], lags=TrailStore(work).lags([destination], 0)):
                return []
        with self.database.transaction() as work:
            position = TrailStore(work).take(destination, self._owner, self.turn)
        if position is None:
            return []
        with self.database.reading() as work:
            return AuditStore(work).read(position, limit)

    def sent(self, destination: str, position: int) -> None:
        """Everything up to this place was sent."""
        with self.database.transaction() as work:
            TrailStore(work).sent(destination, self._owner, position)

    def failed(self, destination: str, problem: str, refused: int | None = None) -> None:
        """It failed. ``problem``: a safe sentence; ``refused``: the record that was sent alone and not taken."""
        with self.database.transaction() as work:
            TrailStore(work).failed(destination, problem, refused)

    # What a destination will not take

    def set_aside(self, destination: str) -> AuditRecord | None:
        """Let the others go on without the record that the destination refuses: it is kept, and can be sent again.
        None: there is none."""
        with self.database.transaction() as work:
            position = TrailStore(work).set_aside(destination)
            return AuditStore(work).read(position - 1, 1)[0][1] if position is not None else None

    def asides(self) -> list[tuple[Aside, AuditRecord]]:
        """What is set aside, with the records."""
        with self.database.reading() as work:
            found = TrailStore(work).asides(self.destinations)
            return [(item, AuditStore(work).read(item.position - 1, 1)[0][1]) for item in found]

    def send_again(self, destination: str) -> int:
        """Have sent again what is set aside; how many."""
        with self.database.transaction() as work:
            return TrailStore(work).send_again(destination)

    def again(self, destination: str) -> list[tuple[int, AuditRecord]]:
        """What is to be sent again, one by one; none where another process has the turn."""
        with self.database.reading() as work:
            due = [item.position for item in TrailStore(work).asides([destination]) if item.again]
        if not due:
            return []
        with self.database.transaction() as work:
            if TrailStore(work).take(destination, self._owner, self.turn) is None:
                return []
        with self.database.reading() as work:
            return [AuditStore(work).read(position - 1, 1)[0] for position in due]

    def tried_again(self, destination: str, position: int, problem: str = "") -> None:
        """One was sent again; ``problem``: it was refused again."""
        with self.database.transaction() as work:
            TrailStore(work).tried_again(destination, position, problem)

    def release(self) -> None:
        """Another process may send."""
        with self.database.transaction() as work:
            for destination in self.destinations:
                TrailStore(work).release(destination, self._owner)

    def lags(self) -> list[Lag]:
        """How far each destination is behind; one that nothing was sent to yet is told, too."""
        with self.database.reading() as work:
            head = AuditStore(work).head()[0]
            known = {lag.destination: lag for lag in TrailStore(work).lags(self.destinations, head)}
        return [known.get(name) or Lag(name, head, 0) for name in sorted(self.destinations)]

    @staticmethod
    def _due(*, work_head: int, lags: Sequence[Lag]) -> bool:
        return any(lag.position < work_head for lag in lags)
