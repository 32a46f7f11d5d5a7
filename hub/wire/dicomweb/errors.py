"""The HTTP status of every error of the hub (PS3.18: 8.5), with a JSON body, and the client's own errors."""

from collections.abc import Mapping
from typing import Any

import orjson

from hub.context import Context
from hub.errors import (
    AccessDenied,
    Ambiguous,
    Conflict,
    DeadlineExceeded,
    HubError,
    InternalError,
    Invalid,
    Malformed,
    MethodNotAllowed,
    Misconfigured,
    NotAuthenticated,
    NotFound,
    PeerRefused,
    TooLarge,
    Unavailable,
    Unsupported,
    lookup,
)
from hub.imaging.errors import ManifestGone, NotRendered, TransferSyntaxNotPossible
from hub.wire.http import HttpResponse
from hub.wire.oauth.errors import challenge


class NotAcceptable(Unsupported):
    """None of the media types that the caller accepts can be given."""

    code = "not-acceptable"
    title = "None of the acceptable media types can be given."


STATUS: Mapping[type[HubError], int] = {
    HubError: 500,
    InternalError: 500,
    Malformed: 400,
    TooLarge: 413,
    Unsupported: 501,
    MethodNotAllowed: 405,
    NotAcceptable: 406,
    TransferSyntaxNotPossible: 406,
    NotRendered: 406,
    NotAuthenticated: 401,
    AccessDenied: 403,
    NotFound: 404,
    ManifestGone: 410,
    Invalid: 400,
    Conflict: 409,
    Ambiguous: 409,
    Unavailable: 503,
    DeadlineExceeded: 504,
    Misconfigured: 502,
    PeerRefused: 502,
}


def refusal(error: HubError, message: Any, context: Context) -> HttpResponse:  # noqa: ARG001 - the pipeline's signature
    """The answer that says no; its body names the error's code and quotes the correlation id."""
    status = lookup(STATUS, error)
    body = {"code": error.code, "message": error.told, "correlation_id": context.correlation_id}
    if error.location:
        body["location"] = error.location
    needed = challenge(error, "dicom-web", context)
    headers = {"WWW-Authenticate": needed} if needed else {}
    if status == 503:
        headers["Retry-After"] = "30"
    return HttpResponse(status, orjson.dumps(body), "application/json", headers)
