"""Statements on PostgreSQL, prepared once per connection and executed on libpq itself.

psycopg's cursors cost 40 to 60 microseconds a statement beside what the server needs. Its adapters are used as they
are: values go out and come back as through a cursor."""

import itertools
import re
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import abc, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from sqlalchemy.exc import DisconnectionError

_NUMBERS = itertools.count(1)
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")
_VALUES = re.compile(r"(INSERT INTO .* VALUES )(\([^()]*\))", re.DOTALL)
_NUMBER = re.compile(r"\$(\d+)")
_TRUSTED_SECONDS = 30.0  #: how long an idle connection is believed to be alive
_MOST_ROWS = 128  #: rows in one statement
_DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


def numbered(text: str) -> tuple[str, tuple[str, ...]]:
    """A statement's text with $1, $2 ... in place of %(name)s, and the names in that order."""
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${names.setdefault(found[1], len(names) + 1)}" if found[1] else "%"

    return _PARAMETER.sub(number, text), tuple(names)


@contextmanager
def without_transaction(connection: Any) -> Iterator[None]:
    """Our statements begin none: for questions. Each statement sees what is committed when it starts, as it would
    within one (READ COMMITTED), and two round trips are saved."""
    connection.__dict__["hub_reading"] = True
    try:
        yield
    finally:
        connection.__dict__.pop("hub_reading", None)


def given_back(_connection: Any, record: Any) -> None:
    """Note since when a connection is idle."""
    record.info["idle since"] = time.monotonic()


def look_at(connection: Any, record: Any, _proxy: Any) -> None:
    """Is the connection that is taken from the pool alive? The server is asked after a while only; a server that ended
    has said so by then. Raises DisconnectionError: the pool tries another one."""
    since = record.info.get("idle since")
    if since is None:
        return
    driver = connection.pgconn
    if driver.status == pq.ConnStatus.OK:
        told = select.poll()
        told.register(driver.socket, select.POLLIN)
        if time.monotonic() - since < _TRUSTED_SECONDS and not told.poll(0):
            return
        if driver.exec_(b"").status == pq.ExecStatus.EMPTY_QUERY:
            return
    raise DisconnectionError("the connection to the database is lost")


class Statement:
    """One statement. It is prepared on a connection when that first executes it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._name = f"hub_{next(_NUMBERS)}"
        self._rows = self._of_rows(text)
        self._texts: dict[int, str] = {}  #: by the number of rows

    def execute(self, connection: Any, values: Sequence[Any]) -> tuple[list[tuple[Any, ...]], int]:
        """Rows, and how many were changed. Opens a transaction where none is open. Raises psycopg.Error."""
        adapter = Transformer.from_context(connection)
        result = _execute(connection, self._name, self.text, adapter, values)
        changed = result.command_tuples or 0
        if not result.ntuples:
            return [], changed
        adapter.set_pgresult(result)
        return adapter.load_rows(0, result.ntuples, tuple), changed

    def executemany(self, connection: Any, rows: list[list[Any]]) -> None:
        """Once a row: inserts take several rows at a time. Raises psycopg.Error."""
        adapter = Transformer.from_context(connection)
        if self._rows is None:
            for row in rows:
                _execute(connection, self._name, self.text, adapter, row)
            return
        for chunk in _chunks(rows):
            size = len(chunk)
            text = self._texts.get(size)
            if text is None:
                text = self._texts[size] = self._of_size(*self._rows, size, len(chunk[0]))
            _execute(connection, f"{self._name}_{size}", text, adapter, [item for row in chunk for item in row])

    @staticmethod
    def _of_size(head: str, values: str, rows: int, columns: int) -> str:
        return head + ", ".join(_shifted(values, number * columns) for number in range(rows))

    @staticmethod
    def _of_rows(text: str) -> tuple[str, str] | None:
        found = _VALUES.fullmatch(text)
        return (found[1], found[2]) if found else None


def _execute(connection: Any, name: str, text: str, adapter: abc.Transformer, values: Sequence[Any]) -> Any:
    driver = connection.pgconn
    if driver.transaction_status == pq.TransactionStatus.IDLE and "hub_reading" not in connection.__dict__:
        _checked(driver, driver.exec_(b"BEGIN"))
    prepared = connection.__dict__.setdefault("hub_prepared", set())
    if name not in prepared:
        _checked(driver, driver.prepare(name.encode(), text.encode()))
        prepared.add(name)
    formats = [PyFormat.BINARY if isinstance(value, bytes) else PyFormat.TEXT for value in values]
    dumped = adapter.dump_sequence(values, formats)
    return _checked(driver, driver.exec_prepared(name.encode(), dumped, adapter.formats))


def _checked(driver: Any, result: Any) -> Any:
    if result.status in _DONE:
        return result
    if driver.status == pq.ConnStatus.BAD:
        raise psycopg.OperationalError("the connection to the database is lost")
    raise error_from_result(result)


def _chunks(rows: list[list[Any]]) -> Iterator[list[list[Any]]]:
    """Of 128, 64, ... 2 and 1 row: each size is a statement of its own."""
    start, size = 0, _MOST_ROWS
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield rows[start : start + size]
        start += size


def _shifted(values: str, by: int) -> str:
    return _NUMBER.sub(lambda found: f"${int(found[1]) + by}", values) if by else values
