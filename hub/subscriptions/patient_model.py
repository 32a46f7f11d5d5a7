"""Subscriptions to changes of persons (PMIR: ITI-94). Frozen values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.usecase import Command
from hub.values import PatientIdentifier


class About(StrEnum):
    """Which persons a subscription is about."""

    EVERYBODY = "everybody"
    PERSON = "person"  #: one, by the regional number
    NUMBER = "number"  #: who has this number; an authority of "" means any
    DOMAIN = "domain"  #: who has a number of this authority


class FeedState(StrEnum):
    """A subscription's life (FHIR: SubscriptionStatus)."""

    ACTIVE = "active"
    ERROR = "error"  #: the last message was refused or did not arrive; the next change is told all the same
    OFF = "off"  #: disabled by its owner


@dataclass(frozen=True, slots=True)
class Criteria:
    """Whom it is about. ``text``: as the subscriber wrote it."""

    about: About
    value: str = ""
    authority: str = ""
    text: str = "Patient"


@dataclass(frozen=True, slots=True)
class PatientSubscription:
    """One subscription. Only its owner may see or change it."""

    id: str
    owner: str
    criteria: Criteria
    endpoint: str
    reason: str
    contacts: tuple[tuple[str, str], ...]  #: (system, value)
    expires_at: datetime
    created_at: datetime
    state: FeedState = FeedState.ACTIVE
    error: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscriber asks for. ``expires_at`` None: as late as is granted; ``off``: not now."""

    criteria: Criteria
    endpoint: str
    reason: str
    contacts: tuple[tuple[str, str], ...]
    expires_at: datetime | None = None
    off: bool = False


@dataclass(frozen=True, slots=True)
class SubscribeToPatients(Command):
    """ITI-94: create. Outcome: PatientSubscription."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class GetPatientSubscription(Command):
    """ITI-94: read. Outcome: PatientSubscription. Raises SubscriptionNotFound."""

    id: str


@dataclass(frozen=True, slots=True)
class ChangePatientSubscription(Command):
    """ITI-94: update: enable, disable, replace. Outcome: PatientSubscription. Raises SubscriptionNotFound."""

    id: str
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class EndPatientSubscription(Command):
    """ITI-94: delete. Outcome: None. Raises SubscriptionNotFound."""

    id: str


@dataclass(frozen=True, slots=True)
class Told:
    """What one message tells one subscription."""

    subscription: PatientSubscription
    regional: PatientIdentifier
    created: bool
