"""A CDA document's header -> the DocumentEntry that shares it (IHE PCC TF-2: 4.1, Medical Document Binding)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hub.documents.model import Author, DocumentEntry, ReferenceId
from hub.values import Code, PatientIdentifier
from hub.wire import cda
from hub.wire.xml import parse_xml

_NS = {"h": cda.NAMESPACE}
_IHE, _PDF = "1.3.6.1.4.1.19376.1.2.3", "urn:ihe:iti:xds-sd:pdf:2008"
_CONFIDENTIALITY = "2.16.840.1.113883.5.25"
#: templateId -> formatCode (IHE format codes).
FORMATS: Mapping[str, str] = {
    "1.3.6.1.4.1.19376.1.4.1.1.1": "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013",
    "1.3.6.1.4.1.19376.1.3.3": "urn:ihe:lab:xd-lab:2008",
    "1.3.6.1.4.1.19376.1.5.3.1.1.2": "urn:ihe:pcc:xds-ms:2007",
    "1.3.6.1.4.1.19376.1.5.3.1.1.5": "urn:ihe:pcc:xphr:2007",
}
_DTM = re.compile(r"(\d{4,14})(?:\.\d+)?([+-]\d{4})?")
_EVENT = "h:documentationOf/h:serviceEvent"
_PLACE = "h:componentOf/h:encompassingEncounter/h:location/h:healthCareFacility/h:code"
_SETTING = f"{_EVENT}/h:performer/h:assignedEntity/h:representedOrganization/h:standardIndustryClassCode"


def read_entry(content: bytes, entry_id: str) -> tuple[DocumentEntry, tuple[PatientIdentifier, ...]]:
    """What the header says, and the numbers of its patient; what it does not say stays empty.

    Raises CdaMalformed, CdaInvalid."""
    header = cda.read(content)
    root = parse_xml(content, max_bytes=cda.MAX_BYTES)
    if not header.patient_ids:
        raise cda.CdaInvalid("The patient has no id with a root.", location="recordTarget/patientRole/id")
    first = header.patient_ids[0]
    entry = DocumentEntry(
        id=entry_id,
        unique_id=header.document_id,
        patient_id=first,
        mime_type="text/xml",
        type_code=_code(header.type_code),
        format_code=_format(root),
        healthcare_facility_type_code=_code_at(root, _PLACE),
        practice_setting_code=_code_at(root, _SETTING),
        confidentiality_codes=_confidentiality(root),
        event_codes=tuple(code for act in header.acts if (code := _code(act)) is not None),
        authors=_authors(header, root),
        creation_time=utc(header.effective_time),
        service_start_time=utc(_value(root, f"{_EVENT}/h:effectiveTime/h:low")),
        service_stop_time=utc(_value(root, f"{_EVENT}/h:effectiveTime/h:high")),
        language_code=header.language,
        legal_authenticators=(header.legal_authenticator,) if header.legal_authenticator else (),
        source_patient_id=first.cx,
        source_patient_info=_patient(root),
        reference_ids=_references(header),
        title=header.title[:128],
    )
    return entry, header.patient_ids


def utc(text: str) -> str:
    """A CDA time as DTM in UTC; one without an offset, or that is no more than a day, as it stands."""
    match = _DTM.fullmatch(text)
    if match is None:
        return ""
    digits, offset = match[1], match[2]
    if not offset or len(digits) < 12:
        return digits
    try:
        moment = datetime.strptime(digits.ljust(14, "0") + offset, "%Y%m%d%H%M%S%z")
        return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")
    except (ValueError, OverflowError) as error:
        raise cda.CdaInvalid("The time does not exist.", location="effectiveTime") from error


def _format(root: Any) -> Code | None:
    if _first(root, "h:component/h:nonXMLBody/h:text[@mediaType='application/pdf']") is not None:
        return Code(_PDF, _IHE, "XDS-SD (PDF)")
    templates = {item.get("root") for item in root.findall("h:templateId", _NS)}
    return next((Code(name, _IHE, name) for template, name in FORMATS.items() if template in templates), None)


def _authors(header: cda.CdaHeader, root: Any) -> tuple[Author, ...]:
    if not (header.author or header.author_institution):
        return ()
    specialty = _code_at(root, "h:author/h:assignedAuthor/h:code")
    role = _first(root, "h:author/h:functionCode")
    return (
        Author(
            header.author,
            (header.author_institution,) if header.author_institution else (),
            (str(role.get("displayName")),) if role is not None and role.get("displayName") else (),
            (f"{specialty.value}^{specialty.display}^&{specialty.scheme}&ISO",) if specialty else (),
        ),
    )


def _confidentiality(root: Any) -> tuple[Code, ...]:
    found = _code_at(root, "h:confidentialityCode", _CONFIDENTIALITY)
    return (found,) if found else ()


def _patient(root: Any) -> tuple[str, ...]:
    """The rows of sourcePatientInfo."""
    patient = "h:recordTarget/h:patientRole/h:patient"
    names = []
    for name in root.xpath(f"{patient}/h:name", namespaces=_NS):
        parts = [_clean(name.findtext(f"h:{part}", "", _NS)) for part in ("family", "given")]
        names.append(f"PID-5|{'^'.join(parts)}" if any(parts) else "")
    birth = _DTM.fullmatch(_value(root, f"{patient}/h:birthTime"))
    gender = _first(root, f"{patient}/h:administrativeGenderCode")
    sex = {"M": "M", "F": "F", "UN": "O"}.get(gender.get("code", "") if gender is not None else "", "")
    rows = [*names, f"PID-7|{birth[1][:8]}" if birth else "", f"PID-8|{sex}" if sex else ""]
    return tuple(filter(None, rows))


def _references(header: cda.CdaHeader) -> tuple[ReferenceId, ...]:
    rows = (
        (header.accession_number, header.accession_issuer, "urn:ihe:iti:xds:2013:accession"),
        (header.placer_number, header.placer_issuer, "urn:ihe:iti:xds:2013:order"),
        (header.study_instance_uid, "", "urn:ihe:iti:xds:2016:studyInstanceUID"),
    )
    return tuple(ReferenceId(_clean(value), authority, kind) for value, authority, kind in rows if _clean(value))


def _code(act: cda.Act | None) -> Code | None:
    if act is None or not act.scheme:
        return None
    return Code(act.value, act.scheme, act.display or act.value)


def _code_at(root: Any, path: str, usual: str = "") -> Code | None:
    found = _first(root, path)
    value = found.get("code") if found is not None else None
    scheme = found.get("codeSystem", usual) if found is not None else ""
    return Code(value, scheme, found.get("displayName") or value) if value and scheme else None


def _value(root: Any, path: str) -> str:
    found = _first(root, path)
    return str(found.get("value", "")) if found is not None else ""


def _first(root: Any, path: str) -> Any:
    return next(iter(root.xpath(path, namespaces=_NS)), None)


def _clean(text: str | None) -> str:
    """Without the delimiters of HL7 v2."""
    return re.sub(r"[|^&~\\]", " ", " ".join((text or "").split())).strip()
