"""The database: one engine, units of work that join the one that is already open, hooks for what lies beside it.

SQLite (WAL, full synchronisation, one writer) is the embedded default, PostgreSQL the production database.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlmodel import Session

from hub.storage.tables import METADATA

Hook = Callable[[], None]
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000", "cache_size=-65536")


class UnitOfWork:
    """One transaction of the database. ``session`` is for the rooms' stores only."""

    def __init__(self, session: Session, *, writing: bool) -> None:
        self.session = session
        self.writing = writing
        self._committed: list[Hook] = []
        self._rolled_back: list[Hook] = []

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
        self.engine: Engine = create_engine(parsed, pool_size=pool_size, max_overflow=pool_size * 3, **options)
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
        with Session(self.engine, expire_on_commit=False) as session:
            if self.sqlite:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
            work = UnitOfWork(session, writing=writing)
            token = self._current.set(work)
            try:
                yield work
                if writing:
                    session.commit()
                else:
                    session.rollback()
            except BaseException:
                session.rollback()
                self._current.reset(token)
                work.finished(committed=False)
                raise
            self._current.reset(token)
            if writing:
                work.finished(committed=True)

    def create_all(self) -> None:
        """All tables of the loaded stores at once: for tests; a real database is built by the migrations."""
        METADATA.create_all(self.engine)

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


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
