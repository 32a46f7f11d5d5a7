"""What stops a command from outside is told in one sentence, exit code 1: no traceback, no secret."""

import logging
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.app.commands.main import main
from hub.app.running.logs import OURS, TRUSTED
from hub.app.sandbox.hub import Options, Sandbox, SandboxOption

SETTINGS = """
[web]
port = 0
[mllp]
port = 0
[dimse]
port = 0
[storage]
database = "{database}"
content = "{content}"
"""


class Typed:
    """A command line, run here."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys
        self.file = directory / "maillage.toml"
        self.directory = directory

    def settings(self, database: str) -> None:
        """What the file says."""
        self.file.write_text(SETTINGS.format(database=database, content=self.directory / "content"))

    def run(self, *command: str, code: int = 1) -> str:
        """What it says."""
        self.monkeypatch.setattr(sys, "argv", ["maillage", *command, "--settings", str(self.file)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code
        said = self.capsys.readouterr()
        return said.out + said.err


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Typed]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Typed(tmp_path, monkeypatch, capsys)
    root.handlers[:] = handlers  # the command's own writes to what pytest closes
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for name in (*OURS, *TRUSTED):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize("command", [("serve",), ("db", "current"), ("audit", "verify")])
def test_a_database_that_does_not_answer(typed: Typed, command: tuple[str, ...]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listened on
        typed.settings(f"postgresql://maillage:hidden@127.0.0.1:{nobody.getsockname()[1]}/maillage")
        said = typed.run(*command)
    assert "database-unreachable" in said
    assert "hidden" not in said


def test_a_database_of_another_kind(typed: Typed) -> None:
    typed.settings("mysql://maillage:hidden@127.0.0.1/maillage")
    said = typed.run("check")
    assert "storage.database: must be sqlite" in said
    assert "hidden" not in said


def test_a_database_of_a_newer_program(typed: Typed, tmp_path: Path) -> None:
    typed.settings(f"sqlite:///{tmp_path}/there/hub.sqlite")
    assert "upgraded" in typed.run("db", "upgrade", code=0)
    with closing(sqlite3.connect(tmp_path / "there/hub.sqlite")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffff00000000'")
    for command in (("serve",), ("db", "current"), ("db", "upgrade")):
        assert "tables-ahead" in typed.run(*command)


def test_a_directory_that_can_not_be_made(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    typed.settings(f"sqlite:///{tmp_path}/file/hub.sqlite")
    assert "file-unusable" in typed.run("db", "upgrade")


def test_a_file_that_is_not_there(typed: Typed) -> None:
    assert "maillage.toml can't be read" in " ".join(typed.run("check").split())


@pytest.mark.parametrize(
    ("option", "options"),
    [
        ("--affinity-domain", Options(affinity_domains=("abc",))),
        ("--affinity-domain", Options(affinity_domains=("1.2.3", "abc"))),
        ("--repository-id", Options(repository_id="1.2.x")),
        ("--home-community", Options(home_community="urn:oid:1")),
        ("--db", Options(database="mysql://x")),
        ("--source", Options(sources=("nothing",))),
        ("--community", Options(communities=("nothing",))),
        ("--authorities", Options(authorities=Path("nowhere.json"))),
    ],
)
def test_the_sandbox_names_the_option(option: str, options: Options) -> None:
    with pytest.raises(SandboxOption) as refused:
        Sandbox(options)
    assert refused.value.location == option
    assert not refused.value.message.startswith("Value error")
