"""Where a patient is just now, as the hospital's encounter messages say (PAM, ITI-31). Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.patients.details_model import FeedDetails
from hub.patients.model import Person
from hub.patients.portions_model import Asked
from hub.usecase import Command
from hub.values import PatientIdentifier


class VisitAction(StrEnum):
    """What an encounter message does to the visit that the hub knows."""

    SET = "set"  #: admitted, registered, transferred, updated: it is now as told
    DISCHARGE = "discharge"  #: over
    CANCEL = "cancel"  #: it never was


@dataclass(frozen=True, slots=True)
class Visit:
    """A stay or a consultation. ``fields``: PV1's fields that are passed on, in standard delimiters, by number."""

    number: PatientIdentifier | None = None  #: PV1-19
    account: PatientIdentifier | None = None  #: PID-18
    fields: Mapping[int, str] = field(default_factory=dict)
    movement: str = ""  #: ZBE-1
    at: datetime | None = None  #: when the hospital recorded it: EVN-2


@dataclass(frozen=True, slots=True)
class FeedVisit(FeedDetails):
    """An encounter: announces the identity as ``FeedDetails`` does, and says where the patient is. Outcome: Fed.

    ``historic``: about the past (ZBE-5): changes neither a known identity nor the current visit. ``described``: the
    message describes the person; otherwise a known identity stays as it is."""

    visit: Visit = field(default_factory=Visit)
    action: VisitAction = VisitAction.SET
    historic: bool = False
    described: bool = True


@dataclass(frozen=True, slots=True)
class FindVisits(Command):
    """Who is there, by person and by visit (ITI-22): all of it must hold. Outcome: VisitPage.

    ``fields``: (PV1 field, component) -> beginning of its value. ``account``: PID-18. Raises SearchTooBroad,
    UnknownDomain."""

    asked: Asked = field(default_factory=Asked)
    fields: Mapping[tuple[int, int], str] = field(default_factory=dict)
    account: str = ""
    domains: tuple[str, ...] = ()
    limit: int = 50
    start: int = 0


@dataclass(frozen=True, slots=True)
class VisitPage:
    """Persons with their visits; ``remaining`` after these."""

    found: tuple[tuple[Person, Visit], ...]
    total: int
    remaining: int
