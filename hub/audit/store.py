"""The audit room's tables: records are appended, never changed. ``audit_head`` is the end of the chain."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, Index, and_, bindparam, exists, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from hub.audit.chain import GENESIS, dump, link, load
from hub.audit.errors import AuditUnreadable
from hub.audit.model import AuditPage, AuditRecord, AuditSearch
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA, KeyText

_CHUNK = 500


class RecordRow(SQLModel, table=True):
    """A record: its place in the chain, what is searched for, its text, the hash."""

    __tablename__ = "audit_record"
    __table_args__ = (
        Index("ix_audit_record_at", "at", "position"),
        Index("ix_audit_record_transaction", "transaction", "position"),
        Index("ix_audit_record_principal", "principal", "position"),
        Index("ix_audit_record_professional", "professional", "position"),
    )

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    id: str = Field(sa_type=KeyText, unique=True)
    at: int = Field(sa_type=BigInteger)  # microseconds since 1970, UTC
    transaction: str = Field(sa_type=KeyText)
    principal: str = Field(sa_type=KeyText)
    professional: str = Field(sa_type=KeyText)
    node: str = Field(sa_type=KeyText)
    peer: str = Field(sa_type=KeyText)
    origin: str = Field(sa_type=KeyText)
    event_code: str = Field(sa_type=KeyText)
    action: str = Field(sa_type=KeyText)
    roles: str = Field(sa_type=KeyText)  # " clinician 10 "
    marks: str = Field(sa_type=KeyText)  # " type:rest subtype:search kind:query ": what else it is found by
    outcome: str = Field(sa_type=KeyText)
    correlation_id: str = Field(sa_type=KeyText, index=True)
    body: str
    hash: str


class ObjectRow(SQLModel, table=True):
    """What a record touched."""

    __tablename__ = "audit_object"
    __table_args__ = (
        Index("ix_audit_object_reference", "reference", "position"),
        {"sqlite_with_rowid": False},
    )

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    ordinal: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: str = Field(sa_type=KeyText)
    reference: str = Field(sa_type=KeyText)


class HeadRow(SQLModel, table=True):
    """The end of the chain: one row, locked while records are appended."""

    __tablename__ = "audit_head"

    name: str = Field(primary_key=True, sa_type=KeyText)
    position: int = Field(sa_type=BigInteger)
    hash: str


RECORD = METADATA.tables["audit_record"]
OBJECT = METADATA.tables["audit_object"]
HEAD = METADATA.tables["audit_head"]
_CHAIN = "chain"
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_ADD_RECORD = Prepared(lambda _dialect: insert(RECORD), *RECORD.c.keys())
_ADD_OBJECT = Prepared(lambda _dialect: insert(OBJECT), *OBJECT.c.keys())
_LOCK_HEAD = Prepared(
    lambda _dialect: select(HEAD.c.position, HEAD.c.hash).where(HEAD.c.name == bindparam("key")).with_for_update()
)
_FIRST_HEAD = Prepared(lambda dialect: _INSERTS[dialect](HEAD).on_conflict_do_nothing(), *HEAD.c.keys())
_SET_HEAD = Prepared(lambda _dialect: update(HEAD).where(HEAD.c.name == bindparam("key")), "position", "hash")


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it stands in the tables, for checking."""

    row: dict[str, Any]
    objects: list[dict[str, Any]]

    @property
    def position(self) -> int:
        """Its place in the chain."""
        return int(self.row["position"])

    @property
    def body(self) -> str:
        """Its text."""
        return str(self.row["body"])

    @property
    def hash(self) -> str:
        """Its hash."""
        return str(self.row["hash"])

    @property
    def consistent(self) -> bool:
        """Whether everything beside the text says what the text says."""
        record = load(self.body)
        return (
            dump(record) == self.body
            and _row(record, self.position, self.body, self.hash) == self.row
            and _object_rows(record, self.position) == self.objects
        )


