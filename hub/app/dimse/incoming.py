"""Files that received objects are written to: made before they are needed, on their way to the disk before they end.

A sender waits for each object's answer, so what can be done while it is busy itself costs nothing.
"""

import contextlib
import os
import queue
import time
from pathlib import Path

from hub.storage.writeback import Writeback
from hub.values import new_key

_ABANDONED = 24 * 3600.0
_FRESH = 3600.0
#: So many bytes are handed to the disk at a time, while the next ones arrive.
_EARLY = 120_000


class IncomingFile:
    """One file. Whoever takes it closes it, and removes it or gives it another place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        self._size = 0
        self._writeback = Writeback(self._handle, _EARLY)
        self.made = time.monotonic()

    def write(self, piece: bytes | memoryview) -> None:
        """Append. Raises OSError."""
        view = memoryview(piece)
        while view:
            written = os.write(self._handle, view)
            view, self._size = view[written:], self._size + written
        self._writeback.written(self._size)

    def sync(self) -> None:
        """What was written is on the disk when this returns. Raises OSError."""
        os.fdatasync(self._handle)

    def close(self) -> None:
        """Give the handle back."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def remove(self) -> None:
        """Close it, and have it gone unless it got another place."""
        self.close()
        self.path.unlink(missing_ok=True)


class IncomingFiles:
    """The directory of files that are not acknowledged yet. Any number of processes may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ready: queue.SimpleQueue[IncomingFile] = queue.SimpleQueue()
        self._placed: queue.SimpleQueue[IncomingFile] = queue.SimpleQueue()
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.iterdir():  # never acknowledged; younger ones may be another process's
            if time.time() - leftover.stat().st_mtime > _ABANDONED:
                leftover.unlink(missing_ok=True)

    def take(self) -> IncomingFile:
        """An empty file. Raises OSError."""
        try:
            file = self._ready.get_nowait()
        except queue.Empty:
            return self._new()
        if time.monotonic() - file.made < _FRESH:
            return file
        file.remove()  # before another process takes it for abandoned
        return self._new()

    def placed(self, file: IncomingFile) -> None:
        """The file has another place now: its name here goes when there is time."""
        self._placed.put(file)

    def prepare(self) -> None:
        """There is time: have a file ready for the next object, and let go of what was placed."""
        try:
            if self._ready.empty():
                self._ready.put(self._new())
            self._let_go(self._placed)
        except OSError:
            return  # ``take`` tries again, and its caller says why it fails

    def close(self) -> None:
        """Remove what is ready, and what was placed."""
        self._let_go(self._ready)
        self._let_go(self._placed)

    def _let_go(self, files: "queue.SimpleQueue[IncomingFile]") -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                files.get_nowait().remove()

    def _new(self) -> IncomingFile:
        return IncomingFile(self._directory / new_key())
