"""An audit record as canonical text, and the hash that ties it to the one before. Pure functions."""

from dataclasses import asdict, fields
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from hub.access.model import Professional
from hub.audit.model import AuditOutcome, AuditRecord, Segment
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
#: Left out where empty: a record says the same, and has the same hash, as before these were known.
_OPTIONAL = (
    *("organisation", "reason", "node", "level", "called", "query", "query_form", "origin", "original"),
    *("roles", "person", "secret", "event_type", "control_id"),
)
_LISTS = ("roles",)
_OF_A_PROFESSIONAL = tuple(field.name for field in fields(Professional))


def dump(record: AuditRecord) -> str:
    """One line of JSON, always the same for the same record: keys sorted, no blanks."""
    row: dict[str, Any] = {name: getattr(record, name) for name in _PLAIN}
    row["at"] = record.at.isoformat()
    row["outcome"] = record.outcome.value
    row |= {name: value for name in _OPTIONAL if (value := getattr(record, name))}
    if record.professional is not None:
        found = ((name, getattr(record.professional, name)) for name in _OF_A_PROFESSIONAL)
        row["professional"] = {name: value for name, value in found if value}
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
    found: dict[str, Any] = {name: row[name] for name in _OPTIONAL if name in row}
    found |= {name: tuple(found[name]) for name in _LISTS if name in found}
    try:
        return AuditRecord(
            at=datetime.fromisoformat(row["at"]),
            outcome=AuditOutcome(row["outcome"]),
            objects=tuple(Touched(kind, reference) for kind, reference in row["objects"]),
            professional=_professional(row.get("professional")),
            **{name: row[name] for name in _PLAIN},
            **found,
        )
    except (KeyError, TypeError) as error:
        raise ValueError("not an audit record") from error


def _professional(found: dict[str, Any] | None) -> Professional | None:
    if found is None:
        return None
    said = dict.fromkeys(_OF_A_PROFESSIONAL, "") | found  # what was left out was empty, whatever the default is
    return Professional(**{**said, "specialities": tuple(found.get("specialities", ()))})


def seal(segment: Segment, before: str) -> str:
    """The seal of a removed segment: over the seal before it and what the segment says."""
    row = asdict(segment)
    del row["seal"]
    row |= {"removed_at": segment.removed_at.isoformat(), "until": segment.until.isoformat()}
    return link(before, _text(row))


def link(previous: str, body: str) -> str:
    """The hash of a record: over the hash before it and its own text."""
    return sha256(f"{previous}\n{body}".encode()).hexdigest()
