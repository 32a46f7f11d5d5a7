"""The audit trail on both databases, with real threads, a real spool and a process that is really killed."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ColumnElement, delete, insert, select, text, update

from hub.access.model import Principal, Professional, Scheme
from hub.audit.chain import GENESIS, dump, load
from hub.audit.errors import AuditUnavailable, AuditUnreadable
from hub.audit.model import AuditOutcome, AuditSearch
from hub.audit.service import AuditService, outcome_of
from hub.audit.spool import Spool
from hub.audit.store import HEAD, OBJECT, RECORD, AuditStore
from hub.context import Context
from hub.errors import AccessDenied, HubError, InternalError, Invalid, NotAuthenticated, Unavailable
from hub.storage.engine import Database
from hub.values import now
from hub.wire.atna.vocabulary import purpose_of
from tests.audit.builders import disarm, record, transaction
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def service(database: Database, spool: Path) -> Iterator[AuditService]:
    with AuditService(database=database, spool=spool) as service:
        yield service


def files(spool: Path) -> list[Path]:
    return list(spool.glob("*/*.jsonl"))


def test_a_record_says_who_did_what_to_whom(service: AuditService) -> None:
    (context,) = record(service, error=AccessDenied("No."), touched=[("patient", "R1"), ("document", "1.2.3")])
    (found,) = service.recent()
    assert found.transaction == "ITI-18"
    assert (found.event_code, found.event_display, found.action) == ("110112", "Query", "E")
    assert found.outcome is AuditOutcome.SERIOUS_FAILURE
    assert (found.error_code, found.detail) == ("access-denied", "No.")
    assert (found.principal_id, found.scheme, found.peer) == ("anonymous", "none", "192.0.2.7")
    assert found.correlation_id == context.correlation_id
    assert [(item.kind, item.reference) for item in found.objects] == [("patient", "R1"), ("document", "1.2.3")]
    assert found.at.tzinfo is not None
    assert found.milliseconds == 12


@pytest.mark.parametrize(
    ("roles", "said", "purpose"),
    [
        (("clinician",), "TREATMENT", "TREATMENT"),
        (("officer",), "TREATMENT", "HCOMPL"),
        (("operator", "steward"), "TREATMENT", "PATADMIN"),
        (("operator", "clinician"), "TREATMENT", "TREATMENT"),
        (("officer",), "bris_de_glace", "bris_de_glace"),
        ((), "TREATMENT", "TREATMENT"),
    ],
)
def test_who_treats_nobody_asks_for_another_purpose(
    service: AuditService, roles: tuple[str, ...], said: str, purpose: str
) -> None:
    asking = Principal("x", scheme=Scheme.SESSION, roles=frozenset(roles), person=True)
    service.record(transaction(), Context(principal=asking, purpose=said), None, 1)
    service.record(transaction(), Context(principal=replace(asking, person=False), purpose=said), None, 1)
    system, person = service.recent()
    assert (person.purpose, system.purpose) == (purpose, said)
    code, system_of_code, _ = purpose_of(person) or ("", "", "")
    assert code == ("TREAT" if purpose == "TREATMENT" else purpose)
    assert system_of_code != "Maillage"


def test_a_transaction_of_our_own_is_found_as_the_standard_s(service: AuditService) -> None:
    """The initiating gateway's ITI-18, a package that is taken along (ITI-32)."""
    own = transaction("XCA-ITI-18")
    own = replace(own, audit=replace(own.audit, type_code="ITI-18"))
    for one in (own, transaction("ITI-18"), transaction("ITI-43")):
        service.record(one, Context(), None, 1)
    found = service.search(AuditSearch(transactions=("ITI-18",))).records
    assert [(item.transaction, item.event_type) for item in found] == [("ITI-18", ""), ("XCA-ITI-18", "ITI-18")]
    assert len(service.search(AuditSearch(transactions=("XCA-ITI-18",))).records) == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, AuditOutcome.SUCCESS),
        (Invalid(), AuditOutcome.MINOR_FAILURE),
        (NotAuthenticated(), AuditOutcome.SERIOUS_FAILURE),
        (Unavailable(), AuditOutcome.SERIOUS_FAILURE),
        (InternalError(), AuditOutcome.MAJOR_FAILURE),
    ],
)
def test_outcomes(error: HubError | None, outcome: AuditOutcome) -> None:
    assert outcome_of(error) is outcome


