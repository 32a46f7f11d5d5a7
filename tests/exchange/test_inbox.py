"""What came in is kept with its effect, in order, once."""

import threading
from contextlib import suppress
from dataclasses import dataclass

import pytest

from hub.context import Context
from hub.errors import HubError, InternalError, Invalid, Unavailable
from hub.exchange.errors import MessageNotFound, NotReplayable
from hub.exchange.model import DiscardMessage, MessageState, Page, ReplayMessage
from hub.exchange.service import ExchangeService
from hub.storage.engine import Database


@dataclass(frozen=True)
class Message:
    raw: bytes
    control_id: str = "1"
    event: str = "ADT^A28"


@pytest.fixture
def exchange(database: Database) -> ExchangeService:
    return ExchangeService(database=database, backoff=0.0)


def keep(exchange: ExchangeService, message: Message, source: str = "HIS_A") -> Context | None:
    context = Context(source=source)
    with exchange.in_order(source), exchange.database.transaction():
        if not exchange.keep(message, "ITI-30", "hl7v2", context):
            return None
        context.led_to("person", "R1")
        exchange.processed(context)
    return context


def fail(exchange: ExchangeService, message: Message, context: Context) -> None:
    with suppress(RuntimeError), exchange.database.transaction():
        exchange.keep(message, "ITI-30", "hl7v2", context)
        raise RuntimeError


def test_bytes_and_effects_are_kept(exchange: ExchangeService) -> None:
    context = keep(exchange, Message(b"MSH|\xe9"))
    assert context is not None
    message = exchange.message(context.message_id)
    assert (message.state, message.raw, message.size) == (MessageState.PROCESSED, b"MSH|\xe9", 5)
    assert [effect.reference for effect in message.effects] == ["R1"]
    assert message.processed_at is not None
    assert message.processed_at.tzinfo is not None


def test_a_repeat_is_recognised_and_the_same_id_with_other_bytes_is_not_one(exchange: ExchangeService) -> None:
    first = keep(exchange, Message(b"one"))
    assert first is not None
    repeat = Context(source="HIS_A")
    assert not exchange.keep(Message(b"one"), "ITI-30", "hl7v2", repeat)
    assert repeat.message_id == first.message_id
    assert list(repeat.effects) == list(first.effects) != []
    assert keep(exchange, Message(b"two"))
    assert keep(exchange, Message(b"one"), "HIS_B")
    assert keep(exchange, Message(b"one", control_id=""))
    assert keep(exchange, Message(b"one", control_id=""))
    assert len(exchange.messages(Page())) == 5


def test_a_rolled_back_message_is_not_there_and_can_come_again(exchange: ExchangeService) -> None:
    context = Context(source="HIS_A")
    fail(exchange, Message(b"one"), context)
    assert exchange.messages(Page()) == ()
    assert keep(exchange, Message(b"one"))


def test_a_refused_message_stays_with_its_reason_once(exchange: ExchangeService) -> None:
    for _ in range(3):
        context = Context(source="HIS_A")
        fail(exchange, Message(b"bad"), context)
        exchange.refused(Message(b"bad"), "ITI-30", "hl7v2", context, Invalid("PID-3 is missing."))
    (message,) = exchange.messages(Page(state="refused"))
    assert (message.reason, message.error_code, message.attempts) == ("PID-3 is missing.", "invalid", 3)
    assert exchange.message(context.message_id).raw == b"bad"
    assert keep(exchange, Message(b"bad")) is not None  # sent again after the cause was mended
    (message,) = exchange.messages(Page())
    assert (message.state, message.reason, message.error_code) == (MessageState.PROCESSED, "", "")


def test_enhanced_mode_processes_in_the_order_of_each_source(exchange: ExchangeService) -> None:
    seen: list[bytes] = []
    exchange.processors["hl7v2"] = lambda raw, _context: seen.append(raw)
    for number in range(10):
        for source in ("A", "B"):
            message = Message(f"{source}{number}".encode(), str(number))
            assert exchange.receive(message, "ITI-30", "hl7v2", Context(source=source))
            assert not exchange.receive(message, "ITI-30", "hl7v2", Context(source=source))
    assert exchange.summary().messages[MessageState.RECEIVED] == 20
    assert exchange.summary().oldest_message is not None
    while exchange.process_next():
        pass
    assert [raw for raw in seen if raw[:1] == b"A"] == [f"A{number}".encode() for number in range(10)]
    assert [raw for raw in seen if raw[:1] == b"B"] == [f"B{number}".encode() for number in range(10)]
    assert exchange.summary().messages[MessageState.PROCESSED] == 20