class AuditStore:
    """The chain of records."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._connection = work.connection

    def append(self, bodies: Sequence[str], *, unsure: bool = False) -> int:
        """Add records, given as canonical text. Returns how many are new.

        ``unsure``: some may be there already (they are taken up after a crash); those are left out."""
        if unsure:
            bodies = self._new(bodies)
        if not bodies:
            return 0
        return self._add((load(body), body) for body in bodies)

    def add(self, records: Iterable[AuditRecord], bodies: Iterable[str] | None = None) -> int:
        """Add records that are new; how many. ``bodies``: their texts, where they are made already."""
        if bodies is not None:
            return self._add(zip(records, bodies, strict=True))
        return self._add((record, dump(record)) for record in records)

    def _add(self, entries: Iterable[tuple[AuditRecord, str]]) -> int:
        position, previous = self._lock_head()
        first = position
        for record, body in entries:
            position, previous = position + 1, link(previous, body)
            self._work.later(_ADD_RECORD, _row(record, position, body, previous))
            for item in _object_rows(record, position):
                self._work.later(_ADD_OBJECT, item)
        self._work.later(_SET_HEAD, {"key": _CHAIN, "position": position, "hash": previous})
        return position - first

    def head(self) -> tuple[int, str]:
        """Position and hash of the last record."""
        row = self._connection.execute(select(HEAD.c.position, HEAD.c.hash).where(HEAD.c.name == _CHAIN)).one_or_none()
        return (row.position, row.hash) if row else (0, GENESIS)

    def furthest(self) -> int:
        """The last place that anything stands at, whatever the head says."""
        places = (select(func.max(table.c.position)) for table in (RECORD, OBJECT))
        return max(self._connection.scalar(place) or 0 for place in places)

    def read(self, after: int, limit: int) -> list[tuple[int, AuditRecord]]:
        """The next records in the chain's order, with their places."""
        statement = select(RECORD.c.position, RECORD.c.body).where(RECORD.c.position > after)
        rows = self._connection.execute(statement.order_by(RECORD.c.position).limit(limit)).all()
        return [(row.position, _loaded(row.body)) for row in rows]

    def walk(self, *, after: int = 0) -> Iterator["StoredRecord"]:
        """Every record in the chain's order, as it stands in the tables."""
        while True:
            statement = select(RECORD).where(RECORD.c.position > after).order_by(RECORD.c.position).limit(_CHUNK)
            rows = self._connection.execute(statement).all()
            if not rows:
                return
            objects: dict[int, list[dict[str, Any]]] = {}
            within = OBJECT.c.position.between(rows[0].position, rows[-1].position)
            for item in self._connection.execute(select(OBJECT).where(within).order_by(OBJECT.c.ordinal)):
                objects.setdefault(item.position, []).append(dict(item._mapping))
            for row in rows:
                yield StoredRecord(dict(row._mapping), objects.get(row.position, []))
            after = rows[-1].position

    def search(self, search: AuditSearch) -> AuditPage:
        """One page, newest first."""
        conditions = list(_conditions(search))
        place = RECORD.c.position
        if search.cursor:
            conditions.append(place > int(search.cursor) if search.oldest_first else place < int(search.cursor))
        statement = (
            select(RECORD.c.position, RECORD.c.body)
            .where(*conditions)
            .order_by(place.asc() if search.oldest_first else place.desc())
            .limit(search.limit + 1)
        )
        rows = self._connection.execute(statement).all()
        shown = rows[: search.limit]
        cursor = str(shown[-1].position) if len(rows) > search.limit else ""
        return AuditPage(tuple(_loaded(row.body) for row in shown), cursor)

    def count(self, search: AuditSearch) -> int:
        """How many records a search finds, on all pages."""
        statement = select(func.count()).select_from(RECORD).where(*_conditions(search))
        return self._connection.scalar(statement) or 0

    def position_of(self, record_id: str) -> int | None:
        """A record's place in the chain."""
        return self._connection.scalar(select(RECORD.c.position).where(RECORD.c.id == record_id))

    def lock(self) -> None:
        """Nobody else changes the trail before the end of the unit of work."""
        self._lock_head()

    def _lock_head(self) -> tuple[int, str]:
        if self._work.waiting(_SET_HEAD):
            self._work.flush()
        row = _LOCK_HEAD.first(self._connection, {"key": _CHAIN})
        if row is None:
            _FIRST_HEAD.run(self._connection, {"name": _CHAIN, "position": 0, "hash": GENESIS})
            [row] = _LOCK_HEAD.rows(self._connection, {"key": _CHAIN})
        return row[0], row[1]

    def _new(self, bodies: Sequence[str]) -> list[str]:
        self._lock_head()  # first: what others append meanwhile is seen below
        by_id = {load(body).id: body for body in bodies}
        for chunk in _chunks(list(by_id)):
            for known in self._connection.scalars(select(RECORD.c.id).where(RECORD.c.id.in_(chunk))).all():
                del by_id[known]
        return list(by_id.values())


def _loaded(body: str) -> AuditRecord:
    try:
        return load(body)
    except ValueError as error:
        raise AuditUnreadable() from error


def _row(record: AuditRecord, position: int, body: str, own_hash: str) -> dict[str, Any]:
    return {
        "position": position,
        "id": record.id,
        "at": int(record.at.timestamp() * 1_000_000),
        "transaction": _key(record.transaction),
        "principal": _key(record.principal_id),
        "professional": _key(record.professional.id) if record.professional else "",
        "node": _key(record.node),
        "peer": _key(record.peer),
        "origin": _key(record.origin),
        "event_code": _key(record.event_code),
        "action": _key(record.action),
        "roles": _roles(record),
        "marks": _marks(record),
        "outcome": record.outcome.value,
        "correlation_id": _key(record.correlation_id),
        "body": body,
        "hash": own_hash,
    }


