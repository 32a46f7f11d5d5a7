"""Requests to the endpoints of OAuth: a form, each parameter once (RFC 6749 3.2), and its answers in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from hub.access.tokens_errors import TokenInUrl, TokenRequestInvalid
from hub.wire import nul
from hub.wire.http import HttpResponse

FORM = "application/x-www-form-urlencoded"
MAX_BODY = 128 * 1024  #: bytes of a request
MAX_FIELDS = 50
#: May stand there several times (RFC 8707 2, RFC 8693 2.1).
REPEATABLE = frozenset({"resource", "audience"})
#: What tells others that an answer is not theirs to keep (RFC 6749 5.1).
NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class FormRequest:
    """One request. ``base``: the hub's public URL. ``thumbprint``: x5t#S256 of the caller's certificate, or ""."""

    method: str
    path: str
    base: str = ""
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    thumbprint: str = ""

    @property
    def raw(self) -> bytes:
        """Never kept: it holds secrets."""
        return b""

    @property
    def control_id(self) -> str:
        """There is none."""
        return ""

    @property
    def event(self) -> str:
        """What is done."""
        return self.method


def fields(content_type: str, query: str, body: bytes, *, once: bool = True) -> Mapping[str, tuple[str, ...]]:
    """The form's fields. ``once``: each may stand there once, as OAuth has it. Raises TokenRequestInvalid, TokenInUrl:
    nothing is read from the URL."""
    if query:
        raise TokenInUrl("Parameters are sent in the body of the request, never in the URL.")
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise TokenRequestInvalid(f"The request is a form: {FORM}.", location="Content-Type")
    try:
        rows = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict", separator="&"
        )
    except ValueError as error:
        raise TokenRequestInvalid("The form is not readable.", location="body") from error
    if nul.in_texts(item for row in rows for item in row):
        raise TokenRequestInvalid("The form has a character that is not allowed.", location="body")
    found: dict[str, tuple[str, ...]] = {}
    for name, value in rows:
        if once and name in found and name not in REPEATABLE:
            raise TokenRequestInvalid("A parameter is given more than once.")
        if value:  # sent without a value: as if it were not there (RFC 6749 3.2)
            found[name] = (*found.get(name, ()), value)
    return found


def one(parameters: Mapping[str, tuple[str, ...]], name: str) -> str:
    """A parameter's value, "" when it is not there."""
    return next(iter(parameters.get(name, ())), "")


def answer(body: Mapping[str, Any], *, stored: bool = False) -> HttpResponse:
    """A JSON object. ``stored``: others may keep it for a while (metadata, keys)."""
    headers = {"Cache-Control": "max-age=300"} if stored else NO_STORE
    return HttpResponse(200, orjson.dumps(body), "application/json", headers)
