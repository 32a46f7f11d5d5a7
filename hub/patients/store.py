"""The queries of feeds; the tables are in ``store_tables``, what is asked of the index is in ``store_search``."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    bindparam,
    delete,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from hub.patients.forms import given, known
from hub.patients.model import Authority, Identity, IdentityStatus, Traits
from hub.patients.normalise import search_keys
from hub.patients.store_ahead import absent
from hub.patients.store_links import LinkStore
from hub.patients.store_tables import AUTHORITY, IDENTITY, NAME, PERSON
from hub.patients.store_tasks import UNASKED, TaskStore
from hub.storage.arrays import among, listed
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared, ask
from hub.values import PatientIdentifier, now

MEMBER_COLUMNS = tuple(
    IDENTITY.c[name]
    for name in (
        "id", "value", "authority", "person", "home", "survivor", "active", "status", "attributes", "traits", "others",
        "ins_value", "ins_authority", "updated_at",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """A stored identity: the ids of its row, its person, its own first person, the identity it was merged into."""

    id: int
    person: int
    home: int | None
    survivor: int | None
    identity: Identity

    def __hash__(self) -> int:
        """Of the row's id alone."""
        return self.id


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A stored person."""

    id: int
    identifier: PatientIdentifier
    survivor: int | None
    external: bool


_MEMBER = select(*MEMBER_COLUMNS)
_BY_IDENTIFIER = Prepared(
    lambda _dialect: _MEMBER.where(
        IDENTITY.c.value == bindparam("value"), IDENTITY.c.authority == bindparam("authority")
    )
)
_BY_ID = Prepared(lambda _dialect: _MEMBER.where(IDENTITY.c.id == bindparam("key")))
_COLUMNS = ", ".join(f"m.{column.name}" for column in MEMBER_COLUMNS)
_OF_IDS = {
    "postgresql": f"SELECT {_COLUMNS} FROM patients_identity AS m "  # noqa: S608 (our own columns)
    f"WHERE m.id {among('keys', 'bigint')} ORDER BY m.id",
    "sqlite": f"SELECT {_COLUMNS} FROM json_each(:keys) AS a "  # noqa: S608
    "CROSS JOIN patients_identity AS m ON m.id = a.value ORDER BY m.id",
}
_BY_IDS = Prepared(lambda dialect: text(_OF_IDS[dialect]).columns(*MEMBER_COLUMNS))
MEMBERS = Prepared(
    lambda _dialect: _MEMBER.where(IDENTITY.c.person == bindparam("person"), IDENTITY.c.active).order_by(IDENTITY.c.id)
)
_CANDIDATES = Prepared(  # a key that is NULL finds nothing
    lambda _dialect: (
        _MEMBER.where(
            or_(IDENTITY.c.ins_value == bindparam("ins"), IDENTITY.c.strict_key == bindparam("strict")),
            IDENTITY.c.active,
            IDENTITY.c.id != bindparam("not_id"),
        )
        .order_by(IDENTITY.c.id)
        .limit(200)
    )
)
_DESCRIPTION = (
    "active", "status", "attributes", "traits", "others", "ins_value", "ins_authority", "strict_key", "birth_date",
    "given", "sex", "postal_code", "updated_at", "survivor",
)  # fmt: skip
_ADD_IDENTITY = Prepared(
    lambda _dialect: insert(IDENTITY).returning(IDENTITY.c.id),
    *("value", "authority", "person", "home", "keys_version", *_DESCRIPTION),
)
_CHANGE_IDENTITY = Prepared(
    lambda _dialect: update(IDENTITY).where(IDENTITY.c.id == bindparam("row_id")), *_DESCRIPTION
)
_OTHER_KEYS = Prepared(lambda _dialect: text("UPDATE patients_identity SET keys_version = 0 WHERE id = :row_id"))
_TOUCH = Prepared(lambda _dialect: update(IDENTITY).where(IDENTITY.c.id == bindparam("row_id")), "updated_at")
_ADD_NAME = Prepared(lambda _dialect: insert(NAME), "key", "identity")
_PERSON = select(PERSON.c.id, PERSON.c.value, PERSON.c.authority, PERSON.c.survivor, PERSON.c.external)
#: Neither reads what the other writes: each may wait with others of its kind.
ABSORB = (
    Prepared(lambda _dialect: text("UPDATE patients_identity SET person = :survivor WHERE person = :lost")),
    Prepared(
        lambda _dialect: text("""
            UPDATE patients_person SET survivor = nullif(CAST(:survivor AS bigint), id)
            WHERE id = :lost OR id = CAST(:survivor AS bigint) OR survivor = :lost
        """)
    ),
)
_PERSON_BY_ID = Prepared(lambda _dialect: _PERSON.where(PERSON.c.id == bindparam("key")))
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_ADD_PERSON = Prepared(
    lambda dialect: _INSERTS[dialect](PERSON).on_conflict_do_nothing().returning(PERSON.c.id),
    *("value", "authority", "external", "created_at"),
)
LINKS = "patients:links"
_FEEDS, _ALONE = "patients:feeds", "patients:alone"
_MOST_LOCKS = 600  # of one unit of work: the server has places for some thousands altogether
_LOCK = Prepared(
    lambda _dialect: text("""
        WITH feeds AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(:feeds))
        SELECT pg_advisory_xact_lock(k) FROM feeds CROSS JOIN unnest(CAST(:keys AS bigint[])) AS t(k)
    """)
)
_LOCK_ALONE = Prepared(lambda _dialect: text("SELECT pg_advisory_xact_lock(:feeds)"))


def _lock_key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def member(row: Any) -> Member:
    """From a row of MEMBER_COLUMNS."""
    key, value, authority, person, home, survivor, active = row[:7]
    status, attributes, traits, others, ins, ins_oid, updated = row[7:]
    identity = Identity(
        identifier=PatientIdentifier(value, authority),
        traits=Traits(**traits),
        status=IdentityStatus(status),
        attributes=frozenset(attributes.split()),
        ins=PatientIdentifier(ins, ins_oid, "INS") if ins else None,
        others=tuple(PatientIdentifier(*parts) for parts in others),
        updated_at=updated,
        active=active,
    )
    return Member(key, person, home, survivor, identity)


def identity_values(identity: Identity, strict_key: int | None) -> dict[str, Any]:
    """An identity's row, but for whose it is."""
    return {
        "active": identity.active,
        "status": identity.status.value,
        "attributes": " ".join(sorted(identity.attributes)),
        "traits": known(identity.traits),
        "others": others_of(identity),
        "ins_value": identity.ins.value if identity.ins else None,
        "ins_authority": identity.ins.authority if identity.ins else None,
        "strict_key": strict_key,
        "birth_date": identity.traits.birth_date[:8],
        "given": given(identity.traits),
        "sex": identity.traits.sex,
        "postal_code": identity.traits.postal_code,
        "updated_at": identity.updated_at or now(),
        "survivor": None,
    }


