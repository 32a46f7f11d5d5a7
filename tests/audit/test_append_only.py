"""Nobody changes the trail: the database refuses; retention leaves sealed segments behind, and the chain holds."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import DBAPIError

from hub.access.model import Principal, Professional, Scheme
from hub.audit.chain import dump, link, load
from hub.audit.forwarding import Forwarding
from hub.audit.model import AuditSearch
from hub.audit.retention import Retention
from hub.audit.service import AuditService
from hub.audit.store import HEAD, OBJECT, RECORD
from hub.audit.store_trail import SEGMENT
from hub.context import Context
from hub.storage import migrate
from hub.storage.engine import Database
from hub.values import now
from tests.audit.builders import disarm, record, transaction

DOCTOR = Professional(
    id="899700000001", family="MARTIN", given="Anne", profession="10", specialities=("SM26",), structure="1750100125",
    structure_name="Hôpital A", sector="SA07",
)  # fmt: skip


@pytest.fixture
def service(database: Database) -> Iterator[AuditService]:
    with AuditService(database=database) as service:
        yield service


@pytest.mark.parametrize(
    "change",
    [
        update(RECORD).values(body="{}"),
        update(OBJECT).values(reference="R2"),
        delete(RECORD),
        delete(RECORD).where(RECORD.c.position == 3),
        delete(OBJECT),
        delete(HEAD),
        update(HEAD).values(position=1),
        update(HEAD).values(hash="0" * 64),
    ],
)
def test_the_database_refuses(service: AuditService, database: Database, change: Any) -> None:
    record(service, 3)
    service.flush()
    with pytest.raises(DBAPIError, match="append-only"), database.transaction() as work:
        work.connection.execute(change)
    record(service)
    assert service.verify().intact
    assert service.count() == 4


def test_a_migrated_database_refuses_as_well(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    migrate.upgrade(database)
    with AuditService(database=database) as service:
        record(service)
    with pytest.raises(DBAPIError, match="append-only"), database.transaction() as work:
        work.connection.execute(delete(RECORD))
    database.dispose()


def test_retention_leaves_a_sealed_segment(service: AuditService, database: Database) -> None:
    record(service, 5)
    service.flush()
    head = service.head()
    assert Retention(database, None).sweep() == 0
    assert Retention(database, timedelta(days=1)).sweep() == 0
    assert Retention(database, timedelta(0)).sweep() == 5
    record(service, 2)
    state = service.verify(noted=head)
    assert (state.intact, state.records, state.removed) == (True, 7, 5)
    assert service.count() == 2
    assert Retention(database, timedelta(0)).sweep() == 2
    assert service.verify(noted=head).intact
    with pytest.raises(DBAPIError, match="append-only"), database.transaction() as work:
        work.connection.execute(delete(SEGMENT))


def test_a_forged_segment_is_found(service: AuditService, database: Database) -> None:
    record(service, 4)
    service.flush()
    forged = {
        "first": 1, "last": 2, "last_hash": "0" * 64, "removed_at": now(), "until": now(), "seal": "0" * 64,
    }  # fmt: skip
    with database.transaction() as work:
        work.connection.execute(insert(SEGMENT).values(forged))
        work.connection.execute(delete(RECORD).where(RECORD.c.position <= 2))
    state = service.verify()
    assert (state.broken_at, state.reason) == (1, "the seal of a removed segment does not fit")


def test_retention_waits_for_the_destinations(service: AuditService, database: Database) -> None:
    forwarding = Forwarding(database, ["collector"])
    forwarding.open("collector", history=True)
    record(service, 3)
    service.flush()
    retention = Retention(database, timedelta(0), ["collector"])
    assert retention.sweep() == 0
    assert [position for position, _ in forwarding.next("collector", 10)] == [1, 2, 3]
    forwarding.sent("collector", 2)
    assert retention.sweep() == 2
    assert service.verify().intact


def test_a_chain_that_was_made_anew_is_found_by_a_noted_head(service: AuditService, database: Database) -> None:
    record(service, 3)
    service.flush()
    noted = service.head()
    disarm(database)
    with database.transaction() as work:
        rows = work.connection.execute(RECORD.select().order_by(RECORD.c.position)).all()
        previous = "0" * 64
        for row in rows:
            body = row.body.replace('"peer":"192.0.2.7"', '"peer":"192.0.2.8"')
            previous = link(previous, body)
            where = RECORD.c.position == row.position
            work.connection.execute(update(RECORD).where(where).values(body=body, hash=previous, peer="192.0.2.8"))
        work.connection.execute(update(HEAD).values(hash=previous))
    assert service.verify().intact
    state = service.verify(noted=noted)
    assert (state.broken_at, state.reason) == (3, "the chain is not the one whose head was noted")
    assert service.verify(noted=(9, noted[1])).reason == "the chain is shorter than the head that was noted"


def test_a_record_knows_the_professional(service: AuditService) -> None:
    principal = Principal(
        id=DOCTOR.id, name="Dr Anne MARTIN", scheme=Scheme.ASSERTION, organisation="Hôpital A", person=True,
        roles=frozenset({"clinician"}), professional=DOCTOR, reason="inconscient", node="ris-a", level="INDIRECTE",
    )  # fmt: skip
    context = Context(principal=principal, purpose="bris_de_glace", called="/xds/registry", query=b"<q/>")
    context.query_form = "ebxml"
    context.touch("patient", "R1^^^&1.2&ISO")
    service.record(transaction(), context, None, 3)
    (found,) = service.search(AuditSearch(agents=("899700000001",), roles=("10",))).records
    assert (found.professional, found.reason, found.node, found.level) == (DOCTOR, "inconscient", "ris-a", "INDIRECTE")
    assert (found.called, found.query, found.query_form) == ("/xds/registry", "PHEvPg==", "ebxml")
    assert (found.organisation, found.roles, found.person) == ("Hôpital A", ("clinician",), True)
    assert found.patients == ("R1^^^&1.2&ISO",)
    assert service.search(AuditSearch(agents=("ris-a",))).records == (found,)
    assert service.search(AuditSearch(agents=("nobody",))).records == ()
    assert service.search(AuditSearch(roles=("1",))).records == ()
    assert service.search(AuditSearch(patients=("R1^^^&1.2&ISO",), transactions=("ITI-18",))).records == (found,)
    assert load(dump(found)) == found
    assert service.verify().intact


def test_only_one_process_sends_at_a_time(service: AuditService, database: Database) -> None:
    record(service, 3)
    service.flush()
    one, other = (Forwarding(database, ["collector"]) for _ in range(2))
    assert [(lag.destination, lag.waiting, lag.tried_at) for lag in one.lags()] == [("collector", 0, None)]
    one.open("collector", history=True)
    assert [lag.waiting for lag in one.lags()] == [3]
    assert len(one.next("collector", 2)) == 2
    assert other.next("collector", 2) == []
    one.sent("collector", 2)
    other.sent("collector", 3)  # it has not the turn
    one.failed("collector", "The collector does not answer.")
    (lag,) = one.lags()
    assert (lag.position, lag.waiting, lag.problem) == (2, 1, "The collector does not answer.")
    assert lag.oldest is not None
    one.release()
    assert [position for position, _ in other.next("collector", 9)] == [3]


def test_a_new_destination_without_history_begins_now(service: AuditService, database: Database) -> None:
    record(service, 3)
    service.flush()
    forwarding = Forwarding(database, ["late"])
    forwarding.open("late", history=False)
    record(service)
    service.flush()
    assert [position for position, _ in forwarding.next("late", 9)] == [4]
