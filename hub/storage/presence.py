"""Which processes that share a database are alive: each holds a lock that ends with it, however it ends.

SQLite: a locked file beside the database. PostgreSQL: an advisory lock of a connection of its own.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hub.storage.engine import Database

_SPACE = 0x4D61696C  #: first key of the advisory locks: "Mail"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Presence:
    """One process's sign of life under a name of its own. Not for several threads at the same time."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._handle = -1
        self._connection: Connection | None = None

    def hold(self) -> None:
        """Show it; a lost one is shown again."""
        directory = self._directory()
        if directory is not None and self._handle < 0:
            self._handle = _locked_file(directory, self._name)
        elif not self._database.sqlite:
            self._hold_advisory()

    def leave(self) -> None:
        """Take it away."""
        directory = self._directory()
        if self._handle >= 0 and directory is not None:
            (directory / self._name).unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1
        if self._connection is not None:
            with contextlib.suppress(DBAPIError):
                self._connection.invalidate()  # closed, not given back: the lock goes with it
                self._connection.close()
            self._connection = None

    def gone(self, names: Iterable[str]) -> list[str]:
        """Those of the names whose process provably lives no more. None where nothing can be proved."""
        others = [name for name in names if name != self._name]
        directory = self._directory()
        if directory is not None:
            return [name for name in others if _is_free(directory, name)]
        if self._connection is None:
            return []
        with self._connection.begin():
            return [name for name in others if self._is_unlocked(name)]

    def _directory(self) -> Path | None:
        file = self._database.url.database
        return Path(f"{file}.alive") if self._database.sqlite and file and file != ":memory:" else None

    def _hold_advisory(self) -> None:
        if self._connection is not None:
            try:
                with self._connection.begin():
                    self._connection.execute(text("SELECT 1"))
                return
            except DBAPIError:
                self._connection = None
        self._connection = self._database.engine.connect()
        with self._connection.begin():
            self._connection.execute(
                text("SELECT pg_advisory_lock(:space, :key)"), {"space": _SPACE, "key": _key(self._name)}
            )

    def _is_unlocked(self, name: str) -> bool:
        keys = {"space": _SPACE, "key": _key(name)}
        taken = (
            self._connection is not None
            and self._connection.execute(text("SELECT pg_try_advisory_xact_lock(:space, :key)"), keys).scalar_one()
        )
        return bool(taken)


def _key(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:4], "big", signed=True)


def _locked_file(directory: Path, name: str) -> int:
    directory.mkdir(exist_ok=True)
    unseen = directory / f".{name}"
    handle = os.open(unseen, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    unseen.rename(directory / name)  # locked before anybody can see it
    return handle


def _is_free(directory: Path, name: str) -> bool:
    if not _NAME.fullmatch(name):
        return False
    try:
        handle = os.open(directory / name, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    (directory / name).unlink(missing_ok=True)
    return True
