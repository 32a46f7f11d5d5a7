"""What the portal asks of the hub: each a transaction with a permission and an audit event, as on any wire."""

from dataclasses import dataclass, field

from hub.exchange.model import Page
from hub.patients.model import TaskKind
from hub.pipeline.transaction import AuditEvent, Kind, Transaction
from hub.usecase import Command
from hub.values import PatientIdentifier

QUERY = AuditEvent("110112", "Query", "E")
ACCESSED = AuditEvent("110103", "DICOM Instances Accessed", "R")
PATIENT_RECORD = AuditEvent("110110", "Patient Record", "R")
RECORD_CHANGED = AuditEvent("110110", "Patient Record", "U")
EXPORT_EVENT = AuditEvent("110106", "Export", "R")
IMPORT = AuditEvent("110107", "Import", "C")
ACTIVITY = AuditEvent("110100", "Application Activity", "E")
AUDIT_LOG_USED = AuditEvent("110101", "Audit Log Used", "R")
SECURITY_ALERT = AuditEvent("110113", "Security Alert", "E", type_code="110132")
EMERGENCY = AuditEvent("110113", "Security Alert", "E", type_code="110127")  # Emergency Override Started
AUTHENTICATION = AuditEvent("110114", "User Authentication", "E")


def _action(name: str, title: str, permission: str, audit: AuditEvent, kind: Kind = Kind.QUERY) -> Transaction:
    return Transaction(
        id=f"PORTAL-{name}",
        title=title,
        profile="Portal",
        initiator="Person",
        responder="Portal",
        bindings=(),
        section="",
        kind=kind,
        permission=permission,
        audit=audit,
    )


