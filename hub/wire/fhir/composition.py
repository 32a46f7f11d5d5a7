"""A FHIR document (a Bundle that starts with a Composition) -> the DocumentEntry that shares it (MHD 4.2: 2:3.106)."""

from collections.abc import Mapping
from typing import Any

from hub.documents.model import DocumentEntry
from hub.errors import Invalid
from hub.values import Code, PatientIdentifier
from hub.wire.fhir import mapping
from hub.wire.fhir.codes import code_of, patient_identifier_of, text, unique_id_of
from hub.wire.fhir.mapping import Row
from hub.wire.fhir.people import (
    Box,
    first,
    get_author,
    listed,
    source_patient_info,
    xcn,
)
from hub.wire.fhir.r4 import MEDIA_TYPE
from hub.wire.fhir.times import dtm_of

_CONFIDENTIALITY = "2.16.840.1.113883.5.25"
_SUFFICIENT = Code("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "mimeType Sufficient")


def _never(_value: Any, _box: Box) -> Any:
    """These elements are only read."""


def _legal(found: Any, box: Box) -> tuple[str, ...]:
    signed = [item for item in found if text(item, "mode") == "legal" and "party" in item]
    return (xcn(box.get(signed[0]["party"])),) if signed else ()


ROWS: tuple[Row, ...] = (
    Row("type_code", "type", _never, lambda found, _: code_of(found)),
    Row("class_code", "category.0", _never, lambda found, _: code_of(found)),
    Row("title", "title", _never, lambda found, _: str(found)[:128]),
    Row("creation_time", "date", _never, lambda found, _: dtm_of(found, "date")),
    Row(
        "confidentiality_codes",
        "confidentiality",
        _never,
        lambda found, _: (Code(str(found), _CONFIDENTIALITY, str(found)),),
    ),
    Row("authors", "author", _never, lambda found, box: tuple(get_author(item, box) for item in found)),
    Row("legal_authenticators", "attester", _never, _legal),
    Row("language_code", "language", _never, lambda found, _: str(found)),
    Row("service_start_time", "event.0.period.start", _never, lambda found, _: dtm_of(found, "start")),
    Row("service_stop_time", "event.0.period.end", _never, lambda found, _: dtm_of(found, "end")),
    Row(
        "event_codes",
        "event.0.code",
        _never,
        lambda found, _: tuple(code for item in found if (code := code_of(item)) is not None),
    ),
)


def read_entry(bundle: Mapping[str, Any], entry_id: str) -> tuple[DocumentEntry, tuple[PatientIdentifier, ...]]:
    """What the document says of itself, and the numbers of its patient; what it does not say stays empty.

    Raises Invalid; the location is the element."""
    entries = [item for item in listed(bundle, "entry") if isinstance(item, dict)]
    composition = first(bundle, "entry").get("resource")
    if bundle.get("type") != "document" or not isinstance(composition, dict):
        raise Invalid("A FHIR document is a Bundle of type document.", location="Bundle.type")
    if composition.get("resourceType") != "Composition":
        raise Invalid("A FHIR document starts with a Composition.", location="Bundle.entry")
    identifier = bundle.get("identifier")
    if not isinstance(identifier, dict) or not (text(identifier, "system") and text(identifier, "value")):
        raise Invalid("A FHIR document has an identifier with a system.", location="Bundle.identifier")
    box = Box(composition.get("contained"), lambda name: _resource(entries, name))
    found = {"language_code": text(bundle, "language"), **mapping.read(ROWS, composition, box)}
    patient = box.get(composition.get("subject"))
    numbers = tuple(_numbers(patient))
    if patient.get("resourceType") != "Patient" or not numbers:
        raise Invalid("The subject is a Patient with a number and its authority.", location="Composition.subject")
    entry = DocumentEntry(
        id=entry_id,
        unique_id=unique_id_of(text(identifier, "system"), text(identifier, "value")),
        patient_id=numbers[0],
        mime_type=MEDIA_TYPE,
        format_code=_SUFFICIENT,
        source_patient_id=numbers[0].cx,
        source_patient_info=source_patient_info(patient),
        **found,
    )
    return entry, numbers


def _numbers(patient: Mapping[str, Any]) -> list[PatientIdentifier]:
    """Identifiers whose system is an OID: no other is known to a region."""
    return [
        number
        for item in listed(patient, "identifier")
        if isinstance(item, dict) and text(item, "system").startswith("urn:oid:")
        if (number := patient_identifier_of(item)) is not None
    ]


def _resource(entries: list[dict[str, Any]], name: str) -> Any:
    """What a reference leads to within the document (FHIR R4: 2.36.4.1): a fullUrl, or ``Type/id`` at its end."""
    for item in entries:
        url = item.get("fullUrl")
        if name and isinstance(url, str) and (url == name or (":" not in name and url.endswith(f"/{name}"))):
            return item.get("resource")
    return None
