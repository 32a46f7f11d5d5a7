"""The rights' tables: patients' words, care relationships, broken glass. Words and relationships are only added."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Index, Integer, Text, bindparam, func, insert, literal_column, select, text, update
from sqlalchemy.types import BigInteger
from sqlmodel import Field, SQLModel

from hub.access.rights_model import Broken, Choice, Consent, KeptConsent, Matter
from hub.storage.arrays import among, listed
from hub.storage.beside import Beside
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA, KeyText, UtcDateTime
from hub.values import PatientIdentifier

Key = BigInteger().with_variant(Integer(), "sqlite")
Number = tuple[str, str]  #: value, authority


_OPPOSED = "choice = 'opposition' AND superseded_at IS NULL"


class ConsentRow(SQLModel, table=True):
    """A patient's word as somebody passed it on. ``superseded_at``: a newer one on its matter took its place."""

    __tablename__ = "access_consent"
    __table_args__ = (
        Index("ix_access_consent_opposed", "key", sqlite_where=text(_OPPOSED), postgresql_where=text(_OPPOSED)),
    )

    key: int | None = Field(default=None, primary_key=True, sa_type=Key)
    id: str = Field(sa_type=KeyText, index=True)
    version: int = 1
    value: str = Field(sa_type=KeyText, index=True)
    authority: str = Field(sa_type=KeyText)
    matter: str
    choice: str
    actor: str = Field(default="", sa_type=KeyText)
    at: datetime = Field(sa_type=UtcDateTime)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    source: str = ""
    author: str = ""
    reason: str = Field(default="", sa_type=Text)
    message_id: str = ""
    recorded_at: datetime = Field(sa_type=UtcDateTime)
    superseded_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CareRow(SQLModel, table=True):
    """A care relationship between a person and a professional or structure; ``until`` ends it."""

    __tablename__ = "access_care"

    key: int | None = Field(default=None, primary_key=True, sa_type=Key)
    value: str = Field(sa_type=KeyText, index=True)
    authority: str = Field(sa_type=KeyText)
    actor: str = Field(sa_type=KeyText)
    kind: str
    since: datetime = Field(sa_type=UtcDateTime)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    source: str = ""
    author: str = ""
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class GlassRow(SQLModel, table=True):
    """The glass that somebody broke for a person, until when, and whether the officer has looked at it."""

    __tablename__ = "access_glass"

    key: int | None = Field(default=None, primary_key=True, sa_type=Key)
    value: str = Field(sa_type=KeyText, index=True)
    authority: str = Field(sa_type=KeyText)
    professional: str = Field(sa_type=KeyText)
    name: str = ""
    structure: str = ""
    purpose: str
    reason: str = Field(default="", sa_type=Text)
    secret: bool = False
    at: datetime = Field(sa_type=UtcDateTime)
    until: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    seen_by: str = ""


CONSENT = METADATA.tables["access_consent"]
CARE = METADATA.tables["access_care"]
GLASS = METADATA.tables["access_glass"]


@dataclass(frozen=True, slots=True)
class Care:
    """A care relationship."""

    identity: PatientIdentifier
    actor: str
    kind: str
    since: datetime
    until: datetime | None = None
    source: str = ""
    author: str = ""
    key: int = 0


@dataclass(frozen=True, slots=True)
class About:
    """What is kept of some numbers."""

    words: list[KeptConsent]
    care: list[Care]
    glass: list[Broken]


def _of_numbers(table: str, columns: Sequence[Any], more: str = "") -> Prepared:
    """The rows of some numbers, whatever their authority, by the index on the number's value."""
    names = ", ".join(f"m.{column.name}" for column in columns)
    statements = {
        "postgresql": f"SELECT {names} FROM {table} AS m "  # noqa: S608 (our own columns)
        f"WHERE m.value {among('values')} {more} ORDER BY m.key",
        "sqlite": f"SELECT {names} FROM json_each(:values) AS n CROSS JOIN {table} AS m "  # noqa: S608
        f"ON m.value = n.value {more} ORDER BY m.key",
    }
    return Prepared(lambda dialect: text(statements[dialect]).columns(*columns))


