"""What the simulated record holds, and what goes wrong on purpose."""

import threading
from dataclasses import dataclass, field

APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
ARCHIVED = "urn:asip:ci-sis:2010:StatusType:Archived"
DELETED = "urn:asip:ci-sis:2010:StatusType:Deleted"
REPOSITORY = "1.2.250.1.213.4.1.1.1.2"
DEVICE = "1.2.250.1.213.4.1.1.1"


@dataclass(slots=True)
class Person:
    """A person's record. ``ins``: 15 digits; ``oid``: of their authority."""

    ins: str
    oid: str = "1.2.250.1.213.1.4.10"
    open: bool = True
    opposed: bool = False  #: the person opposed that documents are brought at all
    glass: bool = True  #: the glass may be broken
    attending: str = ""  #: idNat_PS of the médecin traitant
    authorised: set[str] = field(default_factory=set)  #: idNat_PS and Struct_IdNat
    blocked: set[str] = field(default_factory=set)
    internet: bool = True
    attached: bool = True  #: to Mon espace santé

    @property
    def cx(self) -> str:
        """As metadata carry it."""
        return f"{self.ins}^^^&{self.oid}&ISO^NH"


@dataclass(slots=True)
class Document:
    """A document with the metadata that rights and searches need; ``element``: its ExtrinsicObject as last changed."""

    entry_id: str
    lid: str
    unique_id: str
    patient: str
    element: bytes
    content: bytes = field(repr=False)
    mime_type: str = ""
    status: str = APPROVED
    version: int = 1
    type_code: str = ""
    format_code: str = ""
    confidentiality: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()  #: idNat_PS
    structure: str = ""  #: of the VIHF that brought it
    created: str = ""
    started: str = ""
    references: tuple[str, ...] = ()
    signature: bool = False
    set_id: str = ""  #: entryUUID of its submission set
    replaces: str = ""


@dataclass(slots=True)
class Asked:
    """One request as it came, for tests to look at."""

    service: str
    action: str
    status: str  #: "Success", or the code of the refusal
    mode: str = ""
    patient: str = ""


@dataclass(slots=True)
class Faults:
    """What goes wrong on purpose. ``code``: an XDS error code that every submission is refused with."""

    down: bool = False  #: 503 without SOAP
    slow: float = 0.0  #: seconds before every answer
    hang: bool = False  #: takes the request and closes without an answer
    lose_answer: int = 0  #: so many requests are carried out and not answered
    refuse_certificate: bool = False  #: DMPInvalidCertificate whatever signs
    fault: str = ""  #: a SOAP fault with this subcode
    code: str = ""
    garbage: bool = False  #: answers what is no XML


@dataclass(slots=True)
class State:
    """Everything, behind one lock."""

    persons: dict[str, Person] = field(default_factory=dict)  #: by CX with ^NH
    documents: dict[str, Document] = field(default_factory=dict)  #: by entryUUID
    sets: dict[str, str] = field(default_factory=dict)  #: uniqueId of a submission set -> its entryUUID
    set_elements: dict[str, tuple[str, bytes]] = field(default_factory=dict)  #: entryUUID -> patient, RegistryPackage
    associations: list[tuple[str, str, str]] = field(default_factory=list)  #: type, source, target
    asked: list[Asked] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def add(self, person: Person) -> Person:
        """Open a record."""
        with self.lock:
            self.persons[person.cx] = person
        return person

    def of(self, patient: str, *, signatures: bool = False) -> list[Document]:
        """A person's documents, the oldest first."""
        with self.lock:
            return [
                item
                for item in self.documents.values()
                if item.patient == patient and (signatures or not item.signature)
            ]

    def by_unique_id(self, unique_id: str) -> Document | None:
        """One document."""
        with self.lock:
            return next((item for item in self.documents.values() if item.unique_id == unique_id), None)
