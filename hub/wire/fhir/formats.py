"""JSON or XML: what a caller sends and wants (FHIR R4: 3.1.0.1.8). Everything behind this knows JSON only."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from hub.wire.fhir.r4 import MEDIA_TYPE, XML_NAMES, XML_TYPE
from hub.wire.fhir.xml import from_xml, to_xml
from hub.wire.http import HttpRequest, HttpResponse

_QUALITY = re.compile(r"\s*q\s*=\s*([01](?:\.[0-9]{1,3})?)\s*")


def wants_xml(accept: str, wanted: str) -> bool:
    """Whether the answer is to be XML. ``wanted``: _format, which beats the header; who takes both gets JSON."""
    if wanted:
        return wanted.partition(";")[0].strip().replace(" ", "+") in XML_NAMES
    ranges = _ranges(accept)
    xml = max((ranges.get(name, 0.0) for name in XML_NAMES), default=0.0)
    others = (value for name, value in ranges.items() if "json" in name or name in ("*/*", "application/*"))
    other = max(others, default=0.0)
    return xml > other or (ranges.get(XML_TYPE, 0.0) == xml > 0 and xml >= other and "json" not in accept)


def _ranges(accept: str) -> dict[str, float]:
    found = {}
    for item in accept.lower().split(","):
        name, *parameters = item.split(";")
        given = next((match for part in parameters if (match := _QUALITY.fullmatch(part))), None)
        found[name.strip()] = float(given[1]) if given else 1.0
    return found


def as_json(message: HttpRequest, *, xml_wanted: bool) -> HttpRequest:
    """The request as one that sends JSON and wants JSON. Raises Malformed when its XML is no resource."""
    headers = dict(message.headers)
    if xml_wanted:
        headers["accept"] = MEDIA_TYPE  # _format stays: the links of a page say it again
        message = replace(message, headers=headers)
    if message.body and headers.get("content-type", "").partition(";")[0].strip().lower() in XML_NAMES:
        headers["content-type"] = MEDIA_TYPE
        message = replace(message, headers=headers, body=orjson.dumps(from_xml(message.body)))
    return message


def as_xml(answer: HttpResponse) -> HttpResponse:
    """The answer as XML, where it is a resource."""
    if answer.media_type != MEDIA_TYPE or not answer.body:
        return answer
    resource: Mapping[str, Any] = orjson.loads(b"".join(answer.chunks()))
    return replace(answer, body=to_xml(resource), media_type=XML_TYPE)
