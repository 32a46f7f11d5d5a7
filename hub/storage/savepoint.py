"""Work that may fail alone: a unit of work within the open one (SAVEPOINT)."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from hub.errors import HubError
from hub.storage.engine import Database, UnitOfWork
from hub.storage.prepared import Prepared

_BEGIN, _KEEP, _UNDO = (
    Prepared(lambda _dialect, words=words: text(f"{words} apart"))  # type: ignore[misc]
    for words in ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
)


@contextmanager
def apart(database: Database) -> Iterator[UnitOfWork]:
    """What fails with a HubError is taken back, and nothing else of the open unit of work; any other error is the
    whole one's. It knows nothing that the open one noted, as if it came after its commit."""
    outer = database.current
    if outer is None or not outer.writing:
        raise RuntimeError("no unit of work that may write is open")
    outer.flush()
    inner = UnitOfWork(outer.connection, writing=True)
    inner.held |= outer.held
    _BEGIN.run(outer.connection, {})
    try:
        with database._as_current(inner):
            yield inner
            inner.flush()
    except HubError:
        _UNDO.run(outer.connection, {})
        _KEEP.run(outer.connection, {})
        inner.finished(committed=False)
        raise
    except BaseException:
        _hand_over(inner, outer)
        raise
    _KEEP.run(outer.connection, {})
    outer.held |= inner.held
    _hand_over(inner, outer)


def _hand_over(inner: UnitOfWork, outer: UnitOfWork) -> None:
    """What must happen after the commit, or where nothing is kept."""
    outer._committed += inner._committed
    outer._rolled_back += inner._rolled_back
