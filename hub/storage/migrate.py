"""Migrations: Alembic, driven from here, its scripts packaged beside this module."""

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import hub
from hub.storage.engine import Database
from hub.storage.tables import METADATA, put_guards

SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 7_001_001  # PostgreSQL advisory lock: several processes that start at once migrate one after the other


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the database's tables up to date (or to the revision), in one transaction."""
    with _connection(database) as connection:
        command.upgrade(_config(connection), revision)
        if revision == "head":
            load_stores()
            put_guards(connection)


def current(database: Database) -> str:
    """The revision that the database is at; "" for an empty one."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def pending(database: Database) -> tuple[str, ...]:
    """Revisions that ``upgrade`` would apply, the first first."""
    script = ScriptDirectory.from_config(_config(None))
    at = current(database) or "base"
    return tuple(reversed([entry.revision for entry in script.iterate_revisions("head", at)]))


def drift(database: Database) -> tuple[str, ...]:
    """How the database differs from the tables that the stores declare: empty when the migrations are complete."""
    load_stores()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": METADATA})
        return tuple(repr(difference) for difference in compare_metadata(context, METADATA))


def revision(message: str, database: Database) -> Path:
    """For developers: write the next revision, from the difference between the database (at head) and the stores."""
    with _connection(database) as connection:
        made = command.revision(_config(connection), message=message, autogenerate=True)
    if made is None or isinstance(made, list):
        raise RuntimeError("Alembic wrote no single revision")
    return Path(made.path)


def load_stores() -> None:
    """Import every room's store: their tables then are in the metadata. No list is kept."""
    for info in pkgutil.walk_packages(hub.__path__, prefix="hub."):
        if info.name.rpartition(".")[2].startswith("store"):
            importlib.import_module(info.name)


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _connection(database: Database) -> Iterator[Connection]:
    """A connection inside one transaction, alone in migrating."""
    with database.engine.connect() as connection:
        if not database.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection
            connection.commit()
            return
        # SQLite alters a table by copying it: references to the old one must not be followed meanwhile. The switch
        # has no effect inside a transaction.
        raw: Any = connection.connection.driver_connection
        raw.execute("PRAGMA foreign_keys=OFF")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                raise RuntimeError("the migration leaves rows that refer to nothing")
            connection.commit()
        finally:
            connection.rollback()
            raw.execute("PRAGMA foreign_keys=ON")
