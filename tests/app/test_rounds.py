"""A thread that does its rounds: stopped at once, started again, not ended by a failure."""

import threading

import pytest

from hub.app.running import rounds
from hub.app.running.rounds import Rounds
from tests.waiting import until


def test_rounds_go_on_until_they_are_stopped_and_can_be_started_again() -> None:
    done: list[str] = []

    def step() -> float:
        done.append(threading.current_thread().name)
        return 0.001 if len(done) < 3 else 3600.0

    made = Rounds("look", step)
    made.start()
    until(lambda: len(done) == 3)
    made.stop()  # it waits for an hour: stopped all the same
    made.start()
    until(lambda: len(done) == 4)
    made.stop()
    made.stop()
    assert set(done) == {"look"}


def test_the_first_round_waits() -> None:
    done: list[int] = []
    made = Rounds("later", lambda: done.append(1) or 1.0, first=3600.0)  # type: ignore[func-returns-value]
    made.start()
    made.stop()
    assert done == []


def test_a_round_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "AFTER_A_FAILURE", 0.001)
    done: list[int] = []

    def step() -> float:
        done.append(1)
        raise RuntimeError

    made = Rounds("failing", step)
    made.start()
    until(lambda: len(done) > 2)
    made.stop()
