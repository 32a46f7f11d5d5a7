"""The database: one engine, units of work that join the one that is already open, hooks for what lies beside it.

SQLite (WAL, full synchronisation, one writer) is the embedded default, PostgreSQL the production database.
"""

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from hub.storage import postgresql
from hub.storage.checkpoints import MOST_PAGES
from hub.storage.columns import json_text, json_value
from hub.storage.prepared import Prepared, write
from hub.storage.promises import MOST, Promise, Promises, begun
from hub.storage.tables import METADATA, put_guards
from hub.storage.writer import SharedWriter

Hook = Callable[[], None]
Values = dict[str, Any]
#: psycopg's own preparing is off: on a rollback it would forget all that is prepared, ours as well.
POSTGRESQL = {"connect_args": {"prepare_threshold": None}}
#: PostgreSQL took a unit of work back because of another one: serialization_failure, deadlock_detected.
_CONFLICTS = frozenset({"40001", "40P01"})
SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=30000",
    "cache_size=-16384",  # KiB of each connection; who writes has more (SharedWriter)
    f"wal_autocheckpoint={MOST_PAGES}",
)


class UnitOfWork:
    """What is committed together. ``connection`` is for the rooms' stores only."""

    def __init__(self, connection: Connection, *, writing: bool) -> None:
        self.connection = connection
        self.writing = writing
        self._committed: list[Hook] = []
        self._rolled_back: list[Hook] = []
        self._later: dict[Prepared, list[Any]] = {}
        self.held: set[str] = set()  #: names that are locked till the end, for stores that lock
        self.absent: set[tuple[Any, ...]] = set()  #: keys that are known not to be there, for stores that looked ahead
        self.notes: dict[Any, Any] = {}  #: what a service found out ahead of its use cases
        self.joined = nullcontext(self)  #: for those who join it

    def later(self, statement: Prepared, values: Values) -> Values:
        """Execute an insert at the end of the unit of work, with others of its kind; ``values`` may change till then.

        For rows that nothing reads before: ``flush`` is for those who do."""
        self._later.setdefault(statement, []).append(values)
        return values

    def rows_later(self, statement: Prepared, rows: Iterable[tuple[Any, ...]]) -> None:
        """As ``later``, for rows of values in the order of the statement's parameters."""
        self._later.setdefault(statement, []).extend(rows)

    def waiting(self, statement: Prepared) -> list[Values]:
        """What ``later`` holds of a statement."""
        return self._later.get(statement, [])

    def flush(self, *, last: bool = False) -> None:
        """Execute what ``later`` holds. ``last``: nothing comes after it; on PostgreSQL the commit goes with it."""
        if not self._later:
            return
        waiting, self._later = self._later, {}
        write(self.connection, waiting.items(), last=last)

    def on_commit(self, hook: Hook) -> None:
        """Call the hook after the outermost commit."""
        self._committed.append(hook)

    def on_rollback(self, hook: Hook) -> None:
        """Call the hook if the whole unit of work is rolled back: removes what was written beside the database."""
        self._rolled_back.append(hook)

    def finished(self, *, committed: bool) -> None:
        """Run the hooks."""
        for hook in self._committed if committed else reversed(self._rolled_back):
            hook()


