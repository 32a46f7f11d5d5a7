"""Registry objects -> rows of the room's tables. Pure functions."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from hub.documents.codec import dump, patient_key
from hub.documents.formats import pad_dtm, reference_key
from hub.documents.model import Association, DocumentEntry, Folder, SubmissionSet
from hub.values import Code

SEPARATOR = "\x1f"
#: The columns whose values a question without a patient may start from.
TERMS = ("class_code", "facility_code", "event_codes", "reference_ids", "codes")


def _key(code: Code | None) -> str:
    return code.key if code else ""


def _common(item: DocumentEntry | SubmissionSet | Folder | Association) -> dict[str, Any]:
    return {
        "id": item.id,
        "logical_id": item.logical_id or item.id,
        "version": item.version,
        "status": item.status,
        "body": dump(item),
    }


def entry_row(entry: DocumentEntry, content: str, at: datetime) -> dict[str, Any]:
    """A DocumentEntry; ``content``: address of its bytes in the content store."""
    return {
        **_common(entry),
        "unique_id": entry.unique_id,
        "patient": patient_key(entry.patient_id),
        "object_type": entry.object_type,
        "class_code": _key(entry.class_code),
        "type_code": _key(entry.type_code),
        "format_code": _key(entry.format_code),
        "facility_code": _key(entry.healthcare_facility_type_code),
        "practice_code": _key(entry.practice_setting_code),
        "confidentiality_codes": packed(code.key for code in entry.confidentiality_codes),
        "event_codes": packed(code.key for code in entry.event_codes),
        "reference_ids": packed(reference_key(item.text) for item in entry.reference_ids),
        "creation_time": pad_dtm(entry.creation_time),
        "service_start_time": pad_dtm(entry.service_start_time),
        "service_stop_time": pad_dtm(entry.service_stop_time),
        "repository_unique_id": entry.repository_unique_id,
        "content": content,
        "registered_at": at,
    }


def set_row(item: SubmissionSet, message_id: str, at: datetime) -> dict[str, Any]:
    """A SubmissionSet."""
    return {
        **_common(item),
        "unique_id": item.unique_id,
        "source_id": item.source_id,
        "patient": patient_key(item.patient_id),
        "submission_time": pad_dtm(item.submission_time),
        "content_type_code": _key(item.content_type_code),
        "message_id": message_id,
        "registered_at": at,
    }


def folder_row(item: Folder) -> dict[str, Any]:
    """A Folder."""
    return {
        **_common(item),
        "unique_id": item.unique_id,
        "patient": patient_key(item.patient_id),
        "last_update_time": item.last_update_time,
        "codes": packed(code.key for code in item.codes),
    }


def association_row(item: Association) -> dict[str, Any]:
    """An Association."""
    return {**_common(item), "type": item.type, "source": item.source, "target": item.target}


def packed(values: Iterable[str]) -> str:
    """Several values in one column, so that a search needs no other table: each between separators."""
    return SEPARATOR + "".join(f"{value}{SEPARATOR}" for value in dict.fromkeys(values))


def terms(row: dict[str, Any]) -> list[dict[str, str]]:
    """The terms of an entry's or folder's row."""
    return [
        {"value": value, "attribute": name, "object": row["id"]}
        for name in TERMS
        for value in row.get(name, "").split(SEPARATOR)
        if value
    ]