def others_of(identity: Identity) -> list[list[str]]:
    """Its other numbers, as stored."""
    return [[item.value, item.authority, item.type_code, item.namespace] for item in identity.others]


NEW = "patients:new"  #: note of a unit of work: the rows' ids of identities that it made, until their keys are stored
KEYED = "patients:keyed"  #: note of a unit of work: version of the keys that it stores for each identity; else none
BATCH = "patients:batch"  #: note of a unit of work: its ``hub.patients.store_batch.BatchStore``


class PatientStore:
    """Identities and persons, for changes; ``links`` and ``tasks`` are stores of their own."""

    def __init__(self, work: UnitOfWork) -> None:
        self.links = LinkStore(work)
        self.tasks = TaskStore(work)
        self._work = work
        self._connection = work.connection
        self._postgresql = self._connection.dialect.name == "postgresql"
        batch = work.notes.get(BATCH)
        if batch is not None:  # what this one changes, or looks for, the other does not know
            batch.cool()

    # Locks (PostgreSQL; SQLite has one writer)

    def lock(self, *names: str) -> None:
        """Serialise with others that hold one of the names, until the unit of work ends. Sorted: no deadlock.

        An import's batch has more names than the server has places for: it keeps everybody out instead."""
        locks = self._locking(names)
        if locks:
            ask(self._connection, locks)

    def _locking(self, names: Iterable[str]) -> list[tuple[Prepared, dict[str, Any]]]:
        """The statements that take those of the locks that are not held."""
        held = self._work.held
        wanted = [name for name in names if name not in held] if self._postgresql else []
        held.update(wanted)
        locks: list[tuple[Prepared, dict[str, Any]]] = []
        if len(wanted) > _MOST_LOCKS and _ALONE not in held:
            held.add(_ALONE)
            locks.append((_LOCK_ALONE, {"feeds": _lock_key(_FEEDS)}))
        if _ALONE in held:
            wanted = [name for name in wanted if name == LINKS]
        if wanted:
            keys = sorted({_lock_key(name) for name in wanted})
            locks.append((_LOCK, {"keys": keys, "feeds": _lock_key(_FEEDS)}))
        return locks

    def lock_alone(self) -> None:
        """Keep every feed out until the unit of work ends: for who carries out many, each for itself."""
        if self._postgresql and _ALONE not in self._work.held:
            self._work.held.add(_ALONE)
            ask(self._connection, [(_LOCK_ALONE, {"feeds": _lock_key(_FEEDS)})])

    def lock_links(self) -> bool:
        """Serialise with everybody else who links, parts or merges. Take it after ``lock``, before any change.

        True: others may have changed what was read before (PostgreSQL)."""
        self.lock(LINKS)
        return self._postgresql

    def _write(self, statement: Prepared, values: dict[str, Any]) -> None:
        """Execute what gives no rows."""
        statement.run(self._connection, values)

    # Identities

    def look(self, identities: Sequence[tuple[Identity, int | None]]) -> None:
        """See for all at once (with their strict keys) what of them is not known yet. Call it under their locks."""
        self._work.absent |= absent(self._connection, identities)

    def _absent(self, kind: str, key: object, authority: str = "") -> bool:
        return key is None or (kind, str(key), authority) in self._work.absent

    def _appears(self, identity: Identity, strict_key: int | None) -> None:
        number, ins = identity.identifier, identity.ins
        self._work.absent -= {
            ("number", number.value, number.authority),
            ("ins", ins.value if ins else "", ""),
            ("strict", str(strict_key), ""),
        }

    def identity(self, identifier: PatientIdentifier) -> Member | None:
        """One identity, active or not."""
        if self._absent("number", identifier.value, identifier.authority):
            return None
        key = {"value": identifier.value, "authority": identifier.authority}
        row = _BY_IDENTIFIER.first(self._connection, key)
        return member(row) if row else None

    def add_identity(
        self, identity: Identity, person: int, strict_key: int | None, *, home: bool, survivor: int | None = None
    ) -> Member:
        """A new identity; ``home``: the person was made for it."""
        values = identity_values(identity, strict_key) | {
            "value": identity.identifier.value,
            "authority": identity.identifier.authority,
            "person": person,
            "home": person if home else None,
            "survivor": survivor,
            "keys_version": self._work.notes.get(KEYED, 0),
        }
        [(key,)] = _ADD_IDENTITY.rows(self._connection, values)
        self._appears(identity, strict_key)
        self._added(key, identity)
        return Member(key, person, person if home else None, survivor, identity)

    def _added(self, key: int, identity: Identity, names: Sequence[str] | None = None) -> None:
        for note in (NEW, UNASKED):
            self._work.notes.setdefault(note, set()).add(key)
        if identity.active:
            self._add_names(key, search_keys(identity.traits) if names is None else names)

    def change_identity(self, before: Member, identity: Identity, strict_key: int | None) -> Member:
        """The identity as it is now announced; an inactive one lives again."""
        self._appears(identity, strict_key)
        self._write(_CHANGE_IDENTITY, identity_values(identity, strict_key) | {"row_id": before.id})
        known = before.identity
        if not known.active or (known.traits, known.ins) != (identity.traits, identity.ins):
            self._write(_OTHER_KEYS, {"row_id": before.id})
        old = search_keys(before.identity.traits) if before.identity.active else ()
        new = search_keys(identity.traits)
        if set(old) != set(new):
            self._forget_names(before.id)
            self._add_names(before.id, new)
        return Member(before.id, before.person, before.home, None, identity)

    def touch_identity(self, identity: Member) -> None:
        """Nothing changed but the time."""
        self._write(_TOUCH, {"row_id": identity.id, "updated_at": now()})

    def retire(self, lost: Member) -> None:
        """An identity is used no more. What it said last stays, for those who compare."""
        values = {"active": False, "strict_key": None}
        self._connection.execute(update(IDENTITY).where(IDENTITY.c.id == lost.id).values(values))
        self._forget_names(lost.id)

    def point(self, lost: Member, survivor: Member) -> None:
        """The owner merged ``lost``, now retired, into ``survivor``: its person follows, with what it had taken in."""
        self._connection.execute(update(IDENTITY).where(IDENTITY.c.id == lost.id).values(survivor=survivor.id))
        self.move([lost.id], survivor.person)

    def _forget_names(self, identity: int) -> None:
        self._work.flush()
        self._connection.execute(delete(NAME).where(NAME.c.identity == identity))

    def _add_names(self, identity: int, keys: Sequence[str]) -> None:
        self._work.rows_later(_ADD_NAME, [(key, identity) for key in keys])

    def candidates(self, identity: Identity, strict_key: int | None, not_id: int) -> list[Member]:
        """Active identities with the same INS or the same strict traits."""
        ins = identity.ins.value if identity.ins else None
        if self._absent("ins", ins) and self._absent("strict", strict_key):
            return []
        values = {"ins": ins, "strict": strict_key, "not_id": not_id}
        return [member(row) for row in _CANDIDATES.rows(self._connection, values)]

    def members(self, person: int) -> list[Member]:
        """A person's active identities, the oldest first."""
        return [member(row) for row in MEMBERS.rows(self._connection, {"person": person})]

    def everyone(self, person: int) -> list[Member]:
        """A person's identities, also those that are not in use, the oldest first."""
        rows = self._connection.execute(_MEMBER.where(IDENTITY.c.person == person).order_by(IDENTITY.c.id))
        return [member(row) for row in rows]

    def by_ids(self, ids: Iterable[int]) -> list[Member]:
        """Identities by their rows' ids."""
        wanted = sorted(ids)
        if len(wanted) == 1:
            return [member(row) for row in _BY_ID.rows(self._connection, {"key": wanted[0]})]
        if not wanted:
            return []
        keys = listed(self._connection, wanted)
        return [member(row) for row in _BY_IDS.rows(self._connection, {"keys": keys})]

    def met(self, ids: Sequence[int]) -> list[Member]:
        """As ``by_ids``, in the order of ``ids``, for those who only compare."""
        found = {item.id: item for item in self.by_ids(ids)}
        return [found[key] for key in ids if key in found]

    # Persons

    def spare_number(self) -> str:
        """A regional number that nobody has, where one was looked for before; else ""."""
        return ""

    def add_person(self, identifier: PatientIdentifier, *, external: bool = False) -> int | None:
        """A new person; None when the regional identifier exists."""
        values = {
            "value": identifier.value, "authority": identifier.authority, "external": external, "created_at": now()
        }  # fmt: skip
        row = _ADD_PERSON.first(self._connection, values)
        return row[0] if row else None

    def person(self, person: int) -> PersonRecord:
        """One person."""
        [row] = _PERSON_BY_ID.rows(self._connection, {"key": person})
        return _record(row)

    def person_of(self, identifier: PatientIdentifier) -> PersonRecord | None:
        """The person or alias with a regional identifier."""
        where = (PERSON.c.value == identifier.value, PERSON.c.authority == identifier.authority)
        row = self._connection.execute(_PERSON.where(*where)).first()
        return _record(row) if row else None

    def aliases(self, person: int) -> list[PersonRecord]:
        """The former persons that are now this one."""
        query = _PERSON.where(PERSON.c.survivor == person).order_by(PERSON.c.id)
        return [_record(row) for row in self._connection.execute(query)]

    def absorb(self, lost: int, survivor: int) -> None:
        """``lost`` becomes an alias of ``survivor``, with its identities and its own aliases."""
        for statement in ABSORB:
            statement.run(self._connection, {"lost": lost, "survivor": survivor})

    def revive(self, person: int) -> None:
        """An alias is a person of its own again."""
        self._connection.execute(update(PERSON).where(PERSON.c.id == person).values(survivor=None))

    def at_home(self, identity: Member, person: int) -> None:
        """This is the person that the identity goes back to from now on."""
        self._connection.execute(update(IDENTITY).where(IDENTITY.c.id == identity.id).values(home=person))

    def subordinate(self, aliases: Iterable[int], person: int) -> None:
        """Aliases of another person become this one's."""
        ids = sorted(aliases)
        if ids:
            self._connection.execute(update(PERSON).where(PERSON.c.id.in_(ids)).values(survivor=person))

    def renumber(self, identity: Member, value: str) -> None:
        """The identity has another number from now on (A47)."""
        self._connection.execute(update(IDENTITY).where(IDENTITY.c.id == identity.id).values(value=value))

    def move(self, identities: Iterable[int], person: int) -> None:
        """Identities, and those merged into them, go to another person."""
        every: set[int] = set()
        found = set(identities)
        while found - every:
            every |= found
            merged = select(IDENTITY.c.id).where(IDENTITY.c.survivor.in_(sorted(found)))
            found = {row[0] for row in self._connection.execute(merged)}
        self._connection.execute(update(IDENTITY).where(IDENTITY.c.id.in_(sorted(every))).values(person=person))


class AuthorityStore:
    """Assigning authorities that were learned."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def find(self, oid: str, namespace: str) -> Authority | None:
        """By OID, or by namespace where there is no OID."""
        where = AUTHORITY.c.oid == oid if oid else AUTHORITY.c.namespace == namespace
        row = self._connection.execute(select(AUTHORITY.c.oid, AUTHORITY.c.namespace).where(where)).first()
        return Authority(row[0], row[1]) if row else None

    def all(self) -> list[Authority]:
        """Every learned authority."""
        rows = self._connection.execute(select(AUTHORITY.c.oid, AUTHORITY.c.namespace))
        return [Authority(row[0], row[1]) for row in rows]

    def add(self, authority: Authority) -> None:
        """Learn one; silent when another process was quicker."""
        kind: Any = postgresql.insert if self._connection.dialect.name == "postgresql" else sqlite.insert
        values = {"oid": authority.oid, "namespace": authority.namespace, "learned_at": now()}
        self._connection.execute(kind(AUTHORITY).on_conflict_do_nothing(), values)


def _record(row: Any) -> PersonRecord:
    key, value, authority, survivor, external = row
    return PersonRecord(key, PatientIdentifier(value, authority), survivor, external)
