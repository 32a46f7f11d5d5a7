"""The questions of the patients room: who is behind an identifier, who answers to a description."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    bindparam,
    exists,
    literal_column,
    or_,
    select,
    text,
    tuple_,
    union,
)

from hub.patients.model import INS_AUTHORITIES, Identity, Link
from hub.patients.normalise import given_names, search_keys
from hub.patients.store import MEMBER_COLUMNS, Member, member
from hub.patients.store_tables import IDENTITY, LINK, NAME, PERSON
from hub.storage.arrays import among, listed
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared, ask
from hub.storage.tables import prefix_end
from hub.values import PatientIdentifier


@dataclass(frozen=True, slots=True)
class Criteria:
    """What all must hold; names normalised, prefixes; "" for anything."""

    name: str = ""
    given: str = ""
    birth_date: str = ""
    sex: str = ""
    postal_code: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One identity under one of its keys: the order of a search. ``key`` is "" where names don't order it."""

    key: str
    identity: int
    person: int


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """A person's rows."""

    regional: PatientIdentifier
    members: tuple[Member, ...]
    aliases: tuple[PatientIdentifier, ...]


_REGIONAL = Prepared(
    lambda _dialect: select(PERSON.c.id, PERSON.c.survivor, PERSON.c.external).where(
        PERSON.c.value == bindparam("value"), PERSON.c.authority == bindparam("authority")
    )
)
_LOCAL = Prepared(
    lambda _dialect: select(IDENTITY.c.person, IDENTITY.c.active, IDENTITY.c.survivor).where(
        IDENTITY.c.value == bindparam("value"), IDENTITY.c.authority == bindparam("authority")
    )
)
_INS = Prepared(
    lambda _dialect: (
        select(IDENTITY.c.person)
        .distinct()
        .where(
            IDENTITY.c.ins_value == bindparam("value"),
            IDENTITY.c.ins_authority == bindparam("authority"),
            IDENTITY.c.active,
        )
    )
)
#: The surviving regional identifier of a person, then the former ones. SQLite's CROSS JOIN and the named index: see
#: ``store_numbers``.
_SAME = """
    WITH person AS MATERIALIZED ({person})
    SELECT 0 AS former, m.id, m.value, m.authority FROM person AS p {join} patients_person AS m ON m.id = p.id
    UNION ALL SELECT 1, m.id, m.value, m.authority
    FROM person AS p {join} patients_person AS m {by_survivor} ON m.survivor = p.id ORDER BY 1, 2
"""
_JOINS = {
    "postgresql": {"join": "JOIN", "by_survivor": ""},
    "sqlite": {"join": "CROSS JOIN", "by_survivor": "INDEXED BY ix_patients_person_survivor"},
}
_OF_REGIONAL = (
    "SELECT COALESCE(survivor, id) AS id FROM patients_person WHERE value = :value AND authority = :authority"
)
_OF_PERSON = "SELECT CAST(:person AS bigint) AS id"


def _same(person: str) -> Prepared:
    columns = (literal_column("former", Integer), PERSON.c.id, PERSON.c.value, PERSON.c.authority)
    return Prepared(lambda dialect: text(_SAME.format(person=person, **_JOINS[dialect])).columns(*columns))


_SAME_AS, _NUMBERS_OF = _same(_OF_REGIONAL), _same(_OF_PERSON)

