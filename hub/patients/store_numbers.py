"""Every number that persons ever had, also retired ones, and when they were born: what rights are looked up by."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Boolean, Integer, literal_column, text

from hub.patients.store_tables import IDENTITY
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.values import PatientIdentifier


class Among(StrEnum):
    """Where a number stands."""

    REGIONAL = "R"
    LOCAL = "L"
    INS = "I"


@dataclass(frozen=True, slots=True)
class Numbered:
    """A person: the regional identifier, every number (value, authority), the birth dates told. ``former``: regional
    identifiers whose survivor the first one is."""

    regional: PatientIdentifier
    former: list[PatientIdentifier] = field(default_factory=list)
    numbers: list[tuple[str, str]] = field(default_factory=list)
    born: set[str] = field(default_factory=set)


#: What the databases say differently. PostgreSQL plans what depends on the length of an array anew each time, unless a
#: sub-select hides it. SQLite's CROSS JOIN keeps the order of the tables; where almost all rows have no
#: survivor or INS its statistics take the indexes for useless.
_WORDS = {
    "postgresql": {
        "asked": "SELECT * FROM unnest((SELECT CAST(:places AS bigint[])), (SELECT CAST(:kinds AS text[])), "
        "(SELECT CAST(:values AS text[])), (SELECT CAST(:authorities AS text[]))) "
        "AS asked(place, kind, value, authority)",
        "join": "JOIN", "yes": "TRUE", "by_ins": "", "by_survivor": "",
    },
    "sqlite": {
        "asked": "SELECT a.key AS place, a.value->>0 AS kind, a.value->>1 AS value, a.value->>2 AS authority "
        "FROM json_each(:asked) AS a",
        "join": "CROSS JOIN", "yes": "1",
        "by_ins": "INDEXED BY ix_patients_identity_ins", "by_survivor": "INDEXED BY ix_patients_person_survivor",
    },
}  # fmt: skip
_LOOKED_UP = """
WITH asked AS MATERIALIZED ({asked}),
found AS MATERIALIZED (
    SELECT a.place, COALESCE(m.survivor, m.id) AS person FROM asked AS a {join} patients_person AS m
    ON m.value = a.value AND m.authority = a.authority WHERE a.kind = 'R'
    UNION ALL SELECT a.place, m.person FROM asked AS a {join} patients_identity AS m
    ON m.value = a.value AND m.authority = a.authority WHERE a.kind = 'L'
    UNION ALL SELECT a.place, m.person FROM asked AS a {join} patients_identity AS m {by_ins}
    ON m.ins_value = a.value AND m.ins_authority = a.authority AND m.active WHERE a.kind = 'I'
),
persons AS MATERIALIZED (SELECT DISTINCT person FROM found)
SELECT 0 AS part, f.place AS key, f.person, '' AS value, '' AS authority, {yes} AS active,
    '' AS ins_value, '' AS ins_authority, '' AS birth_date FROM found AS f
UNION ALL SELECT 1, m.id, p.person, m.value, m.authority, {yes}, '', '', ''
    FROM persons AS p {join} patients_person AS m ON m.id = p.person
UNION ALL SELECT 2, m.id, p.person, m.value, m.authority, {yes}, '', '', ''
    FROM persons AS p {join} patients_person AS m {by_survivor} ON m.survivor = p.person
UNION ALL SELECT 3, m.id, p.person, m.value, m.authority, m.active, m.ins_value, m.ins_authority, m.birth_date
    FROM persons AS p {join} patients_identity AS m ON m.person = p.person
"""
_COLUMNS = (
    literal_column("part", Integer),
    literal_column("key", Integer),
    IDENTITY.c.person,
    IDENTITY.c.value,
    IDENTITY.c.authority,
    literal_column("active", Boolean),
    *(IDENTITY.c[name] for name in ("ins_value", "ins_authority", "birth_date")),
)
_NOTED = "whom numbers mean"  #: of a unit of work that only reads
_EVERYTHING = Prepared(lambda dialect: text(_LOOKED_UP.format(**_WORDS[dialect])).columns(*_COLUMNS))


def noted(work: UnitOfWork) -> dict[PatientIdentifier, Numbered | None]:
    """Whom identifiers mean, as far as a unit of work that only reads has found out."""
    found: dict[PatientIdentifier, Numbered | None] = {} if work.writing else work.notes.setdefault(_NOTED, {})
    return found


class NumberReader:
    """Persons by their numbers, many at once."""

    def __init__(self, work: UnitOfWork) -> None:
        work.flush()  # what feeds in the same unit of work have not written yet
        self._connection = work.connection

    def persons(self, asked: Sequence[tuple[Among, PatientIdentifier]]) -> list[Numbered | None]:
        """For each number its person; None when there is none, or not one alone. One question to the database."""
        values: dict[str, Any]
        if self._connection.dialect.name == "sqlite":
            rows = [(kind.value, item.value, item.authority) for kind, item in asked]
            values = {"asked": orjson.dumps(rows).decode()}
        else:
            values = {
                "places": list(range(len(asked))),
                "kinds": [kind.value for kind, _ in asked],
                "values": [item.value for _, item in asked],
                "authorities": [item.authority for _, item in asked],
            }
        found: defaultdict[int, set[int]] = defaultdict(set)
        known: dict[int, Numbered] = {}
        every = sorted(_EVERYTHING.rows(self._connection, values), key=itemgetter(0, 1))
        for part, key, person, value, authority, active, ins, ins_authority, born in every:
            if part == 0:
                found[key].add(person)
                continue
            if part == 1:
                known[person] = Numbered(PatientIdentifier(value, authority))
            one = known.get(person)
            if one is None:
                continue
            one.numbers.append((value, authority))
            if part == 2:
                one.former.append(PatientIdentifier(value, authority))
            if active and ins:
                one.numbers.append((ins, ins_authority))
            if active and born:
                one.born.add(born)
        single = [next(iter(keys)) if len(keys := found[place]) == 1 else None for place in range(len(asked))]
        return [known.get(key) if key is not None else None for key in single]
