"""Writing ER7: always the standard delimiters, always escaped."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from hub.values import PatientIdentifier
from hub.wire.hl7v2.charset import UTF_8, answer_codec, label_of

_ESCAPES = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": "\\.br\\", "\n": "\\.br\\"}
)
CHARSET = 18  #: MSH-18


def escape(text: str) -> str:
    """Text as a component (HL7 v2.5: 2.7)."""
    return text.translate(_ESCAPES)


def components(*parts: str) -> str:
    """Escaped and joined by ``^``, without trailing delimiters."""
    return "^".join(map(escape, parts)).rstrip("^")


def cx(identifier: PatientIdentifier) -> str:
    """``value^^^namespace&oid&ISO^type`` (HL7 v2.5: 2.A.14)."""
    kind = f"^{escape(identifier.type_code)}" if identifier.type_code else ""
    return f"{escape(identifier.value)}^^^{authority(identifier.namespace, identifier.authority)}{kind}"


def authority(namespace: str, oid: str) -> str:
    """An HD as a component: ``namespace&oid&ISO``."""
    return f"{escape(namespace)}&{escape(oid)}&ISO" if oid else escape(namespace)


def dtm(moment: datetime) -> str:
    """``YYYYMMDDHHMMSS+ZZZZ`` of an aware datetime."""
    return moment.strftime("%Y%m%d%H%M%S%z")


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment from fields that are escaped already."""
    last = max((number for number, value in fields.items() if value), default=0)
    if name == "MSH":
        return "|".join(["MSH", *(fields.get(number, "") for number in range(2, last + 1))])
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def write(header: Mapping[int, str], segments: Iterable[str], codec: str = "utf-8") -> bytes:
    """A message's bytes; MSH-18 says the character set, which is UTF-8 where ``codec`` can't carry the text."""
    body = "\r".join(segments)
    chosen = answer_codec(codec)
    try:
        return _join({**header, CHARSET: label_of(chosen)}, body).encode(chosen)
    except UnicodeEncodeError:
        return _join({**header, CHARSET: UTF_8}, body).encode("utf-8")


def _join(header: Mapping[int, str], body: str) -> str:
    return "\r".join((segment("MSH", {2: "^~\\&", **header}), body, ""))