_COLUMNS = ", ".join(f"m.{column.name}" for column in MEMBER_COLUMNS)
_OF_PERSONS = {
    "postgresql": f"""
        SELECT {_COLUMNS} FROM patients_identity AS m
        WHERE m.person {among("persons", "bigint")} AND m.active ORDER BY m.id
    """,  # noqa: S608 (our own columns)
    "sqlite": f"""
        SELECT {_COLUMNS} FROM json_each(:persons) AS a CROSS JOIN patients_identity AS m
        ON m.person = a.value AND m.active ORDER BY m.id
    """,  # noqa: S608
}
_NUMBERS = {
    "postgresql": f"""
        SELECT m.id, m.value, m.authority, m.survivor, m.external FROM patients_person AS m
        WHERE m.id {among("persons", "bigint")}
        UNION ALL SELECT m.id, m.value, m.authority, m.survivor, m.external FROM patients_person AS m
        WHERE m.survivor {among("persons", "bigint")} ORDER BY 1
    """,  # noqa: S608 (our own text)
    "sqlite": """
        SELECT m.id, m.value, m.authority, m.survivor, m.external
        FROM json_each(:persons) AS a CROSS JOIN patients_person AS m ON m.id = a.value
        UNION ALL SELECT m.id, m.value, m.authority, m.survivor, m.external
        FROM json_each(:persons) AS a CROSS JOIN patients_person AS m ON m.survivor = a.value ORDER BY 1
    """,
}
_PERSON_COLUMNS = (PERSON.c.id, PERSON.c.value, PERSON.c.authority, PERSON.c.survivor, PERSON.c.external)
#: The active identities of persons, and the persons with their aliases; ``listed`` makes the value of ``persons``.
MEMBERS_OF = Prepared(lambda dialect: text(_OF_PERSONS[dialect]).columns(*MEMBER_COLUMNS))
PERSONS = Prepared(lambda dialect: text(_NUMBERS[dialect]).columns(*_PERSON_COLUMNS))
_BY_ID = Prepared(lambda _dialect: select(*MEMBER_COLUMNS).where(IDENTITY.c.id == bindparam("key")))
#: Whom a number means: their active identities (part 0), then their regional identifiers (part 1), in one statement.
_WHOM = f"""
    WITH asked AS MATERIALIZED ({{asked}})
    SELECT 0 AS part, {_COLUMNS} FROM asked AS a {{join}} patients_identity AS m ON m.person = a.person AND m.active
    UNION ALL
    SELECT 1, m.id, m.value, m.authority, a.person, NULL, m.survivor, {", ".join(["NULL"] * 8)}
    FROM asked AS a {{join}} patients_person AS m ON m.id = a.person
    UNION ALL
    SELECT 1, m.id, m.value, m.authority, a.person, NULL, m.survivor, {", ".join(["NULL"] * 8)}
    FROM asked AS a {{join}} patients_person AS m {{by_survivor}} ON m.survivor = a.person
    ORDER BY 1, 2
"""  # noqa: S608 (our own columns)


def _whom(asked: str) -> Prepared:
    columns = (literal_column("part", Integer), *MEMBER_COLUMNS)
    return Prepared(lambda dialect: text(_WHOM.format(asked=asked, **_JOINS[dialect])).columns(*columns))


_WHOM_REGIONAL = _whom(
    "SELECT COALESCE(survivor, id) AS person FROM patients_person WHERE value = :value AND authority = :authority"
)
_WHOM_LOCAL = _whom(
    "SELECT person FROM patients_identity WHERE value = :value AND authority = :authority "
    "AND (active OR survivor IS NOT NULL)"
)
_WHOM_INS = _whom(
    "SELECT DISTINCT person FROM patients_identity WHERE ins_value = :value AND ins_authority = :authority AND active"
)


