"""Two units of work that wait for each other: PostgreSQL takes one back, and nobody outside hears of it."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hub.context import Context
from hub.exchange.model import MessageState, Page
from hub.exchange.store import MessageStore
from hub.pipeline.transaction import Durability
from hub.storage.engine import Database
from hub.testing.postgres import PostgresqlServer
from hub.usecase import use_case
from tests.pipeline.test_together import Do, Hub, Message, Room


class Crossing(Room):
    """Takes two locks in the order that the message gives; the first time not before the other one has taken one."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.met = threading.Barrier(2)
        self.crossed: set[bytes] = set()

    @use_case
    def do(self, command: Do, context: Context) -> bytes:
        with self.database.transaction() as work:
            store = MessageStore(work)
            for place, name in enumerate(command.raw.decode()):
                if place == 1 and command.raw not in self.crossed:
                    self.crossed.add(command.raw)
                    self.met.wait(30)
                store.lock(name)
            return super().do(command, context)


@pytest.fixture
def hub(postgresql_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """On PostgreSQL alone: SQLite has one writer, nobody can wait for each other."""
    database = Database(postgresql_server.url(postgresql_server.create_database()), pool_size=5)
    database.create_all()
    monkeypatch.setattr("tests.pipeline.test_together.Room", Crossing)
    hub = Hub(database)
    yield hub
    hub.audit.stop()
    database.dispose()


def at_once(*tasks: threading.Thread) -> None:
    for task in tasks:
        task.start()
    for task in tasks:
        task.join(60)
        assert not task.is_alive()


def test_messages_on_their_own_way(hub: Hub) -> None:
    answers: dict[bytes, bytes] = {}

    def send(source: str, raw: bytes) -> None:
        answers[raw] = hub.alone(source, raw)

    at_once(*(threading.Thread(target=send, args=pair) for pair in (("S", b"xy"), ("T", b"yx"))))
    assert answers == {b"xy": b"XY", b"yx": b"YX"}
    assert hub.kept() == [("S", MessageState.PROCESSED, ["xy"]), ("T", MessageState.PROCESSED, ["yx"])]
    assert len(hub.room.begun) == 2
    hub.audit.flush()
    assert hub.audited() == [("S", ""), ("T", "")]


@pytest.mark.parametrize("durability", [Durability.ORIGINAL, Durability.INBOX])
def test_what_keeps_its_original_is_carried_out_again_as_well(hub: Hub, durability: Durability) -> None:
    hub.bound = replace(hub.bound, transaction=replace(hub.bound.transaction, durability=durability))
    test_messages_on_their_own_way(hub)


def test_what_holds_files_is_not(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Do, "repeatable", False)
    answers: list[bytes] = []
    pairs = (("S", b"xy"), ("T", b"yx"))
    at_once(*(threading.Thread(target=lambda pair=pair: answers.append(hub.alone(*pair))) for pair in pairs))
    assert len([answer for answer in answers if answer in (b"XY", b"YX")]) == 1


def test_a_batch_and_a_message_on_its_own_way(hub: Hub) -> None:
    answers: list[bytes | None] = []
    alone: list[bytes] = []
    at_once(
        threading.Thread(target=lambda: answers.extend(hub.run(b"xy", b"z"))),
        threading.Thread(target=lambda: alone.append(hub.alone("T", b"yx"))),
    )
    assert len(answers) == 2
    answers = [answer or hub.alone(f"S{place}", (b"xy", b"z")[place]) for place, answer in enumerate(answers)]
    assert (answers, alone) == ([b"XY", b"Z"], [b"YX"])
    assert [state for _, state, _ in hub.kept()] == [MessageState.PROCESSED] * 3


def test_a_message_that_was_only_received(hub: Hub) -> None:
    """Enhanced mode: it keeps its turn, and is carried out a moment later."""
    hub.exchange.backoff = 0.0

    def carry_out(raw: bytes, context: Context) -> None:
        hub.room.do(Do(raw), context)

    hub.exchange.processors["test"] = carry_out
    for source, raw in (("S", b"xy"), ("T", b"yx")):
        hub.exchange.receive(Message(raw), "TEST-1", "test", Context(source=source))
    waiting = hub.exchange.messages(Page())
    at_once(*(threading.Thread(target=hub.exchange.process, args=(item.id, item.source)) for item in waiting))
    while any(item.state is MessageState.RECEIVED for item in hub.exchange.messages(Page())):
        hub.exchange.process_next()
    assert {(item.state, item.attempts) for item in hub.exchange.messages(Page())} == {
        (MessageState.PROCESSED, 1),
        (MessageState.PROCESSED, 2),
    }
