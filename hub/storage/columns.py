"""JSON columns: orjson, several times faster than the standard library; what it refuses goes the standard library's
way, so that every value that was ever stored is read as before."""

import json
from typing import Any

import orjson


def json_text(value: Any) -> str:
    """As stored."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # numbers beyond 64 bits, text that is no Unicode
        return json.dumps(value)


def json_value(text: str | bytes) -> Any:
    """As it was."""
    try:
        return orjson.loads(text)
    except ValueError:  # NaN, lone surrogates
        return json.loads(text)
