"""SIGKILL at random moments: what was acknowledged is there, once in effect, and in order."""

import random
import subprocess
import sys
import time

import pytest

from hub.exchange.model import DeliveryState, MessageState, Page
from tests.exchange.feeder import Hub

ROUNDS = 4


def feed_until_killed(url: str, mode: str, first: int, acknowledgements: int) -> int:
    """Let it take messages, kill it in the middle; the last number that it acknowledged."""
    command = [sys.executable, "-m", "tests.exchange.feeder", url, mode, str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = first - 1
        for _ in range(acknowledgements):
            last = int(process.stdout.readline())
        process.kill()
        for line in process.stdout:
            if line.endswith("\n"):
                last = int(line)
    return last


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["direct", "enhanced"])
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_nothing_acknowledged_is_lost(request: pytest.FixtureRequest, kind: str, mode: str) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    hub = Hub(url)
    hub.create_all()
    chance = random.Random(7)
    last = 0
    for _ in range(ROUNDS):
        last = feed_until_killed(url, mode, last + 1, chance.randrange(1, 80))
    for number in range(1, last + 2):  # the sender sends again what it can't know to have arrived, and more
        hub.take(number, mode)
    hub.worker.start()
    done = range(1, last + 2)
    try:
        wait_for(hub, last + 1)
    finally:
        hub.worker.stop()
    assert hub.numbers("message") == list(done)
    assert sorted(hub.numbers("delivery")) == list(done)
    summary = hub.exchange.summary()
    assert summary.messages[MessageState.PROCESSED] == last + 1
    assert summary.deliveries[DeliveryState.DONE] == last + 1
    assert all(message.state is MessageState.PROCESSED for message in hub.exchange.messages(Page(limit=10_000)))
    for remainder in range(3):  # each destination in the order of its messages
        numbers = [number for number in hub.numbers("delivery") if number % 3 == remainder]
        assert numbers == sorted(numbers)
    hub.database.dispose()


def wait_for(hub: Hub, count: int) -> None:
    while hub.exchange.summary().deliveries[DeliveryState.DONE] < count:
        assert hub.worker.alive
        time.sleep(0.05)


def test_the_database_file_is_whole_after_a_kill(sqlite_url: str) -> None:
    hub = Hub(sqlite_url)
    hub.create_all()
    feed_until_killed(sqlite_url, "direct", 1, 20)
    with hub.database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    hub.database.dispose()
