"""Statements on PostgreSQL, prepared once per connection and executed on libpq itself.

psycopg's cursors cost 40 to 60 microseconds a statement beside what the server needs. Its adapters are used as they
are: values go out and come back as through a cursor."""

import itertools
import re
import select
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import abc, generators, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from sqlalchemy.exc import DisconnectionError

_NUMBERS = itertools.count(1)
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")
_VALUES = re.compile(r"(INSERT INTO (.*) VALUES )(\([^()]*\))", re.DOTALL)
_PLAIN = re.compile(r"\$(\d+)(?:::[A-Z ]+)?(?: COLLATE \"C\")?(?=[,)])")
_NUMBER = re.compile(r"\$(\d+)")
_TRUSTED_SECONDS = 30.0  #: how long an idle connection is believed to be alive
_MOST_ROWS = 128  #: rows in one statement
_COPIED = 256  #: rows from which on a copy, which has a round trip or two of its own, costs less than statements
_DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)

Found = tuple[list[tuple[Any, ...]], int]  #: rows, and how many were changed
Step = tuple[str, str, Sequence[Any]]  #: name and text of a prepared statement, and its values


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
        self._into = _into(text)

    def execute(self, connection: Any, values: Sequence[Any]) -> Found:
        """Carry it out. Opens a transaction where none is open. Raises psycopg.Error."""
        step = self.step(values)
        if _begins(connection):
            return several(connection, [step])[0]
        adapter = Transformer.from_context(connection)
        dumped, formats = _dumped(adapter, values)
        _prepare(connection, [step])
        result = connection.pgconn.exec_prepared(self._name.encode(), dumped, formats)
        return _found(adapter, _checked(connection.pgconn, result))

    def step(self, values: Sequence[Any]) -> Step:
        """One execution, for ``several``."""
        return self._name, self.text, values

    def copies(self, rows: int) -> bool:
        """Whether so many rows are better copied: of statements that only insert values."""
        return self._into is not None and rows >= _COPIED

    def copy(self, connection: Any, rows: Sequence[Sequence[Any]]) -> None:
        """Insert by COPY: the same rows, triggers and errors (a row that is there already is refused). Opens a
        transaction where none is open. Raises psycopg.Error."""
        if self._into is None:
            raise ValueError("only an insert of values is copied")
        with connection.cursor() as cursor, cursor.copy(self._into) as copy:
            for row in rows:
                copy.write_row(row)

    def steps(self, rows: Sequence[Sequence[Any]]) -> Iterator[Step]:
        """Once a row, for ``several``: inserts take several rows at a time."""
        if self._rows is None:
            yield from (self.step(row) for row in rows)
            return
        for chunk in _chunks(rows):
            size = len(chunk)
            text = self._texts.get(size)
            if text is None:
                text = self._texts[size] = self._of_size(*self._rows, size, len(chunk[0]))
            yield f"{self._name}_{size}", text, [item for row in chunk for item in row]

    @staticmethod
    def _of_size(head: str, values: str, rows: int, columns: int) -> str:
        return head + ", ".join(_shifted(values, number * columns) for number in range(rows))

    @staticmethod
    def _of_rows(text: str) -> tuple[str, str] | None:
        found = _VALUES.fullmatch(text)
        return (found[1], found[3]) if found else None


def _into(text: str) -> str | None:
    """The COPY of an insert of one value after the other into the columns that it names."""
    found = _VALUES.fullmatch(text)
    if found is None:
        return None
    places = [int(value[1]) for value in _PLAIN.finditer(found[3])]
    plain = len(places) == found[3].count(",") + 1 == found[2].count(",") + 1
    return f"COPY {found[2]} FROM STDIN" if plain and places == list(range(1, len(places) + 1)) else None


def several(connection: Any, steps: Iterable[Step], *, commits: bool = False) -> list[Found]:
    """Carry all out in this order, with one round trip (libpq's pipeline). Opens a transaction where none is open.
    ``commits``: and then ends it; where one of them fails it stays open, as it does without.

    None of them is to answer with very much: the answers wait until everything was sent. Raises psycopg.Error: then
    those after the one that failed were not carried out."""
    wanted = list(steps)
    adapter, driver = Transformer.from_context(connection), connection.pgconn
    ready = [(name.encode(), *_dumped(adapter, values)) for name, _, values in wanted]
    _prepare(connection, wanted)
    begins = _begins(connection)
    driver.enter_pipeline_mode()
    if begins:
        driver.send_query_params(b"BEGIN", None)
    for statement in ready:
        driver.send_query_prepared(*statement)
    if commits:
        driver.send_query_params(b"COMMIT", None)
    driver.pipeline_sync()
    connection.wait(generators.send(driver))  # waits without the interpreter's lock, as ``get_result`` would not
    results = [_result(connection) for _ in range(begins + len(ready) + commits)]
    _result(connection)  # of the sync
    driver.exit_pipeline_mode()
    done = [_checked(driver, result) for result in results]
    return [_found(adapter, result) for result in done[begins : begins + len(ready)]]


def _result(connection: Any) -> Any:
    """Of the next statement of a pipeline."""
    [result] = connection.wait(generators.fetch_many(connection.pgconn))
    return result


def _prepare(connection: Any, steps: Iterable[Step]) -> None:
    """Those that this connection does not know yet."""
    known = connection.__dict__.setdefault("hub_prepared", set())
    for name, text, _ in steps:
        if name not in known:
            _checked(connection.pgconn, connection.pgconn.prepare(name.encode(), text.encode()))
            known.add(name)


def _begins(connection: Any) -> bool:
    """Whether a transaction must be opened first."""
    idle = connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
    return idle and "hub_reading" not in connection.__dict__


def _dumped(adapter: abc.Transformer, values: Sequence[Any]) -> tuple[Any, Any]:
    formats = [PyFormat.BINARY if isinstance(value, bytes) else PyFormat.TEXT for value in values]
    return adapter.dump_sequence(values, formats), adapter.formats


def _found(adapter: abc.Transformer, result: Any) -> Found:
    changed = result.command_tuples or 0
    if not result.ntuples:
        return [], changed
    adapter.set_pgresult(result)
    return adapter.load_rows(0, result.ntuples, tuple), changed


def _checked(driver: Any, result: Any) -> Any:
    if result.status in _DONE:
        return result
    if driver.status == pq.ConnStatus.BAD:
        raise psycopg.OperationalError("the connection to the database is lost")
    raise error_from_result(result)


def _chunks(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """Of 128, 64, ... 2 and 1 row: each size is a statement of its own."""
    start, size = 0, _MOST_ROWS
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield rows[start : start + size]
        start += size


def _shifted(values: str, by: int) -> str:
    return _NUMBER.sub(lambda found: f"${int(found[1]) + by}", values) if by else values
