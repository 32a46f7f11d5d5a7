"""DocumentEntry <-> DocumentReference (MHD 4.2: IHE.MHD.Comprehensive.DocumentReference and its mapping to XDS)."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hub.documents.model import APPROVED, DEPRECATED, Association, AssociationType, DocumentEntry, ReferenceId
from hub.documents.sharing_model import Custodian
from hub.errors import Invalid
from hub.values import Code, PatientIdentifier
from hub.wire.fhir import mapping
from hub.wire.fhir.body import check_unmodified
from hub.wire.fhir.codes import (
    MHD,
    URI,
    code_of,
    coding,
    concept,
    filled,
    patient_identifier,
    patient_identifier_of,
    text,
    unique_id,
    unique_id_of,
)
from hub.wire.fhir.french import of_document
from hub.wire.fhir.manifest_reference import of_manifest
from hub.wire.fhir.mapping import Row
from hub.wire.fhir.people import (
    Box,
    first,
    get_author,
    listed,
    practitioner,
    put_author,
    source_patient,
    source_patient_id,
    source_patient_info,
    xcn,
)
from hub.wire.fhir.search import reference_id
from hub.wire.fhir.times import date_time, dtm_of, first_dtm, instant, last_dtm

STATUS: Mapping[str, str] = {APPROVED: "current", DEPRECATED: "superseded"}
#: AssociationType -> relatesTo.code (MHD: ConceptMap AssociationTypeVsRelatesTo).
RELATES: Mapping[str, str] = {
    AssociationType.REPLACE: "replaces",
    AssociationType.TRANSFORM_REPLACE: "replaces",
    AssociationType.TRANSFORM: "transforms",
    AssociationType.APPEND: "appends",
    AssociationType.SIGNS: "signs",
    AssociationType.IS_SNAPSHOT_OF: "transforms",
}
ASSOCIATIONS: Mapping[str, AssociationType] = {
    "replaces": AssociationType.REPLACE,
    "transforms": AssociationType.TRANSFORM,
    "appends": AssociationType.APPEND,
    "signs": AssociationType.SIGNS,
}
HOME = f"{MHD}/StructureDefinition/ihe-HomeCommunityId"
_PROFILE = f"{MHD}/StructureDefinition/IHE.MHD."
_LARGEST = 2**31 - 1  #: unsignedInt
#: Types of reference ids (ITI TF-3: Table 4.2.3.2.28-1), with what HL7 calls them where it does.
ENCOUNTER = "urn:ihe:iti:xds:2015:encounterId"
STUDY = "urn:ihe:iti:xds:2016:studyInstanceUID"
REFERENCE_TYPES: Mapping[str, str] = {
    "urn:ihe:iti:xds:2013:accession": "ACSN",
    "urn:ihe:iti:xds:2013:order": "PLAC",
    "urn:ihe:iti:xds:2013:referral": "",
    "urn:ihe:iti:xds:2013:uniqueId": "",
    "urn:ihe:iti:xds:2013:workflowInstanceId": "",
    ENCOUNTER: "VN",
    STUDY: "",
}
_V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"


def put_subject(identifier: PatientIdentifier, _box: Box) -> dict[str, Any]:
    """Reference to the regional Patient, with the number it stands for."""
    return {"reference": f"Patient/{identifier.value}", "identifier": patient_identifier(identifier)}


def get_subject(reference: Any, box: Box) -> PatientIdentifier:
    """The patient of a Reference: by its identifier, by the resource in the bundle, by the regional id."""
    found = patient_identifier_of(reference.get("identifier"))
    if found is not None:
        return found
    name = text(reference, "reference")
    if name.startswith(("#", "urn:")):
        numbers = [patient_identifier_of(item) for item in box.get(reference).get("identifier", ())]
        usable = [number for number in numbers if number is not None]
        if not usable:
            raise Invalid("The patient has no identifier with a system.", location="subject")
        return usable[0]
    return PatientIdentifier(reference_id(name, "Patient", "subject", box.base), "")


def _put_code(code: Code, _box: Box) -> dict[str, Any]:
    return concept(code)


def _put_codes(codes: Iterable[Code], _box: Box) -> list[dict[str, Any]]:
    return [concept(code) for code in codes]


def _get_code(found: Any, _box: Box) -> Code | None:
    return code_of(found)


def _get_codes(found: Any, _box: Box) -> tuple[Code, ...]:
    return tuple(code for item in found if (code := code_of(item)) is not None)


def _put_text(value: Any, _box: Box) -> Any:
    return value


def _get_text(value: Any, _box: Box) -> str:
    if not isinstance(value, str):
        raise Invalid("A text is expected.")
    return value


def _put_time(dtm: str, _box: Box) -> str:
    return date_time(dtm)


def _get_time(value: Any, _box: Box) -> str:
    return dtm_of(value, "dateTime")


def _get_unique_id(found: Any, _box: Box) -> str:
    return unique_id_of(text(found, "system"), text(found, "value"))


def _put_hash(value: str, _box: Box) -> str:
    return base64.b64encode(bytes.fromhex(value)).decode()


def _get_hash(value: Any, _box: Box) -> str:
    try:
        return base64.b64decode(value, validate=True).hex()
    except binascii.Error as error:
        raise Invalid("A hash is the SHA-1 in base64.") from error


def _get_size(value: Any, _box: Box) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Invalid("A size is a number of bytes.")
    return value


def _get_class(found: Any, _: Box) -> Any:
    if len(found) > 1:  # MHD: 0..1, as classCode
        raise Invalid("A DocumentReference has one category.")
    return code_of(found[0])


def _put_reference(item: ReferenceId) -> dict[str, Any]:
    known = REFERENCE_TYPES.get(item.type_code, "")
    codings = [{"system": _V2_0203, "code": known}] if known else []
    if item.type_code:
        codings.append({"system": URI, "code": item.type_code})
    kind = {"coding": codings} if codings else {}
    if item.type_code == STUDY:
        return {"identifier": {"type": kind, "system": "urn:dicom:uid", "value": f"urn:oid:{item.value}"}}
    system = f"urn:oid:{item.authority}" if item.authority else ""
    return {"identifier": filled({"type": kind, "system": system, "value": item.value})}


def _get_reference(found: Any) -> ReferenceId:
    identifier = found.get("identifier", {})
    codings = identifier.get("type", {}).get("coding", [])
    named = {name: kind for kind, name in REFERENCE_TYPES.items() if name}
    kinds = [named.get(text(item, "code"), text(item, "code")) for item in codings]
    kind = next((item for item in kinds if item in REFERENCE_TYPES), next(iter(kinds), ""))
    system, value = text(identifier, "system"), text(identifier, "value")
    if system == "urn:dicom:uid":
        return ReferenceId(value.removeprefix("urn:oid:"), "", STUDY)
    if not kind:
        kind = "urn:ihe:iti:xds:2013:uniqueId"
    return ReferenceId(value, system.removeprefix("urn:oid:") if system.startswith("urn:oid:") else "", kind)


#: The whole mapping (MHD 4.2, DocumentEntry-Mapping); relatesTo and sourcePatientInfo, which take several attributes
#: or objects, stand beside it.
ENTRY: tuple[Row, ...] = (
    Row("unique_id", "masterIdentifier", lambda value, _: unique_id(value), _get_unique_id),
    Row("id", "identifier", lambda value, _: [unique_id(entry_uuid(value), kind="entryUUID")]),
    Row("status", "status", lambda value, _: STATUS[value]),
    Row("type_code", "type", _put_code, _get_code),
    Row("class_code", "category", lambda code, _: [concept(code)], _get_class),
    Row("patient_id", "subject", put_subject, get_subject),
    Row("creation_time", "date", lambda value, _: instant(value)),
    Row(
        "authors",
        "author",
        lambda authors, box: [reference for item in authors for reference in put_author(item, box)],
        lambda found, box: tuple(get_author(item, box) for item in found),
    ),
    Row(
        "legal_authenticators",
        "authenticator",
        lambda values, box: box.put(practitioner(values[0])),
        lambda found, box: (xcn(box.get(found)),),
    ),
    Row("comments", "description", _put_text, _get_text),
    Row("confidentiality_codes", "securityLabel", _put_codes, _get_codes),
    Row("mime_type", "content.0.attachment.contentType", _put_text, _get_text),
    Row("language_code", "content.0.attachment.language", _put_text, _get_text),
    Row("size", "content.0.attachment.size", lambda value, _: value if value <= _LARGEST else None, _get_size),
    Row("hash", "content.0.attachment.hash", _put_hash, _get_hash),
    Row("title", "content.0.attachment.title", _put_text, _get_text),
    Row("creation_time", "content.0.attachment.creation", _put_time, _get_time),
    Row("format_code", "content.0.format", lambda code, _: coding(code), _get_code),
    Row("event_codes", "context.event", _put_codes, _get_codes),
    Row("service_start_time", "context.period.start", _put_time, _get_time),
    Row("service_stop_time", "context.period.end", _put_time, _get_time),
    Row("healthcare_facility_type_code", "context.facilityType", _put_code, _get_code),
    Row("practice_setting_code", "context.practiceSetting", _put_code, _get_code),
    Row(
        "reference_ids",
        "context.related",
        lambda items, _: [_put_reference(item) for item in items],
        lambda found, _: tuple(_get_reference(item) for item in found if "identifier" in item),
    ),
    Row("home", "extension", lambda value, _: [{"url": HOME, "valueOid": value}]),
)


def entry_uuid(item_id: str) -> str:
    """The entryUUID, also of what another community has (there a key of the community stands behind it)."""
    return item_id.partition(".")[0]


def bare(item_id: str) -> str:
    """The resource's id: the UUID of an entryUUID."""
    return item_id.removeprefix("urn:uuid:")


