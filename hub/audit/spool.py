"""Audit records on their way into the database: a file that outlives the process.

``put`` appends a line with one ``write``: from then on the record survives the process's death (SIGKILL as well), and
with ``sync`` the machine's. ``take`` hands over what has gathered and starts a new file; ``done`` removes the file once
its records are in the database. ``begin`` keeps the record of what is under way in a file of its own until ``ended``:
what is said of it when the process dies in between. Files that a dead process left are found by ``orphans``: each
process holds a lock on its own directory.
"""

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.values import new_key

log = logging.getLogger(__name__)

_BEGUN = ".begun"


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that were taken, and the file that still holds them."""

    bodies: list[str]
    path: Path


class Spool:
    """One process's spool. Not thread-safe: its owner locks."""

    def __init__(self, directory: Path, *, sync: bool = False) -> None:
        self.root = Path(directory)
        self.sync = sync
        self.root.mkdir(parents=True, exist_ok=True)
        self._directory = self.root / new_key()
        self._directory.mkdir()
        self._lock = os.open(self._directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._file = -1
        self._path = self._directory
        self._bodies: list[str] = []

    def put(self, body: str) -> None:
        """Keep a record. Raises OSError when the disk refuses."""
        if self._file < 0:
            self._path = self._directory / f"{new_key()}.jsonl"
            self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        data = body.encode() + b"\n"
        written = os.write(self._file, data)
        if written != len(data):
            os.write(self._file, b"\n")  # closes the torn line, which is then recognised as none
            raise OSError("the audit spool could not be written")
        if self.sync:
            os.fdatasync(self._file)
        self._bodies.append(body)

    def begin(self, key: str, body: str) -> None:
        """Keep the record of what begins now. Any thread may. Raises OSError when the disk refuses."""
        path = self._directory / f"{key}{_BEGUN}"
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        try:
            data = body.encode() + b"\n"
            if os.write(handle, data) != len(data):
                raise OSError("the audit spool could not be written")
            if self.sync:
                os.fsync(handle)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)

    def ended(self, key: str) -> None:
        """Its record was put."""
        (self._directory / f"{key}{_BEGUN}").unlink(missing_ok=True)

    def writable(self) -> bool:
        """Whether the disk takes something."""
        try:
            with tempfile.TemporaryFile(dir=self._directory, buffering=0) as probe:  # nothing of it is ever left there
                probe.write(b"\0" * 4096)
        except OSError:
            return False
        return True

    def take(self) -> Batch:
        """What has gathered."""
        batch = Batch(self._bodies, self._path)
        self._bodies = []
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        return batch

    def done(self, batch: Batch) -> None:
        """The batch is in the database."""
        if batch.bodies:
            batch.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the directory up; what is left in it becomes an orphan."""
        self.take()
        (self._directory / "lock").unlink(missing_ok=True)
        os.close(self._lock)
        if not any(self._directory.iterdir()):
            self._directory.rmdir()

    def orphans(self) -> Iterator[Batch]:
        """What dead processes left, one file at a time; the caller calls ``done`` for each."""
        for directory in sorted(self.root.iterdir()):
            if directory == self._directory or not directory.is_dir():
                continue
            handle = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            try:
                # What had begun comes last: whose record was put before the end counts as there already.
                for path in (*sorted(directory.glob("*.jsonl")), *sorted(directory.glob(f"*{_BEGUN}"))):
                    yield Batch(_lines(path), path)
                    path.unlink(missing_ok=True)
                (directory / "lock").unlink(missing_ok=True)
                directory.rmdir()
            finally:
                os.close(handle)


def _lines(path: Path) -> list[str]:
    *lines, torn = path.read_bytes().split(b"\n")
    if torn:
        log.warning("the last line of an audit spool file was not finished: its request was not answered")
    return [line.decode() for line in lines if line.startswith(b"{") and line.endswith(b"}")]