class PatientReader:
    """Persons, for questions."""

    def __init__(self, work: UnitOfWork) -> None:
        work.flush()  # what feeds in the same unit of work have not written yet
        self._connection = work.connection

    def regional(self, identifier: PatientIdentifier) -> int | None:
        """The person behind a regional identifier or alias."""
        row = _REGIONAL.first(self._connection, _key(identifier))
        return None if row is None else (row[1] if row[1] is not None else row[0])

    def in_use(self, identifier: PatientIdentifier) -> bool:
        """Whether a regional identifier or alias stands, and no external index merged it away."""
        row = _REGIONAL.first(self._connection, _key(identifier))
        return row is not None and not (row[1] is not None and row[2])

    def local(self, identifier: PatientIdentifier, *, withdrawn: bool = True) -> int | None:
        """The person of a hospital's number, also of one that was merged away, or (``withdrawn``) taken back."""
        row = _LOCAL.first(self._connection, _key(identifier))
        return row[0] if row and (withdrawn or row[1] or row[2] is not None) else None

    def ins(self, identifier: PatientIdentifier) -> list[int]:
        """The persons whose qualified identities carry the INS."""
        return [row[0] for row in _INS.rows(self._connection, _key(identifier))]

    def any_value(self, value: str, limit: int) -> list[int]:
        """The persons with this number in whatever domain."""
        query = union(
            select(IDENTITY.c.person).where(
                IDENTITY.c.value == value, or_(IDENTITY.c.active, IDENTITY.c.survivor.is_not(None))
            ),
            select(IDENTITY.c.person).where(IDENTITY.c.ins_value == value, IDENTITY.c.active),
            select(PERSON.c.id).where(PERSON.c.value == value, PERSON.c.survivor.is_(None)),
            select(PERSON.c.survivor).where(PERSON.c.value == value, PERSON.c.survivor.is_not(None)),
        ).limit(limit)
        return sorted(row[0] for row in self._connection.execute(query))

    def same(self, identifier: PatientIdentifier) -> list[PatientIdentifier]:
        """The regional identifiers of the person behind one, the surviving one first; empty when it is nobody's."""
        return _identifiers(_SAME_AS.rows(self._connection, _key(identifier)))

    def identifiers(self, person: int) -> list[PatientIdentifier]:
        """The regional identifiers of a person, the surviving one first; empty when there is no such person."""
        return _identifiers(_NUMBERS_OF.rows(self._connection, {"person": person}))

    def person(self, key: int) -> StoredPerson | None:
        """One person with its active identities and aliases."""
        return self.persons([key]).get(key)

    def persons(self, ids: Sequence[int]) -> dict[int, StoredPerson]:
        """Persons with their active identities and aliases."""
        if not ids:
            return {}
        wanted = {"persons": listed(self._connection, sorted(set(ids)))}
        members: defaultdict[int, list[Member]] = defaultdict(list)
        identities, numbers = ask(self._connection, [(MEMBERS_OF, wanted), (PERSONS, wanted)])
        for row in identities:
            found = member(row)
            members[found.person].append(found)
        regional: dict[int, PatientIdentifier] = {}
        aliases: defaultdict[int, list[PatientIdentifier]] = defaultdict(list)
        for key, value, authority, survivor, _ in numbers:
            identifier = PatientIdentifier(value, authority)
            if survivor is None:
                regional[key] = identifier
            else:
                aliases[survivor].append(identifier)
        return {
            key: StoredPerson(regional[key], tuple(members[key]), tuple(aliases[key])) for key in ids if key in regional
        }

    def whom(self, identifier: PatientIdentifier, *, regional: bool = False) -> list[StoredPerson]:
        """Whom a number means: nobody by a hospital's that was taken back, several perhaps by an INS. One statement,
        which sees all of it at one moment."""
        ins = identifier.authority in INS_AUTHORITIES
        statement = _WHOM_INS if ins else _WHOM_REGIONAL if regional else _WHOM_LOCAL
        members: defaultdict[int, list[Member]] = defaultdict(list)
        numbers: defaultdict[int, list[tuple[bool, PatientIdentifier]]] = defaultdict(list)
        for part, *row in statement.rows(self._connection, _key(identifier)):
            _, value, authority, person, _, survivor = row[:6]
            if part:
                numbers[person].append((survivor is not None, PatientIdentifier(value, authority)))
            else:
                members[person].append(member(row))
        found = ((person, sorted(theirs, key=itemgetter(0))) for person, theirs in numbers.items())
        return [
            StoredPerson(every[0][1], tuple(members[person]), tuple(item for _, item in every[1:]))
            for person, every in found
        ]

    def search(self, criteria: Criteria, after: Hit | None, limit: int) -> list[Hit]:
        """Identities that answer the description: by name key, or by row where a full birth date selects."""
        dated = len(criteria.birth_date) == 8
        form = (bool(criteria.name), dated, bool(criteria.birth_date), bool(criteria.given), bool(criteria.sex))
        statement = _search(*form, bool(criteria.postal_code), after is not None)
        values = {
            "name": criteria.name,
            "name_end": prefix_end(criteria.name) if criteria.name else "",
            "born": criteria.birth_date,
            "born_end": prefix_end(criteria.birth_date) if criteria.birth_date else "",
            "given": f"% {criteria.given}%",
            "sex": criteria.sex,
            "postal_code": criteria.postal_code,
            "after_key": after.key if after is not None else "",
            "after": after.identity if after is not None else 0,
            "most": limit,
        }
        return [Hit(*row) for row in statement.rows(self._connection, values)]

    def identity(self, key: int) -> Member | None:
        """One identity by its row."""
        row = _BY_ID.first(self._connection, {"key": key})
        return member(row) if row else None

    def links(self, identities: Iterable[int]) -> list[Link]:
        """All links of the identities, also the ended ones, the oldest first."""
        ids = sorted(identities)
        query = select(LINK).where(or_(LINK.c.one.in_(ids), LINK.c.other.in_(ids))).order_by(LINK.c.id)
        rows = self._connection.execute(query).mappings().all()
        names = self._names({key for row in rows for key in (row["one"], row["other"])})
        columns = (
            *("rule", "since", "ended_at", "ended_why", "message_id"),
            *("author", "reason", "evidence", "model_version"),
        )
        return [Link(names[row["one"]], names[row["other"]], *(row[name] for name in columns)) for row in rows]

    def _names(self, ids: Iterable[int]) -> dict[int, PatientIdentifier]:
        query = select(IDENTITY.c.id, IDENTITY.c.value, IDENTITY.c.authority).where(IDENTITY.c.id.in_(sorted(ids)))
        return {key: PatientIdentifier(value, oid) for key, value, oid in self._connection.execute(query)}


