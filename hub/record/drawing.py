"""What is sent: the region's document with the metadata that the national record wants (CI-SIS, DRIM-M)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hub.connector.record import Lot, RecordDocument
from hub.documents.model import Author, DocumentEntry
from hub.patients.model import Traits
from hub.values import Code, PatientIdentifier, new_uid, now

_CONTENT_TYPE = "1.2.250.1.213.2.2"
STRUCTURES, PERSONS = "1.2.250.1.71.4.2.2", "1.2.250.1.71.4.2.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """Who sends: the structure, and the system that makes manifests."""

    structure: str  #: Struct_IdNat
    structure_name: str
    system: str  #: its number within the structure
    system_name: str = "Maillage"
    system_type: str = "EI"  #: XCN.13: EI in the DRIMbox samples, RI in the guides
    authenticator: str = ""  #: XCN of who answers for manifests whose report names nobody
    source_id: str = ""  #: OID: sourceId of submission sets
    content_type: Code = Code("07", _CONTENT_TYPE, "Consultation")  # noqa: RUF009  (frozen)

    @property
    def institution(self) -> str:
        """XON."""
        return f"{_plain(self.structure_name)}^^^^^&{STRUCTURES}&ISO^IDNST^^^{self.structure}"

    @property
    def author(self) -> Author:
        """The system as an author: XCN of a device."""
        number = f"{self.structure}/{self.system}"
        person = f"{number}^{_plain(self.system_name)}^^^^^^^&{PERSONS}&ISO^U^^^{self.system_type}"
        return Author(person=person, institutions=(self.institution,), roles=("Système auteur",))


def national_entry(
    entry: DocumentEntry,
    *,
    kind: str,
    sender: Sender,
    ins: PatientIdentifier,
    traits: Traits,
    authenticator: str = "",
    codes: Mapping[str, Code] | None = None,
    unique_id: str = "",
) -> DocumentEntry:
    """The region's entry as the record takes it. ``authenticator``: XCN, for a manifest that of its report.

    ``codes``: attribute -> the code that the record wants where the region uses another one."""
    authors = (sender.author,) if kind == "manifest" else tuple(_author(item, sender) for item in entry.authors)
    responsible = entry.legal_authenticators or tuple(filter(None, (authenticator or sender.authenticator,)))
    return replace(
        entry,
        unique_id=unique_id or entry.unique_id,
        patient_id=ins,
        authors=authors,
        legal_authenticators=responsible[:1],
        source_patient_id=_typed(entry.source_patient_id),
        source_patient_info=patient_rows(traits),
        extra={},
        **dict(codes or {}),  # type: ignore[arg-type]
    )


def patient_rows(traits: Traits) -> tuple[str, ...]:
    """sourcePatientInfo from the qualified identity: birth name, date, sex."""
    rows = [f"PID-5|{_plain(traits.birth_name)}^{_plain(traits.birth_given)}^^^^^L"]
    if len(traits.birth_date) == 8:
        rows.append(f"PID-7|{traits.birth_date}")
    if traits.sex in ("M", "F", "U"):
        rows.append(f"PID-8|{traits.sex}")
    return tuple(rows)


def lot_of(sender: Sender, ins: PatientIdentifier, document: RecordDocument) -> Lot:
    """One document as a submission."""
    return Lot(
        patient=ins,
        unique_id=new_uid(),
        source_id=sender.source_id,
        submission_time=now().strftime("%Y%m%d%H%M%S"),
        content_type=sender.content_type,
        authors=(sender.author,),
        documents=(document,),
        title=document.entry.title,
    )


def _author(author: Author, sender: Sender) -> Author:
    """A person without a numbered institution works for the sender's."""
    numbered = tuple(text for text in author.institutions if f"&{STRUCTURES}&ISO^IDNST" in text)
    return replace(author, institutions=numbered or (sender.institution,))


def _typed(cx: str) -> str:
    """The number at its hospital, with its type (CX-5)."""
    return cx if not cx or cx.count("^") >= 4 else f"{cx}^PI"


def _plain(text: str) -> str:
    return "".join(" " if letter in "|^~\\&" else letter for letter in text).strip()