_WORD = tuple(
    CONSENT.c[name]
    for name in ("key", "id", "version", "value", "authority", "matter", "choice", "actor", "at", "until", "source",
                 "author", "reason", "recorded_at", "superseded_at")
)  # fmt: skip
_STANDING = _of_numbers("access_consent", _WORD, "AND m.superseded_at IS NULL")
_ANY_OPPOSED = Prepared(
    lambda _dialect: text(f"SELECT key FROM access_consent WHERE {_OPPOSED} LIMIT 1").columns(CONSENT.c.key)  # noqa: S608
)
_EVERY = _of_numbers("access_consent", _WORD)
_CARE = tuple(
    CARE.c[name] for name in ("value", "authority", "actor", "kind", "since", "until", "source", "author", "key")
)
_CARE_OF = _of_numbers("access_care", _CARE)
_GLASS = tuple(
    GLASS.c[name]
    for name in ("value", "authority", "professional", "name", "structure", "purpose", "reason", "at", "until",
                 "secret", "key", "seen_at", "seen_by")
)  # fmt: skip
_GLASS_OF = _of_numbers("access_glass", _GLASS)
#: part, key, value, authority, matter or kind or purpose, choice, actor or professional, from, until
_DECISIVE = (
    literal_column("part", Integer),
    *(CONSENT.c[name] for name in ("key", "value", "authority", "matter", "choice", "actor", "at", "until")),
)
_PARTS = (
    ("access_consent", "matter, m.choice, m.actor, m.at, m.until", "AND m.superseded_at IS NULL"),
    ("access_care", "kind, '', m.actor, m.since, m.until", ""),
    ("access_glass", "purpose, '', m.professional, m.at, m.until", ""),
)


def _decisive(dialect: str, tables: int = len(_PARTS)) -> Any:
    """What is kept of some numbers that rules look at, in one question. ``tables``: the first of them only."""
    some = {
        "postgresql": f"{{table}} AS m WHERE m.value {among('values')} {{more}}",
        "sqlite": "json_each(:values) AS n CROSS JOIN {table} AS m ON m.value = n.value {more}",
    }[dialect]
    parts = (
        f"SELECT {part} AS part, m.key, m.value, m.authority, m.{names} FROM {some.format(table=table, more=more)}"  # noqa: S608 (our own columns)
        for part, (table, names, more) in enumerate(_PARTS[:tables])
    )
    return text(" UNION ALL ".join(parts) + " ORDER BY 1, 2").columns(*_DECISIVE)


_ABOUT = Prepared(_decisive)
_WORDS = Prepared(lambda dialect: _decisive(dialect, 1))
_AHEAD = "rights asked ahead"  #: notes of a unit of work
_SUPERSEDE = Prepared(lambda _dialect: update(CONSENT).where(CONSENT.c.key == bindparam("row")), "superseded_at")


