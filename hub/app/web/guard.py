"""Around every request: a correlation id, security headers, one line in the log without what was asked."""

import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.app.running.logs import correlation_id
from hub.values import new_key

log = logging.getLogger(__name__)

CORRELATION = "x-correlation-id"
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CORRELATION = CORRELATION.encode()
_DEFAULTS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_SECURE = (*_DEFAULTS, (b"strict-transport-security", b"max-age=31536000"))


class Guard:
    """ASGI middleware. What an answer sets itself (the portal's own policy) is left alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identifier = _identifier(scope)
        token = correlation_id.set(identifier)
        started = time.monotonic()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [row for row in message.get("headers", ()) if row[0] != _CORRELATION]
                names = {name for name, _ in own}
                more = _SECURE if scope.get("scheme") == "https" else _DEFAULTS
                own += [row for row in more if row[0] not in names]
                message["headers"] = [*own, (_CORRELATION, identifier.encode("latin-1"))]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            _log(scope, status, int((time.monotonic() - started) * 1000))
            correlation_id.reset(token)


def _identifier(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _CORRELATION:
            text = value.decode("latin-1")
            if _ACCEPTED.fullmatch(text):
                return str(text)
    return new_key()


def _log(scope: Scope, status: int, milliseconds: int) -> None:
    pattern = _pattern(scope)
    extra = {"method": scope["method"], "route": pattern, "status": status, "milliseconds": milliseconds}
    log.info("%s %s: %d", scope["method"], pattern, status, extra=extra)


def _pattern(scope: Scope) -> str:
    """The route's pattern, never the path or the query: both may name a patient."""
    if "endpoint" not in scope:
        return "(no route)"
    names = {str(value): name for name, value in scope.get("path_params", {}).items()}
    path: str = scope["path"]
    if not names:
        return path
    for value, name in names.items():
        if "/" in value:
            path = path.replace(value, f"{{{name}}}")
    return "/".join(f"{{{names[part]}}}" if part in names and part else part for part in path.split("/"))
