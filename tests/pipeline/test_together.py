"""Messages that share a commit: each as if it had been alone, and whoever fails takes nobody along."""

# ruff: noqa: ARG002

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import OperationalError

from hub.access.model import Credentials, Principal, Scheme
from hub.audit.model import AuditSearch
from hub.audit.service import AuditService
from hub.context import Context
from hub.errors import AccessDenied, HubError, Invalid
from hub.exchange.model import MessageState, Page
from hub.exchange.service import ExchangeService
from hub.exchange.store import MESSAGE
from hub.pipeline.catalogue import Bound
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.together import Call, Together
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.storage.engine import Database
from hub.usecase import Command, Dispatcher, use_case

TRANSACTION = Transaction(
    id="TEST-1",
    title="Test",
    profile="TEST",
    initiator="A",
    responder="B",
    bindings=(Hl7(events=("ADT^A28",)),),
    section="none",
    kind=Kind.CHANGE,
    permission="test",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
)


@dataclass(frozen=True)
class Message:
    raw: bytes
    control_id: str = "1"
    event: str = "ADT^A28"


@dataclass(frozen=True)
class Do(Command):
    raw: bytes


class Room:
    """Notes what it carries out; ``bad`` is refused, after a trace of it has been left."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.hooks: list[tuple[str, bytes]] = []
        self.begun: list[bytes] = []

    @use_case
    def do(self, command: Do, context: Context) -> bytes:
        with self.database.transaction() as work:
            work.on_commit(lambda: self.hooks.append(("kept", command.raw)))
            work.on_rollback(lambda: self.hooks.append(("gone", command.raw)))
            self.begun.append(command.raw)
            context.touch("patient", command.raw.decode())
            context.led_to("done", command.raw.decode())
            if command.raw.startswith(b"bad"):
                raise Invalid("bad")
        return command.raw.upper()


@dataclass
class Metrics:
    counted: list[tuple[str, str]] = field(default_factory=list)

    def transaction(self, transaction_id: str, outcome: str, seconds: float) -> None:
        self.counted.append((transaction_id, outcome))


class Access:
    def authenticate(self, credentials: Credentials) -> Principal:
        return Principal("test", scheme=Scheme.LOOPBACK)

    transmitter = authenticate

    def prove(self, credentials: Credentials) -> Credentials:
        return credentials

    def permit(self, principal: Principal, permission: str, context: Context, command: Command | None = None) -> None:
        if context.source == "STRANGER":
            raise AccessDenied()


def decode(message: Message, context: Context) -> Do:
    if message.raw == b"unreadable":
        raise Invalid("unreadable")
    return Do(message.raw)


def encode(outcome: bytes | None, message: Message, context: Context) -> bytes:
    return outcome if outcome is not None else b"again"


BOUND = Bound(TRANSACTION, decode, encode, None, "test")


class Hub:
    def __init__(self, database: Database) -> None:
        self.database, self.room, self.metrics = database, Room(database), Metrics()
        self.exchange = ExchangeService(database=database)
        self.audit = AuditService(database=database).start()

        def refuse(error: HubError, message: Any, context: Context) -> bytes:
            return error.code.encode()

        self.bound = BOUND
        self.pipeline = Pipeline(
            database, Dispatcher([self.room]), Access(), self.audit, self.exchange, {"test": refuse}, self.metrics
        )
        self.together = Together(self.pipeline, self.exchange, self.audit)

    def run(self, *raws: bytes | tuple[str, bytes]) -> list[bytes | None]:
        """Each of a source of its own, unless it is given."""
        pairs = [raw if isinstance(raw, tuple) else (f"S{place}", raw) for place, raw in enumerate(raws)]
        return self.together.run("test", [call(source, raw) for source, raw in pairs])

    def alone(self, source: str, raw: bytes) -> bytes:
        answer: bytes = self.pipeline.run(self.bound, "test", Message(raw), Credentials(), Context(source=source))
        return answer

    def kept(self) -> list[tuple[str, MessageState, list[str]]]:
        return sorted(
            (row.source, row.state, [item.reference for item in row.effects]) for row in self.exchange.messages(Page())
        )

    def audited(self) -> list[tuple[str, str]]:
        return sorted((row.source, row.error_code) for row in self.audit.search(AuditSearch()).records)


def call(source: str, raw: bytes) -> Call:
    return Call(BOUND, Message(raw), Credentials(), Context(source=source))


@pytest.fixture
def hub(database: Database) -> Iterator[Hub]:
    hub = Hub(database)
    yield hub
    hub.audit.stop()


def commits(database: Database) -> list[int]:
    seen: list[int] = []
    event.listen(database.engine, "commit", lambda _connection: seen.append(1))
    return seen


def test_bytes_effects_and_audit_records_in_one_commit(hub: Hub) -> None:
    seen = commits(hub.database)
    assert hub.run(b"a", b"b", b"c") == [b"A", b"B", b"C"]
    assert len(seen) == 1
    assert hub.kept() == [(f"S{place}", MessageState.PROCESSED, [raw]) for place, raw in enumerate("abc")]
    assert hub.audited() == [("S0", ""), ("S1", ""), ("S2", "")]
    assert hub.audit.verify().intact
    assert hub.room.hooks == [("kept", raw) for raw in (b"a", b"b", b"c")]
    assert hub.metrics.counted == [("TEST-1", "success")] * 3
    assert len(seen) == 1


def test_the_record_names_the_message_and_what_it_touched(hub: Hub) -> None:
    hub.run(b"a")
    [record] = hub.audit.search(AuditSearch()).records
    [message] = hub.exchange.messages(Page())
    assert record.message_id == message.id
    assert [item.reference for item in record.objects] == ["a"]
    assert hub.exchange.message(message.id).raw == b"a"


@pytest.mark.parametrize("bad", [b"bad", b"unreadable"])
def test_one_that_fails_takes_nobody_along(hub: Hub, bad: bytes) -> None:
    assert hub.run(b"a", bad, b"c") == [b"A", None, b"C"]
    assert [source for source, _, _ in hub.kept()] == ["S0", "S2"]
    assert hub.audited() == [("S0", ""), ("S2", "")]
    assert [item for item in hub.room.hooks if item[0] == "kept"] == [("kept", b"a"), ("kept", b"c")]
    assert hub.alone("S1", bad) == Invalid.code.encode()
    assert hub.audited() == [("S0", ""), ("S1", Invalid.code), ("S2", "")]


def test_two_that_fail_send_all_their_own_way(hub: Hub) -> None:
    assert hub.run(b"a", b"bad1", b"bad2") == [None, None, None]
    assert not hub.kept()
    assert not hub.audited()
    assert hub.metrics.counted == []


def test_who_may_not_is_left_to_the_ordinary_path(hub: Hub) -> None:
    assert hub.run(("STRANGER", b"a"), b"b") == [None, b"B"]
    assert hub.audited() == [("S1", "")]


def test_a_repeat_has_no_second_effect(hub: Hub) -> None:
    hub.run(b"a", b"b")
    assert hub.run(b"a", b"new") == [b"again", b"NEW"]
    assert hub.room.begun == [b"a", b"b", b"new"]


def test_the_second_message_of_a_source_waits(hub: Hub) -> None:
    assert hub.run(("S", b"a"), ("S", b"b"), ("T", b"c")) == [b"A", None, b"C"]


def test_unknown_sources_have_no_order_and_no_repeats_are_missed(hub: Hub) -> None:
    assert hub.run(("", b"a"), ("", b"a"), ("", b"b"))[0] == b"A"
    with hub.database.reading() as work:
        assert work.connection.execute(select(func.count()).select_from(MESSAGE)).scalar_one() == 1


def test_a_source_that_is_worked_for_is_not_waited_for(hub: Hub) -> None:
    inside, leave = threading.Event(), threading.Event()

    def busy() -> None:
        with hub.exchange.in_order("S0"):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=busy)
    thread.start()
    inside.wait(30)
    try:
        assert hub.run(b"a", b"b") == [None, b"B"]
    finally:
        leave.set()
        thread.join()


@contextmanager
def full_disk(database: Database) -> Iterator[None]:
    """No commit succeeds. PostgreSQL itself refuses: the commit travels with the last rows."""

    def refuse(_connection: object) -> None:
        raise OperationalError("COMMIT", None, Exception("disk"))

    if database.sqlite:
        event.listen(database.engine, "commit", refuse)
        yield
        event.remove(database.engine, "commit", refuse)
        return
    with database.engine.begin() as connection:
        connection.execute(text(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'disk' USING ERRCODE = 'disk_full'; END $$"
        ))  # fmt: skip
        connection.execute(text(
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON exchange_message DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION refuse()"
        ))  # fmt: skip
    yield
    with database.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER refuse ON exchange_message"))


def test_a_commit_that_fails_leaves_nothing_and_says_nothing(hub: Hub) -> None:
    with full_disk(hub.database):
        answers: Sequence[bytes | None] = hub.run(b"a", b"b")
    assert answers == [None, None]
    assert hub.room.hooks == [("gone", b"b"), ("gone", b"a")]
    assert not hub.kept()
    assert not hub.audited()
    assert hub.run(b"a", b"b") == [b"A", b"B"]


def test_a_closed_audit_trail_lets_nothing_pass(hub: Hub) -> None:
    hub.audit.stop()
    assert hub.run(b"a") == [None]
    assert hub.kept() == []
