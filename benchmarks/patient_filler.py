"""Fill a patient index quickly: a made-up population, linked as it truly is, through the room's own rows.

A second process makes the rows; the tables get their indexes when they are full. What feeds would have written is
written: persons, identities, names, blocking keys, and the edges between a person's identities. After the first
``MADE`` records the same people come again with other birth dates, places, telephones and numbers, since to make one up
from nothing costs several times what its rows do: names stay as frequent, and blocks grow, as with real ones."""

import itertools
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection as Pipe
from typing import Any

from sqlalchemy import Connection, Table, event, text

from hub.patients import matching
from hub.patients.ins_model import qualify
from hub.patients.model import Authority, Identity
from hub.patients.normalise import name_keys
from hub.patients.scoring import Scorer
from hub.patients.scoring.features import Features
from hub.patients.scoring.keys import VERSION
from hub.patients.scoring.keys import keys as blocking_keys
from hub.patients.scoring.scorer import prepared
from hub.patients.store import AuthorityStore, identity_values
from hub.patients.store_tables import IDENTITY, LINK, NAME, PERSON
from hub.storage.engine import Database
from hub.storage.migrate import load_stores, upgrade
from hub.storage.tables import METADATA
from hub.testing.population import AUTHORITY, population

AFFINITY_DOMAIN = "1.2.250.1.999.1.1"
SEED = 8
_CHUNK = 5_000
MADE = 150_000  #: records that are made up from nothing
KEYS = "patients_key"
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