def test_records_are_chained(service: AuditService) -> None:
    assert service.head() == (0, GENESIS)
    record(service, 20)
    state = service.verify()
    assert state.intact
    assert (state.records, state.head) == service.head()
    assert state.records == service.count() == 20


def _another() -> list[ColumnElement[Any]]:
    """A record's columns, of one more behind it."""
    new = {"position": RECORD.c.position + 1, "id": RECORD.c.id + "x"}
    return [new.get(name, column) for name, column in RECORD.c.items()]


@pytest.mark.parametrize(
    ("tampering", "position"),
    [
        (update(RECORD).where(RECORD.c.position == 3).values(body=RECORD.c.body + " "), 3),
        (update(RECORD).where(RECORD.c.position == 3).values(hash="0" * 64), 3),
        (update(RECORD).where(RECORD.c.position == 3).values(principal="somebody else"), 3),
        (update(RECORD).where(RECORD.c.position == 3).values(at=0), 3),
        (update(OBJECT).where(OBJECT.c.position == 3).values(reference="R2"), 3),
        (delete(OBJECT).where(OBJECT.c.position == 3), 3),
        (delete(RECORD).where(RECORD.c.position == 3), 3),
        (delete(RECORD).where(RECORD.c.position == 5), 5),
        (update(HEAD).values(position=6), 6),
        (delete(HEAD), 1),
        (insert(RECORD).from_select(RECORD.c.keys(), select(*_another()).where(RECORD.c.position == 5)), 6),
        (insert(OBJECT).values(position=9, ordinal=0, kind="patient", reference="R1"), 6),
    ],
)
def test_tampering_is_found(service: AuditService, database: Database, tampering: object, position: int) -> None:
    record(service, 5)
    service.flush()
    disarm(database)
    with database.transaction() as work:
        work.connection.execute(tampering)  # type: ignore[call-overload]
    state = service.verify()
    assert not state.intact
    assert state.broken_at == position
    assert state.reason


def test_search(service: AuditService) -> None:
    start = now()
    record(service, 3, touched=[("patient", "R1"), ("document", "1.2")])
    record(service, 2, name="ITI-43", touched=[("patient", "R2")], error=Invalid())
    (last,) = record(service, 1, touched=[("study", "R1")])
    for search, count in (
        (AuditSearch(), 6),
        (AuditSearch(references=("R1",)), 4),
        (AuditSearch(references=("R1",), kind="patient"), 3),
        (AuditSearch(references=("R1", "R2"), kind="patient"), 5),
        (AuditSearch(kind="study"), 1),
        (AuditSearch(transaction="ITI-43"), 2),
        (AuditSearch(principal="anonymous"), 6),
        (AuditSearch(principal="x"), 0),
        (AuditSearch(outcomes=(AuditOutcome.MINOR_FAILURE,)), 2),
        (AuditSearch(since=start), 6),
        (AuditSearch(until=start), 0),
        (AuditSearch(since=start, until=now() + timedelta(minutes=1)), 6),
        (AuditSearch(correlation_id=last.correlation_id), 1),
        (AuditSearch(kinds=("study", "none")), 1),
        (AuditSearch(other_kinds=("study",), but_kinds=("patient", "study", "query")), 4),
        (AuditSearch(names=("ANON", 'x"%_\\')), 0),
        (AuditSearch(event_codes=("110112",)), 6),
        (AuditSearch(event_codes=("rest",)), 0),
        (AuditSearch(transactions=("search", "ITI-43", "110126")), 2),
    ):
        assert len(service.search(search).records) == service.count(search) == count, search


