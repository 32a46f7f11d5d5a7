"""XDS metadata of manifests and reports (RAD TF-2: 4.68.4.1.2.3, CI-SIS DRIM-M), with the French codes as defaults."""

# ruff: noqa: RUF009  (a Code is frozen: it may be a default)

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo

from hub.documents.model import (
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    ReferenceId,
    Submission,
    SubmissionSet,
)
from hub.imaging.manifest_model import Flavour, ManifestOrder
from hub.imaging.model import SourceInfo, Study
from hub.imaging.regions_model import FRENCH, MADO, Region, regions
from hub.values import Code, PatientIdentifier, new_uid
from hub.wire.dicom_text import clean

ACCESSION = "urn:ihe:iti:xds:2013:accession"
ORDER = "urn:ihe:iti:xds:2013:order"
STUDY = "urn:ihe:iti:xds:2016:studyInstanceUID"
DOCUMENT = "urn:ihe:iti:xds:2013:uniqueId"
_CLASSES = "1.2.250.1.213.1.1.4.1"
_TYPES = "1.2.250.1.213.1.1.4.12"
_LOINC = "2.16.840.1.113883.6.1"
_DICOM = "1.2.840.10008.2.16.4"
_SNOMED = "2.16.840.1.113883.6.96"

MODALITIES: Mapping[str, str] = {
    "CR": "Radiographie assistée par ordinateur",
    "CT": "Tomodensitométrie",
    "DX": "Radiographie numérique",
    "ES": "Endoscopie",
    "IO": "Radiographie intrabuccale",
    "MG": "Mammographie",
    "MR": "Résonance magnétique",
    "NM": "Médecine nucléaire",
    "PT": "Tomographie par émission de positons",
    "PX": "Panoramique dentaire",
    "RF": "Radio-fluoroscopie",
    "US": "Échographie",
    "XA": "Angiographie par rayons X",
}
#: Codes of TRE_A07.
MASKS: Mapping[str, str] = {
    "MASQUE_PS": "Masqué aux professionnels de santé",
    "INVISIBLE_PATIENT": "Non visible par le patient",
    "INVISIBLE_REPRESENTANTS_LEGAUX": "Non visible par les représentants légaux du patient",
}
#: Modalities of objects that nobody acquires: they say nothing about the examination.
NOT_ACQUIRED = frozenset({"SR", "KO", "PR", "DOC", "OT", "SEG", "REG", "FID", "RWV", "PLAN", "AU"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """The codes that the hub's own submissions use; every one can be set for another affinity domain."""

    manifest_class: Code = Code("31", _CLASSES, "Imagerie médicale")
    manifest_type: Code = Code("IMG-KOS", _TYPES, "Référence d'objets d'un examen d'imagerie")
    manifest_format: Code = Code(
        "1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1", "Key Object Selection Document"
    )
    fhir_format: Code = Code(
        "urn:ihe:rad:MADO:fhir-manifest:2026", "1.3.6.1.4.1.19376.1.2.7.1", "MADO FHIR-based Imaging Study Manifest"
    )
    manifest_title: str = "Référence d'objets d'un examen d'imagerie"
    report_class: Code = Code("31", _CLASSES, "Imagerie médicale")
    report_type: Code = Code("18748-4", _LOINC, "Compte rendu d'imagerie médicale")
    report_title: str = "Compte rendu d'imagerie médicale"
    report_structured: Code = Code(
        "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013", "1.3.6.1.4.1.19376.1.2.3", "CR d'imagerie structuré"
    )
    report_pdf: Code = Code("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3", "PDF dans un CDA R2 N1")
    confidentiality: Code = Code("N", "2.16.840.1.113883.5.25", "Normal")
    mask_scheme: str = "1.2.250.1.213.1.1.4.13"
    facility_type: Code = Code("SA01", "1.2.250.1.71.4.2.4", "Etablissement public de santé")
    practice_setting: Code = Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9", "Etablissement de santé")
    content_type: Code = Code("07", "1.2.250.1.213.2.2", "Consultation")
    modality_scheme: str = _DICOM
    region_scheme: str = _SNOMED
    regions: Mapping[Region, tuple[str, str]] = field(default_factory=lambda: FRENCH)
    language: str = "fr-FR"


def vocabulary_of(flavour: Flavour, language: str = "") -> Vocabulary:
    """The codes that go with a manifest's flavour: MADO names its document type and its regions itself."""
    codes = Vocabulary()
    if flavour is Flavour.MADO:
        kind = Code("18748-4", _LOINC, "Diagnostic imaging study")
        codes = replace(codes, manifest_type=kind, regions=MADO)
    return replace(codes, language=language) if language else codes


@dataclass(frozen=True, kw_only=True, slots=True)
class Publishing:
    """What all entries of one publication share."""

    study: Study
    source: SourceInfo
    person: PatientIdentifier
    local: PatientIdentifier  #: the patient's number at the source
    created: datetime
    zone: tzinfo  #: of times without an offset
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    order: ManifestOrder = field(default_factory=ManifestOrder)


def manifest_entry(publishing: Publishing, entry_id: str, unique_id: str) -> DocumentEntry:
    """The manifest's DocumentEntry."""
    codes = publishing.vocabulary
    return _entry(
        publishing,
        id=entry_id,
        unique_id=unique_id,
        mime_type="application/dicom",
        class_code=codes.manifest_class,
        type_code=codes.manifest_type,
        format_code=codes.manifest_format,
        title=codes.manifest_title,
        authors=(Author(institutions=(institution(publishing),)),),
        creation_time=dtm(publishing.created),
    )


def fhir_manifest_entry(publishing: Publishing, entry_id: str, unique_id: str, manifest_id: str) -> DocumentEntry:
    """The DocumentEntry of the FHIR manifest. A registry knows a uniqueId once, so that it can't be the KOS manifest's
    SOP Instance UID: that one is the Bundle's identifier, and a reference of the entry."""
    entry = manifest_entry(publishing, entry_id, unique_id)
    return replace(
        entry,
        mime_type="application/fhir+json",
        format_code=publishing.vocabulary.fhir_format,
        reference_ids=(*entry.reference_ids, ReferenceId(manifest_id, type_code=DOCUMENT)),
    )


def report_entry(
    publishing: Publishing,
    entry_id: str,
    unique_id: str,
    *,
    mime_type: str,
    structured: bool,
    title: str = "",
    author: str = "",
    author_institution: str = "",
    created: str = "",
    masks: Iterable[str] = (),
) -> DocumentEntry:
    """The report's DocumentEntry. ``masks``: from whom it is hidden (TRE_A07)."""
    codes = publishing.vocabulary
    return _entry(
        publishing,
        confidentiality_codes=confidentiality(codes, masks),
        id=entry_id,
        unique_id=unique_id,
        mime_type=mime_type,
        class_code=codes.report_class,
        type_code=codes.report_type,
        format_code=codes.report_structured if structured else codes.report_pdf,
        title=clean(title, 128) or codes.report_title,
        authors=(Author(person=author, institutions=(author_institution or institution(publishing),)),),
        legal_authenticators=(author,) if author else (),
        creation_time=utc(created, "", publishing.zone) or dtm(publishing.created),
    )


def confidentiality(codes: Vocabulary, masks: Iterable[str]) -> tuple[Code, ...]:
    """What everybody's document has, and the codes of those from whom it is hidden."""
    return (codes.confidentiality, *(Code(mask, codes.mask_scheme, MASKS[mask]) for mask in masks))


def submission(
    publishing: Publishing,
    entries: tuple[DocumentEntry, ...],
    replaced: Mapping[str, str],
    *,
    source_id: str,
    kind: AssociationType = AssociationType.REPLACE,
) -> Submission:
    """One submission of all entries; ``replaced``: entry id -> entryUUID of the registered document that it takes the
    place of (or is made of, by ``kind``)."""
    members = tuple(
        Association(f"member-{entry.id}", AssociationType.HAS_MEMBER, "submission", entry.id, "Original")
        for entry in entries
    )
    replacements = tuple(
        Association(f"relation-{entry_id}", kind, entry_id, target) for entry_id, target in replaced.items()
    )
    return Submission(
        SubmissionSet(
            id="submission",
            unique_id=new_uid(),
            source_id=source_id,
            patient_id=publishing.person,
            submission_time=dtm(publishing.created),
            content_type_code=publishing.vocabulary.content_type,
            authors=(Author(institutions=(institution(publishing),)),),
            title=publishing.vocabulary.manifest_title,
        ),
        entries,
        associations=members + replacements,
    )


def _entry(publishing: Publishing, **values: object) -> DocumentEntry:
    study, codes = publishing.study, publishing.vocabulary
    return DocumentEntry(
        patient_id=publishing.person,
        healthcare_facility_type_code=codes.facility_type,
        practice_setting_code=codes.practice_setting,
        event_codes=event_codes(study, codes),
        service_start_time=utc(study.started, study.timezone, publishing.zone) or dtm(publishing.created),
        language_code=codes.language,
        source_patient_id=publishing.local.cx,
        source_patient_info=patient_info(study, publishing.local),
        reference_ids=reference_ids(publishing),
        **({"confidentiality_codes": (codes.confidentiality,)} | values),  # type: ignore[arg-type]
    )


def event_codes(study: Study, codes: Vocabulary) -> tuple[Code, ...]:
    """Acquisition modalities and anatomic regions."""
    every = dict.fromkeys([*study.modalities, *(series.modality for series in study.series)])
    modalities = [item for item in every if item and item not in NOT_ACQUIRED]
    found = [Code(item, codes.modality_scheme, MODALITIES.get(item, item)) for item in modalities]
    parts = [codes.regions[region] for region in regions(study.series)]
    return tuple(found + [Code(value, codes.region_scheme, display) for value, display in parts])


def reference_ids(publishing: Publishing) -> tuple[ReferenceId, ...]:
    """What manifest and report have in common: the study, the accession number, the order."""
    study, order = publishing.study, publishing.order
    found = [ReferenceId(study.study_instance_uid, type_code=STUDY)]
    accession = study.accession_number or order.accession_number
    if accession:
        # An archive rarely names the issuer; the hospital's own authority tells its accession numbers from others'.
        issuer = study.accession_issuer or order.accession_issuer or publishing.source.authority_oid
        found.append(ReferenceId(clean(accession), issuer, ACCESSION))
    if order.placer_number:
        issuer = order.placer_issuer or publishing.source.authority_oid
        found.append(ReferenceId(clean(order.placer_number), issuer, ORDER))
    return tuple(found)


def patient_info(study: Study, local: PatientIdentifier) -> tuple[str, ...]:
    """sourcePatientInfo rows from the images' header."""
    family, _, rest = study.patient_name.split("=")[0].partition("^")
    given = rest.split("^")[0]
    rows = [f"PID-3|{local.cx}"]
    if family:
        rows.append(f"PID-5|{_hl7(family)}^{_hl7(given)}^^^^^L")
    if study.patient_birth_date:
        rows.append(f"PID-7|{study.patient_birth_date}")
    if study.patient_sex:
        rows.append(f"PID-8|{study.patient_sex}")
    return tuple(rows)


def institution(publishing: Publishing) -> str:
    """The source's institution as XON."""
    name = _hl7(clean(publishing.study.institution or publishing.source.title or publishing.source.name))
    number = publishing.source.organisation_id
    return f"{name}^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{number}" if number else name


def dtm(instant: datetime) -> str:
    """DTM in UTC, to the second."""
    return instant.astimezone(UTC).strftime("%Y%m%d%H%M%S")


def utc(text: str, offset: str, zone: tzinfo) -> str:
    """DTM text in UTC: from its own offset, else ``offset`` (+HHMM), else ``zone``; "" when it is none.

    A date without a time stays a date."""
    match = re.fullmatch(r"(\d{4,14})(?:\.\d+)?([+-]\d{4})?", text)
    if match is None:
        return ""
    digits, own = match.groups()
    if len(digits) < 12:
        return digits[:8] if len(digits) % 2 == 0 else ""
    try:
        parsed = datetime.strptime(digits[:14].ljust(14, "0"), "%Y%m%d%H%M%S")
        where = datetime.strptime(own or offset, "%z").tzinfo if own or offset else zone
    except ValueError:
        return ""
    return dtm(parsed.replace(tzinfo=where))


def _hl7(text: str) -> str:
    return re.sub(r"[|^~\\&]", " ", text).strip()
