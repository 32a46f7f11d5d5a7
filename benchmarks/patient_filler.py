"""Fill a patient index quickly: a made-up population, linked as it truly is, through the room's own rows.

A second process makes the records; the tables get their indexes when they are full. What feeds would have written is
written: persons, identities, names, blocking keys, and the edges between a person's identities."""

import itertools
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection as Pipe
from typing import Any

from sqlalchemy import Connection, Table, event, text

from hub.patients import matching
from hub.patients.ins_model import qualify
from hub.patients.model import Authority, Identity
from hub.patients.normalise import name_keys
from hub.patients.scoring import Scorer
from hub.patients.store import AuthorityStore, identity_values
from hub.patients.store_tables import IDENTITY, LINK, NAME, PERSON
from hub.storage.engine import Database
from hub.storage.migrate import load_stores, upgrade
from hub.storage.tables import METADATA
from hub.testing.population import AUTHORITY, population

AFFINITY_DOMAIN = "1.2.250.1.999.1.1"
SEED = 8
_CHUNK = 5_000
_HOSPITALS = 100
_HASTE = ("journal_mode=MEMORY", "synchronous=OFF", "cache_size=-2097152", "temp_store=MEMORY")
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_COLUMNS = {
    PERSON.name: ("id", "value", "authority", "external", "survivor", "created_at"),
    IDENTITY.name: tuple(column.name for column in IDENTITY.c),
    NAME.name: ("key", "identity"),
    LINK.name: ("one", "other", "rule", "since"),
}
Rows = dict[str, list[tuple[Any, ...]]]


def people(size: int) -> Iterator[tuple[int, Identity]]:
    """(person, identity), made by another process."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    maker = multiprocessing.get_context("fork").Process(target=_make, args=(theirs, size), daemon=True)
    maker.start()
    theirs.close()
    with closing(ours):
        while True:
            try:
                yield from ours.recv()
            except EOFError:
                break
    maker.join()


def _make(pipe: Pipe, size: int) -> None:
    made = population(SEED, size)
    while chunk := list(itertools.islice(made, _CHUNK)):
        pipe.send(chunk)
    pipe.close()


def fill(url: str, size: int) -> None:
    """Make a migrated database with ``size`` identities."""
    load_stores()
    database = Database(url)
    if database.sqlite:
        event.listen(database.engine, "connect", _hasten)
    upgrade(database)
    tables = [METADATA.tables[name] for name in _tables()]
    try:
        with database.transaction() as work:
            connection = work.connection
            indexes = [index for table in tables for index in table.indexes]
            for index in indexes:
                index.drop(connection)
            writer = _Writer(connection, sqlite=database.sqlite)
            filler = _Filler()
            made = people(size)
            while chunk := list(itertools.islice(made, _CHUNK)):
                writer.write(filler.rows(chunk))
            for index in indexes:
                index.create(connection)
            if not database.sqlite:
                for name in (PERSON.name, IDENTITY.name):
                    connection.execute(
                        text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
                    )
        with database.transaction() as work:
            learned = AuthorityStore(work)
            for number in range(_HOSPITALS):
                learned.add(Authority(f"{AUTHORITY}.{number}", f"HOSPITAL_{number}"))
            work.connection.exec_driver_sql("ANALYZE")
    finally:
        database.dispose()


def _tables() -> Mapping[str, Sequence[str]]:
    if "patients_key" in METADATA.tables:
        return {**_COLUMNS, "patients_key": ("key", "identity")}
    return _COLUMNS


class _Filler:
    """Identities as rows; the first of a person makes it, the others are linked to the first."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._number = 0
        self._scorer = Scorer()

    def rows(self, chunk: Sequence[tuple[int, Identity]]) -> Rows:
        found: Rows = {name: [] for name in _tables()}
        for person, received in chunk:
            self._number += 1
            self._add(found, self._number, person, stored(received))
        return found

    def _add(self, found: Rows, key: int, person: int, identity: Identity) -> None:
        first = self._first.setdefault(person, key)
        if first == key:
            found[PERSON.name].append((person, f"R{person:011d}", AFFINITY_DOMAIN, False, None, _AT))
        else:
            found[LINK.name].append((key, first, matching.STRICT_TRAITS, _AT))
        values = identity_values(identity, matching.strict_key(identity)) | {
            "id": key, "value": identity.identifier.value, "authority": identity.identifier.authority,
            "person": person, "home": person if first == key else None, "updated_at": _AT,
        }  # fmt: skip
        found[IDENTITY.name].append(tuple(values[name] for name in _COLUMNS[IDENTITY.name]))
        found[NAME.name] += [(text_, key) for text_ in name_keys(identity.traits)]
        if "patients_key" in found:
            found["patients_key"] += [(value, key) for _, value in self._scorer.keys(identity)]


def stored(identity: Identity) -> Identity:
    """As the index keeps it."""
    status, ins = qualify(identity.status, identity.ins)
    return replace(identity, status=status, ins=ins)


class _Writer:
    """Rows into tables: COPY on PostgreSQL, one statement many times on SQLite."""

    def __init__(self, connection: Connection, *, sqlite: bool) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.driver_connection
        self._sqlite = sqlite
        self._values = {name: self._binders(METADATA.tables[name], columns) for name, columns in _tables().items()}

    def _binders(self, table: Table, columns: Sequence[str]) -> list[Any]:
        dialect = self._connection.dialect
        return [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns]

    def write(self, rows: Rows) -> None:
        for name, columns in _tables().items():
            table, binders = METADATA.tables[name], self._values[name]
            default = {column.name: _default(column) for column in table.c if _given(column, columns)}
            every = [*columns, *default]
            values = [
                (
                    *(value if bind is None else bind(value) for value, bind in zip(row, binders, strict=True)),
                    *default.values(),
                )
                for row in rows[name]
            ]
            self._insert(name, every, values)

    def _insert(self, name: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
        listed = ", ".join(f'"{column}"' for column in columns)
        if self._sqlite:
            marks = ", ".join("?" * len(columns))
            self._driver.executemany(f"INSERT INTO {name} ({listed}) VALUES ({marks})", rows)
            return
        with self._driver.cursor().copy(f"COPY {name} ({listed}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _given(column: Any, columns: Sequence[str]) -> bool:
    """Whether it has a value of its own where none is given."""
    return column.name not in columns and column.default is not None and column.default.is_scalar


def _default(column: Any) -> Any:
    return column.default.arg


def _hasten(connection: Any, _record: Any) -> None:
    for pragma in _HASTE:
        connection.execute(f"PRAGMA {pragma}")
