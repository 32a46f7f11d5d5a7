"""``maillage doctor database``: what is wrong with the database, in words."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from ruamel.yaml import YAML
from typer.testing import CliRunner

from hub.app.commands.main import app
from hub.app.outside.database_doctor import examine
from hub.app.settings.model import Settings, Storage
from hub.storage import migrate
from hub.storage.advice import ADVISED, advise
from hub.storage.engine import Database
from hub.testing.postgres import PostgresqlServer

ROOT = Path(__file__).parents[2]
ALWAYS, NEVER = 0, 2**60  #: from so many bytes on a database is large
DURABLE = ["fsync", "full_page_writes", "synchronous_commit"]

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def region(postgresql_server: PostgresqlServer) -> Iterator[PostgresqlServer]:
    """A server that is set up as it is advised."""
    del postgresql_server  # skips where PostgreSQL is missing
    with PostgresqlServer(durable=True) as server:
        yield server


@pytest.fixture
def url(region: PostgresqlServer) -> Iterator[str]:
    name = region.create_database()
    yield region.url(name)
    region.drop_database(name)


def wrong(url: str, large: int) -> list[str]:
    database = Database(url)
    try:
        return [found.text for found in advise(database, large) if not found.good]
    finally:
        database.dispose()


def test_a_server_as_it_is_advised(url: str) -> None:
    assert wrong(url, ALWAYS) == []


def test_what_may_lose_messages_is_told(url: str) -> None:
    name = url.rpartition("/")[2]
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)))
    assert wrong(url, NEVER) == ["synchronous_commit is off: what was acknowledged may be lost. Set it to on."]


def test_small_settings_are_too_little_for_a_region(postgresql_url: str) -> None:
    told = wrong(postgresql_url, ALWAYS)
    assert [text.split()[0] for text in told] == [*DURABLE, *ADVISED]
    assert "shared_buffers is 64MB: too little for it. Set it to 2GB, or more." in told


def test_a_small_database_does_with_the_defaults(postgresql_url: str) -> None:
    assert [text.split()[0] for text in wrong(postgresql_url, NEVER)] == DURABLE


def test_the_command(url: str, tmp_path: Path) -> None:
    settings = tmp_path / "maillage.toml"
    settings.write_text(f'[storage]\ndatabase = "{url}"\n')
    before = CliRunner().invoke(app, ["doctor", "database", "--settings", str(settings)])
    assert before.exit_code == 1, before.output
    assert "run maillage db upgrade" in before.output
    database = Database(url)
    migrate.upgrade(database)
    database.dispose()
    after = CliRunner().invoke(app, ["doctor", "database", "--settings", str(settings)])
    assert after.exit_code == 0, after.output
    assert "wrong" not in after.output


def test_sqlite_has_the_hubs_own_settings(tmp_path: Path) -> None:
    found = list(examine(Settings(storage=Storage(database=f"sqlite:///{tmp_path / 'hub.sqlite'}"))))
    assert [finding.good for finding in found] == [True, False]


def test_the_compose_file_and_the_page_say_the_same() -> None:
    compose = YAML(typ="safe").load((ROOT / "docker/compose.yaml").read_text())
    told = compose["services"]["postgres"]["command"]
    page = (ROOT / "docs/howto/install.md").read_text()
    for name, value in ADVISED.items():
        assert f"{name}={value}" in told
        assert f"{name} = {value}" in page