class RightsStore:
    """What the rules' facts are made of."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._connection = work.connection
        self._postgresql = self._connection.dialect.name == "postgresql"

    def lock(self, name: str) -> None:
        """Serialise with others that hold the name, until the unit of work ends (SQLite has one writer)."""
        if self._postgresql:
            lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
            self._connection.execute(lock, {"name": f"access:{name}"})

    # Words

    def standing(self, numbers: Sequence[Number]) -> list[KeptConsent]:
        """The words that no newer one superseded, in the order in which they were kept."""
        return [_kept(row) for row in _found(_STANDING, self._connection, numbers, 3)]

    def ahead(self, numbers: Sequence[Number], *, person: bool) -> Beside | None:
        """The question of ``about``, whose answer counts for the whole unit of work; None in one that writes."""
        if self._work.writing:
            return None
        statement = _ABOUT if person else _WORDS
        made = Beside(statement, {"values": _values(self._connection, numbers)})
        self._work.notes[_AHEAD, person, frozenset(numbers)] = made
        return made

    def about(self, numbers: Sequence[Number], *, person: bool) -> About:
        """Everything that rules look at, with one question to the database; of each only what they look at. ``person``:
        what they look at for a person; of others they look at the patients' words alone."""
        found, wanted = About([], [], []), frozenset(numbers)
        asked = self._work.notes.get((_AHEAD, person, wanted))
        if asked is None:
            asked = Beside(_ABOUT if person else _WORDS, {"values": _values(self._connection, numbers)})
        for part, key, value, authority, what, choice, actor, at, until in asked.answer(self._connection):
            if (value, authority) not in wanted:
                continue
            identity = PatientIdentifier(value, authority)
            if part == 0:
                said = Consent("", identity, Matter(what), Choice(choice), at, actor, until)
                found.words.append(KeptConsent(key, 1, said, "", at))
            elif part == 1:
                found.care.append(Care(identity, actor, what, at, until, key=key))
            else:
                found.glass.append(Broken(identity, actor, "", "", what, "", at, until, key=key))
        return found

    def ended(self, choice: Choice, since: datetime, at: datetime) -> list[KeptConsent]:
        """The words to everybody that say this, that no newer one superseded and whose time ended since then."""
        query = select(*_WORD).where(
            CONSENT.c.until > since,
            CONSENT.c.until <= at,
            CONSENT.c.choice == choice.value,
            CONSENT.c.actor == "",
            CONSENT.c.superseded_at.is_(None),
        )
        return [_kept(row) for row in self._connection.execute(query.order_by(CONSENT.c.key))]

    def any_opposed(self) -> bool:
        """Whether anybody opposes anything."""
        return _ANY_OPPOSED.first(self._connection, {}) is not None

    def every(self, numbers: Sequence[Number]) -> list[KeptConsent]:
        """All words ever, in the order in which they were kept."""
        return [_kept(row) for row in _found(_EVERY, self._connection, numbers, 3)]

    def versions(self, consent_id: str) -> list[KeptConsent]:
        """The versions of one word, the oldest first."""
        query = select(*_WORD).where(CONSENT.c.id == consent_id).order_by(CONSENT.c.key)
        return [_kept(row) for row in self._connection.execute(query)]

    def add(
        self, consent: Consent, *, version: int, author: str, message_id: str, at: datetime, standing: bool
    ) -> KeptConsent:
        """Keep a word; one that came too late (``standing`` False) is superseded from the start."""
        key: int = self._connection.execute(
            insert(CONSENT)
            .values(
                id=consent.id,
                version=version,
                value=consent.identity.value,
                authority=consent.identity.authority,
                matter=consent.matter.value,
                choice=consent.choice.value,
                actor=consent.actor,
                at=consent.at,
                until=consent.until,
                source=consent.source,
                author=author,
                reason=consent.reason,
                message_id=message_id,
                recorded_at=at,
                superseded_at=None if standing else at,
            )
            .returning(CONSENT.c.key)
        ).scalar_one()
        return KeptConsent(key, version, consent, author, at, None if standing else at)

    def supersede(self, key: int, at: datetime) -> None:
        """A newer word took its place."""
        _SUPERSEDE.run(self._connection, {"row": key, "superseded_at": at})

    # Care relationships

    def care(self, numbers: Sequence[Number]) -> list[Care]:
        """The relationships of a person, also those that are over."""
        rows = _found(_CARE_OF, self._connection, numbers, 0)
        return [Care(PatientIdentifier(row[0], row[1]), *row[2:]) for row in rows]

    def add_care(self, care: Care, at: datetime) -> None:
        """Keep one."""
        self._connection.execute(
            insert(CARE).values(
                value=care.identity.value,
                authority=care.identity.authority,
                actor=care.actor,
                kind=care.kind,
                since=care.since,
                until=care.until,
                source=care.source,
                author=care.author,
                recorded_at=at,
            )
        )

    def end_care(self, keys: Iterable[int], until: datetime | None) -> None:
        """They end at this instant; None: they go on."""
        wanted = sorted(keys)
        if wanted:
            self._connection.execute(update(CARE).where(CARE.c.key.in_(wanted)).values(until=until))

    # Glass

    def glass(self, numbers: Sequence[Number]) -> list[Broken]:
        """What was broken for a person."""
        return [_broken(row) for row in _found(_GLASS_OF, self._connection, numbers, 0)]

    def add_glass(self, broken: Broken) -> None:
        """Keep one."""
        self._connection.execute(
            insert(GLASS).values(
                value=broken.patient.value,
                authority=broken.patient.authority,
                professional=broken.professional,
                name=broken.name,
                structure=broken.structure,
                purpose=broken.purpose,
                reason=broken.reason,
                secret=broken.secret,
                at=broken.at,
                until=broken.until,
                seen_at=None,
                seen_by="",
            )
        )

    def newest_glass(self, limit: int, *, before: int = 0) -> list[Broken]:
        """The newest first; ``before``: those that came before this one."""
        query = select(*_GLASS).order_by(GLASS.c.key.desc()).limit(limit)
        if before:
            query = query.where(GLASS.c.key < before)
        return [_broken(row) for row in self._connection.execute(query)]

    def unseen_glass(self) -> int:
        """How many the officer has not looked at."""
        found = select(func.count()).select_from(GLASS).where(GLASS.c.seen_at.is_(None))
        return int(self._connection.execute(found).scalar_one())

    def see_glass(self, key: int, by: str, at: datetime) -> bool:
        """The officer has looked at it; False when there is none, or it was looked at before."""
        where = (GLASS.c.key == key, GLASS.c.seen_at.is_(None))
        return bool(self._connection.execute(update(GLASS).where(*where).values(seen_at=at, seen_by=by)).rowcount)


def _found(statement: Prepared, connection: Connection, numbers: Sequence[Number], place: int) -> list[Any]:
    """The rows of the numbers; ``place``: of the value in a row, the authority follows it."""
    wanted = frozenset(numbers)
    rows = statement.rows(connection, {"values": _values(connection, numbers)})
    return [row for row in rows if (row[place], row[place + 1]) in wanted]


def _values(connection: Connection, numbers: Sequence[Number]) -> Any:
    """The numbers without their authorities, as the database takes them."""
    return listed(connection, sorted({value for value, _ in numbers}))


def _kept(row: Any) -> KeptConsent:
    key, name, version, value, authority, matter, choice, actor, at, until, source, author, reason, recorded, gone = row
    consent = Consent(
        name, PatientIdentifier(value, authority), Matter(matter), Choice(choice), at, actor, until, source, reason
    )
    return KeptConsent(key, version, consent, author, recorded, gone)


def _broken(row: Any) -> Broken:
    return replace(Broken(PatientIdentifier(row[0], row[1]), *row[2:10]), key=row[10], seen_at=row[11], seen_by=row[12])
