"""What is shared: document entries, submission sets, folders, associations (ITI TF-3: 4.2). Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol

from hub.errors import HubError
from hub.usecase import Command
from hub.values import Code, PatientIdentifier

APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
ONLINE = "urn:ihe:iti:2010:DocumentAvailability:Online"
OFFLINE = "urn:ihe:iti:2010:DocumentAvailability:Offline"


class AssociationType(StrEnum):
    """ITI TF-3: Table 4.2.2-1."""

    HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
    REPLACE = "urn:ihe:iti:2007:AssociationType:RPLC"
    TRANSFORM = "urn:ihe:iti:2007:AssociationType:XFRM"
    APPEND = "urn:ihe:iti:2007:AssociationType:APND"
    TRANSFORM_REPLACE = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC"
    SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
    IS_SNAPSHOT_OF = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf"
    UPDATE_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"  #: in an update only (ITI-57)
    SUBMIT = "urn:ihe:iti:2010:AssociationType:SubmitAssociation"  #: in an update only (ITI-57)


Slots = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Author:
    """Who made it. Each text keeps its HL7 v2 data type: XCN, XON, XTN (ITI TF-3: 4.2.3.2.1)."""

    person: str = ""
    institutions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()
    telecommunications: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferenceId:
    """CXi: an order, an accession, a study that the document is about (ITI TF-3: 4.2.3.2.28)."""

    value: str
    authority: str = ""  #: OID
    type_code: str = ""
    cxi: str = ""  #: the text as received; "" when built here

    @property
    def text(self) -> str:
        """``id^^^&oid&ISO^type`` as received or built."""
        if self.cxi:
            return self.cxi
        authority = f"&{self.authority}&ISO" if self.authority else ""
        return f"{self.value}^^^{authority}^{self.type_code}"


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A document's metadata (ITI TF-3: 4.2.3.2). Timestamps are DTM text in UTC."""

    id: str  #: entryUUID, or the symbolic id of a submission
    unique_id: str
    patient_id: PatientIdentifier
    mime_type: str
    class_code: Code | None = None
    type_code: Code | None = None
    format_code: Code | None = None
    healthcare_facility_type_code: Code | None = None
    practice_setting_code: Code | None = None
    confidentiality_codes: tuple[Code, ...] = ()
    event_codes: tuple[Code, ...] = ()
    authors: tuple[Author, ...] = ()
    creation_time: str = ""
    service_start_time: str = ""
    service_stop_time: str = ""
    language_code: str = ""
    legal_authenticators: tuple[str, ...] = ()
    source_patient_id: str = ""  #: CX text
    source_patient_info: tuple[str, ...] = ()  #: "PID-5|..." rows
    reference_ids: tuple[ReferenceId, ...] = ()
    title: str = ""
    comments: str = ""
    hash: str = ""  #: SHA-1, 40 hexadecimal digits
    size: int | None = None
    uri: str = ""
    repository_unique_id: str = ""
    availability: str = ""  #: documentAvailability
    status: str = APPROVED
    object_type: str = STABLE
    logical_id: str = ""  #: lid
    version: int = 1
    home: str = ""  #: homeCommunityId, urn:oid: form
    limited: bool = False  #: limited metadata
    extra: Slots = field(default_factory=dict)  #: slots that the standard does not name ("urn:...")


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    """What was submitted together (ITI TF-3: 4.2.3.3)."""

    id: str
    unique_id: str
    source_id: str
    patient_id: PatientIdentifier
    submission_time: str
    content_type_code: Code | None = None
    authors: tuple[Author, ...] = ()
    intended_recipients: tuple[str, ...] = ()
    title: str = ""
    comments: str = ""
    status: str = APPROVED
    logical_id: str = ""
    version: int = 1
    home: str = ""
    limited: bool = False
    extra: Slots = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Folder:
    """A named group of documents (ITI TF-3: 4.2.3.4)."""

    id: str
    unique_id: str
    patient_id: PatientIdentifier
    codes: tuple[Code, ...] = ()
    last_update_time: str = ""
    title: str = ""
    comments: str = ""
    status: str = APPROVED
    logical_id: str = ""
    version: int = 1
    home: str = ""
    limited: bool = False
    extra: Slots = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Association:
    """How two objects hang together (ITI TF-3: 4.2.2)."""

    id: str
    type: str  #: an AssociationType, or another URN that is kept
    source: str
    target: str
    submission_set_status: str = ""  #: Original | Reference, on SubmissionSet-HasMember-DocumentEntry
    documentation: Code | None = None
    previous_version: int | None = None  #: on SubmissionSet-HasMember of an update, as the next three (ITI-57)
    original_status: str = ""  #: on UpdateAvailabilityStatus
    new_status: str = ""  #: on UpdateAvailabilityStatus
    propagation: str = ""  #: AssociationPropagation: yes | no; "" means yes
    status: str = APPROVED
    logical_id: str = ""
    version: int = 1
    home: str = ""
    extra: Slots = field(default_factory=dict)


