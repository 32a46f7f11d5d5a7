"""SQLite's checkpoints in a thread of their own: writers go on while the log is copied to its place (decision 11).

https://www.sqlite.org/wal.html#ckpt: a passive one waits for nobody and keeps nobody waiting.
"""

import logging
import sqlite3
import threading
from contextlib import closing

from sqlalchemy import Engine

MOST_PAGES = 16_000  #: of the log: then whoever commits copies what is left, unless it is being done
_ROWS = 10_000  #: changed since the last one began; in a large index most of them lie on pages of their own

log = logging.getLogger(__name__)


class Checkpoints:
    """The thread of one database; it starts with the first that is wanted, and again after ``close``."""

    def __init__(self, engine: Engine, rows: int = _ROWS) -> None:
        self._engine, self._every = engine, rows
        self._changed = 0
        self._wanted = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def committed(self, rows: int) -> None:
        """So many rows were changed. Called by whoever has the writer's place: one at a time."""
        self._changed += rows
        if self._changed < self._every:
            return
        self._changed = 0
        self._wanted.set()
        if self._thread is None or not self._thread.is_alive():  # none yet, or not in this process
            self._closing = False
            self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """To the end of the one that goes on; whoever closes the last connection makes the last one."""
        if self._thread is not None and self._thread.is_alive():
            self._closing = True
            self._wanted.set()
            self._thread.join()

    def _run(self) -> None:
        dialect = self._engine.dialect  # no connection of the pool: the next writer wants that one for its warm cache
        arguments, options = dialect.create_connect_args(self._engine.url)
        with closing(dialect.connect(*arguments, **options)) as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous=FULL")
            while not self._closing:
                self._wanted.wait()
                self._wanted.clear()
                try:
                    _, pages, _ = cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                except sqlite3.Error as error:  # a full disk: writers hear of it themselves; the log keeps all
                    log.warning("no checkpoint: %s", error)
                    continue
                if pages >= MOST_PAGES:  # writers are quicker: leave it to one of them, so that the log begins anew
                    self._wanted.clear()
