"""Studies: what the region's archives hold, seen from outside. Frozen values; DICOM stays at the edge."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.errors import HubError
from hub.imaging.sending_model import Sending
from hub.patients.model import Person
from hub.usecase import Command
from hub.values import PatientIdentifier, Uid


class StudyState(StrEnum):
    """Where a study stands on its way to being shared."""

    ORDERED = "ordered"  #: an order is known, no image yet
    INDEXED = "indexed"  #: content known, not published
    HELD = "held"  #: can't be published yet; ``held_because`` says why
    PUBLISHED = "published"  #: manifest registered
    WITHDRAWN = "withdrawn"  #: nothing left at the source


@dataclass(frozen=True, slots=True)
class Instance:
    """One SOP instance."""

    sop_instance_uid: Uid
    sop_class_uid: str
    number: int | None = None
    frames: int | None = None
    rows: int | None = None
    columns: int | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """One series with its instances (empty tuple: not asked for)."""

    series_instance_uid: Uid
    modality: str
    number: int | None = None
    description: str = ""
    body_part: str = ""
    laterality: str = ""
    started: str = ""  #: DICOM date and time, as DTM text
    instance_count: int | None = None
    instances: tuple[Instance, ...] = ()
    performer: str = ""
    manufacturer: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """One study as one source describes it."""

    study_instance_uid: Uid
    source: str  #: configured name of the archive
    patient_id: str = ""  #: the number in the images
    issuer: str = ""  #: OID of the number's authority ("" : the source's own)
    patient_name: str = ""  #: DICOM PN, normalised to Unicode
    patient_birth_date: str = ""
    patient_sex: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    study_id: str = ""
    description: str = ""
    started: str = ""  #: DTM text, YYYYMMDD[HHMMSS]
    timezone: str = ""  #: +HHMM
    modalities: tuple[str, ...] = ()
    referring_physician: str = ""
    procedure_codes: tuple[tuple[str, str, str], ...] = ()  #: (code, scheme, meaning)
    institution: str = ""
    series: tuple[Series, ...] = ()
    series_count: int | None = None
    instance_count: int | None = None

    @property
    def instances(self) -> Iterator[tuple[Series, Instance]]:
        """Every instance with its series."""
        for series in self.series:
            for instance in series.instances:
                yield series, instance


@dataclass(frozen=True, slots=True)
class IndexedStudy:
    """A study in the hub's index."""

    study: Study
    person: PatientIdentifier | None  #: regional identifier, None while unresolved
    state: StudyState
    held_because: str = ""
    manifest_id: str = ""  #: uniqueId (SOPInstanceUID) of the current manifest
    report_ids: tuple[str, ...] = ()  #: document uniqueIds of its reports
    order_number: str = ""
    updated_at: datetime | None = None
    also_at: tuple[str, ...] = ()  #: further sources that hold the same study


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What the imaging rooms need to know of a configured archive."""

    name: str
    title: str = ""
    authority_oid: str = ""  #: OID of the authority whose patient numbers it holds
    repository_unique_id: str = ""  #: OID as an imaging document source (RAD-69)
    deadline: float = 10.0  #: seconds that a question waits for it
    ae_title: str = ""  #: for the manifest's RetrieveAETitle, "" : the hub's own
    namespace: str = ""  #: the authority's namespace, for the manifest's IssuerOfPatientID
    organisation_id: str = ""  #: national number of the institution (XON.10)
    own: bool = False  #: the hub's own archive: it holds several authorities' numbers, and the index is its catalogue


@dataclass(frozen=True, slots=True)
class Order:
    """An imaging order as the RIS tells it (ORM^O01, OMI^O23)."""

    patient: PatientIdentifier
    placer_number: str
    filler_number: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    study_instance_uid: str = ""
    control: str = "NW"  #: ORC-1
    procedure: tuple[str, str, str] = ("", "", "")
    modality: str = ""
    requested_at: str = ""
    requester: str = ""  #: XCN text
    source: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report as the RIS sends it (ORU^R01, MDM^T02, T10, T04): a CDA, final, corrected or taken back."""

    patient: PatientIdentifier
    status: str  #: OBX-11: F C D P
    content: bytes = field(repr=False)
    mime_type: str = "text/xml"
    document_id: str = ""  #: uniqueId from the CDA
    set_id: str = ""
    placer_number: str = ""
    filler_number: str = ""
    accession_number: str = ""
    study_instance_uid: str = ""
    title: str = ""
    author: str = ""  #: XCN text
    institution: str = ""  #: XON text
    created: str = ""
    source: str = ""
    sending: Sending | None = None  #: whom the document goes to
    replaces: str = ""  #: uniqueId of the document whose place it takes
    control_id: str = ""  #: of its message
    known: bool = False  #: what it takes back must be here


