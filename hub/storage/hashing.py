"""SHA-1 of a stream, which XDS wants: a large one's in a thread beside whoever receives it."""

import hashlib
import threading
from queue import Queue
from types import TracebackType
from typing import Any, Self

LARGE = 4 * 1024 * 1024  #: bytes from which on a thread is worth its start
_STRETCH = 1024 * 1024  #: bytes handed over at once
_AHEAD = 8  #: stretches that wait for the hash: then the receiver waits
_Stretch = list[bytes] | None


class Hash:
    """A context manager: its thread ends with it. Not thread-safe.

    The hash function lets other threads run meanwhile, so a stream takes as long as its hash or its receiving, not as
    both."""

    def __init__(self) -> None:
        self.size = 0  #: bytes so far
        self._sha1: Any = hashlib.sha1(usedforsecurity=False)
        self._waiting: list[bytes] = []
        self._held = 0  # bytes of these
        self._queue: Queue[_Stretch] = Queue(_AHEAD)
        self._thread: threading.Thread | None = None

    def update(self, chunk: bytes) -> None:
        """What comes next."""
        self.size += len(chunk)
        if self.size <= LARGE:
            self._sha1.update(chunk)
            return
        self._waiting.append(chunk)
        self._held += len(chunk)
        if self._held >= _STRETCH:
            self._hand_over()

    def digest(self) -> str:
        """Lower-case hexadecimal; nothing may follow."""
        if self._waiting:
            self._hand_over()
        self._end()
        return str(self._sha1.hexdigest())

    def _hand_over(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="hash", daemon=True)
            self._thread.start()
        self._queue.put(self._waiting)
        self._waiting, self._held = [], 0

    def _work(self) -> None:
        while (stretch := self._queue.get()) is not None:
            for chunk in stretch:
                self._sha1.update(chunk)

    def _end(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()
