"""Accept headers of DICOMweb (PS3.18: 8.3.3, 8.7) and the encoding of DICOM JSON and multipart answers."""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from hub.wire.dicomweb.errors import NotAcceptable

JSON, XML, DICOM, OCTETS, MULTIPART = (
    "application/dicom+json",
    "application/dicom+xml",
    "application/dicom",
    "application/octet-stream",
    "multipart/related",
)
#: What may be transferred when an Accept header does not say: PS3.18: 8.7.3.5.2.
DEFAULT_TRANSFER_SYNTAX = "1.2.840.10008.1.2.1"
#: Runs of what is no quotation mark, and quoted texts (an open one to the end): linear, whatever comes.
_PIECES = re.compile(r'[^"]+|"[^"]*"?')


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of an Accept header."""

    media_type: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def quality(self) -> float:
        """``q``, 1.0 when absent or unreadable."""
        try:
            return float(self.parameters.get("q", "1"))
        except ValueError:
            return 1.0

    @property
    def transfer_syntax(self) -> str:
        """The transfer syntax asked for, "" when none is."""
        return self.parameters.get("transfer-syntax", "")

    def matches(self, media_type: str) -> bool:
        """Whether it takes the media type; for multipart, its root type."""
        wanted = self.media_type
        if wanted == MULTIPART:
            wanted = self.parameters.get("type", "*/*")
        return wanted in ("*/*", media_type) or wanted == media_type.split("/", maxsplit=1)[0] + "/*"


def parse_accept(text: str) -> tuple[MediaRange, ...]:
    """Media ranges by preference; quoted and unquoted parameters are read alike; an empty header takes all."""
    ranges = []
    for element in _split(text or "*/*", ","):
        head, *rest = _split(element, ";")
        parameters = {}
        for item in rest:
            name, _, value = item.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"')
        if head.strip():
            ranges.append(MediaRange(head.strip().lower(), parameters))
    return tuple(sorted((item for item in ranges if item.quality > 0), key=lambda item: -item.quality))


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand in no quoted text."""
    parts = [[""]]
    for piece in _PIECES.findall(text):
        if piece.startswith('"'):
            parts[-1].append(piece)
        else:
            first, *others = piece.split(separator)
            parts[-1].append(first)
            parts += [[other] for other in others]
    return ["".join(part) for part in parts]


def choose(accept: str, offered: Iterable[str]) -> tuple[str, MediaRange]:
    """The offered media type that the caller likes best, and the range that took it. Raises NotAcceptable."""
    offers = tuple(offered)
    for media_range in parse_accept(accept):
        for media_type in offers:
            if media_range.matches(media_type):
                return media_type, media_range
        if media_range.media_type == "application/json" and JSON in offers:
            return JSON, media_range
    raise NotAcceptable(offered=", ".join(offers))


def transfer_syntaxes(accept: str) -> tuple[str, ...]:
    """Acceptable transfer syntaxes of an instance retrieval, ``*`` for as stored (PS3.18: 8.7.3.5.2)."""
    wanted = [item.transfer_syntax for item in parse_accept(accept) if item.matches(DICOM)]
    if not wanted:
        raise NotAcceptable(offered=DICOM)
    return tuple(dict.fromkeys(item or DEFAULT_TRANSFER_SYNTAX for item in wanted))


def json_array(objects: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A JSON array, object by object as they come."""
    lead = b"["
    for item in objects:
        yield lead + orjson.dumps(item)
        lead = b","
    yield b"[]" if lead == b"[" else b"]"


def boundary() -> str:
    """A fresh multipart boundary."""
    return secrets.token_hex(16)


def multipart_type(boundary_text: str, media_type: str = DICOM) -> str:
    """The Content-Type of a multipart answer."""
    return f'{MULTIPART}; type="{media_type}"; boundary={boundary_text}'
