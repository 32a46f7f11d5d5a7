"""Statements of the hot paths: compiled once per database, executed on the driver itself.

SQLAlchemy's own execution costs 50 to 150 microseconds a statement, several times what SQLite needs to carry it out.
Types are still SQLAlchemy's: values are bound and read by the columns' own processors."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Processor = Callable[[Any], Any]
Statement = Any  # select, insert, update or delete whose values are bindparams


@dataclass(frozen=True, slots=True)
class _Compiled:
    text: str
    names: tuple[str, ...]  #: parameters in order; by name where the driver wants names
    positional: bool
    binds: Mapping[str, Processor]
    fixed: Mapping[str, Any]  #: literals of the statement itself
    results: tuple[Processor | None, ...]

    def bind(self, values: Mapping[str, Any]) -> Any:
        every = {**self.fixed, **values} if self.fixed else values
        binds = self.binds
        if self.positional:
            return [binds[name](every[name]) if name in binds else every[name] for name in self.names]
        return {name: binds[name](every[name]) if name in binds else every[name] for name in self.names}

    def read(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(value if read is None else read(value) for read, value in zip(self.results, row, strict=True))


class Prepared:
    """A statement, or one per dialect (``make(dialect name) -> statement``). For inserts and updates ``columns`` are
    the values to set."""

    def __init__(self, make: Callable[[str], Statement], *columns: str) -> None:
        self._make = make
        self._columns = list(columns) or None
        self._by_dialect: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Execute; how many rows it changed."""
        cursor = self._execute(connection, values)[1]
        changed = int(cursor.rowcount)
        cursor.close()
        return changed

    def many(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute once a row."""
        compiled = self._compiled(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(compiled.text, [compiled.bind(values) for values in rows])
        except connection.dialect.loaded_dbapi.Error as error:
            raise _converted(connection, compiled, error) from error
        finally:
            cursor.close()

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute; all rows."""
        compiled, cursor = self._execute(connection, values)
        found = cursor.fetchall()
        cursor.close()
        return [compiled.read(row) for row in found]

    def first(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Execute; the first row, None when there is none."""
        rows = self.rows(connection, values)
        return rows[0] if rows else None

    def _execute(self, connection: Connection, values: Mapping[str, Any]) -> tuple[_Compiled, Any]:
        compiled = self._compiled(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(compiled.text, compiled.bind(values))
        except connection.dialect.loaded_dbapi.Error as error:
            raise _converted(connection, compiled, error) from error
        return compiled, cursor

    def _compiled(self, dialect: Dialect) -> _Compiled:
        found = self._by_dialect.get(dialect.name)
        if found is None:
            found = self._by_dialect[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiler: SQLCompiler = self._make(dialect.name).compile(dialect=dialect, column_keys=self._columns)
        binds: dict[str, Processor] = {}
        fixed: dict[str, Any] = {}
        for parameter, name in compiler.bind_names.items():
            processor = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if processor is not None:
                binds[name] = processor
            if not parameter.required and (parameter.value is not None or parameter.callable is not None):
                fixed[name] = parameter.effective_value
        results = tuple(
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in getattr(compiler.statement, "exported_columns", ())
        )
        names = tuple(compiler.positiontup or ()) if compiler.positional else tuple(compiler.bind_names.values())
        return _Compiled(str(compiler), names, bool(compiler.positional), binds, fixed, results)


def _converted(connection: Connection, compiled: _Compiled, error: Exception) -> BaseException:
    """The driver's error as SQLAlchemy's, without the values."""
    return DBAPIError.instance(
        compiled.text,
        None,
        error,
        connection.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        dialect=connection.dialect,
    )
