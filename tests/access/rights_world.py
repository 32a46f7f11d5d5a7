"""A small region for tests of rights: persons by their numbers, callers of every kind, a clock that stands still."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.access.model import HUB, Principal, Professional, Purpose, Scheme
from hub.access.rights import RightsService
from hub.access.rights_facts import RightsSettings
from hub.access.rights_model import Choice, Consent, Kind, KnownPerson, Matter, Thing
from hub.context import Context
from hub.storage.engine import Database
from hub.values import PatientIdentifier

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
REGION, HOSPITAL = "1.2.250.1.999.1.1", "1.2.250.1.999.10.1"
MARIE, PAUL = PatientIdentifier("R1", REGION), PatientIdentifier("R2", REGION)
AT_A, AT_B = PatientIdentifier("A1", HOSPITAL), PatientIdentifier("B1", "1.2.250.1.999.10.2")
DOCTOR_ID, CLINIC = "899700000001", "1750100125"

SYSTEM = Principal("HIS", scheme=Scheme.CERTIFICATE, permissions=frozenset({"*"}))
LOOPBACK = Principal("loopback", scheme=Scheme.LOOPBACK, permissions=frozenset({"*"}))
DOCTOR = Principal(
    DOCTOR_ID,
    name="Dr Curie",
    scheme=Scheme.ASSERTION,
    roles=frozenset({"clinician"}),
    person=True,
    professional=Professional(DOCTOR_ID, profession="10", specialities=("SM26",), structure=CLINIC),
    purpose=Purpose.NORMAL,
    node="HIS",
)
USER = Principal("curie", scheme=Scheme.SESSION, roles=frozenset({"clinician"}), person=True, organisation="Clinic")
PATIENT = Principal("me", scheme=Scheme.PROVIDER, roles=frozenset({"patient"}), person=True, about=MARIE.cx)
MOTHER = replace(PATIENT, id="mother", roles=frozenset({"representative"}))
SECRETARY = replace(USER, id="secretary", roles=frozenset({"secretary"}))


def professional(**changes: Any) -> Principal:
    """The doctor, otherwise."""
    known = DOCTOR.professional or Professional("")
    fields = {name: changes.pop(name) for name in ("structure", "specialities") if name in changes}
    return replace(DOCTOR, professional=replace(known, **fields), **changes)


class Persons:
    """Whom the numbers mean; tests change it as links do."""

    def __init__(self) -> None:
        self.of: dict[PatientIdentifier, KnownPerson] = {}

    def put(self, *numbers: PatientIdentifier, born: str = "19790315") -> None:
        known = KnownPerson(numbers[0], tuple((item.value, item.authority) for item in numbers), frozenset({born}))
        self.of.update(dict.fromkeys(numbers, known))

    def known(self, identifiers: Iterable[PatientIdentifier]) -> Mapping[PatientIdentifier, KnownPerson]:
        return {item: self.of[item] for item in identifiers if item in self.of}


class World:
    """Rights of a region."""

    def __init__(self, database: Database, **settings: Any) -> None:
        self.at = NOON
        self.persons = Persons()
        self.persons.put(MARIE, AT_A)
        self.persons.put(PAUL, AT_B)
        self.rights = RightsService(
            database=database, people=self.persons, settings=RightsSettings(**settings), clock=lambda: self.at
        )

    def rule(self, principal: Principal, thing: Thing | None = None, **context: Any) -> tuple[str, bool]:
        """Which rule decides, and how; told as in a request."""
        asked = Context(principal=principal, **context)
        [found] = self.rights.rulings([thing or document()], asked)
        assert self.rights.visible([thing or document()], asked) == [found.allowed]
        return found.rule, found.allowed


def document(*codes: str, patient: PatientIdentifier = MARIE, kind: Kind = Kind.DOCUMENT, authors: str = "") -> Thing:
    return Thing(kind, patient, frozenset(codes or ("N",)), frozenset(authors.split()))


def consent(
    choice: Choice = Choice.OPPOSITION,
    matter: Matter = Matter.CONSULTATION,
    *,
    days: float = -1,
    identity: PatientIdentifier = AT_A,
    **more: Any,
) -> Consent:
    return Consent("", identity, matter, choice, NOON + timedelta(days=days), **more)


__all__ = ["HUB"]
