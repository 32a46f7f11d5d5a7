"""Two units of work at the same moment."""

import threading
from collections.abc import Callable

from sqlalchemy import text

from hub.storage.engine import Database
from tests.waiting import until


def meanwhile(database: Database, act: Callable[[], object]) -> threading.Thread:
    """Somebody else's unit of work: done, or waiting for the one that is open here."""
    other = threading.Thread(target=act)
    other.start()
    until(lambda: not other.is_alive() or _waits(database))
    return other


def _waits(database: Database) -> bool:
    if database.sqlite:  # one writer
        return True
    with database.engine.connect() as connection:
        asked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database "
        asked += "WHERE datname = current_database())"
        return bool(connection.execute(text(asked)).scalar_one())