def document_reference(
    entry: DocumentEntry, associations: Iterable[Association], base: str, custodian: Custodian | None = None
) -> dict[str, Any]:
    """The resource. ``associations``: those that start at the entry; ``base``: the FHIR root; ``custodian``: as the
    French constraints want it."""
    box = Box()
    found = mapping.write(ENTRY, entry, box)
    patient = source_patient(entry.source_patient_id, entry.source_patient_info)
    if len(patient) > 1:
        found.setdefault("context", {})["sourcePatientInfo"] = box.put(patient)
    found["content"][0]["attachment"]["url"] = f"{base}/Binary/{bare(entry.id)}"
    _make_comparable(found.get("context", {}).get("period", {}), entry)
    relations = [
        {"code": RELATES[item.type], "target": {"reference": f"DocumentReference/{bare(item.target)}"}}
        for item in associations
        if item.source == entry.id and item.type in RELATES
    ]
    # What is made on demand has no creationTime yet, which comprehensive metadata must have.
    kind = "Comprehensive" if entry.creation_time and not entry.limited else "Minimal"
    made = filled(
        {
            "resourceType": "DocumentReference",
            "id": bare(entry.id),
            "meta": {"versionId": str(entry.version), "profile": [f"{_PROFILE}{kind}.DocumentReference"]},
            "contained": box.contained,
            "relatesTo": relations,
            **found,
        }
    )
    return of_document(of_manifest(entry, made), custodian)


