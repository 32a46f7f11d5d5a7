"""What happened, and for whom (ITI TF-1: 9, DICOM PS3.15: A.5). Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.access.model import Professional
from hub.context import Touched
from hub.errors import HubError
from hub.usecase import Command
from hub.values import PatientIdentifier


class AuditOutcome(StrEnum):
    """EventOutcomeIndicator."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"
    MAJOR_FAILURE = "12"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One access or change, successful or not."""

    id: str
    at: datetime
    transaction: str
    event_code: str
    event_display: str
    action: str  #: C R U D E
    outcome: AuditOutcome
    principal_id: str
    principal_name: str
    scheme: str
    purpose: str
    peer: str
    source: str
    correlation_id: str
    message_id: str = ""
    error_code: str = ""
    detail: str = ""  #: safe sentence
    milliseconds: int = 0
    objects: tuple[Touched, ...] = ()  #: patients, documents, studies, queries
    event_type: str = ""  #: EventTypeCode beside the transaction: DCM's "110126", or the standard's own "ITI-18"
    control_id: str = ""  #: what the sender calls the message
    organisation: str = ""  #: whose the system is, or where the person works
    roles: tuple[str, ...] = ()
    person: bool = False  #: a human being rather than a system
    professional: Professional | None = None  #: who they are by profession, where somebody vouched for it
    reason: str = ""  #: why the glass was broken, in the caller's words
    node: str = ""  #: the system that transmitted for the person
    level: str = ""  #: how the person was authenticated: DIRECTE, eidas1 ...
    secret: bool = False  #: secret connection: not in what the patient is shown
    called: str = ""  #: what was asked for on our side: the path of the endpoint, the AE title
    query: str = ""  #: the question as it was asked, base64
    query_form: str = ""  #: what the question is: ebxml, hl7v2, hl7v3, http, dicom
    origin: str = ""  #: the system that told of the event (ITI-20); "" where the hub itself saw it
    original: str = ""  #: the AuditEvent that the system sent, JSON

    @property
    def searched_fhir(self) -> bool:
        """Whether it is of a FHIR search: FHIR calls that a RESTful operation."""
        return self.query_form == "http" and self.called.startswith("/fhir") and self.event_code == "110112"

    @property
    def patients(self) -> tuple[str, ...]:
        """CX of the persons whom it is about."""
        return tuple(item.reference for item in self.objects if item.kind == "patient")


@dataclass(frozen=True, slots=True)
class Own:
    """Who the hub is in its messages. ``source_id``: AuditSourceID; ``site``: AuditEnterpriseSiteID; ``url``: where it
    is reached; ``address``: its host's name or address; ``process``: the process's id; ``titles``: by transaction."""

    source_id: str
    site: str = ""
    url: str = ""
    address: str = ""
    process: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """What to look for, newest first; everything that is given must hold. ``cursor``: an earlier page's."""

    references: tuple[str, ...] = ()  #: any of these was touched: a person's identifiers, a document, a study
    kind: str = ""  #: what kind of thing was touched: patient, document ...
    kinds: tuple[str, ...] = ()  #: any of these kinds; "query", "structure": a question, the caller's structure as well
    other_kinds: tuple[str, ...] = ()  #: any of these kinds,
    but_kinds: tuple[str, ...] = ()  #: or, where there are some here, any kind but these
    transaction: str = ""
    principal: str = ""
    outcomes: tuple[AuditOutcome, ...] = ()
    since: datetime | None = None
    until: datetime | None = None  #: exclusive
    correlation_id: str = ""
    ids: tuple[str, ...] = ()  #: records by their id
    sources: tuple[str, ...] = ()  #: any of these told of it: "" the hub itself, else the sending system's id
    peers: tuple[str, ...] = ()  #: any of these addresses it came from
    actions: tuple[str, ...] = ()
    event_codes: tuple[str, ...] = ()  #: "rest": a query over FHIR as well
    transactions: tuple[str, ...] = ()  #: or an EventTypeCode of DICOM; "search": a query over FHIR as well
    agents: tuple[str, ...] = ()  #: any of these took part: a caller's id, a professional's national id, a node
    roles: tuple[str, ...] = ()  #: any of these the caller had: a role's name or a profession's code
    names: tuple[str, ...] = ()  #: the caller's name begins with any of these, in whatever case
    sites: tuple[str, ...] = ()  #: any of these AuditEnterpriseSiteIDs: the hub's own, or nobody's
    patients: tuple[str, ...] = ()  #: any of these persons it was about (CX)
    told_in: str = ""  #: what another system told names this code system,
    own: bool = True  #: and what the hub itself saw counts as well
    any_of: tuple[tuple["AuditSearch", ...], ...] = ()  #: of each group at least one holds
    oldest_first: bool = False
    cursor: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of records; ``cursor`` "" at the end."""

    records: tuple[AuditRecord, ...]
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class ChainState:
    """The result of checking the chain: how many records, the last hash, and where it is broken (None: nowhere)."""

    records: int
    head: str
    broken_at: int | None = None
    reason: str = ""
    removed: int = 0  #: records at the beginning that retention removed

    @property
    def intact(self) -> bool:
        """Whether every record is as it was written."""
        return self.broken_at is None


@dataclass(frozen=True, slots=True)
class Segment:
    """Records at the beginning of the chain that were removed after their time: what stands in their place.

    ``seal`` is over the seal before it and everything here, so that a segment can't be forged or left out quietly."""

    first: int
    last: int
    last_hash: str  #: of the last record that was removed: the next one follows it
    removed_at: datetime
    until: datetime  #: the records were older than this
    seal: str


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a destination of the trail is behind."""

    destination: str
    position: int  #: the last record that was sent
    waiting: int  #: records that were not sent yet
    oldest: datetime | None = None  #: of the first of them
    problem: str = ""  #: why the last attempt failed
    tried_at: datetime | None = None
    refused: bool = False  #: the destination answers, and will not take the next record
    aside: int = 0  #: records that it would not take, and that wait beside the others


@dataclass(frozen=True, slots=True)
class Aside:
    """A record that a destination would not take: it no longer holds back the others."""

    destination: str
    position: int
    problem: str  #: how it was refused
    again: bool = False  #: it is to be sent again


@dataclass(frozen=True, slots=True)
class SearchTrail(Command):
    """Records of the trail; ``person``: of this person, by any of their numbers. Outcome: Trail."""

    search: AuditSearch
    person: PatientIdentifier | None = None
    count_only: bool = False


@dataclass(frozen=True, slots=True)
class Trail:
    """One page; ``cursor`` "" at the end; ``total``: on all pages."""

    records: tuple[AuditRecord, ...]
    total: int
    cursor: str = ""
    own: Own = Own("")  #: who tells it


@dataclass(frozen=True, slots=True)
class KeepEvents(Command):
    """Keep what another system saw (ITI-20), all or none. ``refused``: entries of a batch that are no events, each with
    its reason. Outcome: KeepEvents, when it is done."""

    records: tuple[AuditRecord, ...]
    refused: Mapping[int, HubError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GetLags(Command):
    """How far each collector of the trail is behind. Outcome: sequence of Lag."""
