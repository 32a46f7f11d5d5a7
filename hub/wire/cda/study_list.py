"""The list of a person's imaging studies as a CDA document: one section, one table (CDA R2: 4.3.5)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lxml import etree

from hub.values import PatientIdentifier
from hub.wire.xml import Element, serialise

NS = "urn:hl7-org:v3"
_SECTION = ("18726-0", "2.16.840.1.113883.6.1", "Radiology studies (set)")
_SEXES = {"M": "M", "F": "F"}


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One line of the list; every text as people read it."""

    date: str
    title: str
    kinds: str
    place: str
    accession: str
    study: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the list is about."""

    identifier: PatientIdentifier
    family: str = ""
    given: str = ""
    birth_date: str = ""  #: YYYY[MM[DD]]
    sex: str = ""


def write_study_list(
    subject: Subject,
    rows: Sequence[StudyRow],
    *,
    unique_id: str,
    created: str,
    title: str,
    custodian: tuple[str, str],
    language: str,
) -> bytes:
    """The document. ``created``: DTM; ``custodian``: the registry's OID and name."""
    root = etree.Element(f"{{{NS}}}ClinicalDocument", nsmap={None: NS})  # type: ignore[dict-item]
    _add(root, "typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    _add(root, "id", root=unique_id)
    _coded(root, "code", *_SECTION)
    _add(root, "title").text = title
    _add(root, "effectiveTime", value=created)
    _add(root, "confidentialityCode", code="N", codeSystem="2.16.840.1.113883.5.25")
    _add(root, "languageCode", code=language)
    _record_target(root, subject)
    author = _add(root, "author")
    _add(author, "time", value=created)
    device = _add(author, "assignedAuthor")
    _add(device, "id", root=custodian[0])
    _add(_add(device, "assignedAuthoringDevice"), "softwareName").text = "Maillage"
    keeper = _add(_add(_add(root, "custodian"), "assignedCustodian"), "representedCustodianOrganization")
    _add(keeper, "id", root=custodian[0])
    _add(keeper, "name").text = custodian[1]
    body = _add(_add(root, "component"), "structuredBody")
    section = _add(_add(body, "component"), "section")
    _coded(section, "code", *_SECTION)
    _add(section, "title").text = title
    _table(_add(section, "text"), rows)
    return serialise(root)


def _record_target(root: Element, subject: Subject) -> None:
    role = _add(_add(root, "recordTarget"), "patientRole")
    _add(role, "id", root=subject.identifier.authority, extension=subject.identifier.value)
    patient = _add(role, "patient")
    name = _add(patient, "name")
    _add(name, "family").text = subject.family
    _add(name, "given").text = subject.given
    sex = _SEXES.get(subject.sex, "UN")
    _add(patient, "administrativeGenderCode", code=sex, codeSystem="2.16.840.1.113883.5.1")
    if subject.birth_date:
        _add(patient, "birthTime", value=subject.birth_date)
    else:
        _add(patient, "birthTime", nullFlavor="UNK")


def _table(text: Element, rows: Sequence[StudyRow]) -> None:
    if not rows:
        _add(text, "paragraph").text = "Aucun examen."
        return
    table = _add(text, "table")
    _row(_add(table, "thead"), "th", ("Date", "Examen", "Modalités et régions", "Lieu", "N° de demande", "Étude"))
    body = _add(table, "tbody")
    for row in rows:
        _row(body, "td", (row.date, row.title, row.kinds, row.place, row.accession, row.study))


def _row(parent: Element, cell: str, texts: Iterable[str]) -> None:
    line = _add(parent, "tr")
    for text in texts:
        _add(line, cell).text = text


def _coded(parent: Element, name: str, code: str, system: str, display: str) -> None:
    _add(parent, name, code=code, codeSystem=system, displayName=display)


def _add(parent: Element, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, f"{{{NS}}}{name}", attributes)
