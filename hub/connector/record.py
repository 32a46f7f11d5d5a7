"""The capability of a national record: existence, authorisation, feeding, search, retrieval, life of documents.

``NATIONAL_RECORD`` of :mod:`hub.connector.contract`. The French DMP is the one that is known; nothing here names its
messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from hub.access.model import Professional, Purpose
from hub.connector.contract import ConnectorError, SourceMisconfigured
from hub.documents.model import Author, DocumentEntry
from hub.values import Code, PatientIdentifier


class RecordRefused(ConnectorError):
    """The record refused; ``context["told"]`` is its own code."""

    code = "record-refused"
    title = "The national record refused the request."


class NoRecord(RecordRefused):
    """The person has no record."""

    code = "record-missing"
    title = "The person has no national record."


class RecordClosed(RecordRefused):
    """The record is closed."""

    code = "record-closed"
    title = "The person's national record is closed."


class RecordOpposed(RecordRefused):
    """The person opposes what was asked."""

    code = "record-opposed"
    title = "The person opposes that their national record is fed."


class RecordNotAuthorised(RecordRefused):
    """The professional or the structure may not do this on this record."""

    code = "record-not-authorised"
    title = "The caller is not authorised on this national record."


class RecordHasIt(RecordRefused):
    """The record knows a document of this uniqueId already: perhaps an earlier attempt whose answer was lost."""

    code = "record-has-it"
    title = "The national record knows this document already."


class RecordCertificateRefused(SourceMisconfigured):
    """The certificate of the connection, or the one that signs, is not accepted."""

    code = "record-certificate-refused"
    title = "The national record does not accept the hub's certificate."


class RecordMetadataUnfit(ConnectorError):
    """A document's metadata break a rule of the record: it was not sent. ``location``: the attribute."""

    code = "record-metadata-unfit"
    title = "The document's metadata are not what the national record takes."


class Standing(StrEnum):
    """Whether there is a record."""

    MISSING = "missing"
    OPEN = "open"
    CLOSED = "closed"


class Authorisation(StrEnum):
    """Whether the caller is authorised on a record."""

    VALID = "valid"
    NONE = "none"
    FORBIDDEN = "forbidden"


class Life(StrEnum):
    """What becomes of a document in the record."""

    APPROVED = "approved"
    ARCHIVED = "archived"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class RecordStatus:
    """What the record says of itself."""

    standing: Standing
    authorisation: Authorisation = Authorisation.NONE
    attending: bool = False  #: the caller is the person's médecin traitant
    internet: bool = False  #: the person has an account to look at it
    attached: bool = False  #: to Mon espace santé


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom the record is asked. ``professional`` None: the organisation itself, as its settings say.

    ``reinforced``: a provider of identities (Pro Santé Connect) vouches for the professional."""

    professional: Professional | None = None
    purpose: Purpose = Purpose.NORMAL
    reason: str = field(default="", repr=False)  #: why the glass is broken
    reinforced: bool = False


ORGANISATION = Asker()
#: The methods of ``KeepsRecords``.
RECORD_CALLS = (
    "status", "authorise", "submit", "locate", "find", "fetch", "change_life", "change_confidentiality",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordDocument:
    """A document to send: hash and size are made from the content."""

    entry: DocumentEntry
    content: bytes = field(repr=False)
    replaces: str = ""  #: entryUUID in the record of what it takes the place of


@dataclass(frozen=True, slots=True)
class Lot:
    """What is sent together, about one person."""

    patient: PatientIdentifier  #: the national identifier
    unique_id: str
    source_id: str
    submission_time: str  #: DTM, UTC
    content_type: Code
    authors: tuple[Author, ...]
    documents: tuple[RecordDocument, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """What is looked for. Empty: does not restrict. Times are DTM text, UTC; codes are ``code^^scheme``."""

    patient: PatientIdentifier
    created_from: str = ""
    created_to: str = ""
    types: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    references: tuple[str, ...] = ()  #: CXi, or the number alone
    archived: bool = False  #: archived documents as well


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document of the record."""

    unique_id: str
    mime_type: str
    content: bytes = field(repr=False)


@runtime_checkable
class KeepsRecords(Protocol):
    """NATIONAL_RECORD. Every method raises ConnectorError; ``timeout`` in seconds."""

    def status(self, patient: PatientIdentifier, asker: Asker, *, timeout: float) -> RecordStatus:
        """Whether the person has a record, and what the caller may (TD0.2)."""
        ...

    def authorise(self, patient: PatientIdentifier, asker: Asker, *, withdraw: bool = False, timeout: float) -> None:
        """The professional declares themselves authorised, or takes it back (TD0.3)."""
        ...

    def submit(self, lot: Lot, asker: Asker, *, timeout: float) -> None:
        """New documents, and those that replace others (TD2.1). Raises RecordHasIt, RecordClosed, RecordOpposed ..."""
        ...

    def locate(
        self, patient: PatientIdentifier, unique_ids: Sequence[str], asker: Asker, *, timeout: float
    ) -> Mapping[str, DocumentEntry]:
        """The entries of documents by uniqueId, as they are now (TD3.1b)."""
        ...

    def find(self, query: RecordQuery, asker: Asker, *, timeout: float) -> Sequence[DocumentEntry]:
        """Documents of a record (TD3.1a)."""
        ...

    def fetch(self, patient: PatientIdentifier, unique_id: str, asker: Asker, *, timeout: float) -> Fetched:
        """A document's bytes (TD3.2)."""
        ...

    def change_life(self, entry: DocumentEntry, life: Life, asker: Asker, *, timeout: float) -> None:
        """Delete, archive, or bring back (TD3.3c, TD3.3d). ``entry`` as ``locate`` or ``find`` gave it."""
        ...

    def change_confidentiality(
        self, entry: DocumentEntry, codes: tuple[Code, ...], asker: Asker, *, timeout: float
    ) -> None:
        """Mask, unmask, show to the patient (TD3.3a, TD3.3b)."""
        ...