SIGN_IN = _action("SIGN-IN", "Sign in", "portal.sign-in", AUTHENTICATION, Kind.CHANGE)
SIGN_OUT = _action("SIGN-OUT", "Sign out", "portal.sign-in", AUTHENTICATION, Kind.CHANGE)
PAGE = _action("PAGE", "Page asked for without a session", "portal.sign-in", SECURITY_ALERT)
FORGED = _action("FORGED", "Form that did not come from the session", "portal.sign-in", SECURITY_ALERT)
ENDED = _action("ENDED", "Provider ends a session", "portal.sign-in", AUTHENTICATION, Kind.CHANGE)
SEARCH = _action("SEARCH", "Search for a patient", "patients.query", QUERY)
PERSON = _action("PERSON", "Open a person's imaging record", "patients.query", PATIENT_RECORD)
STUDIES = _action("STUDIES", "List a person's studies", "imaging.query", QUERY)
STUDY = _action("STUDY", "Open a study", "imaging.query", QUERY)
DOCUMENTS = _action("DOCUMENTS", "List a person's documents", "documents.query", QUERY)
DOCUMENT = _action("DOCUMENT", "Read a document", "documents.retrieve", EXPORT_EVENT, Kind.RETRIEVE)
DOCUMENT_LIFE = _action("DOCUMENT-LIFE", "Open a document's life", "documents.query", QUERY)
PACKAGE = _action(
    "PACKAGE", "Export documents in a package", "documents.retrieve",
    AuditEvent("110106", "Export", "R", type_code="ITI-32"), Kind.RETRIEVE,
)  # fmt: skip
VIEWER = _action("VIEWER", "Open a study in the viewer", "imaging.retrieve", ACCESSED, Kind.RETRIEVE)
OVERVIEW = _action("OVERVIEW", "Operator's overview", "exchange.read", ACTIVITY)
MESSAGES = _action("MESSAGES", "Operator lists messages", "exchange.read", ACTIVITY)
MESSAGE_RAW = _action("MESSAGE-RAW", "Operator reads a raw message", "exchange.raw", EXPORT_EVENT, Kind.RETRIEVE)
MESSAGE_REPLAY = _action("MESSAGE-REPLAY", "Operator replays a message", "exchange.replay", ACTIVITY, Kind.CHANGE)
MESSAGE_DISCARD = _action("MESSAGE-DISCARD", "Operator puts a message away", "exchange.replay", ACTIVITY, Kind.CHANGE)
DELIVERIES = _action("DELIVERIES", "Operator lists deliveries", "exchange.read", ACTIVITY)
DELIVERY_REPLAY = _action("DELIVERY-REPLAY", "Operator replays a delivery", "exchange.replay", ACTIVITY, Kind.CHANGE)
DELIVERY_DISCARD = _action(
    "DELIVERY-DISCARD", "Operator puts a delivery away", "exchange.replay", ACTIVITY, Kind.CHANGE
)
LETTERS = _action("LETTERS", "Operator lists letters of the secure mail", "exchange.read", ACTIVITY)
LETTER_RETRY = _action("LETTER-RETRY", "Operator has a letter sent again", "exchange.replay", ACTIVITY, Kind.CHANGE)
AWAITING = _action("AWAITING", "Follow a notice's link to a document", "documents.retrieve", QUERY)
LETTER_PREPARE = _action("LETTER-PREPARE", "Prepare a letter of the secure mail", "mail.send", QUERY)
LETTER_SEND = _action("LETTER-SEND", "Send a document by secure mail", "mail.send", EXPORT_EVENT, Kind.CHANGE)
LETTERS_OF = _action("LETTERS-OF", "Look how far a document's letters came", "mail.send", QUERY)
RECORD = _action("RECORD", "Operator lists publications to the national record", "exchange.read", ACTIVITY)
NATIONAL = _action("NATIONAL", "Search in the national record (TD3.1)", "documents.query", QUERY)
NATIONAL_DOCUMENT = _action(
    "NATIONAL-DOCUMENT", "Read in the national record (TD3.2)", "documents.retrieve", IMPORT, Kind.RETRIEVE
)
NATIONAL_WEB = _action(
    "NATIONAL-WEB", "Open the national record's own page about a person (TD0.9)", "documents.query", PATIENT_RECORD
)
NATIONAL_AUTHORISE = _action(
    "NATIONAL-AUTHORISE",
    "Declare oneself authorised on a national record (TD0.3)",
    "documents.query",
    RECORD_CHANGED,
    Kind.CHANGE,
)
NATIONAL_CHANGE = _action(
    "NATIONAL-CHANGE",
    "Change what the national record shows of a document (TD3.3)",
    "documents.retrieve",
    RECORD_CHANGED,
    Kind.CHANGE,
)
REMOTE = _action("REMOTE", "Open a study that another region keeps", "imaging.retrieve", ACCESSED, Kind.RETRIEVE)
CALL = _action("CALL", "Follow a contextual call to a patient", "patients.query", PATIENT_RECORD)
EXPORT = _action("EXPORT", "Have a study stored in a local archive", "imaging.export", EXPORT_EVENT, Kind.CHANGE)
RECORD_RETRY = _action(
    "RECORD-RETRY", "Operator has a publication tried again", "exchange.replay", ACTIVITY, Kind.CHANGE
)
SOURCES = _action("SOURCES", "Operator lists sources", "sources.read", ACTIVITY)
SOURCE_CHECK = _action("SOURCE-CHECK", "Operator tests a source", "sources.check", ACTIVITY)
WORKLIST = _action("WORKLIST", "Steward lists open tasks", "patients.steward", QUERY)
ORPHANS = _action("ORPHANS", "Steward lists studies without a patient", "patients.steward", QUERY)
TASK = _action("TASK", "Steward opens a task", "patients.steward", PATIENT_RECORD)
PAIR = _action("PAIR", "Steward compares two identities", "patients.steward", PATIENT_RECORD)
LINKS = _action("LINKS", "Steward looks why identities are one person", "patients.steward", PATIENT_RECORD)
DECIDE = _action("DECIDE", "Steward decides a task", "patients.steward", RECORD_CHANGED, Kind.CHANGE)
WITHDRAW = _action("WITHDRAW", "Steward takes a proposed answer back", "patients.steward", RECORD_CHANGED, Kind.CHANGE)
LINK = _action("LINK", "Steward links two identities", "patients.steward", RECORD_CHANGED, Kind.CHANGE)
UNLINK = _action("UNLINK", "Steward parts two identities", "patients.steward", RECORD_CHANGED, Kind.CHANGE)
RIGHTS = _action("RIGHTS", "Read what a person said on sharing", "consents.query", PATIENT_RECORD)
CONSENT = _action("CONSENT", "Record what a person said on sharing", "consents.record", RECORD_CHANGED, Kind.CHANGE)
GLASS = _action("GLASS", "Break the glass", "rights.break-glass", EMERGENCY, Kind.CHANGE)
CARE = _action("CARE", "Declare a care relationship", "rights.declare", RECORD_CHANGED, Kind.CHANGE)
BROKEN = _action("BROKEN", "Officer lists broken glass", "rights.oversee", AUDIT_LOG_USED)
BROKEN_SEEN = _action("BROKEN-SEEN", "Officer has looked at broken glass", "rights.oversee", ACTIVITY, Kind.CHANGE)
READERS = _action("READERS", "Officer looks who read a document", "audit.read", AUDIT_LOG_USED)
AUDIT_TRAIL = _action("AUDIT", "Officer reads the audit trail", "audit.read", AUDIT_LOG_USED)
TRAIL = _action("TRAIL", "Officer looks who saw what of a person", "audit.read", AUDIT_LOG_USED)
COLLECTORS = _action("COLLECTORS", "Operator looks at the audit trail's collectors", "exchange.read", ACTIVITY)
TRAIL_EXPORT = _action("TRAIL-EXPORT", "Officer takes along who saw what of a person", "audit.read", AUDIT_LOG_USED)

