"""Letters that a professional writes by hand: a document, whom it goes to, what became of it. Frozen values."""

from dataclasses import dataclass, field

from hub.documents.model import DocumentEntry
from hub.mail.model import LetterKind
from hub.usecase import Command
from hub.values import PatientIdentifier

MOST = 10  #: recipients
LONGEST = 4000  #: characters of a letter


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be sent. ``recipients``: addresses of professionals as they were typed."""

    person: PatientIdentifier
    unique_id: str
    recipients: tuple[str, ...] = field(default=(), repr=False)
    to_patient: bool = False
    text: str = field(default="", repr=False)
    reply_to: str = field(default="", repr=False)
    tell_delivery: bool = True
    tell_reading: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A draft that may be sent: the document, and each box ("" : the patient's)."""

    entry: DocumentEntry
    boxes: tuple[tuple[LetterKind, str], ...]


@dataclass(frozen=True, slots=True)
class PrepareLetter(Command):
    """Whether a draft may be sent, and what would go where. Outcome: Planned.

    Raises LetterNotFound, LetterToNobody, LetterAddressRefused, LetterHidden, LetterNotQualified, and what reading the
    document raises."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class SendLetter(Command):
    """Send it. ``once``: a random word of the page, so that a form that is sent twice sends nothing twice.

    Outcome: tuple of Letter. Raises as PrepareLetter."""

    draft: Draft
    once: str


@dataclass(frozen=True, slots=True)
class FindLetters(Command):
    """The letters of a document, the newest first. Outcome: tuple of Letter. Raises LetterNotFound."""

    person: PatientIdentifier
    unique_id: str
