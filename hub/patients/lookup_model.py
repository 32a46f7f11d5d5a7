"""What FHIR's patient questions ask: searches with many criteria, matches with their score, all numbers of a person."""

from dataclasses import dataclass
from enum import StrEnum

from hub.patients.model import Identity, Person
from hub.patients.steward_model import Score
from hub.usecase import Command
from hub.values import PatientIdentifier


class Trait(StrEnum):
    """What a person can be searched by besides numbers and birth date."""

    FAMILY = "family"  #: birth or used name
    GIVEN = "given"
    SEX = "sex"  #: HL7 table 0001; "U" finds unknown ones
    ADDRESS = "address"  #: any part of it
    CITY = "city"
    POSTAL_CODE = "postal-code"
    STATE = "state"  #: not kept: finds nobody
    COUNTRY = "country"
    PHONE = "phone"
    MOTHER = "mother"
    BORN = "born"  #: in a period, YYYYMMDD-YYYYMMDD


@dataclass(frozen=True, slots=True)
class Criterion:
    """One of the values must be found: as the beginning whatever case and accents; ``exact``: as it is."""

    trait: Trait
    values: tuple[str, ...]
    exact: bool = False


@dataclass(frozen=True, slots=True)
class SearchPersons(Command):
    """PDQm (ITI-78): persons who fulfil every criterion. Outcome: PersonPage.

    Something must select: a number, a full birth date, or two letters of a family name. Raises SearchTooBroad,
    UnknownDomain, InvalidCursor."""

    ids: tuple[str, ...] | None = None  #: regional numbers, one of which it is
    identifiers: tuple[tuple[PatientIdentifier, ...], ...] = ()  #: of each, one; an authority of "" means any
    domains: tuple[str, ...] = ()  #: who has a number in one of these
    criteria: tuple[Criterion, ...] = ()
    born: tuple[str, str] = ("", "")  #: from and to, inclusive, YYYYMMDD; "" : open
    maybe_born: tuple[str, str] = ("", "")  #: likewise; a date that is known in part need not lie in it wholly
    active: bool | None = None
    limit: int = 50
    cursor: str = ""
    counted: bool = False  #: with the number of all of them, where it is not too large to be told


@dataclass(frozen=True, slots=True)
class FindNumbers(Command):
    """PIXm (ITI-83): every number that means the same person. ``regional``: the number is the hub's own.

    Outcome: Numbers. Raises UnknownIdentifier, UnknownDomain (with ``domain``: one of those wanted)."""

    identifier: PatientIdentifier
    domains: tuple[PatientIdentifier, ...] = ()  #: authorities wanted (their values are ""); empty: all
    regional: bool = False


@dataclass(frozen=True, slots=True)
class Numbers:
    """The person's regional identifier, and the numbers that were asked for."""

    regional: PatientIdentifier
    identifiers: tuple[PatientIdentifier, ...]


class Grade(StrEnum):
    """How sure a match is (FHIR: match-grade)."""

    CERTAIN = "certain"  #: a rule would link by itself
    PROBABLE = "probable"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class MatchPerson(Command):
    """PDQm (ITI-119): whom a described patient may be, the likeliest first. Outcome: tuple of Matched.

    ``only_certain``: nobody unless exactly one person is certain. Raises DiscoveryIncomplete."""

    described: Identity  #: its own identifier is of no authority ("")
    numbers: tuple[PatientIdentifier, ...] = ()
    only_certain: bool = False
    limit: int = 20
    only: PatientIdentifier | None = None  #: nobody but whom this means: looked up by it, whoever is described


@dataclass(frozen=True, slots=True)
class Matched:
    """A candidate. ``probability``: 0 to 1; ``score``: how it came about, where a model is in use."""

    person: Person
    grade: Grade
    probability: float
    score: Score | None = None
