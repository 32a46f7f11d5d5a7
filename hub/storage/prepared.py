"""Statements of the hot paths: compiled once per database, executed on the driver itself.

SQLAlchemy's own execution costs 50 to 150 microseconds a statement, several times what SQLite needs to carry it out.
Types are still SQLAlchemy's: values are bound and read by the columns' own processors."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from hub.storage import postgresql
from hub.storage.tables import UtcDateTime

Processor = Callable[[Any], Any]
Statement = Any  # select, insert, update or delete whose values are bindparams
Found = postgresql.Found
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Of one database: ``execute`` carries it out on the driver's connection."""

    text: str
    names: tuple[str, ...]  #: parameters in order
    binds: tuple[tuple[int, Processor], ...]  #: parameters that the driver does not take as they are
    fixed: Mapping[str, Any]  #: literals of the statement itself
    results: tuple[tuple[int, Processor], ...]  #: columns that are not as the driver gives them
    execute: Callable[[Any, Sequence[Any]], Found]
    piped: postgresql.Statement | None  #: where the database takes several statements in one round trip

    def bind(self, values: Values | tuple[Any, ...]) -> Sequence[Any]:
        """As the driver takes them; a tuple has the parameters' order already, and nothing to convert."""
        if isinstance(values, tuple):
            return values
        every = {**self.fixed, **values} if self.fixed else values
        bound = [every[name] for name in self.names]
        for place, processor in self.binds:
            bound[place] = processor(bound[place])
        return bound

    def read(self, found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [self._read(row) for row in found] if self.results else found

    def _read(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        read = list(row)
        for place, processor in self.results:
            read[place] = processor(read[place])
        return tuple(read)


class Prepared:
    """A statement, or one per dialect (``make(dialect name) -> statement``). For inserts and updates ``columns`` are
    the values to set."""

    def __init__(self, make: Callable[[str], Statement], *columns: str) -> None:
        self._make = make
        self._columns = list(columns) or None
        self._by_dialect: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Values) -> int:
        """Execute; how many rows it changed."""
        return self._execute(connection, values)[1][1]

    def many(self, connection: Connection, rows: Iterable[Values]) -> None:
        """Execute once a row."""
        write(connection, [(self, rows)])

    def rows(self, connection: Connection, values: Values) -> list[tuple[Any, ...]]:
        """Execute; all rows."""
        compiled, (found, _) = self._execute(connection, values)
        return compiled.read(found)

    def first(self, connection: Connection, values: Values) -> tuple[Any, ...] | None:
        """Execute; the first row, None when there is none."""
        rows = self.rows(connection, values)
        return rows[0] if rows else None

    def _execute(self, connection: Connection, values: Values) -> tuple[_Compiled, Found]:
        dialect = connection.dialect
        compiled = self.compiled(dialect)
        try:
            return compiled, compiled.execute(connection.connection.driver_connection, compiled.bind(values))
        except dialect.loaded_dbapi.Error as error:
            raise _converted(connection, compiled.text, error) from error

    def compiled(self, dialect: Dialect) -> _Compiled:
        """As the database takes it."""
        found = self._by_dialect.get(dialect.name)
        if found is None:
            found = self._by_dialect[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiler: SQLCompiler = self._make(dialect.name).compile(dialect=dialect, column_keys=self._columns)
        binds: dict[str, Processor] = {}
        fixed: dict[str, Any] = {}
        for parameter, name in compiler.bind_names.items():
            processor = _bind_processor(parameter.type, dialect)
            if processor is not None:
                binds[name] = processor
            if not parameter.required and (parameter.value is not None or parameter.callable is not None):
                fixed[name] = parameter.effective_value
        columns = getattr(compiler.statement, "exported_columns", ())
        found = (column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns)
        results = tuple((place, processor) for place, processor in enumerate(found) if processor is not None)
        text, names = str(compiler), tuple(compiler.positiontup or ())
        execute, piped = _sqlite(text), None
        if not compiler.positional:
            text, names = postgresql.numbered(text)
            piped = postgresql.Statement(text)
            execute = piped.execute
        ordered = tuple((place, binds[name]) for place, name in enumerate(names) if name in binds)
        return _Compiled(text, names, ordered, fixed, results, execute, piped)


def ask(connection: Connection, questions: Sequence[tuple[Prepared, Values]]) -> list[list[tuple[Any, ...]]]:
    """The rows of each of several statements, carried out in this order; on PostgreSQL in one round trip."""
    wanted = [(statement.compiled(connection.dialect), values) for statement, values in questions]
    steps = [item.piped.step(item.bind(values)) for item, values in wanted if item.piped is not None]
    if not steps:
        return [statement.rows(connection, values) for statement, values in questions]
    found = _piped(connection, steps)
    return [item.read(rows) for (item, _), (rows, _) in zip(wanted, found, strict=True)]


def write(connection: Connection, waiting: Iterable[tuple[Prepared, Iterable[Values]]], *, last: bool = False) -> None:
    """Each statement once a row, in this order; on PostgreSQL all of it in one round trip, but for many rows of one
    table, which are copied. ``last``: with the commit, where a statement comes last; SQLAlchemy then finds it done."""
    steps: list[postgresql.Step] = []
    for statement, rows in waiting:
        item = statement.compiled(connection.dialect)
        bound = [item.bind(values) for values in rows]
        driver: Any = connection.connection.driver_connection
        if item.piped is not None and not item.piped.copies(len(bound)):
            steps += item.piped.steps(bound)
            continue
        if steps:  # in this order
            _piped(connection, steps)
            steps = []
        try:
            if item.piped is not None:
                item.piped.copy(driver, bound)
            else:
                driver.executemany(item.text, bound)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _converted(connection, item.text, error) from error
    if steps:
        _piped(connection, steps, commits=last)


def _piped(connection: Connection, steps: Sequence[postgresql.Step], *, commits: bool = False) -> list[Found]:
    try:
        return postgresql.several(connection.connection.driver_connection, steps, commits=commits)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _converted(connection, steps[0][1], error) from error


def _sqlite(text: str) -> Callable[[Any, Sequence[Any]], Found]:
    def execute(driver: Any, values: Sequence[Any]) -> Found:
        cursor = driver.execute(text, values)
        return cursor.fetchall(), cursor.rowcount

    return execute


def _bind_processor(kind: Any, dialect: Dialect) -> Processor | None:
    if isinstance(kind, UtcDateTime) and dialect.name == "sqlite":
        return instant_text  # what SQLAlchemy's own would write, at a quarter of its price
    processor: Processor | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return processor


def instant_text(value: datetime | None) -> str | None:
    """As SQLite keeps it."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a stored instant must be aware")
    return value.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def _converted(connection: Connection, text: str, error: Exception) -> BaseException:
    """The driver's error as SQLAlchemy's, without the values."""
    return DBAPIError.instance(
        text,
        None,
        error,
        connection.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        dialect=connection.dialect,
    )
