"""Secure mail (MSSanté): what is mailed to whom, how far it came, what to do next. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.documents.model import DocumentEntry, RetrievedDocument
from hub.patients.model import Traits
from hub.usecase import Command
from hub.values import PatientIdentifier


class LetterKind(StrEnum):
    """What is mailed."""

    PROFESSIONAL = "professional"  #: the document, as XDM, to a professional's or an organisation's box
    PATIENT = "patient"  #: the document, as XDM, to the patient's box
    WITHDRAWAL = "withdrawal"  #: that a document they got was taken back or replaced: no document, no patient data
    NOTICE = "notice"  #: that a document awaits, by ordinary mail: no patient data, a link that asks who one is


class LetterState(StrEnum):
    """How far it came."""

    WAITING = "waiting"  #: for its document to be registered, or for the mail server
    SENT = "sent"  #: the mail server has taken it
    DELIVERED = "delivered"  #: it lies in the box (DSN)
    READ = "read"  #: it was opened (MDN), or the notice's link was followed
    REFUSED = "refused"  #: it did not come there; ``reason`` says why. Not sent again by itself
    HELD = "held"  #: not sent; ``reason`` says why and what to do
    WITHDRAWN = "withdrawn"  #: its document was taken back before it was sent


class LetterReason(StrEnum):
    """Why a letter is held, refused, or waits."""

    COMBINATION = "combination"
    ADDRESS = "address"
    OUTSIDE = "outside"
    NOT_QUALIFIED = "ins-not-qualified"
    HIDDEN = "hidden"
    OPPOSITION = "opposition"
    TOO_LARGE = "too-large"
    RECIPIENT = "recipient-refused"
    MESSAGE = "message-refused"
    BOUNCED = "bounced"
    INTEGRATION = "integration-refused"
    UNAVAILABLE = "unavailable"
    CONFIGURATION = "misconfigured"


@dataclass(frozen=True, slots=True)
class Letter:
    """Documents on their way to one box. No patient data: the patient's box is not shown."""

    id: str
    kind: LetterKind
    unique_ids: tuple[str, ...]  #: of the documents
    recipient: str  #: "" for the patient's box
    state: LetterState
    reason: LetterReason | None = None
    detail: str = ""  #: safe: a code of the mail server or of the recipient's system
    attempts: int = 0
    author: str = ""  #: who wrote it by hand; "" : a report's message asked for it
    changed_at: datetime | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Enclosed:
    """One document of a letter."""

    entry: DocumentEntry
    content: RetrievedDocument


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is handed to the mail server."""

    kind: LetterKind
    message_id: str  #: with its angle brackets; what stands before the @ is the ENVID of RFC 3461
    recipient: str = field(repr=False)
    reply_to: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    link: str = field(default="", repr=False)  #: of a notice
    about: str = ""  #: Message-ID of the letter that a withdrawal is about
    no_reply: bool = False
    tell_delivery: bool = False
    tell_reading: bool = False
    package_id: str = ""  #: uniqueId of the package's submission set
    enclosed: tuple[Enclosed, ...] = field(default=(), repr=False)
    patient: PatientIdentifier | None = None
    traits: Traits | None = field(default=None, repr=False)


class Outcome(StrEnum):
    """What a notification says."""

    DELIVERED = "delivered"
    DELAYED = "delayed"
    FAILED = "failed"
    READ = "read"
    NOT_READ = "not-read"  #: deleted without having been shown
    NOT_INTEGRATED = "not-integrated"  #: [KO Intégration système !]


@dataclass(frozen=True, slots=True)
class Notification:
    """A delivery report (RFC 3464), a reading report (RFC 8098), or an error mail of the recipient's system."""

    outcome: Outcome
    message_id: str = ""  #: of the original, with its angle brackets
    envelope_id: str = ""  #: ENVID of the original
    recipient: str = field(default="", repr=False)  #: as it was addressed; "" where the report does not say
    code: str = ""  #: status or error code, safe


@dataclass(frozen=True, slots=True)
class ListLetters(Command):
    """Letters, the last changed first. Outcome: LetterPage."""

    state: LetterState | None = None
    reason: LetterReason | None = None
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class LetterPage:
    """A page of them. ``counts``: of all, by state and reason ("" : none)."""

    letters: tuple[Letter, ...]
    counts: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class RetryLetter(Command):
    """Send a held or refused letter again. Outcome: Letter."""

    letter_id: str


@dataclass(frozen=True, slots=True)
class OpenAwaiting(Command):
    """Follow a notice's link. Outcome: Awaiting."""

    token: str = field(repr=False)
    read: bool = False  #: the document was shown: the letter is read


@dataclass(frozen=True, slots=True)
class Awaiting:
    """The document that a notice spoke of: whether it may be read is asked where it is opened."""

    repository_unique_id: str
    unique_id: str
    patient: PatientIdentifier