def people(size: int) -> Iterator["Rows"]:
    """Rows of all tables, made by another process."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    maker = multiprocessing.get_context("fork").Process(target=_make, args=(theirs, size), daemon=True)
    maker.start()
    theirs.close()
    with closing(ours):
        while True:
            try:
                yield ours.recv()
            except EOFError:
                break
    maker.join()


def _make(pipe: Pipe, size: int) -> None:
    filler = _Filler()
    made, left = population(SEED, min(size, MADE)), size
    while chunk := list(itertools.islice(made, _CHUNK)):
        pipe.send(filler.rows(chunk))
        left -= len(chunk)
    for generation in itertools.count(1):
        for start in range(0, len(filler.patterns), _CHUNK):
            if not left:
                pipe.close()
                return
            chunk_size = min(_CHUNK, left, len(filler.patterns) - start)
            pipe.send(filler.again(generation, filler.patterns[start : start + chunk_size]))
            left -= chunk_size


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
            for rows in people(size):
                writer.write(rows)
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
        if not database.sqlite:
            _settle(database)
    finally:
        database.dispose()


def _settle(database: Database) -> None:
    """As an index that has grown over years: else the server would vacuum gigabytes while somebody measures."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM (ANALYZE)")
        connection.exec_driver_sql("CHECKPOINT")


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
        self._seen = 0
        self._places: list[tuple[str, str]] = []  # as they are told, and compared
        self.patterns: list[_Pattern] = []

    def rows(self, chunk: Sequence[tuple[int, Identity]]) -> Rows:
        found: Rows = {name: [] for name in _tables()}
        for person, received in chunk:
            self._number += 1
            self._add(found, self._number, person, stored(received))
        return found

    def _add(self, found: Rows, key: int, person: int, identity: Identity) -> None:
        first = self._person(found, key, person)
        values = identity_values(identity, matching.strict_key(identity)) | {
            "id": key, "value": identity.identifier.value, "authority": identity.identifier.authority,
            "person": person, "home": person if first == key else None, "updated_at": _AT,
            "keys_version": VERSION if KEYS in found else 0,
        }  # fmt: skip
        found[IDENTITY.name].append(tuple(values[name] for name in _COLUMNS[IDENTITY.name]))
        names = name_keys(identity.traits)
        found[NAME.name] += [(text_, key) for text_ in names]
        features = prepared(identity)
        self.patterns.append(_Pattern(person, values, names, features))
        self._seen = max(self._seen, person)
        if identity.traits.birth_place:
            self._places.append((identity.traits.birth_place, features.place))
        if KEYS in found:
            found[KEYS] += [(value, key) for _, value in self._scorer.keys(identity)]

    def _person(self, found: Rows, key: int, person: int) -> int:
        """The person's first identity."""
        first = self._first.setdefault(person, key)
        if first == key:
            found[PERSON.name].append((person, f"R{person:011d}", AFFINITY_DOMAIN, False, None, _AT))
        else:
            found[LINK.name].append((key, first, matching.STRICT_TRAITS, _AT))
        return first

    def again(self, generation: int, patterns: "Sequence[_Pattern]") -> Rows:
        """Other people of the same names."""
        found: Rows = {name: [] for name in _tables()}
        for pattern in patterns:
            self._number += 1
            key, person = self._number, pattern.person + generation * (self._seen + 1)
            other = (person * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF  # the same for all identities of a person
            first = self._person(found, key, person)
            traits, values = dict(pattern.values["traits"]), dict(pattern.values)
            if born := traits.get("birth_date"):
                traits["birth_date"] = _other_date(born, other)
            place = pattern.features.place
            if "birth_place" in traits:
                traits["birth_place"], place = self._places[(other >> 20) % len(self._places)]
            if "phone" in traits:
                traits["phone"] = f"06{other % 10**8:08d}"
            ins = values["ins_value"]
            values |= {
                "id": key, "value": f"{values['value']}G{generation}", "person": person,
                "home": person if first == key else None, "traits": traits, "birth_date": traits.get("birth_date", ""),
                "ins_value": f"{other % 10**15:015d}" if ins else None,
                "strict_key": None if values["strict_key"] is None else (other >> 1) - (1 << 62),
            }  # fmt: skip
            found[IDENTITY.name].append(tuple(values[name] for name in _COLUMNS[IDENTITY.name]))
            found[NAME.name] += [(text_, key) for text_ in pattern.names]
            features = pattern.features._replace(
                born=traits.get("birth_date", "").ljust(8, "0") if pattern.features.born else "",
                place=place,
                phone=traits["phone"][-9:] if pattern.features.phone else "",
                ins=values["ins_value"] or "",
            )
            if KEYS in found:
                found[KEYS] += [(value, key) for _, value in blocking_keys.__wrapped__(features)]
        return found


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A record that comes again."""

    person: int
    values: dict[str, Any]
    names: tuple[str, ...]
    features: Features


def _other_date(born: str, other: int) -> str:
    """Another date of the same form: what is wrong or missing in it stays so."""
    if len(born) != 8 or not born.isdigit():
        return born
    year, month, day = int(born[:4]), int(born[4:6]), int(born[6:])
    year = 1925 + (year - 1925 + other % 100) % 100
    month = (month - 1 + (other >> 8)) % 12 + 1 if 1 <= month <= 12 else month
    day = (day - 1 + (other >> 12)) % 28 + 1 if 1 <= day <= 28 else day
    return f"{year:04d}{month:02d}{day:02d}"


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
        binders = [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns]
        return [(place, bind) for place, bind in enumerate(binders) if bind is not None]

    def write(self, rows: Rows) -> None:
        for name, columns in _tables().items():
            table, binders = METADATA.tables[name], self._values[name]
            default = {column.name: _default(column) for column in table.c if _given(column, columns)}
            every = [*columns, *default]
            more = tuple(default.values())
            self._insert(name, every, [self._bound(row, binders, more) for row in rows[name]])

    @staticmethod
    def _bound(row: tuple[Any, ...], binders: list[Any], more: tuple[Any, ...]) -> tuple[Any, ...]:
        if not binders:
            return row + more
        values = list(row)
        for place, bind in binders:
            values[place] = bind(values[place])
        return (*values, *more)

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