class Database:
    """An engine and its units of work."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed
        self.sqlite = parsed.get_backend_name() == "sqlite"
        options: dict[str, Any] = {} if self.sqlite else POSTGRESQL
        self.engine: Engine = create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size * 3,
            pool_use_lifo=True,  # the one that was used last has the statements prepared, its server their plans
            json_serializer=json_text,
            json_deserializer=json_value,
            hide_parameters=True,  # they are patients' data: not for logs and tracebacks
            **options,
        )
        self._current: contextvars.ContextVar[UnitOfWork | None] = contextvars.ContextVar("unit_of_work", default=None)
        self._promises: contextvars.ContextVar[Promises | None] = contextvars.ContextVar("promises", default=None)
        self._places = threading.BoundedSemaphore(MOST)
        self.writer = SharedWriter(self.engine)  # SQLite's; PostgreSQL shares flushes between connections itself
        self._write = self.writer.unit if self.sqlite else self.engine.begin
        if self.sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
        else:
            event.listen(self.engine, "checkin", postgresql.given_back)
            event.listen(self.engine, "checkout", postgresql.look_at)

    def transaction(self) -> AbstractContextManager[UnitOfWork]:
        """A unit of work that may write. Joins the one that is open in this thread of control."""
        current = self._current.get()
        return current.joined if current is not None and current.writing else self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[UnitOfWork]:
        work: UnitOfWork | None = None
        if promises := self._promises.get():
            promises.settle()
        try:
            with self._write() as connection:
                work = UnitOfWork(connection, writing=True)
                with self._as_current(work):
                    yield work
                    work.flush(last=True)
        except BaseException:
            if work is not None:
                work.finished(committed=False)
            raise
        # The connection is back in the pool: a hook may use the database.
        work.finished(committed=True)

    @property
    def current(self) -> UnitOfWork | None:
        """The unit of work that is open in this thread of control; what waits in it may not be written yet."""
        return self._current.get()

    def reading(self) -> AbstractContextManager[UnitOfWork]:
        """A unit of work that only reads; sees what an open one of this thread of control has written."""
        current = self._current.get()
        if current is None:
            return self._reading()
        current.flush()
        return current.joined

    @contextmanager
    def _reading(self) -> Iterator[UnitOfWork]:
        with self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            if self.sqlite:
                driver.execute("BEGIN")
            work = UnitOfWork(connection, writing=False)
            token = self._current.set(work)
            try:
                with nullcontext() if self.sqlite else postgresql.without_transaction(driver):
                    yield work
            finally:
                self._current.reset(token)

    @contextmanager
    def _as_current(self, work: UnitOfWork) -> Iterator[None]:
        token = self._current.set(work)
        try:
            yield
        finally:
            self._current.reset(token)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Within it ``promptly`` need not wait for the disk: the end does, and any other unit of work that writes."""
        promises = Promises()
        token = self._promises.set(promises)
        try:
            yield
        finally:
            self._promises.reset(token)
            promises.settle()

    @contextmanager
    def promptly(self) -> Iterator[UnitOfWork]:
        """As ``transaction``, of few rows: others that want to write the same ones see at its end that they are there.
        Within ``holding`` it is durable later."""
        promises = self._promises.get()
        free = promises is not None and self._current.get() is None and self._places.acquire(blocking=False)
        if promises is None or not free:
            with self.transaction() as joined:
                yield joined
            return
        work: UnitOfWork | None = None
        try:
            with self._write_later() as (connection, wait):
                work = UnitOfWork(connection, writing=True)
                with self._as_current(work):
                    yield work
                    work.flush()
        except BaseException:
            self._places.release()
            if work is not None:
                work.finished(committed=False)
            raise
        promises.append(Promise(wait, partial(self._settled, work)))

    def _write_later(self) -> AbstractContextManager[tuple[Connection, Hook]]:
        return self.writer.later() if self.sqlite else begun(self.engine)

    def _settled(self, work: UnitOfWork, committed: bool) -> None:
        self._places.release()
        work.finished(committed=committed)

    def create_all(self) -> None:
        """All tables of the loaded stores at once: for tests; a real database is built by the migrations."""
        with self.engine.begin() as connection:
            METADATA.create_all(connection)
            put_guards(connection)

    def dispose(self) -> None:
        """Close every connection."""
        self.writer.checkpoints.close()
        self.engine.dispose()


def is_conflict(error: BaseException) -> bool:
    """Whether a unit of work was taken back for another one's sake only: carried out again it may well succeed."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _CONFLICTS


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy opens the transaction itself (BEGIN IMMEDIATE for writers), so that no reader turns writer midway.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
