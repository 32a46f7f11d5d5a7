"""Subscriptions to what is registered, and what they are told (ITI TF-1: 26). Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from hub.documents.model import DocumentEntry, Folder, SubmissionSet
from hub.usecase import Command

Parameters = Mapping[str, tuple[tuple[str, ...], ...]]
Published = DocumentEntry | SubmissionSet | Folder
#: When a subscription shall end: at an instant, after a while, or as the broker decides.
Termination = datetime | timedelta | None


class Topic(StrEnum):
    """What a notification tells (ITI TF-2: 3.52.5.1)."""

    FULL_DOCUMENT_ENTRY = "ihe:FullDocumentEntry"
    MINIMAL_DOCUMENT_ENTRY = "ihe:MinimalDocumentEntry"
    SUBMISSION_SET = "ihe:SubmissionSetMetadata"
    FOLDER = "ihe:FolderMetadata"
    EXTENDED_FULL = "ihe:ExtendedFullDocumentEntry"
    EXTENDED_MINIMAL = "ihe:ExtendedMinimalDocumentEntry"
    UPDATE_FOLDER = "ihe:UpdateFolder"
    EXTENDED_FOLDER = "ihe:ExtendedFolder"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which objects: a stored query of ITI TF-2: 3.52.5.2 with its parameters, as ``StoredQuery`` has them."""

    query_id: str
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where notifications go: a WS-Addressing endpoint reference. ``parameters``: its elements, as XML text."""

    address: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription. Only its owner may change it."""

    id: str
    owner: str  #: Principal.id of who subscribed
    topic: Topic
    filter: Filter
    consumer: Endpoint
    expires_at: datetime
    patient: str = ""  #: CX as asked for; "" when independent of the patient
    pull_point: str = ""  #: id of the hub's own pull point, "" when the consumer is elsewhere
    created_at: datetime | None = None
    notified_at: datetime | None = None  #: when the last notification was made


@dataclass(frozen=True, slots=True)
class PullPoint:
    """A place where notifications wait for a client that can't be called (ITI TF-2: 3.69)."""

    id: str
    owner: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Notification:
    """What one event has to tell one subscription: objects in full, or references to them."""

    id: str = ""
    subscription: str = ""  #: id here; of another broker's the address of its subscription
    topic: str = ""
    objects: tuple[Published, ...] = ()
    references: tuple[tuple[str, str], ...] = ()  #: (entryUUID, homeCommunityId)
    producer: str = ""  #: address of another broker


@dataclass(frozen=True, slots=True)
class Subscribe(Command):
    """ITI-52: Subscribe. Outcome: Subscription."""

    topic: str
    filter: Filter
    consumer: Endpoint
    termination: Termination = None


@dataclass(frozen=True, slots=True)
class Renew(Command):
    """ITI-52: another end for a subscription (WS-BaseNotification 1.3: 6.1.1). Outcome: Subscription."""

    subscription_id: str
    termination: Termination = None


@dataclass(frozen=True, slots=True)
class Unsubscribe(Command):
    """ITI-52: Unsubscribe. Outcome: None."""

    subscription_id: str


@dataclass(frozen=True, slots=True)
class Publish(Command):
    """ITI-54: another registry's publication. Outcome: how many notifications it led to.

    ``topic``: which may say behind a slash what happened (DSUB extensions: 3.54.4.2.2); "" registered."""

    objects: tuple[Published, ...]
    producer: str = ""
    topic: str = ""


@dataclass(frozen=True, slots=True)
class CreatePullPoint(Command):
    """ITI-69. Outcome: PullPoint."""


@dataclass(frozen=True, slots=True)
class DestroyPullPoint(Command):
    """ITI-69: the pull point goes, with what waits there and the subscriptions that fill it. Outcome: None."""

    pull_point_id: str


@dataclass(frozen=True, slots=True)
class GetMessages(Command):
    """ITI-70: the oldest notifications of a pull point, which lets them go. Outcome: tuple of Notification."""

    pull_point_id: str
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class ReceiveNotifications(Command):
    """ITI-53 from another broker into a pull point. Outcome: how many were kept."""

    pull_point_id: str
    notifications: tuple[Notification, ...] = field(default=())
