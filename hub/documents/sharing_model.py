"""What MHD's view of registry and repository is asked, and what it answers (MHD 4.2: ITI-65 to ITI-68, 105, 106)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.documents.model import (
    Association,
    DocumentEntry,
    Folder,
    RetrievedDocument,
    Submission,
    SubmissionSet,
)
from hub.usecase import Command
from hub.values import Code, PatientIdentifier


@dataclass(frozen=True, slots=True)
class Custodian:
    """Who keeps what is shared, where answers have to say so: the French constraints are in force (PDSm 3.1)."""

    name: str
    oid: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A stored query by its name. The parameters that every query of a person needs are added by the room."""

    query: str  #: "FindDocuments"
    parameters: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Matching:
    """What a stored query can't ask, decided after reading. Every row must hold, by one of its values."""

    names: tuple[tuple[str, tuple[str, ...]], ...] = ()  #: family, given: beginnings in any case; identifier
    codes: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()  #: fields -> codes, with ``^^scheme`` or of any
    statuses: tuple[str, ...] = ()
    start_from: str = ""  #: DTM: the service starts not before
    start_before: str = ""
    stop_from: str = ""
    stop_before: str = ""
    nothing: bool = False  #: what is asked is never so


@dataclass(frozen=True, slots=True)
class FindShared(Command):
    """One page of entries, or of submission sets and folders, by stored queries (MHD ITI-66, ITI-67).

    ``asked``: what every group finds, in each by one of its queries; ``communities``: homeCommunityIds, empty: any;
    ``community``: the key of the other community that alone is meant (an id says it). Outcome: SharedPage."""

    asked: tuple[tuple[Asked, ...], ...]
    patient: PatientIdentifier | None = None  #: any identifier of the person; without authority: a number
    matching: Matching = field(default_factory=Matching)
    communities: tuple[str, ...] = ()
    lists: bool = False  #: submission sets and folders, not entries
    limit: int = 50
    offset: int = 0
    community: str = ""
    sort: tuple[tuple[str, bool], ...] = ()  #: attribute (``time``: of the object's kind), descending; () newest first


@dataclass(frozen=True, slots=True)
class CommunityStatus:
    """Another community's part in an answer. ``reason``: a safe sentence, "" when there is nothing to say."""

    name: str
    home: str  #: homeCommunityId
    answered: bool = True
    count: int = 0
    late: bool = False  #: silent for longer than its deadline
    partial: bool = False  #: it answered, and reports errors
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SharedPage:
    """``associations``: those that start at the page's objects; ``members``: what HasMember among them leads to;
    ``communities``: the others that were asked; ``strangers``: ids of objects about persons who are not known here."""

    objects: tuple[DocumentEntry | SubmissionSet | Folder, ...] = ()
    total: int = 0
    associations: tuple[Association, ...] = ()
    members: tuple[DocumentEntry | Folder, ...] = ()
    custodian: Custodian | None = None
    communities: tuple[CommunityStatus, ...] = ()
    strangers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OpenDocument(Command):
    """ITI-68: the bytes of the document that an entry is about. Outcome: OpenedDocument.

    ``community``: as in FindShared."""

    entry_id: str
    community: str = ""


@dataclass(frozen=True, slots=True)
class OpenedDocument:
    """An entry and where its document's bytes are."""

    entry: DocumentEntry
    document: RetrievedDocument


@dataclass(frozen=True, slots=True)
class ProvideBundle(Command):
    """ITI-65: ProvideDocuments with the documents in memory, and a patient by any identifier. Outcome: Registered.

    ``french``: elements that PDSm asks for and that are not there; what refuses them is the room."""

    submission: Submission
    documents: tuple[tuple[str, bytes], ...] = field(repr=False)  #: entry id, bytes
    french: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishDocument(Command):
    """ITI-105: one document, whose submission set the hub makes. Outcome: Published.

    ``associations`` start at the entry; ``french``: as in ProvideBundle."""

    entry: DocumentEntry
    data: bytes = field(repr=False)
    associations: tuple[Association, ...] = ()
    french: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DescribeDocument(Command):
    """ITI-106: one document whose metadata was read out of it. Outcome: Published.

    ``patients``: the numbers that it gives its patient, the first that is known counts."""

    entry: DocumentEntry
    data: bytes = field(repr=False)
    patients: tuple[PatientIdentifier, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """The entry that a document got, and the associations that start there."""

    entry: DocumentEntry
    associations: tuple[Association, ...] = ()
    custodian: Custodian | None = None


@dataclass(frozen=True, slots=True)
class LabelChange:
    """One change of the confidentiality codes. What it is about: one by its place, by its scheme, or the only one.

    ``code`` None: it goes; a code without a scheme keeps the scheme; ``added``: a further one."""

    code: Code | None = None
    place: int | None = None
    scheme: str = ""
    added: bool = False


@dataclass(frozen=True, slots=True)
class AmendDocument(Command):
    """A change of one document's metadata. ``status``: the availabilityStatus that it shall have, "" unsaid;
    ``version``: which one is meant to be changed, 0 any. Outcome: Published."""

    unique_ids: tuple[str, ...] = ()
    entry_ids: tuple[str, ...] = ()
    status: str = ""
    labels: tuple[LabelChange, ...] = ()
    version: int = 0
