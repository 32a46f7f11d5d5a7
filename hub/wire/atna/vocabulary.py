"""Codes of audit messages (DICOM PS3.15: A.5, PS3.16: CID 400 to 405, RFC 3881): tables, shared with AuditEvent."""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.audit.model import AuditRecord, Own
from hub.context import Touched

Coded = tuple[str, str, str]  #: code, system, meaning

TRE_R01, TRE_R02 = "1.2.250.1.71.4.2.5", "1.2.250.1.71.4.2.4"
STRUCTURE = "1.2.250.1.71.4.2.2"
PURPOSES = "1.2.250.1.213.1.1.4.248"
ACT_REASON = "2.16.840.1.113883.5.8"
SOURCE: Coded = ("110153", "DCM", "Source Role ID")
DESTINATION: Coded = ("110152", "DCM", "Destination Role ID")
#: What the hub writes down as purpose -> code.
PURPOSE: Mapping[str, Coded] = {
    "normal": ("normal", PURPOSES, "Accès normal"),
    "bris_de_glace": ("bris_de_glace", PURPOSES, "Accès bris de glace"),
    "centre_15": ("centre_15", PURPOSES, "Accès centre de régulation"),
    "TREATMENT": ("TREAT", ACT_REASON, "treatment"),
    "HCOMPL": ("HCOMPL", ACT_REASON, "health compliance"),
    "PATADMIN": ("PATADMIN", ACT_REASON, "patient administration"),
    "HSYSADMIN": ("HSYSADMIN", ACT_REASON, "health system administration"),
    "PATRQT": ("PATRQT", ACT_REASON, "patient requested"),
    "FAMRQT": ("FAMRQT", ACT_REASON, "family requested"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """How a kind of touched thing is told: RFC 3881's type code and role, the code of its identifier."""

    type_code: str
    role: str
    id_type: Coded


_SET, _FOLDER = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a"
ROWS: Mapping[str, Row] = {
    "patient": Row("1", "1", ("2", "RFC-3881", "Patient Number")),
    "document": Row("2", "3", ("9", "RFC-3881", "Report Number")),
    "document entry": Row("2", "3", ("urn:ihe:iti:2017:ObjectRef", "IHE XDS Metadata", "registry object reference")),
    "registry object": Row("2", "3", ("urn:ihe:iti:2017:ObjectRef", "IHE XDS Metadata", "registry object reference")),
    "submission set": Row("2", "20", (_SET, "IHE XDS Metadata", "submission set classificationNode")),
    "folder": Row("2", "3", (_FOLDER, "IHE XDS Metadata", "folder classificationNode")),
    "study": Row("2", "3", ("110180", "DCM", "Study Instance UID")),
    "user": Row("1", "6", ("11", "RFC-3881", "User Identifier")),
    "community": Row("3", "2", ("urn:ihe:iti:xca:2010:homeCommunityId", "IHE XCA Metadata", "homeCommunityId")),
}


def row_of(kind: str) -> Row:
    """The row of a kind; the hub's own things (messages, subscriptions, tasks) are told by their name."""
    return ROWS.get(kind) or Row("2", "4", (kind.replace(" ", "-"), "Maillage", kind))


def event_types(record: AuditRecord, own: Own) -> list[Coded]:
    """EventTypeCode: the transaction, and what else it is by the tables of DICOM or IHE."""
    found = [code for code in (record.event_type, record.transaction) if code]
    return [(code, _system(code), own.titles.get(code, record.transaction)) for code in found]


def _system(code: str) -> str:
    return "DCM" if code.isdecimal() else "IHE Transactions" if code.startswith(("ITI-", "RAD-")) else "Maillage"


def purpose_of(record: AuditRecord) -> Coded | None:
    """The purpose of use, None where nothing was said."""
    if not record.purpose:
        return None
    return PURPOSE.get(record.purpose) or (record.purpose, "Maillage", record.purpose)


def hub_sent(record: AuditRecord) -> bool:
    """Whether the hub itself began it (a notification, a feed)."""
    return record.scheme == "internal"


def hub_gives(record: AuditRecord) -> bool:
    """Whether the data went from the hub to the caller: then the hub is the source though the other one asked."""
    return record.action == "R" and record.event_code in ("110104", "110106")


def roles_of(record: AuditRecord) -> list[Coded]:
    """The person's roles: profession and specialities where somebody vouched for them, else those of the hub."""
    who = record.professional
    if who is None:
        return [(role, "Maillage", role) for role in record.roles]
    found = [(who.profession, who.profession_system, who.profession)] if who.profession else []
    return [*found, *((code, TRE_R01, code) for code in who.specialities)]


def things(record: AuditRecord) -> list[Touched]:
    """What was touched, without the question and what studies hold: those have a place of their own."""
    return [item for item in record.objects if item.kind not in ("query", "sop class", "accession")]


def questions(record: AuditRecord) -> list[str]:
    """The id of what was asked, empty where there are only the bytes. An event has one question (ITI TF-2: 3.18.5.1):
    what the hub asked itself to answer it is none."""
    found = [item.reference for item in record.objects if item.kind == "query"]
    return found[:1] or ([""] if record.query else [])


def sop_classes(record: AuditRecord, study: str) -> list[tuple[str, int]]:
    """SOP classes of a study's instances that were touched, and how many (``study|class|count``)."""
    rows = [item.reference.split("|") for item in record.objects if item.kind == "sop class"]
    return [(row[1], int(row[2])) for row in rows if len(row) == 3 and row[0] == study and row[2].isdecimal()]


def accessions(record: AuditRecord, study: str) -> list[str]:
    """A study's accession numbers (``study|number``)."""
    rows = [item.reference.split("|", 1) for item in record.objects if item.kind == "accession"]
    return [row[1] for row in rows if len(row) == 2 and row[0] == study]
