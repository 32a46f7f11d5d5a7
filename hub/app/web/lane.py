"""Short works one after the other in one thread.

Threads that work at the same time hand each other the interpreter's lock at every statement of the database: eight
short questions at once in eight threads cost half as much CPU again as the same eight in a row. So what is expected to
be short waits for its turn, and a work that takes long is let past."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

PATIENCE = 0.02  #: seconds that one work may hold up the others
MOST_THREADS = 32

T = TypeVar("T")
_Job = tuple[contextvars.Context, Callable[[], Any], "asyncio.Future[Any]"]


class Lane:
    """Belongs to one event loop; its threads start when they are needed and last as long as the process."""

    def __init__(self, name: str = "lane") -> None:
        self.name = name
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = 0  # works that have ended
        self._seen = 0  # of these, when the timer last looked
        self._threads = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of ``work``, in the caller's context. Once begun it is carried out, whoever waits for it."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((contextvars.copy_context(), work, future))
        if not self._threads:
            self._start(lasting=True)
        if self._timer is None:
            self._seen = self._ended
            self._timer = loop.call_later(PATIENCE, self._look)
        return await future

    def _look(self) -> None:
        """Is somebody kept waiting? Then another thread helps till nobody is."""
        self._timer = None
        if self._jobs.empty():
            return
        if self._seen == self._ended and self._threads < MOST_THREADS:
            self._start(lasting=False)
        self._seen = self._ended
        assert self._loop is not None
        self._timer = self._loop.call_later(PATIENCE, self._look)

    def _start(self, *, lasting: bool) -> None:
        with self._lock:
            self._threads += 1
        threading.Thread(target=self._work, args=(lasting,), name=self.name, daemon=True).start()

    def _work(self, lasting: bool) -> None:
        while True:
            try:
                job = self._jobs.get(block=lasting)
            except Empty:
                with self._lock:
                    self._threads -= 1
                return
            self._carry_out(*job)
            del job

    def _carry_out(self, context: contextvars.Context, work: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        result, failure = None, None
        if not future.cancelled():
            try:
                result = context.run(work)
            except BaseException as error:
                failure = error  # it belongs to whoever waits
        self._ended += 1
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(_deliver, future, result, failure)


def _deliver(future: "asyncio.Future[Any]", result: Any, failure: BaseException | None) -> None:
    if future.cancelled():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)