def _object_rows(record: AuditRecord, position: int) -> list[dict[str, Any]]:
    return [
        {"position": position, "ordinal": ordinal, "kind": _key(item.kind), "reference": _key(item.reference)}
        for ordinal, item in enumerate(record.objects)
    ]


def _key(text: str) -> str:
    """As much of a text as every database takes as a key: the whole text stands in the body."""
    return text.replace("\0", "")[:500]


def _roles(record: AuditRecord) -> str:
    """The caller's roles, profession and specialities, each with a blank on both sides; "" for none."""
    who = record.professional
    names = (*record.roles, *((who.profession, *who.specialities) if who is not None else ()))
    return _key("".join(f" {name}" for name in names if name) + " ") if any(names) else ""


def _marks(record: AuditRecord) -> str:
    """What it is found by beside its columns and objects, each with a blank on both sides; "" for nothing."""
    who = record.professional
    found = [f"subtype:{record.event_type}"] if record.event_type else []
    if record.searched_fhir:
        found += ["type:rest", "subtype:search", f"subtype:{record.event_code}"]
    if record.query:
        found.append("kind:query")
    if who is not None and who.structure:
        found.append("kind:structure")
    return _key("".join(f" {mark}" for mark in found) + " ") if found else ""


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


#: Parts of a search that name the only value.
_EQUAL = ("transaction", "principal", "correlation_id")
#: Parts of a search that name values of which a record has one.
_AMONG: Sequence[tuple[str, str]] = (
    ("ids", "id"), ("sources", "origin"), ("peers", "peer"), ("actions", "action"),
)  # fmt: skip
#: Codes of which a record has one in a column, and others as marks.
_CODED = (("event_codes", "event_code", "type"), ("transactions", "transaction", "subtype"))


def _conditions(search: AuditSearch) -> Iterable[ColumnElement[bool]]:
    if search.references or search.kind:
        yield _touched(search.references, search.kind)
    if search.patients:
        yield _touched(search.patients, "patient")
    yield from _of_codes(search)
    for name in _EQUAL:
        if value := getattr(search, name):
            yield RECORD.c[name] == _key(value)
    for name, column in _AMONG:
        if values := getattr(search, name):
            yield RECORD.c[column].in_([_key(value) for value in values])
    if search.agents:
        names = [_key(name) for name in search.agents]
        yield or_(*(RECORD.c[column].in_(names) for column in ("principal", "professional", "node")))
    if search.roles:
        yield or_(*(RECORD.c.roles.contains(f" {_key(role)} ", autoescape=True) for role in search.roles))
    if search.outcomes:
        yield RECORD.c.outcome.in_([item.value for item in search.outcomes])
    if search.since is not None:
        yield RECORD.c.at >= int(search.since.timestamp() * 1_000_000)
    if search.until is not None:
        yield RECORD.c.at < int(search.until.timestamp() * 1_000_000)
    if search.told_in:
        yield _in_system(search)
    yield from (or_(*(and_(*_conditions(item)) for item in group)) for group in search.any_of)


def _in_system(search: AuditSearch) -> ColumnElement[bool]:
    named = orjson.dumps(orjson.dumps(search.told_in).decode()).decode()[1:-1]  # JSON in the record's JSON
    told = and_(RECORD.c.origin != "", RECORD.c.body.contains(named, autoescape=True))
    return or_(RECORD.c.origin == "", told) if search.own else told


def _of_codes(search: AuditSearch) -> Iterable[ColumnElement[bool]]:
    if search.kinds:
        yield _of_kinds(search.kinds)
    if search.other_kinds or search.but_kinds:
        yield _of_kinds(search.other_kinds, search.but_kinds)
    for codes, column, mark in _CODED:
        if wanted := getattr(search, codes):
            yield or_(RECORD.c[column].in_([_key(code) for code in wanted]), *_marked(mark, wanted))
    if search.names:
        begun = [f'"principal_name":"{orjson.dumps(name).decode()[1:-1]}' for name in search.names]
        yield or_(*(RECORD.c.body.icontains(text, autoescape=True) for text in begun))


def _of_kinds(kinds: Sequence[str], but: Sequence[str] = ()) -> ColumnElement[bool]:
    fits = [OBJECT.c.kind.in_(kinds), *([OBJECT.c.kind.not_in(but)] if but else [])]
    return or_(exists().where(OBJECT.c.position == RECORD.c.position, or_(*fits)), *_marked("kind", kinds))


def _marked(kind: str, codes: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    return (RECORD.c.marks.contains(f" {kind}:{_key(code)} ", autoescape=True) for code in codes)


def _touched(references: Sequence[str], kind: str) -> ColumnElement[bool]:
    touched = [OBJECT.c.position == RECORD.c.position]
    if references:
        touched.append(OBJECT.c.reference.in_([_key(item) for item in references]))
    if kind:
        touched.append(OBJECT.c.kind == kind)
    return exists().where(*touched)
