"""The question in a request, as an audit message repeats it (ITI TF-2: 3.9.5, 3.18.5, 3.45.5, 3.47.5; RAD TF-2)."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from hub.wire.dimse.messages import DimseRequest
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.http import HttpRequest
from hub.wire.soap.message import SoapMessage
from hub.wire.xml import serialise

Question = tuple[bytes, str]  #: the bytes, and the form that they have
_V3 = "urn:hl7-org:v3"
_PARAMETERS = f".//{{{_V3}}}queryByParameter"
_CONTINUATION = f".//{{{_V3}}}queryContinuation"


def question(wire: str, message: Any) -> Question:
    """What was asked, in the form of the wire; nothing where a message is not of that wire."""
    kind, function = _FORMS.get(wire, (object, None))
    return function(message) if function is not None and isinstance(message, kind) else (b"", "")


def _soap(message: SoapMessage) -> Question:
    body = message.body
    if body.tag.startswith(f"{{{_V3}}}"):
        part = body.find(_PARAMETERS)
        part = part if part is not None else body.find(_CONTINUATION)
        return serialise(body if part is None else part), "hl7v3"
    return serialise(body), "ebxml"


def _hl7v2(message: Hl7Message) -> Question:
    """The QPD segment, or the QRD of older queries."""
    segment = message.first("QPD") or message.first("QRD")
    return (segment.text.encode(), "hl7v2") if segment is not None else (b"", "")


def _http(message: HttpRequest) -> Question:
    """Path and query string; the form of a search that was posted."""
    asked = urlencode(message.query)
    return (f"{message.path}?{asked}" if asked else message.path).encode(), "http"


def _dimse(message: DimseRequest) -> Question:
    return message.raw, "dicom"


_FORMS: Mapping[str, tuple[type[Any], Callable[[Any], Question]]] = {
    "soap": (SoapMessage, _soap),
    "hl7v2": (Hl7Message, _hl7v2),
    "fhir": (HttpRequest, _http),
    "dicomweb": (HttpRequest, _http),
    "dimse": (DimseRequest, _dimse),
}
