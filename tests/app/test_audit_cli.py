"""``maillage audit``: head, verify, search, export."""

import csv
import io
import json
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from hub.app.commands.audit import audit
from hub.audit.forwarding import Forwarding
from hub.audit.service import AuditService
from hub.audit.store import RECORD, AuditStore
from hub.errors import AccessDenied
from hub.storage import migrate
from hub.storage.engine import Database
from tests.audit.builders import disarm, record

CX = "R1^^^&1.2&ISO"
RUN = CliRunner()


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    file = tmp_path / "maillage.toml"
    file.write_text(f'[storage]\ndatabase = "{url}"\n')
    database = Database(url)
    migrate.upgrade(database)
    with AuditService(database=database) as service:
        record(service, 3)
        record(service, name="ITI-43", touched=[("patient", "R2^^^&1.2&ISO")], error=AccessDenied("=no"))
    database.dispose()
    return file


def run(settings: Path, *arguments: str, code: int = 0) -> str:
    found = RUN.invoke(audit, [*arguments, "--settings", str(settings)])
    assert found.exit_code == code, found.output
    return found.stdout


def test_verify_against_a_head_noted_earlier(settings: Path, tmp_path: Path) -> None:
    head = run(settings, "head").strip()
    assert head.startswith("4:")
    assert run(settings, "verify", "--head", head).startswith("intact: 4 records; head 4:")
    database = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    disarm(database)
    with database.transaction() as work:
        work.connection.execute(update(RECORD).where(RECORD.c.position == 2).values(principal="nobody"))
    database.dispose()
    said = run(settings, "verify", code=1)
    assert said.startswith("BROKEN at record 2: the record's index was changed.")
    run(settings, "verify", "--head", "nonsense", code=2)


def test_search_is_recorded(settings: Path) -> None:
    lines = run(settings, "search", "--patient", CX).splitlines()
    assert len(lines) == 3
    assert all("ITI-18" in line for line in lines)
    assert "CLI-AUDIT" in run(settings, "search", "--limit", "1")
    assert run(settings, "search", "--transaction", "ITI-43", "--since", "2020-01-01").count("\n") == 1
    assert run(settings, "search", "--until", "2020-01-01") == ""


def test_export(settings: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(settings, "export", "--format", "csv", "--transaction", "ITI-43"))))
    assert [(row["transaction"], row["outcome"], row["error"]) for row in rows] == [("ITI-43", "8", "access-denied")]
    events = [json.loads(line) for line in run(settings, "export", "--format", "fhir", "--patient", CX).splitlines()]
    assert [event["subtype"][0]["code"] for event in events] == ["ITI-18"] * 3 + ["CLI-AUDIT"]
    file = tmp_path / "trail.ndjson"
    run(settings, "export", "--output", str(file))
    assert len(file.read_text().splitlines()) == 7  # the exports are there as well


def test_what_a_collector_refuses_is_set_aside(settings: Path, tmp_path: Path) -> None:
    run(settings, "set-aside", "arr", code=2)
    assert "atna.destinations is empty" in run(settings, "collectors")
    collector = '[[atna.destinations]]\nname = "arr"\nkind = "fhir"\naddress = "https://arr.example/fhir"\n'
    settings.write_text(settings.read_text() + collector)
    database = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    assert run(settings, "collectors").startswith("arr: nothing sent yet")
    assert run(settings, "send-again", "arr") == "Nothing is set aside for arr.\n"
    forwarding = Forwarding(database, ["arr"])
    forwarding.open("arr", history=True)
    assert "nothing to set aside" in run(settings, "set-aside", "arr", code=1)
    forwarding.failed("arr", "The collector took 0 of 1 events. It answers 422.", 1)
    assert "maillage audit set-aside arr" in run(settings, "collectors")
    assert run(settings, "set-aside", "arr").startswith("set aside: ")
    told = run(settings, "collectors")
    assert told.startswith("arr: 4 waiting, 1 set aside. Well.")
    assert told.rstrip().endswith("ITI-18  The collector took 0 of 1 events. It answers 422.")
    assert run(settings, "send-again", "arr").startswith("1 to be sent again")
    assert "to be sent again" in run(settings, "collectors")
    with database.reading() as work:
        acts = [one for _, one in AuditStore(work).read(4, 10)]
    assert [one.transaction for one in acts] == ["CLI-AUDIT", "CLI-AUDIT"]
    assert acts[0].objects[0].kind == "audit event"
    database.dispose()
