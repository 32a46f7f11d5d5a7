"""A killed worker's deliveries are another's at once; a living one's are not."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from hub.context import Context
from hub.exchange.model import Delivery, DeliveryState
from hub.exchange.service import ExchangeService
from hub.exchange.worker import Worker
from hub.storage.engine import Database
from hub.storage.presence import Presence
from tests.waiting import until


@pytest.fixture
def url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
def holder(url: str, database: Database) -> Iterator[subprocess.Popen[str]]:
    """A process that has claimed the one delivery, for an hour."""
    ExchangeService(database=database).enqueue("node", "publish", {"number": 1}, Context())
    command = [sys.executable, "-m", "tests.exchange.holder", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
        process.kill()


def test_a_killed_workers_delivery_is_carried_out_at_once(holder: subprocess.Popen[str], database: Database) -> None:
    holder.kill()
    holder.wait()
    done = threading.Event()
    exchange = ExchangeService(database=database)
    worker = Worker(exchange, {"publish": lambda *_: done.set()}, threads=1, lease=3.0, poll=0.05)
    worker.start()
    try:
        assert done.wait(60), "it waits for the lease of a process that has gone"
    finally:
        worker.stop()


def test_a_living_workers_delivery_stays_its_own(holder: subprocess.Popen[str], database: Database) -> None:
    taken: list[Delivery] = []
    exchange = ExchangeService(database=database)
    worker = Worker(exchange, {"publish": lambda delivery, _: taken.append(delivery)}, threads=1, lease=0.3, poll=0.05)
    worker.start()
    try:
        threading.Event().wait(1.0)  # several looks for workers that have gone
        assert not taken
        assert exchange.summary().deliveries[DeliveryState.RUNNING] == 1
    finally:
        worker.stop()
    assert holder.poll() is None


def test_who_left_is_gone_and_who_was_never_there(url: str) -> None:
    one, other = (Presence(Database(url), name) for name in ("one", "other"))
    one.hold()
    other.hold()
    assert other.gone(["one", "other", "never-there"]) == ["never-there"]
    one.leave()
    until(lambda: other.gone(["one", "other"]) == ["one"])  # PostgreSQL ends a session a moment after it was closed
    one.hold()
    assert other.gone(["one"]) == []
    one.leave()
    other.leave()
