"""Errors as OAuth tells them: of the token endpoint (RFC 6749 5.2), and of a bearer token (RFC 6750 3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from hub.access.errors import BadCredentials
from hub.access.model import Scheme
from hub.access.tokens_errors import (
    ClientNotAllowed,
    ClientRefused,
    GrantRefused,
    GrantUnsupported,
    ScopeRefused,
    TargetUnknown,
    TokenInUrl,
    TokenRequestInvalid,
    TokenTypeUnsupported,
)
from hub.context import Context
from hub.errors import (
    AccessDenied,
    HubError,
    Invalid,
    Malformed,
    NotAuthenticated,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
    lookup,
)
from hub.wire.http import HttpResponse
from hub.wire.oauth.form import NO_STORE


@dataclass(frozen=True, slots=True)
class Row:
    """HTTP status and error code."""

    status: int
    error: str


ERRORS: Mapping[type[HubError], Row] = {
    HubError: Row(500, "server_error"),
    Malformed: Row(400, "invalid_request"),
    TooLarge: Row(413, "invalid_request"),
    Invalid: Row(400, "invalid_request"),
    Unsupported: Row(400, "invalid_request"),
    NotFound: Row(404, "invalid_request"),
    TokenRequestInvalid: Row(400, "invalid_request"),
    TokenInUrl: Row(400, "invalid_request"),
    NotAuthenticated: Row(401, "invalid_client"),
    ClientRefused: Row(401, "invalid_client"),
    AccessDenied: Row(403, "unauthorized_client"),
    ClientNotAllowed: Row(400, "unauthorized_client"),
    GrantRefused: Row(400, "invalid_grant"),
    GrantUnsupported: Row(400, "unsupported_grant_type"),
    ScopeRefused: Row(400, "invalid_scope"),
    TargetUnknown: Row(400, "invalid_target"),
    TokenTypeUnsupported: Row(400, "unsupported_token_type"),
    Unavailable: Row(503, "temporarily_unavailable"),
}


def refusal(error: HubError, message: Any, context: Context) -> HttpResponse:  # noqa: ARG001 - the pipeline's signature
    """The answer that says no."""
    row = lookup(ERRORS, error)
    body = {"error": row.error, "error_description": described(error), "correlation_id": context.correlation_id}
    headers = dict(NO_STORE)
    if row.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="oauth2"'
    elif row.status == 403 and (needed := challenge(error, "oauth2", context)):  # RFC 7662 2.3
        headers["WWW-Authenticate"] = needed
    if row.status == 503:
        headers["Retry-After"] = "5"
    return HttpResponse(row.status, orjson.dumps(body), "application/json", headers)


def challenge(error: HubError, realm: str, context: Context) -> str:
    """``WWW-Authenticate`` for a refusal at a resource (RFC 6750 3), "" where none belongs.

    Who showed nothing is told no more than that something is needed."""
    shown = f'Bearer realm="{realm}"'
    if isinstance(error, TokenInUrl):
        return f'{shown}, error="invalid_request", error_description="{described(error)}"'
    if isinstance(error, BadCredentials):
        return f'{shown}, error="invalid_token", error_description="{described(error)}"'
    if isinstance(error, NotAuthenticated):
        return shown
    if isinstance(error, AccessDenied) and context.principal.scheme in (Scheme.TOKEN, Scheme.PROVIDER):
        return f'{shown}, error="insufficient_scope", error_description="{described(error)}"'
    return ""


def described(error: HubError) -> str:
    """The message in the signs that a description may have (RFC 6749 5.2)."""
    return re.sub(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]", "'", error.message)
