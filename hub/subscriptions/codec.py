"""Notifications <-> the JSON that their row keeps. Pure functions."""

from typing import Any

from hub.documents.codec import dump, load, patient_key, patient_of
from hub.documents.model import DocumentEntry, Folder, SubmissionSet
from hub.subscriptions.model import Notification, Published

_KINDS: dict[str, type[DocumentEntry] | type[SubmissionSet] | type[Folder]] = {
    kind.__name__: kind for kind in (DocumentEntry, SubmissionSet, Folder)
}


def notification_body(item: Notification) -> dict[str, Any]:
    """JSON values."""
    return {
        "objects": [_put(one) for one in item.objects],
        "references": [list(pair) for pair in item.references],
        "producer": item.producer,
    }


def notification_of(body: dict[str, Any], **columns: str) -> Notification:
    """The notification again, from its JSON and its columns."""
    return Notification(
        objects=tuple(_get(row) for row in body["objects"]),
        references=tuple((row[0], row[1]) for row in body["references"]),
        producer=body["producer"],
        **columns,
    )


def _put(item: Published) -> dict[str, str | int]:
    row: dict[str, str | int] = {
        "kind": type(item).__name__,
        "id": item.id,
        "patient": patient_key(item.patient_id),
        "status": item.status,
        "logical_id": item.logical_id,
        "version": item.version,
        "body": dump(item),
    }
    return row | {"last_update_time": item.last_update_time} if isinstance(item, Folder) else row


def _get(row: dict[str, Any]) -> Published:
    columns = {**row, "patient_id": patient_of(row["patient"])}
    del columns["patient"]
    kind: Any = _KINDS[columns.pop("kind")]
    found: Published = load(kind, columns.pop("body"), **columns)
    return found
