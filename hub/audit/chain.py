"""An audit record as canonical text, and the hash that ties it to the one before. Pure functions."""

from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from hub.audit.model import AuditOutcome, AuditRecord
from hub.context import Touched

#: What the first record follows.
GENESIS = "0" * 64
_PLAIN = (
    "id",
    "transaction",
    "event_code",
    "event_display",
    "action",
    "principal_id",
    "principal_name",
    "scheme",
    "purpose",
    "peer",
    "source",
    "correlation_id",
    "message_id",
    "error_code",
    "detail",
    "milliseconds",
)


def dump(record: AuditRecord) -> str:
    """One line of JSON, always the same for the same record: keys sorted, no blanks."""
    row: dict[str, Any] = {name: getattr(record, name) for name in _PLAIN}
    row["at"] = record.at.isoformat()
    row["outcome"] = record.outcome.value
    row["objects"] = [[item.kind, item.reference] for item in record.objects]
    try:
        return _text(row)
    except TypeError:  # a lone surrogate in what a caller sent: no UTF-8 has it
        return _text(_encodable(row))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return {key: _encodable(item) for key, item in value.items()} if isinstance(value, dict) else value


def _text(row: dict[str, Any]) -> str:
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode()


def load(text: str | bytes) -> AuditRecord:
    """The record again. Raises ValueError when it is none."""
    row: dict[str, Any] = orjson.loads(text)
    try:
        return AuditRecord(
            at=datetime.fromisoformat(row["at"]),
            outcome=AuditOutcome(row["outcome"]),
            objects=tuple(Touched(kind, reference) for kind, reference in row["objects"]),
            **{name: row[name] for name in _PLAIN},
        )
    except (KeyError, TypeError) as error:
        raise ValueError("not an audit record") from error


def link(previous: str, body: str) -> str:
    """The hash of a record: over the hash before it and its own text."""
    return sha256(f"{previous}\n{body}".encode()).hexdigest()
