"""Letters that a professional writes by hand: documents, whom they go to, what became of them. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.documents.model import DocumentEntry
from hub.mail.model import Letter, LetterKind
from hub.usecase import Command
from hub.values import PatientIdentifier

MOST = 10  #: recipients
MOST_DOCUMENTS = 20  #: of one letter
LONGEST = 4000  #: characters of a letter


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be sent, in one package to each box. ``recipients``: addresses of professionals as they were typed."""

    person: PatientIdentifier
    unique_ids: tuple[str, ...]  #: of the documents, in their order
    recipients: tuple[str, ...] = field(default=(), repr=False)
    to_patient: bool = False
    text: str = field(default="", repr=False)
    reply_to: str = field(default="", repr=False)
    tell_delivery: bool = True
    tell_reading: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A draft that may be sent: the documents, and each box ("" : the patient's)."""

    entries: tuple[DocumentEntry, ...]
    boxes: tuple[tuple[LetterKind, str], ...]


@dataclass(frozen=True, slots=True)
class PrepareLetter(Command):
    """Whether a draft may be sent, and what would go where. Outcome: Planned.

    All of its documents may be sent, or none. Raises LetterNotFound (one of them is not there, or not for the caller),
    LetterDocumentsRefused, LetterToNobody, LetterAddressRefused, LetterHidden, LetterNotQualified, LetterUnreadable,
    MailTooLarge, Unavailable."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class SendLetter(Command):
    """Send it. ``once``: a random word of the page, so that a form that is sent twice sends nothing twice.

    Outcome: tuple of Letter. Raises as PrepareLetter."""

    draft: Draft
    once: str


@dataclass(frozen=True, slots=True)
class FindLetters(Command):
    """The letters that enclose one of some documents. Outcome: Correspondence. Raises LetterNotFound,
    LetterDocumentsRefused."""

    person: PatientIdentifier
    unique_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Correspondence:
    """``letters``: the newest first; of what they enclose they name what the caller may see, nothing else."""

    entries: tuple[DocumentEntry, ...]  #: that were asked about
    letters: tuple[Letter, ...]
    known: Mapping[str, DocumentEntry]  #: uniqueId -> each that is named
