"""Durability that is awaited later: a small unit of work is carried out at once, and flushed to the disk while its
request goes on. Nobody is answered, and nothing else is written for them, before it is on the disk."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import generators, pq
from psycopg.errors import error_from_result
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

#: Of one process at a time: each keeps a connection. Who comes beyond waits for the disk at once.
MOST = 4


class Promise:
    """One unit of work that was carried out. ``settle`` returns when it is durable, however often it is called, and
    raises what its commit met."""

    def __init__(self, wait: Callable[[], None], finished: Callable[[bool], None]) -> None:
        """``finished`` is told whether it was committed, once."""
        self._wait: Callable[[], None] | None = wait
        self._finished = finished
        self._lock = threading.Lock()
        self._failure: BaseException | None = None

    def settle(self) -> None:
        """Raises OperationalError."""
        with self._lock:
            wait, self._wait = self._wait, None
            if wait is not None:
                try:
                    wait()
                except BaseException as error:
                    self._failure = error
                self._finished(self._failure is None)
            if self._failure is not None:
                raise self._failure


class Promises(list[Promise]):
    """Those of one request."""

    def settle(self) -> None:
        """All of them, whatever becomes of one. Raises what the first met that failed."""
        failure: BaseException | None = None
        for promise in self:
            try:
                promise.settle()
            except BaseException as error:
                failure = failure or error
        if failure is not None:
            raise failure


class _Sent:
    """PostgreSQL's COMMIT, on its way."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def send(self) -> None:
        driver: Any = self.connection.connection.driver_connection
        driver.pgconn.send_query(b"COMMIT")
        driver.wait(generators.send(driver.pgconn))

    def wait(self) -> None:
        driver: Any = self.connection.connection.driver_connection
        try:
            (result,) = driver.wait(generators.fetch_many(driver.pgconn))
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise error_from_result(result)
            if result.command_status != b"COMMIT":
                raise OperationalError("COMMIT", None, psycopg.OperationalError("the unit of work was taken back"))
        except psycopg.Error as error:
            raise OperationalError("COMMIT", None, error) from error
        finally:
            self.connection.close()  # a lost one is thrown away


@contextmanager
def begun(engine: Engine) -> Iterator[tuple[Connection, Callable[[], None]]]:
    """A connection for one unit of work on PostgreSQL, and what waits until it is committed: the end of this only sends
    the commit. An exception takes the unit of work back."""
    connection = engine.connect()
    sent = _Sent(connection)
    try:
        yield connection, sent.wait
        sent.send()
    except BaseException:
        connection.close()  # which rolls back
        raise
