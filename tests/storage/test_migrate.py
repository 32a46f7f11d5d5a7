"""Revisions written from the stores build the stores' tables, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError

from hub.storage import migrate
from hub.storage.engine import Database
from hub.storage.tables import UtcDateTime, prefix_end


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty(request: pytest.FixtureRequest) -> Iterator[Database]:
    database = Database(request.getfixturevalue(f"{request.param}_url"))
    yield database
    database.dispose()


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Revisions of the test's own, beside the real environment."""
    directory = tmp_path / "migrations"
    (directory / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (directory / name).write_bytes((migrate.SCRIPTS / name).read_bytes())
    monkeypatch.setattr(migrate, "SCRIPTS", directory)
    return directory


def test_a_written_revision_builds_every_table(empty: Database, scripts: Path) -> None:
    assert migrate.current(empty) == ""
    assert migrate.pending(empty) == ()
    path = migrate.revision("All tables", empty)
    written = path.read_text(encoding="utf-8")
    assert path.parent == scripts / "versions"
    assert "sqlmodel" not in written
    assert "UtcDateTime" not in written
    (revision,) = migrate.pending(empty)
    migrate.upgrade(empty)
    assert (migrate.current(empty), migrate.pending(empty)) == (revision, ())
    assert migrate.drift(empty) == ()
    migrate.upgrade(empty)
    assert "pass" in migrate.revision("Nothing", empty).read_text(encoding="utf-8")


def test_the_packaged_revisions_are_complete(empty: Database) -> None:
    if not migrate.pending(empty):
        pytest.skip("no revision is packaged yet")
    migrate.upgrade(empty)
    assert migrate.drift(empty) == ()


def test_instants_are_aware_utc_on_every_database(empty: Database) -> None:
    table = Table("instants", MetaData(), Column("at", UtcDateTime))
    table.metadata.create_all(empty.engine)
    paris = datetime(2026, 11, 22, 1, 30, 15, 123456, tzinfo=timezone(timedelta(hours=1)))
    with empty.transaction() as work:
        work.connection.execute(insert(table), [{"at": paris}, {"at": None}])
    with empty.reading() as work:
        found = work.connection.execute(select(table.c.at)).scalars().all()
        assert set(found) == {datetime(2026, 11, 22, 0, 30, 15, 123456, tzinfo=UTC), None}
        assert all(value is None or value.tzinfo is UTC for value in found)
    with empty.transaction() as work, pytest.raises(StatementError):
        work.connection.execute(insert(table), {"at": paris.replace(tzinfo=None)})


def test_the_end_of_a_prefix() -> None:
    assert prefix_end("DU") == "DV"
    assert sorted(["DV", "DUZZZ", "DU", "DT"]) == ["DT", "DU", "DUZZZ", prefix_end("DU")]
