"""JSON that is handed on as it was: numbers keep the digits that they were written with (FHIR R4: 2.24.0.1)."""

import json
from typing import Any

from hub.errors import Malformed
from hub.wire import nul


class _Digits(str):
    """A number with a fraction or an exponent, as written."""

    __slots__ = ()


def loads(body: bytes) -> Any:
    """The document. Raises Malformed."""
    if nul.in_json(body):
        raise Malformed("A text has a character that is not allowed.", location="body")
    try:
        return json.loads(body, parse_float=_Digits, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise Malformed("The body is not JSON.", location="body") from error


def dumps(document: Any) -> bytes:
    """The document as UTF-8. Raises Malformed when it is nested too deeply."""
    try:
        return _written(document).encode()
    except (RecursionError, UnicodeEncodeError) as error:
        raise Malformed("The body is not JSON that can be kept.", location="body") from error


def _refused(name: str) -> Any:
    raise ValueError(name)


def _written(found: Any) -> str:
    if isinstance(found, _Digits):
        return str(found)
    if isinstance(found, dict):
        pairs = (f"{json.dumps(name, ensure_ascii=False)}:{_written(value)}" for name, value in found.items())
        return f"{{{','.join(pairs)}}}"
    if isinstance(found, list):
        return f"[{','.join(map(_written, found))}]"
    return json.dumps(found, ensure_ascii=False)
