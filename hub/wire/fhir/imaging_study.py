"""IndexedStudy -> ImagingStudy (FHIR R4: 11.2; the mapping is that of PS3.20's FHIR annex and DICOM's own tags)."""

from collections.abc import Mapping
from typing import Any

from hub.imaging.model import IndexedStudy, Instance, Series, Study, StudyState
from hub.values import PatientIdentifier

DCM = "http://dicom.nema.org/resources/ontology/DCM"
_SNOMED = "http://snomed.info/sct"
_V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
SIDES = {"L": ("7771000", "Left"), "R": ("24028007", "Right"), "B": ("51440002", "Right and left")}
SCHEMES = {"DCM": DCM, "SCT": _SNOMED, "SRT": _SNOMED, "LN": "http://loinc.org", "CCAM": "urn:oid:1.2.250.1.213.2.5"}
_STATUS: Mapping[StudyState, str] = {
    StudyState.ORDERED: "registered",
    StudyState.INDEXED: "available",
    StudyState.HELD: "available",
    StudyState.PUBLISHED: "available",
    StudyState.WITHDRAWN: "cancelled",
}


def status_of(item: IndexedStudy) -> str:
    """ImagingStudy.status."""
    return _STATUS[item.state]


def imaging_study(item: IndexedStudy, dicomweb: str) -> dict[str, Any]:
    """The resource; its id is the StudyInstanceUID. ``dicomweb``: the hub's DICOMweb root."""
    study = item.study
    sources = (study.source, *item.also_at)
    found: dict[str, Any] = {
        "resourceType": "ImagingStudy",
        "id": str(study.study_instance_uid),
        "contained": [_endpoint(number, name, dicomweb) for number, name in enumerate(sources, 1)],
        "identifier": _identifiers(study),
        "status": status_of(item),
        "modality": [{"system": DCM, "code": code} for code in study.modalities if code],
        "subject": _subject(item),
        "started": started(study.started, study.timezone),
        "basedOn": [_order(item.order_number)] if item.order_number else [],
        "referrer": {"display": study.referring_physician.replace("^", " ")} if study.referring_physician else {},
        "endpoint": [{"reference": f"#endpoint-{number}"} for number in range(1, len(sources) + 1)],
        "numberOfSeries": len(study.series) or study.series_count,
        "numberOfInstances": sum(1 for _ in study.instances) or study.instance_count,
        "procedureCode": [_procedure(code) for code in study.procedure_codes if code[0]],
        "description": study.description,
        "series": [_series(series, study) for series in study.series],
    }
    if item.updated_at is not None:
        found["meta"] = {"lastUpdated": item.updated_at.isoformat(timespec="seconds")}
    return _filled(found)


def started(text: str, zone: str) -> str:
    """A FHIR dateTime; a time of an unknown zone is left out, since FHIR allows none without."""
    if len(text) < 8:
        return ""
    day = f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    if len(text) < 14 or len(zone) != 5:
        return day
    return f"{day}T{text[8:10]}:{text[10:12]}:{text[12:14]}{zone[:3]}:{zone[3:]}"


def _identifiers(study: Study) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"system": "urn:dicom:uid", "value": f"urn:oid:{study.study_instance_uid}"}]
    if study.accession_number:
        accession: dict[str, Any] = {
            "type": {"coding": [{"system": _V2_0203, "code": "ACSN"}]},
            "value": study.accession_number,
        }
        if study.accession_issuer:
            accession["system"] = f"urn:oid:{study.accession_issuer}"
        found.append(accession)
    return found


def _subject(item: IndexedStudy) -> dict[str, Any]:
    if item.person is not None:
        return {"reference": f"Patient/{item.person.value}", "identifier": logical(item.person)}
    study = item.study
    if not study.patient_id:
        return {"display": "unknown"}
    return {"identifier": logical(PatientIdentifier(study.patient_id, study.issuer))}


def logical(identifier: PatientIdentifier) -> dict[str, Any]:
    """An Identifier of a patient's number."""
    return _filled(
        {"system": f"urn:oid:{identifier.authority}" if identifier.authority else "", "value": identifier.value}
    )


def _order(number: str) -> dict[str, Any]:
    kind = {"coding": [{"system": _V2_0203, "code": "PLAC"}]}
    return {"type": "ServiceRequest", "identifier": {"type": kind, "value": number}}


def _endpoint(number: int, source: str, dicomweb: str) -> dict[str, Any]:
    return {
        "resourceType": "Endpoint",
        "id": f"endpoint-{number}",
        "status": "active",
        "connectionType": {"system": _CONNECTION, "code": "dicom-wado-rs"},
        "name": source,
        "payloadType": [{"text": "DICOM"}],
        "payloadMimeType": ["application/dicom"],
        "address": dicomweb,
    }


def _procedure(code: tuple[str, str, str]) -> dict[str, Any]:
    value, scheme, meaning = code
    coding = {"system": SCHEMES.get(scheme, ""), "code": value, "display": meaning}
    return _filled({"coding": [_filled(coding)], "text": meaning})


def _series(series: Series, study: Study) -> dict[str, Any]:
    side = SIDES.get(series.laterality)
    return _filled(
        {
            "uid": str(series.series_instance_uid),
            "number": series.number if series.number is not None and series.number >= 0 else None,
            "modality": {"system": DCM, "code": series.modality or "OT"},
            "description": series.description,
            "numberOfInstances": len(series.instances) or series.instance_count,
            "bodySite": {"display": series.body_part} if series.body_part else {},
            "laterality": {"system": _SNOMED, "code": side[0], "display": side[1]} if side else {},
            "started": started(series.started, study.timezone),
            "performer": [{"actor": {"display": series.performer.replace("^", " ")}}] if series.performer else [],
            "instance": [_instance(one) for one in series.instances],
        }
    )


def _instance(instance: Instance) -> dict[str, Any]:
    return _filled(
        {
            "uid": str(instance.sop_instance_uid),
            "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{instance.sop_class_uid}"},
            "number": instance.number if instance.number is not None and instance.number >= 0 else None,
            "title": instance.title,
        }
    )


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: FHIR allows no empty value."""
    return {name: value for name, value in values.items() if value not in ("", None, [], {})}
