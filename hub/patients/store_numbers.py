"""Every number that persons ever had, also retired ones, and when they were born: what rights are looked up by."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from hub.patients.store_search import PERSONS, array
from hub.patients.store_tables import IDENTITY
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.values import PatientIdentifier

_COLUMNS = tuple(
    IDENTITY.c[name] for name in ("person", "value", "authority", "active", "ins_value", "ins_authority", "birth_date")
)
_NAMES = ", ".join(f"m.{column.name}" for column in _COLUMNS)
_EVERYONE = Prepared(
    lambda dialect: text(
        {
            "postgresql": f"SELECT {_NAMES} FROM patients_identity AS m "  # noqa: S608 (our own columns)
            "WHERE m.person = ANY(CAST(:persons AS bigint[])) ORDER BY m.id",
            "sqlite": f"SELECT {_NAMES} FROM json_each(:persons) AS a "  # noqa: S608
            "CROSS JOIN patients_identity AS m ON m.person = a.value ORDER BY m.id",
        }[dialect]
    ).columns(*_COLUMNS)
)


class NumberReader:
    """Numbers of persons by their rows' ids."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def numbers(self, persons: Sequence[int]) -> dict[int, tuple[PatientIdentifier, list[tuple[str, str]], set[str]]]:
        """For each person its regional identifier, all numbers (value, authority), and the birth dates told."""
        wanted: dict[str, Any] = {"persons": array(self._connection, sorted(set(persons)))}
        regional: dict[int, PatientIdentifier] = {}
        numbers: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        born: defaultdict[int, set[str]] = defaultdict(set)
        for key, value, authority, survivor, _ in PERSONS.rows(self._connection, wanted):
            numbers[key if survivor is None else survivor].append((value, authority))
            if survivor is None:
                regional[key] = PatientIdentifier(value, authority)
        for person, value, authority, active, ins, ins_authority, birth_date in _EVERYONE.rows(
            self._connection, wanted
        ):
            numbers[person].append((value, authority))
            if active and ins:
                numbers[person].append((ins, ins_authority))
            if active and birth_date:
                born[person].add(birth_date)
        return {key: (regional[key], numbers[key], born[key]) for key in persons if key in regional}
