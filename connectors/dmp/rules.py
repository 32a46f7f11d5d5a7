"""What the record asks of metadata (CI-SIS "Partage de documents", french.md 2.4), as rows: checked before sending."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hub.connector.record import RecordMetadataUnfit
from hub.documents.model import DocumentEntry
from hub.values import Code

CONFIDENTIALITY, MASKS = "2.16.840.1.113883.5.25", "1.2.250.1.213.1.1.4.13"
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_XCN = re.compile(r"[^^]+\^[^^]+\^.*&1\.2\.250\.1\.71\.4\.2\.1&ISO\^[DU]\^{3}(IDNPS|RI|EI)")
_PERSON = re.compile(r"[^^]+\^[^^]+\^.*&1\.2\.250\.1\.71\.4\.2\.1&ISO\^D\^{3}(IDNPS|EI)")
_XON = re.compile(r"[^^]+\^{5}&1\.2\.250\.1\.71\.4\.2\.2&ISO\^IDNST\^{3}[0-9A-Z]+")
_TIME = re.compile(r"[0-9]{8}([0-9]{6})?")
#: Reference types that the record takes (JDV_J231).
REFERENCES = frozenset(
    {"urn:ihe:iti:xds:2013:accession", "urn:ihe:iti:xds:2013:order", "urn:ihe:iti:xds:2016:studyInstanceUID"}
)
#: typeCode -> the classCode that goes with it (ASS_X16).
CLASS_OF_TYPE: Mapping[str, str] = {
    "18748-4": "31",
    "IMG-KOS": "31",
    "52040-3": "31",
    "55115-0": "42",
}
#: formatCode -> its MIME type.
MIME_TYPES: Mapping[str, str] = {
    "1.2.840.10008.5.1.4.1.1.88.59": "application/dicom",
    "urn:ihe:iti:xds-sd:pdf:2008": "text/xml",
    "urn:ihe:iti:xds-sd:text:2008": "text/xml",
    "urn:ihe:iti:xds-sd:jpeg:2008": "text/xml",
    "urn:ihe:iti:xds-sd:rtf:2008": "text/xml",
    "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013": "text/xml",
    "urn:ans:ci-sis:img-da:2022": "text/xml",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the attribute, what it must be, whether an entry keeps it."""

    attribute: str
    says: str
    kept: Callable[[DocumentEntry], bool]


def _in(*schemes: str) -> Callable[[Code | None], bool]:
    return lambda code: code is not None and code.scheme in schemes and bool(code.display)


def _confidential(entry: DocumentEntry) -> bool:
    codes = entry.confidentiality_codes
    return (
        1 <= len(codes) <= 4
        and {code.scheme for code in codes} <= {CONFIDENTIALITY, MASKS}
        and any((code.value, code.scheme) == ("N", CONFIDENTIALITY) for code in codes)
    )


RULES: tuple[Rule, ...] = (
    Rule("uniqueId", "an OID: the form OID^extension is not taken", lambda e: bool(_OID.fullmatch(e.unique_id))),
    Rule("languageCode", "fr-FR", lambda e: e.language_code == "fr-FR"),
    Rule("title", "there", lambda e: bool(e.title)),
    Rule("creationTime", "a time in UTC", lambda e: bool(_TIME.fullmatch(e.creation_time))),
    Rule("serviceStartTime", "a time in UTC", lambda e: bool(_TIME.fullmatch(e.service_start_time))),
    Rule(
        "author",
        "an authorPerson with a national number",
        lambda e: bool(e.authors) and all(_XCN.fullmatch(author.person) for author in e.authors),
    ),
    Rule(
        "authorInstitution",
        "a structure with its national number",
        lambda e: all(a.institutions and all(_XON.fullmatch(i) for i in a.institutions) for a in e.authors),
    ),
    Rule(
        "legalAuthenticator",
        "one professional with a national number",
        lambda e: len(e.legal_authenticators) == 1 and bool(_PERSON.fullmatch(e.legal_authenticators[0])),
    ),
    Rule("classCode", "of TRE_A03", lambda e: _in("1.2.250.1.213.1.1.4.1")(e.class_code)),
    Rule(
        "typeCode", "of LOINC or TRE_A05", lambda e: _in("2.16.840.1.113883.6.1", "1.2.250.1.213.1.1.4.12")(e.type_code)
    ),
    Rule(
        "classCode",
        "the class of the type (ASS_X16)",
        lambda e: (
            e.type_code is not None
            and e.class_code is not None
            and CLASS_OF_TYPE.get(e.type_code.value, e.class_code.value) == e.class_code.value
        ),
    ),
    Rule(
        "formatCode",
        "of JDV_J60, with its mimeType",
        lambda e: e.format_code is not None and MIME_TYPES.get(e.format_code.value) == e.mime_type,
    ),
    Rule(
        "healthcareFacilityTypeCode",
        "of TRE_R02",
        lambda e: _in("1.2.250.1.71.4.2.4", "1.2.250.1.213.1.1.4.6")(e.healthcare_facility_type_code),
    ),
    Rule(
        "practiceSettingCode",
        "of TRE_A01",
        lambda e: _in("1.2.250.1.213.1.1.4.9", "1.2.250.1.213.1.1.4.6")(e.practice_setting_code),
    ),
    Rule("confidentialityCode", "N, and at most the three masks", _confidential),
    Rule("referenceIdList", "of the types of JDV_J231", lambda e: {r.type_code for r in e.reference_ids} <= REFERENCES),
    Rule("sourcePatientId", "there", lambda e: bool(e.source_patient_id)),
)


def check(entry: DocumentEntry) -> None:
    """Raises RecordMetadataUnfit, naming the first attribute that is not as the record wants it."""
    for rule in RULES:
        if not rule.kept(entry):
            raise RecordMetadataUnfit(f"{rule.attribute} must be {rule.says}.", location=rule.attribute)