ACTIONS = tuple(value for value in dict(globals()).values() if isinstance(value, Transaction))


@dataclass(frozen=True, slots=True)
class ListMessages(Command):
    """Inbox messages, newest first. Outcome: sequence of InboxMessage without raw bytes."""

    page: Page = field(default_factory=Page)


@dataclass(frozen=True, slots=True)
class GetMessage(Command):
    """One inbox message. Outcome: InboxMessage. Raises NotFound."""

    message_id: str
    raw: bool = False


@dataclass(frozen=True, slots=True)
class ListDeliveries(Command):
    """Deliveries, newest first. Outcome: sequence of Delivery."""

    page: Page = field(default_factory=Page)


@dataclass(frozen=True, slots=True)
class GetDelivery(Command):
    """One delivery. Outcome: Delivery. Raises NotFound."""

    delivery_id: str


@dataclass(frozen=True, slots=True)
class GetOverview(Command):
    """Counts by state, the latest messages, the sources. Outcome: Overview."""


@dataclass(frozen=True, slots=True)
class ListSources(Command):
    """Configured sources with their last contact. Outcome: sequence of SourceView."""


@dataclass(frozen=True, slots=True)
class CheckSource(Command):
    """A source's self-test. Outcome: sequence of Check. Raises NotFound."""

    name: str


@dataclass(frozen=True, slots=True)
class ListAudit(Command):
    """The latest audit records, of all or of those that touched something. Outcome: AuditPage."""

    cursor: str = ""
    limit: int = 50
    references: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True, slots=True)
class ListTasks(Command):
    """The stewards' worklist. Outcome: Worklist. Raises InvalidCursor."""

    kind: TaskKind | None = None
    limit: int = 25
    cursor: str = ""
    proposed: bool = False  #: only those that await a second steward


@dataclass(frozen=True, slots=True)
class ShowTask(Command):
    """A task with everything that a decision needs. Outcome: Case. Raises TaskNotFound."""

    task: int


@dataclass(frozen=True, slots=True)
class ShowPair(Command):
    """Two identities side by side, and why they are together or apart. Outcome: Case. Raises UnknownIdentifier."""

    one: PatientIdentifier
    other: PatientIdentifier


@dataclass(frozen=True, slots=True)
class ShowLinks(Command):
    """Why a person's identities are together, and were. Outcome: Why. Raises as GetPerson."""

    person: PatientIdentifier