def test_pages_follow_each_other_without_gap_or_repeat(service: AuditService) -> None:
    written = [context.correlation_id for context in record(service, 25)]
    seen, cursor, pages = [], "", 0
    while True:
        page = service.search(AuditSearch(limit=10, cursor=cursor))
        seen += [item.correlation_id for item in page.records]
        pages += 1
        if not page.cursor:
            break
        cursor = page.cursor
        record(service)  # what comes meanwhile does not move the pages
    assert seen == written[::-1]
    assert pages == 3


def test_recent_before_a_record(service: AuditService) -> None:
    record(service, 5)
    first = service.recent(limit=2)
    second = service.recent(limit=2, before=first[-1].id)
    assert [item.id for item in (*first, *second)] == [item.id for item in service.recent(limit=4)]


def test_many_threads_one_chain(service: AuditService) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: record(service, 50), range(8)))
    state = service.verify()
    assert state.intact
    assert state.records == 400


def test_two_processes_share_the_chain(service: AuditService, database: Database, spool: Path) -> None:
    with AuditService(database=database, spool=spool) as other, ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda one: [record(one) for _ in range(30)], (service, other)))
    state = service.verify()
    assert state.intact
    assert state.records == 60


def test_an_orderly_stop_writes_everything(database: Database, spool: Path) -> None:
    service = AuditService(database=database, spool=spool).start()
    record(service, 100)
    service.stop()
    assert files(spool) == []
    assert list(spool.iterdir()) == []
    with database.reading() as work:
        assert AuditStore(work).count(AuditSearch()) == 100
    with pytest.raises(AuditUnavailable):
        record(service)


def test_without_a_spool_an_orderly_stop_writes_everything_too(database: Database) -> None:
    with AuditService(database=database) as service:
        record(service, 10)
    with database.reading() as work:
        assert AuditStore(work).count(AuditSearch()) == 10


def test_what_a_dead_process_left_is_taken_up_once(database: Database, spool: Path) -> None:
    dead = Spool(spool)
    with AuditService(database=database) as service:
        record(service, 3)
        records = list(service.recent())
    lost = [replace(records[0], id=f"lost-{number}") for number in range(2)]
    for item in (*records, *lost):  # three are in the database already: their file had not been removed yet
        dead.put(dump(item))
    torn = next((spool).glob("*/*.jsonl"))
    with torn.open("ab") as file:
        file.write(b'{"id": "torn')
    dead.take()
    living = AuditService(database=database, spool=spool).start()
    assert living.count() == 3  # its process is still alive: left alone
    living.stop()
    dead.close()
    with AuditService(database=database, spool=spool) as next_one:
        assert next_one.count() == 5
        assert next_one.verify().intact
    assert list(spool.iterdir()) == []


def test_what_was_being_sent_is_recorded_once(database: Database, spool: Path) -> None:
    with AuditService(database=database, spool=spool) as sending:
        ended, broken, late = (sending.begin(transaction(), Context(), 12) for _ in range(3))
        begun = {path: path.read_bytes() for path in spool.glob("*/*.begun")}
        ended(None)
        broken(Unavailable())
        assert sending.count() == 2
        assert len(list(spool.glob("*/*.begun"))) == 1
        for path, text in begun.items():  # as if it had died between the last record and what comes after it
            path.write_bytes(text)
    with pytest.raises(AuditUnavailable):
        late(None)
    with pytest.raises(AuditUnavailable):
        sending.begin(transaction(), Context(), 12)
    with AuditService(database=database, spool=spool) as next_one:
        assert [item.error_code for item in next_one.recent()] == ["sending-interrupted", "unavailable", ""]
        assert next_one.verify().intact
    assert list(spool.iterdir()) == []


def test_what_cannot_be_recorded_is_not_sent(service: AuditService, spool: Path) -> None:
    away = spool.rename(spool.with_name("away"))
    with pytest.raises(AuditUnavailable):
        service.begin(transaction(), Context(), 12)
    away.rename(spool)
    service.begin(transaction(), Context(), 12)(None)
    assert service.count() == 1


