"""U+0000: no database text can hold it, XML can't say it, FHIR forbids it (R4: 2.24.0.1).

Refused at each door, so that both databases hold the same."""

import re
from collections.abc import Iterable

NUL = "\x00"
_HINT = b"\\u0000"
#: The escape itself: an even number of backslashes before it are backslashes of the text.
_ESCAPED = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def in_json(body: bytes | bytearray) -> bool:
    """Whether a text of a JSON document holds it; as a byte it would be no JSON."""
    return _HINT in body and _ESCAPED.search(body) is not None


def padding_removed(body: bytes | bytearray) -> bytes | bytearray:
    """The JSON without it: in DICOM it only fills up a value, and some archives leave it there."""
    return _ESCAPED.sub(lambda found: found[0][: -len(_HINT)], body) if _HINT in body else body


def in_texts(texts: Iterable[str]) -> bool:
    """Whether one of the texts holds it."""
    return any(NUL in text for text in texts)
