"""SHA-1 and SHA-256 of a stream at once: large ones in two threads beside whoever receives it."""

import hashlib
import threading
from queue import Queue
from types import TracebackType
from typing import Any, Self

LARGE = 4 * 1024 * 1024  #: bytes from which on threads are worth their start
_STRETCH = 1024 * 1024  #: bytes handed over at once
_AHEAD = 8  #: stretches that wait for a hash: then the receiver waits
_Stretch = list[bytes] | None


class Hashes:
    """A context manager: its threads end with it. Not thread-safe.

    The hash functions let other threads run meanwhile, so a stream is received as fast as the slower of both hashes
    it, not as both and the receiving together."""

    def __init__(self) -> None:
        self.size = 0  #: bytes so far
        self._sha1: Any = hashlib.sha1(usedforsecurity=False)
        self._sha256: Any = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._held = 0  # bytes of these
        self._queues: list[Queue[_Stretch]] = []
        self._threads: list[threading.Thread] = []

    def update(self, chunk: bytes) -> None:
        """What comes next."""
        self.size += len(chunk)
        if self.size <= LARGE:
            self._sha1.update(chunk)
            self._sha256.update(chunk)
            return
        self._waiting.append(chunk)
        self._held += len(chunk)
        if self._held >= _STRETCH:
            self._hand_over()

    def digests(self) -> tuple[str, str]:
        """SHA-1 and SHA-256 in lower-case hexadecimal; nothing may follow."""
        if self._waiting:
            self._hand_over()
        self._end()
        return self._sha1.hexdigest(), self._sha256.hexdigest()

    def _hand_over(self) -> None:
        if not self._threads:
            for made in (self._sha1, self._sha256):
                queue: Queue[_Stretch] = Queue(_AHEAD)
                thread = threading.Thread(target=_work, args=(made, queue), name="hash", daemon=True)
                self._queues.append(queue)
                self._threads.append(thread)
                thread.start()
        for queue in self._queues:
            queue.put(self._waiting)
        self._waiting, self._held = [], 0

    def _end(self) -> None:
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()
        self._queues, self._threads = [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()


def _work(made: Any, queue: "Queue[_Stretch]") -> None:
    while (stretch := queue.get()) is not None:
        for chunk in stretch:
            made.update(chunk)
