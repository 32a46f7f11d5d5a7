"""``maillage db``: the database's tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from hub.app.commands.options import SettingsOption
from hub.app.settings import file as settings_file
from hub.storage import migrate
from hub.storage.engine import Database

db = typer.Typer(no_args_is_help=True, help="The database: bring its tables up to date, tell where they are.")
out = Console(soft_wrap=True)


@db.command("upgrade")
def db_upgrade(settings: SettingsOption = None) -> None:
    """Bring the database's tables up to this version. Safe to run twice, and by several processes at once."""
    with _database(settings) as database:
        waiting = migrate.pending(database)
        migrate.upgrade(database)
        out.print(f"upgraded by {len(waiting)} revision(s), now at {migrate.current(database) or 'nothing'}")


@db.command("current")
def db_current(settings: SettingsOption = None) -> None:
    """Tell the revision of the database's tables, and what an upgrade would apply. Exit code 1 if anything."""
    with _database(settings) as database:
        waiting = migrate.pending(database)
        out.print(f"at {migrate.current(database) or 'nothing'}; {len(waiting)} revision(s) to apply")
        if waiting:
            raise typer.Exit(1)


@contextmanager
def _database(settings: Path | None) -> Iterator[Database]:
    loaded = settings_file.load(settings or settings_file.default_file())
    database = Database(loaded.storage.database)
    if database.sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        yield database
    finally:
        database.dispose()
