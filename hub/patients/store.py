"""The queries of feeds; the tables are in ``store_tables``, what is asked of the index is in ``store_search``."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
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

from hub.patients.model import Authority, Identity, IdentityStatus, TaskKind, Traits
from hub.patients.normalise import given_names, name_keys
from hub.patients.store_ahead import absent
from hub.patients.store_tables import AUTHORITY, IDENTITY, LINK, NAME, PERSON, TASK
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
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


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A stored person."""

    id: int
    identifier: PatientIdentifier
    survivor: int | None
    external: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A live link, seen from one of its identities."""

    id: int
    one: int
    other: int
    rule: str


_MEMBER = select(*MEMBER_COLUMNS)
_BY_IDENTIFIER = Prepared(
    lambda _dialect: _MEMBER.where(
        IDENTITY.c.value == bindparam("value"), IDENTITY.c.authority == bindparam("authority")
    )
)
_BY_ID = Prepared(lambda _dialect: _MEMBER.where(IDENTITY.c.id == bindparam("key")))
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
    lambda _dialect: insert(IDENTITY).returning(IDENTITY.c.id), "value", "authority", "person", "home", *_DESCRIPTION
)
_CHANGE_IDENTITY = Prepared(
    lambda _dialect: update(IDENTITY).where(IDENTITY.c.id == bindparam("row_id")), *_DESCRIPTION
)
_TOUCH = Prepared(lambda _dialect: update(IDENTITY).where(IDENTITY.c.id == bindparam("row_id")), "updated_at")
_ADD_NAME = Prepared(lambda _dialect: insert(NAME), "key", "identity")
_ADD_LINK = Prepared(lambda _dialect: insert(LINK), "one", "other", "rule", "message_id", "since", "ended_why")
_PERSON = select(PERSON.c.id, PERSON.c.value, PERSON.c.authority, PERSON.c.survivor, PERSON.c.external)
_PERSON_BY_ID = Prepared(lambda _dialect: _PERSON.where(PERSON.c.id == bindparam("key")))
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_ADD_PERSON = Prepared(
    lambda dialect: _INSERTS[dialect](PERSON).on_conflict_do_nothing().returning(PERSON.c.id),
    *("value", "authority", "external", "created_at"),
)
_LOCK = Prepared(lambda _dialect: text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS t(k)"))
_LIVE = LINK.c.ended_at.is_(None)
_TRAITS = tuple(item.name for item in fields(Traits))


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


def _values(identity: Identity, strict_key: int | None) -> dict[str, Any]:
    return {
        "active": identity.active,
        "status": identity.status.value,
        "attributes": " ".join(sorted(identity.attributes)),
        "traits": {name: value for name in _TRAITS if (value := getattr(identity.traits, name))},
        "others": [[item.value, item.authority, item.type_code, item.namespace] for item in identity.others],
        "ins_value": identity.ins.value if identity.ins else None,
        "ins_authority": identity.ins.authority if identity.ins else None,
        "strict_key": strict_key,
        "birth_date": identity.traits.birth_date[:8],
        "given": f" {' '.join(given_names(identity.traits))}",
        "sex": identity.traits.sex,
        "postal_code": identity.traits.postal_code,
        "updated_at": identity.updated_at or now(),
        "survivor": None,
    }


class PatientStore:
    """Identities, persons, links and tasks, for changes."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._connection = work.connection
        self._postgresql = self._connection.dialect.name == "postgresql"

    # Locks (PostgreSQL; SQLite has one writer)

    def lock(self, *names: str) -> None:
        """Serialise with others that hold one of the names, until the unit of work ends. Sorted: no deadlock."""
        if self._postgresql:
            wanted = [name for name in names if name not in self._work.held]
            if not wanted:
                return
            self._work.held.update(wanted)
            digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in wanted)
            keys = sorted({int.from_bytes(digest, "big", signed=True) for digest in digests})
            _LOCK.run(self._connection, {"keys": keys})

    def lock_links(self) -> bool:
        """Serialise with everybody else who links, parts or merges. Take it after ``lock``, before any change.

        True: others may have changed what was read before (PostgreSQL)."""
        self.lock("patients:links")
        return self._postgresql

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
        values = _values(identity, strict_key) | {
            "value": identity.identifier.value,
            "authority": identity.identifier.authority,
            "person": person,
            "home": person if home else None,
            "survivor": survivor,
        }
        [(key,)] = _ADD_IDENTITY.rows(self._connection, values)
        self._appears(identity, strict_key)
        self._add_names(key, name_keys(identity.traits) if identity.active else ())
        return Member(key, person, person if home else None, survivor, identity)

    def change_identity(self, before: Member, identity: Identity, strict_key: int | None) -> Member:
        """The identity as it is now announced; an inactive one lives again."""
        self._appears(identity, strict_key)
        _CHANGE_IDENTITY.run(self._connection, _values(identity, strict_key) | {"row_id": before.id})
        old = name_keys(before.identity.traits) if before.identity.active else ()
        new = name_keys(identity.traits)
        if set(old) != set(new):
            self._forget_names(before.id)
            self._add_names(before.id, new)
        return Member(before.id, before.person, before.home, None, identity)

    def touch_identity(self, identity: Member) -> None:
        """Nothing changed but the time."""
        _TOUCH.run(self._connection, {"row_id": identity.id, "updated_at": now()})

    def retire(self, lost: Member) -> None:
        """An identity is used no more."""
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
        for key in keys:
            self._work.later(_ADD_NAME, {"key": key, "identity": identity})

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

    def by_ids(self, ids: Iterable[int]) -> list[Member]:
        """Identities by their rows' ids."""
        return [member(row) for key in sorted(ids) for row in _BY_ID.rows(self._connection, {"key": key})]

    # Persons

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
        self._connection.execute(update(IDENTITY).where(IDENTITY.c.person == lost).values(person=survivor))
        same = or_(PERSON.c.id == lost, PERSON.c.survivor == lost)
        self._connection.execute(update(PERSON).where(same).values(survivor=survivor))
        self._connection.execute(update(PERSON).where(PERSON.c.id == survivor).values(survivor=None))

    def revive(self, person: int) -> None:
        """An alias is a person of its own again."""
        self._connection.execute(update(PERSON).where(PERSON.c.id == person).values(survivor=None))

    def at_home(self, identity: Member, person: int) -> None:
        """A person was made for an identity that joined another at once."""
        where = (IDENTITY.c.id == identity.id, IDENTITY.c.home.is_(None))
        self._connection.execute(update(IDENTITY).where(*where).values(home=person))

    def move(self, identities: Iterable[int], person: int) -> None:
        """Identities, and those merged into them, go to another person."""
        every: set[int] = set()
        found = set(identities)
        while found - every:
            every |= found
            merged = select(IDENTITY.c.id).where(IDENTITY.c.survivor.in_(sorted(found)))
            found = {row[0] for row in self._connection.execute(merged)}
        self._connection.execute(update(IDENTITY).where(IDENTITY.c.id.in_(sorted(every))).values(person=person))

    # Links and tasks

    def link(self, one: int, other: int, rule: str, message_id: str) -> None:
        """A new edge."""
        values = {"one": one, "other": other, "rule": rule, "message_id": message_id, "since": now(), "ended_why": ""}
        _ADD_LINK.run(self._connection, values)

    def edges(self, identities: Iterable[int]) -> list[Edge]:
        """Live edges of the identities."""
        ids = sorted(identities)
        query = select(LINK.c.id, LINK.c.one, LINK.c.other, LINK.c.rule)
        query = query.where(or_(LINK.c.one.in_(ids), LINK.c.other.in_(ids)), _LIVE)
        return [Edge(*row) for row in self._connection.execute(query)]

    def end(self, edges: Iterable[int], why: str) -> None:
        """Edges hold no more."""
        self._connection.execute(update(LINK).where(LINK.c.id.in_(sorted(edges))).values(ended_at=now(), ended_why=why))

    def task(self, kind: TaskKind, identity: int, others: Iterable[int], reason: str, message_id: str) -> bool:
        """Ask a steward, once; False when the question is open already."""
        open_ones = select(TASK.c.others).where(
            TASK.c.identity == identity, TASK.c.kind == kind.value, TASK.c.closed_at.is_(None)
        )
        wanted = sorted(others)
        if any(row[0] == wanted for row in self._connection.execute(open_ones)):
            return False
        values = {
            "kind": kind.value, "identity": identity, "others": wanted, "reason": reason, "message_id": message_id,
            "created_at": now(),
        }  # fmt: skip
        self._connection.execute(insert(TASK), values)
        return True

    def close_tasks(self, identity: int) -> None:
        """The identity changed: what was asked about it is asked anew where it still stands."""
        where = (TASK.c.identity == identity, TASK.c.closed_at.is_(None))
        self._connection.execute(update(TASK).where(*where).values(closed_at=now()))


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
