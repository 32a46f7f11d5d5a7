"""A PATCH of a DocumentReference's status and confidentiality -> the change that it asks for (PDSm 3.1: flux 03)."""

import re
from collections.abc import Mapping
from typing import Any

from hub.documents.errors import NotAmendable
from hub.documents.model import APPROVED, DEPRECATED
from hub.documents.sharing_model import AmendDocument, LabelChange, Published
from hub.errors import Invalid
from hub.values import Code
from hub.wire.fhir import search
from hub.wire.fhir.body import resource_in
from hub.wire.fhir.codes import code_of, scheme_of, text
from hub.wire.fhir.document_reference import document_reference
from hub.wire.fhir.document_search import identifiers_asked, uuid_urn
from hub.wire.fhir.errors import ElementNotAmendable, PatchFormatNotSupported
from hub.wire.fhir.french import ARCHIVED, DELETED
from hub.wire.fhir.people import listed
from hub.wire.http import HttpRequest, HttpResponse

_STATUSES = {"current": APPROVED, "superseded": DEPRECATED}
_FORMATS = ("application/fhir+json", "application/json")
_ROOT = r"(?:DocumentReference\.)?"
_LABEL = re.compile(
    _ROOT + r"securityLabel(?:\[(?P<place>\d{1,3})\])?"
    r"(?P<coding>\.coding(?:\[0\])?(?:\.where\(\s*system\s*=\s*'(?P<system>[^']*)'\s*\))?(?P<code>\.code)?)?"
)
_EXTENSION = re.compile(
    _ROOT + r"extension(?:\.where\(\s*url\s*=\s*'(?P<url>[^']*)'\s*\)|\('(?P<other>[^']*)'\))\.value(?:Boolean)?"
)
_ETAG = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')
_WHERE = "Parameters.parameter"


def patch_asked(message: HttpRequest) -> AmendDocument:
    """The change. Raises PatchFormatNotSupported, ElementNotAmendable, NotAmendable, Malformed, Invalid."""
    if message.headers.get("content-type", "").partition(";")[0].strip().lower() not in _FORMATS:
        raise PatchFormatNotSupported
    unique_ids, entry_ids = _about(message)
    status, labels = "", []
    for item in listed(resource_in(message, "Parameters"), "parameter"):
        if not isinstance(item, dict) or item.get("name") != "operation":
            raise Invalid("A FHIRPath Patch is made of operations.", location=_WHERE)
        parts = {part["name"]: part for part in listed(item, "part") if isinstance(part, dict) and text(part, "name")}
        found = _operation(parts)
        if isinstance(found, str):
            status = found
        elif found is not None:
            labels.append(found)
    return AmendDocument(unique_ids, entry_ids, status, tuple(labels), _version(message))


def answer_patch(outcome: Published | None, message: HttpRequest) -> HttpResponse:
    """The DocumentReference as it is now, with the ETag of its version."""
    if outcome is None:  # the same bytes came before
        return HttpResponse(200, b"", "")
    made = document_reference(outcome.entry, outcome.associations, message.base, outcome.custodian)
    where = f"{message.base}/DocumentReference/{made['id']}"
    return search.answer(made, 200, {"ETag": f'W/"{outcome.entry.version}"', "Content-Location": where})


def _about(message: HttpRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    wanted = message.path_parameters.get("id", "")
    if wanted:
        return (), (uuid_urn(wanted),)
    if [name for name, _ in message.query if name not in search.SHAPING] != ["identifier"]:
        raise Invalid("A PATCH names one DocumentReference, by its id or by identifier.", location="identifier")
    unique_ids, entry_ids = identifiers_asked("identifier", message.parameter("identifier"))
    if len(unique_ids) + len(entry_ids) != 1:
        raise Invalid("A PATCH names one DocumentReference.", location="identifier")
    return unique_ids, entry_ids


def _operation(parts: Mapping[str, Any]) -> str | LabelChange | None:
    kind, path = text(parts.get("type", {}), "valueCode"), text(parts.get("path", {}), "valueString")
    value = parts.get("value", {})
    if kind == "add" and path == "DocumentReference":
        return _added(text(parts.get("name", {}), "valueString"), value)
    if path in ("DocumentReference.status", "status") and kind == "replace":
        return _status(text(value, "valueCode") or text(value, "valueString"))
    extension, label = _EXTENSION.fullmatch(path), _LABEL.fullmatch(path)
    if extension is not None and kind == "replace":
        _check_flag(extension["url"] or extension["other"], value.get("valueBoolean"))
        return None
    if label is None or kind not in ("replace", "delete"):
        raise ElementNotAmendable(location=_WHERE)
    place = int(label["place"]) if label["place"] else None
    scheme = scheme_of(label["system"]) if label["system"] else ""
    if kind == "delete" and not label["coding"]:
        return LabelChange(None, place)
    if label["code"] and kind == "replace":
        return LabelChange(Code(_code(value), "", ""), place, scheme)
    if not label["coding"] and kind == "replace":
        return LabelChange(_concept(value), place)
    raise ElementNotAmendable(location=_WHERE)


def _added(name: str, value: Mapping[str, Any]) -> LabelChange | None:
    if name == "securityLabel":
        return LabelChange(_concept(value), added=True)
    if name != "extension":
        raise ElementNotAmendable(location=_WHERE)
    whole = value.get("valueExtension", {})
    inner = {text(part, "name"): part for part in listed(value, "part") if isinstance(part, dict)}
    url = text(whole, "url") or text(inner.get("url", {}), "valueUri")
    said = (
        whole.get("valueBoolean")
        if whole
        else next((part.get("valueBoolean") for name, part in inner.items() if name.startswith("value")), None)
    )
    _check_flag(url, said)
    return None


def _check_flag(url: str, value: Any) -> None:
    """What PDSm's flags may be set to here: this registry has no archive, and deletes by ITI-62."""
    if url not in (ARCHIVED, DELETED):
        raise ElementNotAmendable(location="DocumentReference.extension")
    if value is not False:
        what = "archive documents" if url == ARCHIVED else "delete documents logically"
        raise NotAmendable(f"This registry does not {what}.", location="DocumentReference.extension")


def _status(value: str) -> str:
    if value not in _STATUSES:
        raise NotAmendable("A status is current or superseded.", location="DocumentReference.status")
    return _STATUSES[value]


def _code(value: Mapping[str, Any]) -> str:
    found = text(value, "valueCode") or text(value, "valueString")
    if not found:
        raise NotAmendable("A code is expected.", location="DocumentReference.securityLabel")
    return found


def _concept(value: Mapping[str, Any]) -> Code:
    found = code_of(value.get("valueCodeableConcept", {}))
    if found is None:
        raise NotAmendable("A CodeableConcept with a code is expected.", location="DocumentReference.securityLabel")
    return found


def _version(message: HttpRequest) -> int:
    condition = message.headers.get("if-match", "")
    if not condition:
        return 0
    found = _ETAG.fullmatch(condition.strip())
    if found is None:
        raise Invalid('If-Match is the ETag of a version, W/"1".', location="If-Match")
    return int(found[1])
