"""A repositoryUniqueId that is no longer that of the documents which are kept: told at the start and by doctor."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.app.commands.main import app
from hub.app.outside.database_doctor import strayed, strayed_at_start
from hub.context import Context
from hub.documents.model import ProvideDocuments
from hub.storage import migrate
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from tests.documents.builders import REPOSITORY, content, entry, register, service_on, submit

OTHER = "1.2.250.1.999.1.9"


def keep(database: Database, directory: Path, count: int) -> None:
    """So many documents that are kept here, and one that another repository keeps."""
    service = service_on(database, directory)
    store = ContentStore(directory)
    entries = [entry(hash="", size=None) for _ in range(count)]
    contents = tuple(content(store, item.id, item.id.encode()) for item in entries)
    service.provide(ProvideDocuments(submit(*entries), contents), Context())
    register(service, submit(entry(repository_unique_id="1.2.250.1.999.7")))


def told(found: Sequence[str]) -> list[tuple[bool, bool]]:
    return [(f"is {OTHER}, but" in text, f"registered under {REPOSITORY}" in text) for text in found]


def test_documents_of_the_former_repository_are_counted(database: Database, tmp_path: Path) -> None:
    assert [*strayed_at_start(database, OTHER)] == []
    keep(database, tmp_path, 3)
    for look in (strayed, strayed_at_start):
        assert [*look(database, REPOSITORY)] == []
        (text,) = look(database, OTHER)
        assert told([text]) == [(True, True)]
        assert "3 of 3 documents" in text
    (text,) = strayed(database, OTHER, 2)
    assert "2 of 2 documents" in text


@pytest.mark.parametrize("own", [REPOSITORY, OTHER])
def test_it_is_told_at_the_start_and_by_doctor(sqlite_url: str, tmp_path: Path, own: str) -> None:
    database = Database(sqlite_url)
    migrate.upgrade(database)
    keep(database, tmp_path / "content", 2)
    database.dispose()
    settings = tmp_path / "maillage.toml"
    settings.write_text(
        f"[storage]\ndatabase = '{sqlite_url}'\ncontent = '{tmp_path}/content'\n"
        f"[region]\nrepository_unique_id = '{own}'\n[security]\nnode_authentication = false\n[health]\nport = 0\n"
    )
    looked = CliRunner().invoke(app, ["doctor", "database", "--settings", str(settings)])
    command = (sys.executable, "-c", "from hub.app.commands.entry import main; main()", "serve", "--role", "worker")
    with subprocess.Popen([*command, "--settings", str(settings)], stderr=subprocess.PIPE, text=True) as hub:
        assert hub.stderr is not None
        log = []
        for line in hub.stderr:
            log.append(line)
            if "started as" in line:
                hub.send_signal(signal.SIGTERM)
    assert hub.returncode == 0, log
    for text in (looked.output.replace("\n", " "), "".join(log)):
        assert ("documents that were looked at" in text) == (own == OTHER)
    assert (looked.exit_code, "wrong" in looked.output) == ((1, True) if own == OTHER else (0, False))
