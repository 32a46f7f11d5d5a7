"""What must go out is delivered: at least once, in order, and visibly given up."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from hub.context import Context
from hub.errors import Invalid, Unavailable
from hub.exchange.errors import DeliveryNotFound, NotReplayable
from hub.exchange.model import Delivery, DeliveryState, DiscardDelivery, Page, ReplayDelivery
from hub.exchange.service import ExchangeService
from hub.exchange.store import DeliveryStore
from hub.exchange.worker import Handler, Worker
from hub.storage.engine import Database
from hub.values import now
from tests.waiting import until


@pytest.fixture
def exchange(database: Database) -> ExchangeService:
    return ExchangeService(database=database, backoff=0.0, max_attempts=3)


def run(exchange: ExchangeService, handler: Handler) -> int:
    return Worker(exchange, {"send": handler}).run_pending()


def test_deliveries_are_carried_out_in_order_with_their_effects(exchange: ExchangeService) -> None:
    seen: list[int] = []

    def handler(delivery: Delivery, context: Context) -> None:
        seen.append(delivery.payload["number"])
        context.led_to("document", str(delivery.payload["number"]))

    ids = [exchange.enqueue("node:A", "send", {"number": number}, Context(message_id="m")) for number in range(5)]
    assert run(exchange, handler) == 5
    assert seen == list(range(5))
    delivery = exchange.delivery(ids[3])
    assert (delivery.state, delivery.attempts, delivery.message_id) == (DeliveryState.DONE, 1, "m")
    assert [effect.reference for effect in delivery.effects] == ["3"]
    assert exchange.summary().deliveries[DeliveryState.DONE] == 5


def test_nothing_is_delivered_of_a_unit_of_work_that_failed(exchange: ExchangeService) -> None:
    with suppress(RuntimeError), exchange.database.transaction():
        exchange.enqueue("node:A", "send", {}, Context())
        raise RuntimeError
    assert run(exchange, lambda _delivery, _context: None) == 0


def test_transient_errors_are_tried_again_and_hold_only_their_destination(exchange: ExchangeService) -> None:
    seen: list[tuple[str, int]] = []

    def handler(delivery: Delivery, _context: Context) -> None:
        seen.append((delivery.destination, delivery.payload["number"]))
        if delivery.destination == "node:A" and delivery.payload["number"] == 0:
            raise Unavailable("down")

    for number in range(2):
        for destination in ("node:A", "node:B"):
            exchange.enqueue(destination, "send", {"number": number}, Context())
    run(exchange, handler)
    assert [item for item in seen if item[0] == "node:A"] == [("node:A", 0)] * 3 + [("node:A", 1)]
    (dead,) = exchange.deliveries(Page(state="dead"))
    assert (dead.attempts, dead.reason, dead.error_code) == (3, "down", "unavailable")


def test_destinations_that_hang_keep_nobody_else_waiting(exchange: ExchangeService) -> None:
    hanging, released = threading.Semaphore(0), threading.Event()

    def handler(delivery: Delivery, _context: Context) -> None:
        if delivery.destination == "node:GOOD":
            return
        if delivery.attempts > 1:
            hanging.release()
            released.wait(240)
        raise Unavailable("it does not answer")

    for number in range(4):
        exchange.enqueue(f"node:{number}", "send", {}, Context())
    worker = Worker(exchange, {"send": handler}, threads=4, poll=0.05)
    worker.start()
    try:
        for _ in range(2):
            assert hanging.acquire(timeout=240)
        good = exchange.enqueue("node:GOOD", "send", {}, Context())
        until(lambda: exchange.delivery(good).state is DeliveryState.DONE, 60)
    finally:
        released.set()
        worker.stop()


def test_back_off_keeps_the_order(database: Database) -> None:
    exchange = ExchangeService(database=database, backoff=60.0)
    seen: list[int] = []

    def handler(delivery: Delivery, _context: Context) -> None:
        seen.append(delivery.payload["number"])
        raise Unavailable("down")

    for number in range(2):
        exchange.enqueue("node:A", "send", {"number": number}, Context())
    assert run(exchange, handler) == 1
    first = exchange.deliveries(Page())[-1]
    assert first.state is DeliveryState.WAITING
    assert first.due_at is not None
    assert first.due_at > now() + timedelta(seconds=30)
    assert seen == [0]


@pytest.mark.parametrize("error", [Invalid("never"), ValueError("a defect")])
def test_other_errors_are_given_up_at_once_and_replayable(exchange: ExchangeService, error: Exception) -> None:
    def handler(_delivery: Delivery, _context: Context) -> None:
        raise error

    first = exchange.enqueue("node:A", "send", {}, Context())
    run(exchange, handler)
    dead = exchange.delivery(first)
    assert (dead.state, dead.attempts) == (DeliveryState.DEAD, 1)
    assert "defect" not in dead.reason
    assert exchange.replay_delivery(ReplayDelivery(first), Context()).state is DeliveryState.WAITING
    run(exchange, lambda _delivery, _context: None)
    assert exchange.delivery(first).state is DeliveryState.DONE
    with pytest.raises(NotReplayable):
        exchange.replay_delivery(ReplayDelivery(first), Context())
    second = exchange.enqueue("node:A", "send", {}, Context())
    assert exchange.discard_delivery(DiscardDelivery(second), Context()).state is DeliveryState.DISCARDED
    assert run(exchange, handler) == 0
    with pytest.raises(DeliveryNotFound):
        exchange.delivery("nothing")


@pytest.mark.parametrize(("blocking", "expected"), [((), [0, 1]), (("node:A",), [0])])
def test_a_dead_one_blocks_where_configured(database: Database, blocking: tuple[str, ...], expected: list[int]) -> None:
    exchange = ExchangeService(database=database, blocking=blocking)
    seen: list[int] = []

    def handler(delivery: Delivery, _context: Context) -> None:
        seen.append(delivery.payload["number"])
        raise Invalid("no")

    for number in range(2):
        exchange.enqueue("node:A", "send", {"number": number}, Context())
    run(exchange, handler)
    assert seen == expected


def test_a_key_waits_once_with_the_newest_payload(exchange: ExchangeService) -> None:
    seen: list[int] = []
    ids = {exchange.enqueue("node:A", "send", {"number": number}, Context(), key="study") for number in range(3)}
    exchange.enqueue("node:B", "send", {"number": 7}, Context(), key="study")
    assert len(ids) == 1
    run(exchange, lambda delivery, _context: seen.append(delivery.payload["number"]))
    assert seen == [2, 7]
    exchange.enqueue("node:A", "send", {"number": 3}, Context(), key="study")
    run(exchange, lambda delivery, _context: seen.append(delivery.payload["number"]))
    assert seen == [2, 7, 3]


def test_what_is_due_later_lets_others_pass(exchange: ExchangeService) -> None:
    seen: list[int] = []
    later = now() + timedelta(hours=1)
    exchange.enqueue("node:A", "send", {"number": 0}, Context(), due_at=later)
    exchange.enqueue("node:A", "send", {"number": 1}, Context())
    run(exchange, lambda delivery, _context: seen.append(delivery.payload["number"]))
    assert seen == [1]
    assert exchange.summary().deliveries[DeliveryState.WAITING] == 1
    assert exchange.summary().oldest_delivery is not None


def test_unknown_kinds_are_left_to_other_workers(exchange: ExchangeService) -> None:
    exchange.enqueue("node:A", "other", {}, Context())
    assert run(exchange, lambda _delivery, _context: None) == 0


def test_what_a_dead_worker_held_is_tried_again_when_its_lease_ends(exchange: ExchangeService) -> None:
    delivery_id = exchange.enqueue("node:A", "send", {}, Context())
    exchange.enqueue("node:A", "send", {}, Context())
    with exchange.database.transaction() as work:
        DeliveryStore(work).claim(["send"], (), now(), now() + timedelta(seconds=60), "a worker that died")
    seen: list[str] = []
    assert run(exchange, lambda delivery, _context: seen.append(delivery.id)) == 0
    with exchange.database.transaction() as work:
        DeliveryStore(work).renew("a worker that died", now())
    assert run(exchange, lambda delivery, _context: seen.append(delivery.id)) == 2
    assert seen[0] == delivery_id
    assert exchange.delivery(delivery_id).attempts == 2


@pytest.fixture
def finished() -> threading.Event:
    return threading.Event()


def test_threads_keep_the_order_of_each_destination(exchange: ExchangeService, finished: threading.Event) -> None:
    seen: list[tuple[str, int]] = []
    running: set[str] = set()
    overlaps: list[str] = []
    guard = threading.Lock()

    def handler(delivery: Delivery, _context: Context) -> None:
        with guard:
            if delivery.destination in running:
                overlaps.append(delivery.destination)
            running.add(delivery.destination)
            seen.append((delivery.destination, delivery.payload["number"]))
        finished.wait(0.001)
        with guard:
            running.discard(delivery.destination)
            if len(seen) == 60:
                finished.set()

    worker = Worker(exchange, {"send": handler}, threads=4, poll=0.05)
    worker.start()
    assert worker.alive
    for number in range(20):
        for destination in ("node:A", "node:B", "node:C"):
            exchange.enqueue(destination, "send", {"number": number}, Context())
    assert finished.wait(60)
    worker.stop()
    assert not worker.alive
    assert overlaps == []
    for destination in ("node:A", "node:B", "node:C"):
        assert [number for name, number in seen if name == destination] == list(range(20))
    assert exchange.summary().deliveries[DeliveryState.DONE] == 60
