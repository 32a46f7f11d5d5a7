"""SQLite's log is copied to its place beside the writers, and begins anew."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import run

import pytest
from sqlalchemy import text

from hub.storage.checkpoints import Checkpoints
from hub.storage.engine import Database
from tests.waiting import until

ROWS = 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{path}")
    database.writer.checkpoints = Checkpoints(database.engine, ROWS)
    with database.transaction() as work:
        work.connection.execute(text("CREATE TABLE made (number INTEGER PRIMARY KEY, body BLOB)"))
    yield database
    database.dispose()


def write(database: Database, rows: int, size: int = 10) -> None:
    many = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows) "
        "INSERT INTO made (body) SELECT randomblob(:size) FROM n"
    )
    with database.transaction() as work:
        work.connection.execute(many, {"rows": rows, "size": size})


def in_place(path: Path) -> int:
    """Rows in the database's file without its log. Another process copies it: closing it here would drop locks."""
    alone = path.with_name("alone.sqlite")
    run([shutil.which("cp") or "cp", str(path), str(alone)], check=True)
    try:
        with sqlite3.connect(alone) as connection:
            return int(connection.execute("SELECT count(*) FROM made").fetchone()[0])
    except sqlite3.DatabaseError:  # no table yet, or copied while it was written
        return 0
    finally:
        alone.unlink()


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def test_what_many_rows_changed_is_copied_to_its_place(database: Database, path: Path) -> None:
    write(database, ROWS - 1)
    assert in_place(path) == 0
    write(database, 1)
    until(lambda: in_place(path) == ROWS)
    write(database, ROWS - 1)
    assert in_place(path) == ROWS
    write(database, 1)
    until(lambda: in_place(path) == 2 * ROWS)


def test_what_is_taken_back_counts_for_nothing(database: Database, path: Path) -> None:
    with suppress(ZeroDivisionError), database.transaction():
        write(database, ROWS)
        raise ZeroDivisionError
    write(database, ROWS - 1)
    assert in_place(path) == 0


def test_the_log_begins_anew_while_others_write_on(database: Database, path: Path) -> None:
    most = 0
    for _ in range(240):
        write(database, ROWS, 3_500)
        most = max(most, log_of(path).stat().st_size)
    assert most < 2 * 16_000 * 4_096 < path.stat().st_size


def test_with_the_last_connection_the_log_goes(database: Database, path: Path) -> None:
    write(database, ROWS)
    until(lambda: in_place(path) == ROWS)
    database.dispose()
    assert not log_of(path).exists()
    write(database, ROWS)  # a database may be used again
    until(lambda: in_place(path) == 2 * ROWS)
    database.dispose()
    assert not log_of(path).exists()