RegistryObject = DocumentEntry | SubmissionSet | Folder | Association


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission: exactly one set, what it holds and how it hangs together (ITI TF-3: 4.1.4)."""

    submission_set: SubmissionSet
    entries: tuple[DocumentEntry, ...] = ()
    folders: tuple[Folder, ...] = ()
    associations: tuple[Association, ...] = ()
    home: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A document's bytes on their way in: held in a file, never in memory. ``entry_id``: the DocumentEntry's id."""

    entry_id: str
    path: Path
    size: int
    sha1: str


@dataclass(frozen=True, slots=True)
class RegisterDocuments(Command):
    """ITI-42: register metadata. Outcome: Registered."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class RegisterOnDemand(Command):
    """ITI-61: register documents that are made when they are asked for. Outcome: Registered."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class ProvideDocuments(Command):
    """ITI-41: keep the documents and register their metadata, all or nothing. Outcome: Registered."""

    repeatable: ClassVar[bool] = False

    submission: Submission
    contents: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class Registered:
    """What a submission became: symbolic ids replaced."""

    submission: Submission
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateDocuments(Command):
    """ITI-57: new versions of entries and folders, status changes, new associations. Outcome: Registered."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class RestrictedUpdateDocuments(Command):
    """ITI-92: new versions of entries, of what may be changed without moving them. Outcome: Registered."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class RemoveMetadata(Command):
    """ITI-62: objects leave the registry, all or nothing. Outcome: RemovedMetadata."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemovedMetadata:
    """What is gone."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoveDocuments(Command):
    """ITI-86: documents leave the repository. Outcome: RemovedDocuments."""

    requests: tuple["DocumentRequest", ...]


@dataclass(frozen=True, slots=True)
class RemovedDocuments:
    """What is gone: everything that was named."""

    removed: tuple["DocumentRequest", ...]


@dataclass(frozen=True, slots=True)
class StoredQuery(Command):
    """ITI-18: a stored query by its UUID with parsed parameters. Outcome: QueryResult.

    ``parameters``: name -> list of AND groups, each a tuple of OR values, as the wire parsed them."""

    query_id: str
    parameters: Mapping[str, tuple[tuple[str, ...], ...]]
    leaf_class: bool = True  #: LeafClass or ObjectRef
    home: str = ""
    request_id: str = ""
    lists: frozenset[str] | None = None  #: parameters whose values all stood in parentheses; None: not from a wire


@dataclass(frozen=True, slots=True)
class MultiPatientQuery(Command):
    """ITI-51: a stored query about several patients, or about whomever it is. Outcome: QueryResult."""

    query: StoredQuery


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Objects in the standard's order; the wire reduces them to ObjectRefs where asked."""

    objects: tuple[RegistryObject, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentRequest:
    """One wanted document."""

    repository_unique_id: str
    document_unique_id: str
    home: str = ""


@dataclass(frozen=True, slots=True)
class RetrieveDocuments(Command):
    """ITI-43. Outcome: RetrievedDocuments (per document: bytes or the reason why not)."""

    requests: tuple[DocumentRequest, ...]


class Lease(Protocol):
    """Keeps a passing file; forgotten, it lets the file go as well."""

    def release(self) -> None:
        """Let the file go now."""
        ...


@dataclass(frozen=True, slots=True)
class RetrievedDocument:
    """One found document: where its bytes are, and what they are."""

    request: DocumentRequest
    mime_type: str
    path: Path
    size: int
    lease: Lease | None = None  #: of a file that is only passing through: whoever has read it releases it
    new_document_unique_id: str = ""  #: of what was made on demand: its own id
    new_repository_unique_id: str = ""  #: where it stays; "" when it is not kept


@dataclass(frozen=True, slots=True)
class RetrievedDocuments:
    """Outcome of ITI-43: what was found, and why the others were not."""

    documents: tuple[RetrievedDocument, ...]
    failures: tuple[tuple[DocumentRequest, HubError], ...] = ()

    @property
    def failed(self) -> HubError | None:
        """Why nothing was found, where nothing was."""
        return self.failures[0][1] if self.failures and not self.documents else None
