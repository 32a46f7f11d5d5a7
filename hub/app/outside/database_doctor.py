"""What is wrong with the database of [storage], in words."""

from collections.abc import Iterator

from hub.app.keys.doctor import Finding
from hub.app.settings.model import Storage
from hub.storage import migrate
from hub.storage.advice import advise
from hub.storage.engine import Database


def examine(settings: Storage) -> Iterator[Finding]:
    """Each thing that was looked at."""
    database = Database(settings.database)
    try:
        waiting = len(migrate.pending(database))
        yield Finding(True, f"The database answers: {'SQLite' if database.sqlite else 'PostgreSQL'}.")
        behind = f"The tables are {waiting} revision(s) behind this version: run maillage db upgrade."
        yield Finding(not waiting, behind if waiting else "The tables are those of this version.")
        yield from (Finding(advice.good, advice.text) for advice in advise(database))
    finally:
        database.dispose()