@dataclass(frozen=True, slots=True)
class FeedOrder(Command):
    """RAD-2, RAD-3, RAD-4: an order, its change or its cancellation. Outcome: IndexedStudy | None."""

    order: Order


@dataclass(frozen=True, slots=True)
class FeedReport(Command):
    """RAD-28, MDM: a report. A final one triggers publication of the study. Outcome: reference of the queued work.

    ``also``: further documents of the same message: one letter takes them all."""

    report: Report
    also: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishStudy(Command):
    """Ask the source, index, build the manifest, register it (or replace, or withdraw). Outcome: IndexedStudy."""

    source: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class StudyArrived(Command):
    """RAD-8: objects of a study were stored at the hub's own DICOM port; they are safe on disk. Outcome: None."""

    study_instance_uid: str
    calling: str  #: AE title of the sender
    studies: tuple[Study, ...] = ()  #: the objects as a study; several when they are about several patients
    speaks_for: str = ""  #: the configured source that the sender's certificate speaks for


@dataclass(frozen=True, slots=True)
class InstancesAvailable(Command):
    """RAD-49: an archive tells that instances of a study are there, or no longer. Outcome: None."""

    study_instance_uid: str
    retrieve_ae_titles: tuple[str, ...] = ()  #: of those who are said to give them
    available: bool = True  #: whether any of them is online or nearline


@dataclass(frozen=True, slots=True)
class FindStudies(Command):
    """Studies of the region: from the index, and live from every source where ``live``. Outcome: StudyAnswer.

    Criteria are exact unless said otherwise; an empty one does not restrict."""

    person: PatientIdentifier | None = None  #: any identifier of the person
    study_instance_uids: tuple[str, ...] = ()
    accession_number: str = ""
    modalities: tuple[str, ...] = ()
    started_from: str = ""  #: inclusive, YYYYMMDD
    started_to: str = ""
    patient_name: str = ""  #: DICOM wildcard form
    patient_birth_date: str = ""
    keys: tuple[tuple[str, str], ...] = ()  #: further DICOM keys of studies and their values: wildcards, ranges
    sources: tuple[str, ...] = ()  #: empty: all
    live: bool = False
    level: str = "STUDY"  #: STUDY, SERIES or IMAGE: how deep the answer goes
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class FindOrphans(Command):
    """Studies that are held back because nobody knows whose they are, the oldest first. Outcome: OrphanPage."""

    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class OrphanPage:
    """A page of them; ``held_because`` says why. ``total``: of all pages."""

    studies: tuple[IndexedStudy, ...]
    total: int = 0


class SourceState(StrEnum):
    """What became of the question at one source."""

    ANSWERED = "answered"
    LATE = "late"
    FAILED = "failed"
    INDEX = "index"  #: answered from the hub's index
    CUT = "cut"  #: answered, and may hold more than it told


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source's part in an answer: never silently partial."""

    source: str
    state: SourceState
    count: int = 0
    milliseconds: int = 0
    reason: str = ""  #: safe sentence, "" when answered

    @property
    def whole(self) -> bool:
        """Whether the answer holds all that the source has for the question."""
        return self.state in (SourceState.ANSWERED, SourceState.INDEX)