def _identifiers(rows: Iterable[tuple[Any, ...]]) -> list[PatientIdentifier]:
    return [PatientIdentifier(value, authority) for _, _, value, authority in rows]


def matching_keys(identity: Identity, criteria: Criteria) -> list[str]:
    """The keys under which an identity answers the description, in order: [""] where names don't order it."""
    traits = identity.traits
    given = f" {' '.join(given_names(traits))}"
    if not identity.active or not traits.birth_date.startswith(criteria.birth_date):
        return []
    if criteria.given and f" {criteria.given}" not in given:
        return []
    if (criteria.sex and traits.sex != criteria.sex) or (
        criteria.postal_code and traits.postal_code != criteria.postal_code
    ):
        return []
    keys = sorted(key for key in search_keys(traits) if key.startswith(criteria.name))
    if len(criteria.birth_date) == 8:
        return [""] if keys or not criteria.name else []
    return keys


def _key(identifier: PatientIdentifier) -> dict[str, Any]:
    return {"value": identifier.value, "authority": identifier.authority}


@cache
def _search(  # noqa: PLR0917 (each says whether a criterion is there)
    named: bool, dated: bool, born: bool, given: bool, sex: bool, postal_code: bool, goes_on: bool
) -> Prepared:
    """The statement of one form of question, prepared once. A full birth date selects by itself, else the name does."""
    where: list[ColumnElement[bool]] = [IDENTITY.c.active]
    if dated:  # equal, so that the index gives the rows in order
        where.append(IDENTITY.c.birth_date == bindparam("born"))
    elif born:
        where += [IDENTITY.c.birth_date >= bindparam("born"), IDENTITY.c.birth_date < bindparam("born_end")]
    if given:
        where.append(IDENTITY.c.given.like(bindparam("given")))
    if sex:
        where.append(IDENTITY.c.sex == bindparam("sex"))
    if postal_code:
        where.append(IDENTITY.c.postal_code == bindparam("postal_code"))
    name = [NAME.c.key >= bindparam("name"), NAME.c.key < bindparam("name_end")] if named else []
    query: Any
    if dated:
        if named:
            where.append(exists().where(NAME.c.identity == IDENTITY.c.id, *name))
        if goes_on:
            where.append(IDENTITY.c.id > bindparam("after"))
        query = select(text("''"), IDENTITY.c.id, IDENTITY.c.person).where(*where).order_by(IDENTITY.c.id)
    else:
        if goes_on:
            where.append(tuple_(NAME.c.key, NAME.c.identity) > tuple_(bindparam("after_key"), bindparam("after")))
        query = select(NAME.c.key, IDENTITY.c.id, IDENTITY.c.person).join(IDENTITY, IDENTITY.c.id == NAME.c.identity)
        query = query.where(*name, *where).order_by(NAME.c.key, NAME.c.identity)
    query = query.limit(bindparam("most"))
    return Prepared(lambda _dialect: query)
