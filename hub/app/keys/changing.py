"""What is made of files, made again when they change: no restart for a new certificate or revocation list."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

_AGAIN = 10.0  #: seconds before files that could not be used are tried again though they have not changed
#: (modification time, size, inode) of each file, None where there is none
Stamp = tuple[tuple[int, int, int] | None, ...]


class Changing(Generic[T]):
    """A value made by ``make`` from ``files``. Files that can't be used leave the value as it was, and are told."""

    def __init__(self, files: Iterable[Path], make: Callable[[], T]) -> None:
        self.files = tuple(files)
        self.generation = 0  #: grows with each new value
        self.problem = ""  #: why the files as they are now are not used
        self._make = make
        self._lock = threading.Lock()
        self._stamp = stamp(self.files)
        self._failed: tuple[Stamp, float] | None = None
        self._value = make()

    def __call__(self) -> T:
        """The value that belongs to the files now."""
        seen = stamp(self.files)
        if seen == self._stamp:
            return self._value
        with self._lock:
            failed = self._failed
            if seen == self._stamp or (failed and failed[0] == seen and time.monotonic() - failed[1] < _AGAIN):
                return self._value
            try:
                self._value = self._make()
            except Exception as error:  # a file half written, a key that does not fit: what was good stays
                self._failed, self.problem = (seen, time.monotonic()), type(error).__name__
                log.error("files changed and can't be used: %s (%s)", self._names(), self.problem)
            else:
                self._stamp, self._failed, self.problem = seen, None, ""
                self.generation += 1
                log.info("files changed and are used: %s", self._names())
            return self._value

    def _names(self) -> str:
        return ", ".join(file.name for file in self.files)


def stamp(files: Iterable[Path]) -> Stamp:
    """What tells a file from its predecessor."""
    return tuple(map(_stamp_of, files))


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
