"""Short works in one thread, in turn; a long one does not hold up the others."""

import asyncio
import contextvars
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pytest

from hub.app.web.lane import Lane
from hub.errors import Invalid

T = TypeVar("T")
WHERE: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="")


def alone(work: Coroutine[Any, Any, T]) -> T:
    """The outcome on a loop of its own, in a thread of its own: a browser's loop may run in the test's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result(120)


def test_short_works_share_one_thread_and_keep_their_order() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        done.append(number)
        return threading.get_ident()

    async def many() -> list[int]:
        lane = Lane()
        return await asyncio.gather(*(lane.run(partial(work, number)) for number in range(50)))

    threads = alone(many())
    assert done == list(range(50))
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


def test_a_work_that_takes_long_is_let_past() -> None:
    released = threading.Event()

    async def both() -> tuple[bool, str]:
        lane = Lane()
        slow = asyncio.ensure_future(lane.run(lambda: released.wait(60)))
        quick = await asyncio.wait_for(lane.run(lambda: "quick"), 50)
        released.set()
        return await slow, quick

    assert alone(both()) == (True, "quick")


def test_a_failure_is_the_callers_and_the_lane_goes_on() -> None:
    def fail() -> None:
        raise Invalid("no")

    async def both() -> int:
        lane = Lane()
        with pytest.raises(Invalid):
            await lane.run(fail)
        return await lane.run(lambda: 1)

    assert alone(both()) == 1


def test_a_work_has_the_context_of_its_caller() -> None:
    async def told(text: str, lane: Lane) -> str:
        WHERE.set(text)
        return await lane.run(WHERE.get)

    async def both() -> list[str]:
        lane = Lane()
        return list(await asyncio.gather(told("one", lane), told("other", lane)))

    assert alone(both()) == ["one", "other"]


def test_whoever_gives_up_leaves_the_lane_free() -> None:
    begun, released = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        released.wait(60)

    async def given_up() -> str:
        lane = Lane()
        waiting = asyncio.ensure_future(lane.run(slow))
        await asyncio.to_thread(begun.wait, 60)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        released.set()
        return await asyncio.wait_for(lane.run(lambda: "free"), 50)

    assert alone(given_up()) == "free"
