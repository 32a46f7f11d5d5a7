"""What a request carries: one resource as JSON, bytes as base64."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

from hub.errors import Invalid, Malformed
from hub.wire import nul
from hub.wire.fhir.codes import text
from hub.wire.http import HttpRequest

_BATCHES = {("Bundle", "batch"), ("Bundle", "transaction")}


def resource_in(message: HttpRequest, *kinds: str) -> dict[str, Any]:
    """The resource that a request carries, of one of these kinds. Raises Malformed."""
    if "json" not in message.headers.get("content-type", "").partition(";")[0]:
        raise Malformed(
            f"The body, {_a(kinds[0])}, is sent as application/fhir+json or application/fhir+xml.",
            location="Content-Type",
        )
    if nul.in_json(message.body):
        raise Malformed("A text has a character that is not allowed.", location="body")
    try:
        found = orjson.loads(message.body)
    except orjson.JSONDecodeError as error:
        raise Malformed("The body is not JSON.", location="body") from error
    if not isinstance(found, dict) or found.get("resourceType") not in kinds:
        raise Malformed(f"The body is not {' or '.join(map(_a, kinds))}.", location="resourceType")
    return found


def check_unmodified(resource: Mapping[str, Any], kind: str) -> None:
    """What is not understood may change the meaning of the whole (FHIR R4: 2.4.2, 2.27.1). Raises Invalid."""
    if "modifierExtension" in resource or "implicitRules" in resource:
        raise Invalid("Modifier extensions and implicit rules are not allowed here.", location=kind)


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'AEIO' else 'a'} {kind}"


def is_batch_of(body: bytes, resource: str) -> bool:
    """Whether a body (JSON) is a batch or transaction of this kind of resource alone; what can't be read is not."""
    if f'"{resource}"'.encode() not in body:  # most are documents, too large to be read twice
        return False
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(found, dict) or (found.get("resourceType"), found.get("type")) not in _BATCHES:
        return False
    entries = found.get("entry")
    rows = entries if isinstance(entries, list) else []
    resources = [row.get("resource") if isinstance(row, dict) else None for row in rows]
    return bool(resources) and all(
        isinstance(item, dict) and item.get("resourceType") == resource for item in resources
    )


def bytes_of(found: Mapping[str, Any], where: str) -> bytes:
    """The bytes of an element ``data``. Raises Invalid."""
    try:
        return base64.b64decode("".join(text(found, "data").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("The data is not base64.", location=where) from error
