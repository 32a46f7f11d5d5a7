"""Registry objects <-> the JSON text that their row keeps: only what differs from the default. Pure functions."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import Any, TypeVar

import orjson

from hub.documents.model import Association, Author, DocumentEntry, Folder, ReferenceId, SubmissionSet
from hub.values import Code, PatientIdentifier

T = TypeVar("T", DocumentEntry, SubmissionSet, Folder, Association)

#: What rows keep in columns of their own, because it changes or because it is asked for.
COLUMNS = frozenset({"id", "patient_id", "status", "logical_id", "version", "last_update_time"})


_known_code = lru_cache(maxsize=4096)(Code)  # the same few in every entry
_known_author = lru_cache(maxsize=4096)(Author)


def _put_code(code: Code) -> list[str]:
    return [code.value, code.scheme, code.display]


def _get_code(row: list[str]) -> Code:
    return _known_code(row[0], row[1], row[2])


def _put_author(author: Author) -> list[Any]:
    return [author.person, author.institutions, author.roles, author.specialties, author.telecommunications]


def _get_author(row: list[Any]) -> Author:
    return _known_author(row[0], *map(tuple, row[1:]))


def _put_reference(item: ReferenceId) -> list[str]:
    return [item.value, item.authority, item.type_code, item.cxi]


def _get_reference(row: list[str]) -> ReferenceId:
    return ReferenceId(row[0], row[1], row[2], row[3])


def _each(one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: tuple([one(value) for value in values])


def _same(value: Any) -> Any:
    return value


def _get_slots(slots: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in slots.items()}


_CODE = (_put_code, _get_code)
_CODES = (_each(_put_code), _each(_get_code))
_TEXTS = (_same, tuple)

#: field -> (to JSON, from JSON); a field that is not named here is its own JSON.
_CONVERT: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "class_code": _CODE,
    "type_code": _CODE,
    "format_code": _CODE,
    "healthcare_facility_type_code": _CODE,
    "practice_setting_code": _CODE,
    "content_type_code": _CODE,
    "documentation": _CODE,
    "confidentiality_codes": _CODES,
    "event_codes": _CODES,
    "codes": _CODES,
    "authors": (_each(_put_author), _each(_get_author)),
    "reference_ids": (_each(_put_reference), _each(_get_reference)),
    "legal_authenticators": _TEXTS,
    "source_patient_info": _TEXTS,
    "intended_recipients": _TEXTS,
    "extra": (_same, _get_slots),
}

_READ: Mapping[str, Callable[[Any], Any]] = {name: read for name, (_, read) in _CONVERT.items()}


def _default(item: Any) -> Any:
    return item.default_factory() if item.default_factory is not MISSING else item.default


_DEFAULTS: Mapping[type, Mapping[str, Any]] = {
    kind: {item.name: _default(item) for item in fields(kind) if item.name not in COLUMNS}
    for kind in (DocumentEntry, SubmissionSet, Folder, Association)
}


def dump(item: DocumentEntry | SubmissionSet | Folder | Association) -> str:
    """The object's metadata as JSON text, without what its columns hold."""
    row: dict[str, Any] = {}
    for name, default in _DEFAULTS[type(item)].items():
        value = getattr(item, name)
        if value != default:
            row[name] = _CONVERT[name][0](value) if name in _CONVERT else value
    return orjson.dumps(row).decode()


def load(kind: type[T], text: str, **columns: Any) -> T:
    """The object again, from its JSON text and its columns; what stands in both is the text's."""
    row: dict[str, Any] = orjson.loads(text)
    for name, value in row.items():
        convert = _READ.get(name)
        if convert is not None:
            row[name] = convert(value)
    columns.update(row)
    return kind(**columns)


def mime_type_of(text: str) -> str:
    """Of an entry, out of its JSON text: nothing else is made of it."""
    return str(orjson.loads(text).get("mime_type", ""))


def authors_of(text: str) -> tuple[Author, ...]:
    """Of an entry, out of its JSON text."""
    return tuple(_get_author(row) for row in orjson.loads(text).get("authors", ()))


def patient_key(identifier: PatientIdentifier) -> str:
    """How rows name a patient: the XDS form."""
    return identifier.cx


def patient_of(key: str) -> PatientIdentifier:
    """The identifier that a row names."""
    value, _, rest = key.partition("^^^&")
    return PatientIdentifier(value, rest.removesuffix("&ISO"))
