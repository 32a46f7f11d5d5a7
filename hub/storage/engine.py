"""The database: one engine, units of work that join the one that is already open, hooks for what lies beside it.

SQLite (WAL, full synchronisation, one writer) is the embedded default, PostgreSQL the production database.
"""

import contextvars
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from hub.storage.tables import METADATA

Hook = Callable[[], None]
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000", "cache_size=-65536")


class UnitOfWork:
    """One transaction of the database. ``connection`` and ``session`` are for the rooms' stores only."""

    def __init__(self, connection: Connection, *, writing: bool) -> None:
        self.connection = connection
        self.writing = writing
        self._session: Session | None = None
        self._committed: list[Hook] = []
        self._rolled_back: list[Hook] = []

    @property
    def session(self) -> Session:
        """A session over the connection, made when it is first asked for: hot paths use the connection itself."""
        if self._session is None:
            self._session = Session(self.connection, expire_on_commit=False)
        return self._session

    def flush(self) -> None:
        """Send to the database what the session still holds."""
        if self._session is not None:
            self._session.flush()

    def close(self) -> None:
        """Give the session back, after the transaction has ended."""
        if self._session is not None:
            self._session.close()

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
        options: dict[str, Any] = {} if self.sqlite else {"pool_pre_ping": True}
        self.engine: Engine = create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size * 3,
            hide_parameters=True,  # they are patients' data: not for logs and tracebacks
            **options,
        )
        self._current: contextvars.ContextVar[UnitOfWork | None] = contextvars.ContextVar("unit_of_work", default=None)
        # One writer at a time in this process: waiting here is fair and cheap, SQLite's own busy wait is neither.
        self._writer = threading.RLock()
        if self.sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        """A unit of work that may write. Joins the one that is open in this thread of control."""
        current = self._current.get()
        if current is not None and current.writing:
            yield current
            return
        if self.sqlite:
            with self._writer:
                yield from self._work(writing=True)
        else:
            yield from self._work(writing=True)

    @contextmanager
    def reading(self) -> Iterator[UnitOfWork]:
        """A unit of work that only reads; sees what an open one of this thread of control has written."""
        current = self._current.get()
        if current is not None:
            yield current
            return
        yield from self._work(writing=False)

    def _work(self, *, writing: bool) -> Iterator[UnitOfWork]:
        with self.engine.connect() as connection:
            transaction = connection.begin()
            if self.sqlite:
                _begin(connection, "BEGIN IMMEDIATE" if writing else "BEGIN")
            work = UnitOfWork(connection, writing=writing)
            token = self._current.set(work)
            try:
                yield work
                if writing:
                    work.flush()
                    transaction.commit()
                else:
                    transaction.rollback()
            except BaseException:
                transaction.rollback()
                self._current.reset(token)
                work.close()
                work.finished(committed=False)
                raise
            self._current.reset(token)
            work.close()
        # The connection is back in the pool: a hook may use the database.
        if writing:
            work.finished(committed=True)

    def create_all(self) -> None:
        """All tables of the loaded stores at once: for tests; a real database is built by the migrations."""
        METADATA.create_all(self.engine)

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _begin(connection: Connection, how: str) -> None:
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute(how)
    except sqlite3.OperationalError as error:  # another process kept the writer's place beyond busy_timeout
        raise OperationalError(how, None, error) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy opens the transaction itself (BEGIN IMMEDIATE for writers), so that no reader turns writer midway.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=30000",
        "cache_size=-65536",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
