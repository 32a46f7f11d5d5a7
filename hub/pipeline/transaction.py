"""What a transaction declares about itself. Routes, dispatch tables, audit catalogue and docs are derived from it."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a transaction does to the hub."""

    QUERY = "query"
    RETRIEVE = "retrieve"
    CHANGE = "change"


class Durability(StrEnum):
    """What becomes of the raw message."""

    NONE = "none"  #: not kept
    ORIGINAL = "original"  #: kept in the inbox, in the same commit as its effect; a refused one leaves nothing
    INBOX = "inbox"  #: kept in the inbox whatever happens; a failed one stays visible and replayable


class Direction(StrEnum):
    """Which side of the transaction the hub takes."""

    RESPONDER = "responder"
    INITIATOR = "initiator"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Soap:
    """SOAP 1.2 with WS-Addressing: one endpoint per actor, dispatched on the action."""

    path: str
    action: str
    response_action: str
    body: str  #: the request's root element in Clark notation
    mtom: bool = False
    asynchronous: bool = False  #: the answer may go to another place than the connection (wsa:ReplyTo)
    wire: str = "soap"


@dataclass(frozen=True, slots=True)
class Hl7:
    """HL7 v2 over MLLP: dispatched on MSH-9 (``ADT^A01``)."""

    events: tuple[str, ...]
    wire: str = "hl7v2"


@dataclass(frozen=True, slots=True)
class Fhir:
    """A FHIR R4 interaction under ``/fhir``."""

    method: str
    path: str  #: "/ImagingStudy/{id}"
    resource: str
    interaction: str  #: read, search-type, create ... as in the CapabilityStatement
    search_parameters: tuple[tuple[str, str, str], ...] = ()  #: (name, type, what it means)
    includes: tuple[str, ...] = ()  #: what _include may ask for
    xml: bool = True  #: as XML too, for who wants it; not what answers with bytes of any kind
    bundles_of: str = ""  #: takes batches of this resource alone; all else at the path is another transaction's
    wire: str = "fhir"


@dataclass(frozen=True, slots=True)
class Dicomweb:
    """A DICOMweb resource (PS3.18: 9, 10), under ``/dicom-web`` unless said otherwise."""

    method: str
    path: str
    root: str = "/dicom-web"
    wire: str = "dicomweb"


@dataclass(frozen=True, slots=True)
class Dimse:
    """A DIMSE service, with the SOP classes that it is offered for (empty: every storage class)."""

    service: str  #: C-FIND, C-MOVE, C-GET, C-STORE, C-ECHO
    sop_classes: tuple[str, ...] = ()
    wire: str = "dimse"


@dataclass(frozen=True, slots=True)
class Page:
    """A page for people, reached by another system's link: the portal signs them in first."""

    path: str
    method: str = "GET"
    wire: str = "page"


@dataclass(frozen=True, slots=True)
class Form:
    """An endpoint of OAuth: a form by POST, or JSON by GET."""

    method: str
    path: str
    wire: str = "oauth"


Binding = Soap | Hl7 | Fhir | Dicomweb | Dimse | Page | Form


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """The DICOM audit message of the transaction (PS3.15: A.5.3, ITI TF-2: 3.20)."""

    code: str  #: DCM event code, "110112" Query
    display: str
    action: str  #: C R U D E
    type_code: str = ""  #: EventTypeCode beside the transaction's id: of DCM, or the standard's where the id is our own


@dataclass(frozen=True, kw_only=True, slots=True)
class Transaction:
    """One transaction of one profile, seen from the hub.

    A module under ``profiles/`` holds ``TRANSACTION``, ``decode(message, context) -> Command`` and
    ``encode(outcome, message, context) -> message``; and, where the protocol reports errors inside a normal answer,
    ``refuse(error, message, context) -> message``.
    """

    id: str
    title: str
    profile: str
    initiator: str  #: actor on the calling side
    responder: str  #: actor on the answering side
    bindings: tuple[Binding, ...]
    section: str  #: "ITI TF-2: 3.18"
    kind: Kind
    permission: str  #: "documents.query"
    audit: AuditEvent
    durability: Durability = Durability.NONE
    direction: Direction = Direction.RESPONDER
    options: tuple[str, ...] = ()  #: what of the transaction's options is supported, for the conformance page


UNREADABLE = Transaction(
    id="unknown",
    title="Message of no transaction",
    profile="",
    initiator="",
    responder="",
    bindings=(),
    section="",
    kind=Kind.CHANGE,
    permission="",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.INBOX,
)
"""What bytes belong to that no transaction takes: they are kept and audited under its id."""