def test_a_transient_failure_holds_the_source_a_permanent_one_does_not(exchange: ExchangeService) -> None:
    seen: list[bytes] = []
    failures: dict[bytes, Exception] = {b"1": Unavailable(), b"2": Invalid("no"), b"3": ValueError("a defect")}

    def process(raw: bytes, context: Context) -> None:
        seen.append(raw)
        context.led_to("person", raw.decode())
        if raw in failures:
            raise failures.pop(raw)

    exchange.processors["hl7v2"] = process
    for number in (b"1", b"2", b"3", b"4"):
        exchange.receive(Message(number, number.decode()), "ITI-30", "hl7v2", Context(source="A"))
    while exchange.process_next():
        pass
    assert seen == [b"1", b"1", b"2", b"3", b"4"]
    states = {message.control_id: (message.state, message.error_code) for message in exchange.messages(Page())}
    assert states == {
        "1": (MessageState.PROCESSED, ""),
        "2": (MessageState.REFUSED, "invalid"),
        "3": (MessageState.REFUSED, InternalError.code),
        "4": (MessageState.PROCESSED, ""),
    }


def test_a_failed_effect_is_rolled_back(exchange: ExchangeService) -> None:
    def process(_raw: bytes, context: Context) -> None:
        exchange.enqueue("node:B", "publish", {}, context)
        raise Invalid("no")

    exchange.processors["hl7v2"] = process
    exchange.receive(Message(b"x"), "ITI-30", "hl7v2", Context(source="A"))
    assert exchange.process_next()
    assert exchange.deliveries(Page()) == ()


def test_an_operator_replays_and_discards(exchange: ExchangeService) -> None:
    context = Context(source="A")
    exchange.refused(Message(b"x"), "ITI-30", "hl7v2", context, Invalid("no"))
    exchange.processors["hl7v2"] = lambda _raw, inner: inner.led_to("person", "R2")
    message = exchange.replay_message(ReplayMessage(context.message_id), Context())
    assert message.state is MessageState.PROCESSED
    assert [effect.reference for effect in message.effects] == ["R2"]
    with pytest.raises(NotReplayable):
        exchange.replay_message(ReplayMessage(context.message_id), Context())
    exchange.refused(Message(b"y", "2"), "ITI-30", "hl7v2", context, Invalid("no"))
    other = exchange.messages(Page(state="refused"))[0]
    assert exchange.discard_message(DiscardMessage(other.id), Context()).state is MessageState.DISCARDED
    with pytest.raises(MessageNotFound):
        exchange.message("nothing")


def test_pages_and_filters(exchange: ExchangeService) -> None:
    for number in range(5):
        keep(exchange, Message(b"x%d" % number, str(number)), "A" if number % 2 else "B")
    first = exchange.messages(Page(limit=3))
    rest = exchange.messages(Page(limit=3, before=first[-1].id))
    assert [message.control_id for message in (*first, *rest)] == ["4", "3", "2", "1", "0"]
    assert all(message.raw == b"" for message in first)
    assert [message.control_id for message in exchange.messages(Page(source="A"))] == ["3", "1"]
    assert [message.control_id for message in exchange.messages(Page(text="2"))] == ["2"]


def test_one_message_of_a_source_at_a_time(exchange: ExchangeService) -> None:
    """Threads that send the same message at once: one takes effect."""
    taken: list[bool] = []

    def send() -> None:
        taken.append(keep(exchange, Message(b"same")) is not None)

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 15 + [True]
    assert len(exchange.messages(Page())) == 1


def test_what_is_refused_is_tried_once_though_two_would_carry_it_out(exchange: ExchangeService) -> None:
    """A worker and an operator's replay at once: the second waits until the first one's refusal is kept."""
    tried: list[str] = []

    def refuse(raw: bytes, context: Context) -> None:
        tried.append(context.source)
        raise Invalid("PID-3 is missing.")

    class Slow(ExchangeService):
        def _failed(self, message_id: str, attempts: int, error: HubError) -> None:
            second.start()
            second.join(0.5)
            super()._failed(message_id, attempts, error)

    slow = Slow(database=exchange.database, processors={"hl7v2": refuse})
    context = Context(source="HIS_A")
    slow.receive(Message(b"bad"), "ITI-30", "hl7v2", context)
    second = threading.Thread(target=slow.process, args=(context.message_id, "HIS_A"))
    slow.process(context.message_id, "HIS_A")
    second.join(60)
    assert not second.is_alive()
    assert tried == ["HIS_A"]
    assert slow.message(context.message_id).state is MessageState.REFUSED
