"""SQLite's one writer: units of work that wait for each other share one commit (docs/decisions/0003).

A commit costs a disk flush, and SQLite does one at a time. So whoever finishes while others wait for the writer's place
leaves the transaction open; they carry out their work in it, each in a savepoint of its own, and the last one commits
for all. Nobody returns before the commit: done means durable, as if each had committed alone.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from hub.storage.checkpoints import Checkpoints

_LONGEST = 0.02  # seconds after its begin in which a transaction takes in further units of work
_CACHE = "PRAGMA cache_size=-65536"  # KiB: the pages of indexes that are written all over; readers have the kernel's


class SharedWriter:
    """One writer at a time in this process: waiting here is cheap, SQLite's own busy wait is not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._place = threading.Lock()
        self._counting = threading.Lock()
        self.waiting = 0  #: units of work that want the place
        self._group: _Group | None = None
        self._ender = _Ender()
        self.checkpoints = Checkpoints(engine)

    @contextmanager
    def unit(self) -> Iterator[Connection]:
        """The connection for one unit of work; ends when that is committed. Raises OperationalError when it can't be.

        An exception takes back this unit of work and none of the others."""
        with self._written(apart=False) as group:
            yield group.connection
        group.wait()

    @contextmanager
    def later(self) -> Iterator[tuple[Connection, Callable[[], None]]]:
        """As ``unit``, with what waits for the commit: another thread commits. The place is taken until it has."""
        with self._written(apart=True) as group:
            yield group.connection, group.wait

    @contextmanager
    def _written(self, *, apart: bool) -> Iterator["_Group"]:
        """A unit of work in its group, kept or undone. ``apart``: a group that ends is committed by another thread."""
        self._take_place()
        with ExitStack() as leaving:
            leaving.callback(self._place.release)
            group = self._group = self._group or _Group(self._engine, self.checkpoints)
            kept = False
            try:
                group.begin()
                yield group
                group.keep()
                kept = True
            except BaseException:
                group.undo()
                raise
            finally:
                if not self.waiting or group.complete:
                    self._group = None
                    if apart and kept:
                        self._ender.end(group, self._place.release)
                        leaving.pop_all()
                    else:
                        group.end()

    def _take_place(self) -> None:
        if self._place.acquire(blocking=False):
            return
        with self._counting:
            self.waiting += 1
        try:
            self._place.acquire()
        finally:
            with self._counting:
                self.waiting -= 1


class _Ender:
    """A thread that commits, so that who wrote can go on meanwhile."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[_Group, Callable[[], None]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def end(self, group: "_Group", then: Callable[[], None]) -> None:
        """Called by whoever has the writer's place: one at a time."""
        if self._thread is None or not self._thread.is_alive():  # none yet, or not in this process
            self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
            self._thread.start()
        self._jobs.put((group, then))

    def _run(self) -> None:
        while True:
            group, then = self._jobs.get()
            try:
                group.end()
            finally:
                then()
                del group, then


class _Group:
    """One transaction and the units of work in it, one after the other."""

    def __init__(self, engine: Engine, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self.connection = engine.connect()
        try:
            self._transaction = self.connection.begin()
            self._driver: Any = self.connection.connection.driver_connection
            if "writes" not in self.connection.info:
                self._execute(_CACHE)
                self.connection.info["writes"] = True
            self._execute("BEGIN IMMEDIATE")
        except BaseException:
            self.connection.close()
            raise
        self._before = self._changes
        self._until = time.monotonic() + _LONGEST
        self._kept = 0
        self._stands = True
        self._failure: BaseException | None = None
        self._ended = threading.Event()

    @property
    def complete(self) -> bool:
        """Whether it should take in no more."""
        return not self._stands or time.monotonic() >= self._until

    @property
    def _changes(self) -> int:
        """Rows that the connection has changed since it was opened."""
        return int(self._driver.total_changes)

    def begin(self) -> None:
        """A unit of work starts. The first needs no savepoint: until it is kept there is nobody else's work."""
        if self._kept:
            self._execute("SAVEPOINT unit")

    def keep(self) -> None:
        """The unit of work is done."""
        if self._kept:
            self._execute("RELEASE unit")
        elif not self._driver.in_transaction:
            raise OperationalError("COMMIT", None, sqlite3.OperationalError("SQLite gave the transaction up"))
        self._kept += 1

    def undo(self) -> None:
        """The unit of work failed: as if it had never been."""
        if not self._kept:
            self._stands = False
            return
        try:
            self._execute("ROLLBACK TO unit")
            self._execute("RELEASE unit")
        except OperationalError as error:  # a full disk and the like: SQLite has taken everything back
            self._stands, self._failure = False, error

    def end(self) -> None:
        """Commit for all. What fails here is raised by ``wait``."""
        changed = 0
        try:
            if self._stands:
                self._transaction.commit()
                changed = self._changes - self._before
        except BaseException as error:
            self._failure = error
            self.connection.invalidate()  # closed for good: whatever state it is in
            if not isinstance(error, Exception):
                raise
        finally:
            try:
                self.connection.close()  # rolls back what was not committed
            finally:
                self._ended.set()
        self._checkpoints.committed(changed)

    def wait(self) -> None:
        """Until the commit. Raises OperationalError."""
        self._ended.wait()
        if self._failure is not None:
            cause = getattr(self._failure, "orig", None) or self._failure
            raise OperationalError("COMMIT", None, cause) from self._failure

    def _execute(self, statement: str) -> None:
        try:
            self._driver.execute(statement)
        except sqlite3.OperationalError as error:  # another process writes beyond busy_timeout, the disk is full
            raise OperationalError(statement, None, error) from error