@dataclass(frozen=True, slots=True)
class StudyAnswer:
    """Studies, each once, and what every source said. ``more``: there are further ones behind the page's end, known to
    the index or told by an archive; ``total``: how many there are in all, where that is known."""

    studies: tuple[IndexedStudy, ...]
    statuses: tuple[SourceStatus, ...] = ()
    total: int | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class FindStudiesAndPersons(Command):
    """A search, and whom what it finds is about, for those who may ask for persons. Outcome: StudiesAndPersons."""

    query: FindStudies


@dataclass(frozen=True, slots=True)
class StudiesAndPersons:
    """``persons``: each once, as far as they are known."""

    answer: StudyAnswer
    persons: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class InstanceRequest:
    """One wanted instance. Empty series or instance: all of the level above."""

    study_instance_uid: str
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    source: str = ""  #: "" : the hub finds it
    repository_unique_id: str = ""  #: RAD-69: OID of the imaging document source
    home: str = ""  #: homeCommunityId, where several communities are asked


@dataclass(frozen=True, slots=True)
class RetrieveInstances(Command):
    """RAD-69, WADO-RS, C-GET, C-MOVE. Outcome: InstanceStream."""

    requests: tuple[InstanceRequest, ...]
    transfer_syntaxes: tuple[str, ...] = ("*",)  #: acceptable ones, "*" : as stored


@dataclass(frozen=True, slots=True)
class RetrievePerson(Command):
    """Every study of a person (C-GET and C-MOVE at PATIENT level). Outcome: InstanceStream."""

    person: PatientIdentifier  #: any identifier of the person
    transfer_syntaxes: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class RetrievedInstance:
    """One instance as a DICOM Part 10 file that arrives in pieces; ``chunks`` must be read before the next one."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    chunks: Iterator[bytes]
    source: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FailedInstance:
    """One instance that could not be had, and why."""

    request: InstanceRequest
    error: HubError


InstanceStream = Iterator[RetrievedInstance | FailedInstance]


@dataclass(frozen=True, slots=True)
class GetMetadata(Command):
    """WADO-RS metadata: DICOM JSON of a study, series or instance. Outcome: Iterator of DICOM JSON objects."""

    request: InstanceRequest


@dataclass(frozen=True, slots=True)
class RetrieveFrames(Command):
    """WADO-RS frames, rendered images and bulk data: passed through from the source. Outcome: PassedThrough."""

    request: InstanceRequest
    path: str  #: what follows the instance's path: "frames/1", "rendered"
    query: tuple[tuple[str, str], ...] = ()
    accept: str = ""


@dataclass(frozen=True, slots=True)
class Rendering:
    """How one image is to be shown (PS3.18: 9.1.2.3): the defaults leave it as it is."""

    frame: int = 0  #: from 1; 0: the only one
    window: str = ""  #: ``centre,width``
    rows: int = 0
    columns: int = 0
    region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)  #: left, top, right, bottom as parts of 1
    quality: int = 0  #: of a JPEG, 1 to 100; 0: the usual one


@dataclass(frozen=True, slots=True)
class RetrieveObject(Command):
    """RAD-55: one object, as it is or rendered. Outcome: InstanceStream (of one), or PassedThrough when rendered.

    ``media_types``: by preference; empty: a single image as JPEG, anything else as it is (PS3.18: 8.7.4)."""

    request: InstanceRequest
    media_types: tuple[str, ...] = ()
    transfer_syntaxes: tuple[str, ...] = ("*",)
    rendering: Rendering = field(default_factory=Rendering)


@dataclass(frozen=True, slots=True)
class PassedThrough:
    """A source's own answer, streamed."""

    media_type: str
    chunks: Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
