"""Every number that persons ever had, also retired ones, and when they were born: what rights are looked up by."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
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
    """A person: the regional identifier, every number (value, authority), the birth dates told."""

    regional: PatientIdentifier
    numbers: list[tuple[str, str]] = field(default_factory=list)
    born: set[str] = field(default_factory=set)


_ASKED = {
    "postgresql": "SELECT * FROM unnest(CAST(:places AS bigint[]), CAST(:kinds AS text[]), CAST(:values AS text[]), "
    "CAST(:authorities AS text[])) AS asked(place, kind, value, authority)",
    "sqlite": "SELECT a.value AS place, k.value AS kind, v.value AS value, o.value AS authority "
    "FROM json_each(:places) AS a CROSS JOIN json_each(:kinds) AS k ON k.key = a.key "
    "CROSS JOIN json_each(:values) AS v ON v.key = a.key CROSS JOIN json_each(:authorities) AS o ON o.key = a.key",
}
_LOOKED_UP = """
WITH asked AS MATERIALIZED ({asked}),
found AS MATERIALIZED (
    SELECT a.place, COALESCE(m.survivor, m.id) AS person FROM asked AS a {join} patients_person AS m
    ON m.value = a.value AND m.authority = a.authority WHERE a.kind = 'R'
    UNION ALL SELECT a.place, m.person FROM asked AS a {join} patients_identity AS m
    ON m.value = a.value AND m.authority = a.authority WHERE a.kind = 'L'
    UNION ALL SELECT a.place, m.person FROM asked AS a {join} patients_identity AS m
    ON m.ins_value = a.value AND m.ins_authority = a.authority AND m.active WHERE a.kind = 'I'
),
persons AS MATERIALIZED (SELECT DISTINCT person FROM found)
SELECT 0 AS part, f.place AS key, f.person, '' AS value, '' AS authority, {yes} AS active,
    '' AS ins_value, '' AS ins_authority, '' AS birth_date FROM found AS f
UNION ALL SELECT 1, m.id, p.person, m.value, m.authority, {yes}, '', '', ''
    FROM persons AS p {join} patients_person AS m ON m.id = p.person
UNION ALL SELECT 2, m.id, p.person, m.value, m.authority, {yes}, '', '', ''
    FROM persons AS p {join} patients_person AS m ON m.survivor = p.person
UNION ALL SELECT 3, m.id, p.person, m.value, m.authority, m.active, m.ins_value, m.ins_authority, m.birth_date
    FROM persons AS p {join} patients_identity AS m ON m.person = p.person
ORDER BY 1, 2
"""
_JOIN = {"postgresql": "JOIN", "sqlite": "CROSS JOIN"}  #: SQLite's keeps the order of the tables
_YES = {"postgresql": "TRUE", "sqlite": "1"}
_COLUMNS = (
    literal_column("part", Integer),
    literal_column("key", Integer),
    IDENTITY.c.person,
    IDENTITY.c.value,
    IDENTITY.c.authority,
    literal_column("active", Boolean),
    *(IDENTITY.c[name] for name in ("ins_value", "ins_authority", "birth_date")),
)
_EVERYTHING = Prepared(
    lambda dialect: text(_LOOKED_UP.format(asked=_ASKED[dialect], join=_JOIN[dialect], yes=_YES[dialect])).columns(
        *_COLUMNS
    )
)


class NumberReader:
    """Persons by their numbers, many at once."""

    def __init__(self, work: UnitOfWork) -> None:
        work.flush()  # what feeds in the same unit of work have not written yet
        self._connection = work.connection

    def persons(self, asked: Sequence[tuple[Among, PatientIdentifier]]) -> list[Numbered | None]:
        """For each number its person; None when there is none, or not one alone. One question to the database."""
        wanted: dict[str, list[Any]] = {
            "places": list(range(len(asked))),
            "kinds": [kind.value for kind, _ in asked],
            "values": [item.value for _, item in asked],
            "authorities": [item.authority for _, item in asked],
        }
        values: dict[str, Any] = dict(wanted)
        if self._connection.dialect.name == "sqlite":
            values = {name: orjson.dumps(items).decode() for name, items in wanted.items()}
        found: defaultdict[int, set[int]] = defaultdict(set)
        known: dict[int, Numbered] = {}
        for part, key, person, value, authority, active, ins, ins_authority, born in _EVERYTHING.rows(
            self._connection, values
        ):
            if part == 0:
                found[key].add(person)
                continue
            if part == 1:
                known[person] = Numbered(PatientIdentifier(value, authority))
            one = known.get(person)
            if one is None:
                continue
            one.numbers.append((value, authority))
            if active and ins:
                one.numbers.append((ins, ins_authority))
            if active and born:
                one.born.add(born)
        single = [next(iter(keys)) if len(keys := found[place]) == 1 else None for place in range(len(asked))]
        return [known.get(key) if key is not None else None for key in single]