def _make_comparable(period: dict[str, Any], entry: DocumentEntry) -> None:
    """A day and a moment of that day can't be compared (FHIR R4: per-1): the coarser end is told as its first or last
    second."""
    start, stop = entry.service_start_time, entry.service_stop_time
    if not start or not stop or len(start) == len(stop):
        return
    if stop.startswith(start):
        period["start"] = date_time(first_dtm(start))
    elif start.startswith(stop):
        period["end"] = date_time(last_dtm(stop))


def relations_of(resource: Mapping[str, Any], source: str, target_of: Callable[[Any], str]) -> list[Association]:
    """The associations that relatesTo means; ``target_of``: the id of the object that a Reference means.

    Raises Invalid."""
    found: list[Association] = []
    for number, relation in enumerate(listed(resource, "relatesTo"), 1):
        code = text(relation, "code") if isinstance(relation, dict) else ""
        if code not in ASSOCIATIONS:
            raise Invalid(
                "relatesTo is replaces, transforms, appends or signs.", location="DocumentReference.relatesTo.code"
            )
        target = target_of(relation.get("target"))
        found.append(Association(f"{source}-relation{number:02}", ASSOCIATIONS[code], source, target))
    return found


def _encounter(reference: Any, box: Box) -> ReferenceId | None:
    """A stay by its number (MHD: 2:3.65.4.1.3.1); None where the reference tells none."""
    if not isinstance(reference, dict):
        raise Invalid("A reference is expected.", location="DocumentReference.context.encounter")
    name = text(reference, "reference")
    identifier = reference.get("identifier")
    if identifier is None and name.startswith(("#", "urn:")):
        identifier = first(box.get(reference), "identifier")
    if not isinstance(identifier, dict) or not text(identifier, "system").startswith("urn:oid:"):
        return None
    found = patient_identifier_of(identifier)  # a number and its authority, whoever is numbered
    return ReferenceId(found.value, found.authority, ENCOUNTER) if found else None


def entry_of(resource: Mapping[str, Any], box: Box, item_id: str) -> DocumentEntry:
    """The entry that a submitted DocumentReference is about. Raises Invalid."""
    check_unmodified(resource, "DocumentReference")
    found = mapping.read(ENTRY, resource, box)
    if "patient_id" not in found:
        raise Invalid("A DocumentReference needs a subject.", location="DocumentReference.subject")
    context = resource.get("context")
    if isinstance(context, dict) and "sourcePatientInfo" in context:
        patient = box.get(context["sourcePatientInfo"])
        found["source_patient_id"] = source_patient_id(patient)
        found["source_patient_info"] = source_patient_info(patient)
    encounters = [number for item in listed(context, "encounter") if (number := _encounter(item, box))]
    if encounters:
        found["reference_ids"] = (*found.get("reference_ids", ()), *encounters)
    return DocumentEntry(**{"id": item_id, "unique_id": "", "mime_type": "", **found})