def test_sigkill_loses_nothing(database: Database, spool: Path) -> None:
    url = database.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.audit.killed", url, str(spool)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(200)]
    process.kill()
    told += [line.strip() for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    with AuditService(database=database, spool=spool) as service:
        kept = {item.correlation_id for item in service.search(AuditSearch(limit=1_000_000)).records}
        assert set(told) <= kept
        assert len(kept) == service.count()
        assert service.verify().intact


def test_a_database_that_is_away_is_waited_for(tmp_path: Path, spool: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'late.sqlite'}")
    service = AuditService(database=database, spool=spool).start()
    record(service, 3)
    assert not service.flush(0.3)
    assert len(files(spool)) >= 1
    database.create_all()
    assert service.flush(10)
    assert service.count() == 3
    service.stop()
    database.dispose()


def test_a_spool_that_takes_nothing_refuses(service: AuditService, spool: Path) -> None:
    away = spool.rename(spool.with_name("away"))
    with pytest.raises(AuditUnavailable):
        record(service)
    assert "directory" in service.trouble()
    away.rename(spool)
    assert service.trouble() == ""
    record(service)
    assert service.count() == 1


def test_a_database_that_takes_nothing_is_told_until_it_does(service: AuditService, database: Database) -> None:
    record(service)
    assert (service.flush(), service.trouble()) == (True, "")
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_record RENAME TO audit_record_away"))
    record(service)
    until(lambda: "database" in service.trouble())
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_record_away RENAME TO audit_record"))
    assert (service.flush(), service.trouble(), service.count()) == (True, "", 2)


def test_recording_inside_a_unit_of_work_does_not_wait_for_it(service: AuditService, database: Database) -> None:
    done = threading.Event()

    def work() -> None:
        with database.transaction():
            record(service, 3)
        done.set()

    threading.Thread(target=work).start()
    assert done.wait(20)
    assert service.count() == 3


def test_any_text_can_be_recorded(service: AuditService) -> None:
    touched = [("patient", "R\0" + "é" * 3000), ("query", "\udcff")]
    context = Context(correlation_id="c" * 1000 + "\0")
    for kind, reference in touched:
        context.touch(kind, reference)
    service.record(transaction(), context, None, 1)
    assert service.count(AuditSearch(references=("R\0" + "é" * 3000,))) == 1
    (found,) = service.recent()
    assert found.objects[0].reference == touched[0][1]
    assert service.verify().intact


def test_the_text_of_a_record_is_canonical(service: AuditService) -> None:
    record(service)
    (found,) = service.recent()
    assert dump(load(dump(found))) == dump(found)
    with pytest.raises(ValueError, match="not an audit record"):
        load("{}")


def test_a_record_that_is_none_any_more_is_named_as_that(service: AuditService, database: Database) -> None:
    record(service, 2)
    service.flush()
    disarm(database)
    with database.transaction() as work:
        work.connection.execute(update(RECORD).where(RECORD.c.position == 1).values(body="{"))
    with pytest.raises(AuditUnreadable, match="maillage audit verify"):
        service.recent()
    assert service.verify().broken_at == 1


@pytest.mark.parametrize("left_out", [field.name for field in fields(Professional)])
def test_what_is_not_known_of_a_professional_breaks_no_chain(service: AuditService, left_out: str) -> None:
    """A proof without a profession is one of a professional all the same: the record reads as it was written."""
    whole = Professional("899700000001", "MARTIN", "Anne", "10", "1.2.3", ("SM26",), "1750100125", "HOPITAL", "SA07")
    empty: Any = () if left_out == "specialities" else ""
    who = replace(whole, **{left_out: empty})
    context = Context(principal=Principal("x", scheme=Scheme.PROVIDER, person=True, professional=who))
    service.record(transaction(), context, None, 1)
    (found,) = service.recent()
    assert found.professional == who
    assert service.verify().intact


def test_records_can_only_be_appended_by_position(service: AuditService, database: Database) -> None:
    record(service)
    service.flush()
    with database.reading() as work:
        assert work.connection.execute(text("SELECT position FROM audit_record")).scalars().all() == [1]
