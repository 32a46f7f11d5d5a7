"""What is wrong with the database of [storage], in words."""

from collections.abc import Iterator

from hub.app.keys.doctor import Finding
from hub.app.settings.model import Settings
from hub.documents.store_repositories import kept_under
from hub.storage import migrate
from hub.storage.advice import advise
from hub.storage.engine import Database

_SAMPLE = 1000


def examine(settings: Settings) -> Iterator[Finding]:
    """Each thing that was looked at."""
    database = Database(settings.storage.database)
    try:
        waiting = len(migrate.pending(database))
        yield Finding(True, f"The database answers: {'SQLite' if database.sqlite else 'PostgreSQL'}.")
        behind = f"The tables are {waiting} revision(s) behind this version: run maillage db upgrade."
        yield Finding(not waiting, behind if waiting else "The tables are those of this version.")
        if not waiting:
            strays = [*strayed(database, settings.region.repository_unique_id)]
            yield from (Finding(False, text) for text in strays)
            if not strays:
                yield Finding(True, "The documents kept here are registered under region.repository_unique_id.")
        yield from (Finding(advice.good, advice.text) for advice in advise(database))
    finally:
        database.dispose()


def strayed(database: Database, own: str, most: int | None = None) -> Iterator[str]:
    """What to say of documents that are kept here and name another repository: nobody can retrieve them.

    ``own``: this one's repositoryUniqueId. ``most``: how many documents are looked at."""
    with database.reading() as work:
        found = kept_under(work, most)
    for repository, count in sorted(found.items()):
        if repository != own:
            yield (
                f"region.repository_unique_id is {own}, but {count} of {sum(found.values())} documents that were "
                f"looked at are registered under {repository}: they can't be retrieved until it is set back."
            )


def strayed_at_start(database: Database, own: str) -> Iterator[str]:
    """The same of some documents, which costs the same however many there are."""
    return strayed(database, own, _SAMPLE)
