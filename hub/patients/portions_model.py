"""A question by demographics whose answer may be taken in portions (ITI-47). Frozen values."""

from dataclasses import dataclass, field

from hub.patients.model import Person, Traits
from hub.usecase import Command
from hub.values import PatientIdentifier


@dataclass(frozen=True, slots=True)
class AskedName:
    """A name to look for. ``loose``: beginnings of names suffice; otherwise whole names, but for case and accents."""

    family: str = ""
    given: tuple[str, ...] = ()
    loose: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of the person: all of it must hold for one of the person's identities.

    ``names``: any of them. ``born``: first and last day, ``YYYY[MM[DD]]``. ``identifiers``: of each group, any.
    ``traits``: mother's name, address, birth place and phone as asked; its names, sex and dates are not read."""

    names: tuple[AskedName, ...] = ()
    sex: str = ""
    born: tuple[str, str] = ("", "")
    identifiers: tuple[tuple[PatientIdentifier, ...], ...] = ()
    traits: Traits = field(default_factory=Traits)


@dataclass(frozen=True, slots=True)
class QueryDemographics(Command):
    """Who is it? ``domains``: whose numbers are wanted; ``query``: the asker's id of the question.

    With a ``quantity`` so many are told at first and the others kept for an hour. Outcome: DemographicsPage.
    Raises SearchTooBroad, UnknownDomain (all unknown ones in its context, ``domains``)."""

    asked: Asked
    domains: tuple[str, ...] = ()
    query: str = ""
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class ContinueDemographics(Command):
    """The next of the persons found, or from the ``start``-th (from 1) on. Outcome: DemographicsPage.

    Raises UnknownQuery."""

    query: str
    start: int | None = None
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class CancelDemographics(Command):
    """The asker wants no more of a question's answer; one that is not known any more is no error. Outcome: None."""

    query: str


@dataclass(frozen=True, slots=True)
class DemographicsPage:
    """A portion of the persons found."""

    persons: tuple[Person, ...]
    total: int
    remaining: int
    domains: tuple[str, ...] = ()
