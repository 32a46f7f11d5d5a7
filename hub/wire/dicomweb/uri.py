"""The parameters of DICOM's URI service (PS3.18: 9.1.2), each checked by a rule of its own."""

import re
from collections.abc import Callable, Mapping

from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hub.errors import Invalid, Unsupported
from hub.imaging.model import InstanceRequest, Rendering, RetrieveObject
from hub.values import is_uid
from hub.wire.dicomweb.errors import NotAcceptable
from hub.wire.dicomweb.media import DICOM, parse_accept
from hub.wire.http import HttpRequest

OFFERED = (DICOM, "image/jpeg", "image/png")
_DEFAULT_SYNTAX = str(ExplicitVRLittleEndian)
#: Neither of them may be asked for (PS3.18: 9.1.2.2.2).
_NOT_ALLOWED = (str(ImplicitVRLittleEndian), str(ExplicitVRBigEndian))
_NUMBER = re.compile(r"[0-9]{1,8}")
_DECIMAL = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,10})?([eE][-+]?[0-9]{1,2})?")


class UriParameter(Invalid):
    """A parameter of a WADO-URI request breaks a rule of PS3.18: 9.1.2; ``location`` is its name."""

    code = "wado-uri-parameter"
    title = "A parameter of the request is not valid."


class UriOption(Unsupported):
    """A WADO-URI request asks for what the hub does not do, and may not silently leave out (PS3.18: 9.1.2)."""

    code = "wado-uri-option"
    title = "The request asks for something that is not done here."


def _wrong(name: str, rule: str) -> UriParameter:
    return UriParameter(f"{name} {rule}.", location=name)


def _uid(name: str, text: str) -> str:
    if not is_uid(text):
        raise _wrong(name, "must be a DICOM UID")
    return text


def _wado(name: str, text: str) -> str:
    if text != "WADO":
        raise _wrong(name, "must be WADO")
    return text


def _count(name: str, text: str) -> str:
    if not _NUMBER.fullmatch(text) or int(text) < 1:
        raise _wrong(name, "must be a whole number from 1")
    return text


def _quality(name: str, text: str) -> str:
    if int(_count(name, text)) > 100:
        raise _wrong(name, "must be from 1 to 100")
    return text


def _decimal(name: str, text: str) -> str:
    if not _DECIMAL.fullmatch(text):
        raise _wrong(name, "must be a decimal number")
    return text


def _width(name: str, text: str) -> str:
    if float(_decimal(name, text)) < 1:
        raise _wrong(name, "must be at least 1")
    return text


def _region(name: str, text: str) -> str:
    parts = [float(_decimal(name, part)) for part in text.split(",")]
    if len(parts) != 4 or not (0 <= parts[0] < parts[2] <= 1 and 0 <= parts[1] < parts[3] <= 1):
        raise _wrong(name, "must be left,top,right,bottom as parts of 1")
    return text


def _syntax(name: str, text: str) -> str:
    if text == "*":  # not of the standard; archives and viewers use it for: as stored
        return text
    if _uid(name, text) in _NOT_ALLOWED:
        raise _wrong(name, "may be neither Implicit VR nor Big Endian")
    return text


def _charset(name: str, text: str) -> str:
    """Nothing that is offered is text, so no character set can be wrong; it must be readable as a list of names."""
    if not re.fullmatch(r"[A-Za-z0-9_.:,;=* -]{1,200}", text):
        raise _wrong(name, "must be a list of character sets")
    return text


def _not_done(name: str, _text: str) -> str:
    raise UriOption(f"{name} is not supported.", location=name)


#: Every parameter of the standard and its rule; others are ignored (PS3.18: 8.3.4).
RULES: Mapping[str, Callable[[str, str], str]] = {
    "requestType": _wado,
    "studyUID": _uid,
    "seriesUID": _uid,
    "objectUID": _uid,
    "contentType": lambda _name, text: text,
    "charset": _charset,
    "anonymize": _not_done,
    "transferSyntax": _syntax,
    "annotation": _not_done,
    "rows": _count,
    "columns": _count,
    "region": _region,
    "windowCenter": _decimal,
    "windowWidth": _width,
    "frameNumber": _count,
    "imageQuality": _quality,
    "presentationUID": _not_done,
    "presentationSeriesUID": _not_done,
}
_NEEDED = ("requestType", "studyUID", "seriesUID", "objectUID")
#: Only where an image is rendered (PS3.18: 9.1.2.3).
_RENDERING = ("rows", "columns", "region", "windowCenter", "windowWidth", "frameNumber", "imageQuality")


def read_uri(message: HttpRequest) -> RetrieveObject:
    """What a WADO-URI request asks for. Raises UriParameter, UriOption, NotAcceptable."""
    given = _given(message)
    types = _media_types(given.get("contentType", ""), message.headers.get("accept", ""))
    if types == (DICOM,):
        for name in _RENDERING:
            if name in given:
                raise _wrong(name, f"has no meaning with contentType={DICOM}")
    if types and DICOM not in types and "transferSyntax" in given:
        raise _wrong("transferSyntax", f"is for contentType={DICOM} only")
    return RetrieveObject(
        InstanceRequest(given["studyUID"], given["seriesUID"], given["objectUID"]),
        types,
        tuple(dict.fromkeys((given.get("transferSyntax", _DEFAULT_SYNTAX), _DEFAULT_SYNTAX))),
        _rendering(given),
    )


def _given(message: HttpRequest) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, text in message.query:
        rule = RULES.get(name)
        if rule is None:
            continue
        if name in given:
            raise _wrong(name, "may be given once")
        given[name] = rule(name, text.strip())
    for name in _NEEDED:
        if name not in given:
            raise _wrong(name, "is required")
    if ("windowCenter" in given) != ("windowWidth" in given):
        raise _wrong("windowWidth" if "windowCenter" in given else "windowCenter", "is required beside the other one")
    return given


def _media_types(wanted: str, accept: str) -> tuple[str, ...]:
    """By preference; empty where the request leaves the choice. Raises NotAcceptable."""
    listed = [item.media_type for item in parse_accept(wanted or accept)]
    if not wanted and (not accept or "*/*" in listed):
        return ()
    found = [
        offer
        for item in listed
        for offer in (OFFERED if item == "*/*" else OFFERED[1:] if item == "image/*" else (item,))
        if offer in OFFERED
    ]
    if not found:
        raise NotAcceptable(offered=", ".join(OFFERED))
    return tuple(dict.fromkeys(found))


def _rendering(given: Mapping[str, str]) -> Rendering:
    left, top, right, bottom = (float(part) for part in given.get("region", "0,0,1,1").split(","))
    return Rendering(
        frame=int(given.get("frameNumber", "0")),
        window=f"{given['windowCenter']},{given['windowWidth']}" if "windowWidth" in given else "",
        rows=int(given.get("rows", "0")),
        columns=int(given.get("columns", "0")),
        region=(left, top, right, bottom),
        quality=int(given.get("imageQuality", "0")),
    )
