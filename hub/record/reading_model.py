"""Reading in the national record: what a professional asks it for, and what it says. Frozen values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.connector.record import RecordStatus
from hub.documents.model import DocumentEntry
from hub.usecase import Command
from hub.values import PatientIdentifier


@dataclass(frozen=True, slots=True)
class Narrow:
    """Only what may be a certain examination. Empty: does not restrict; what an entry does not tell excludes nothing
    but a study or accession number that it should name."""

    study_instance_uid: str = ""
    accession_number: str = ""
    modality: str = ""  #: code
    region: str = ""  #: code
    started: str = ""  #: YYYYMMDD


@dataclass(frozen=True, slots=True)
class SearchNational(Command):
    """A person's documents there (TD0.2, TD3.1): of the first years, or all; valid ones, with ``archived`` those in
    the record's archive as well. Outcome: NationalAnswer.

    Raises ConsultationNotOpen, ConnectorError."""

    person: PatientIdentifier
    whole: bool = False
    references: tuple[str, ...] = ()  #: only documents that refer to one of them (CXi, or the number alone)
    narrow: Narrow | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class NationalAnswer:
    """What the record says. ``status`` None: the person has no number to ask it with."""

    status: RecordStatus | None = None
    entries: tuple[DocumentEntry, ...] = ()  #: the newest first
    since: datetime | None = None  #: of what was searched; None: everything
    own: frozenset[str] = frozenset()  #: uniqueIds there of what this region has sent
    others: int = 0  #: entries that were left out as not being what was looked for


@dataclass(frozen=True, slots=True)
class ReadNational(Command):
    """One document (TD3.1b, TD3.2). Outcome: NationalDocument. Raises NationalDocumentNotFound, ConnectorError ..."""

    person: PatientIdentifier
    unique_id: str


@dataclass(frozen=True, slots=True)
class NationalDocument:
    """A document of the record."""

    entry: DocumentEntry
    mime_type: str
    content: bytes = field(repr=False)
    own: bool = False  #: this region has sent it


@dataclass(frozen=True, slots=True)
class AuthoriseNational(Command):
    """The professional declares themselves authorised, or takes it back (TD0.3). Outcome: None."""

    person: PatientIdentifier
    withdraw: bool = False


class Change(StrEnum):
    """What becomes of a document there (TD3.3)."""

    MASK = "mask"  #: to professionals (TD3.3a)
    UNMASK = "unmask"
    HIDE = "hide"  #: from the patient, until somebody told them (TD3.3b)
    SHOW = "show"
    ARCHIVE = "archive"  #: TD3.3d
    RESTORE = "restore"
    DELETE = "delete"  #: TD3.3c


@dataclass(frozen=True, slots=True)
class ChangeNational(Command):
    """Change what the record shows of a document that this region has sent there. Outcome: DocumentEntry or None.

    Raises NationalDocumentNotFound, ConnectorError."""

    person: PatientIdentifier
    unique_id: str  #: of the record's document
    change: Change
