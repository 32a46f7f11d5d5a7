"""Other authorisation servers: asked whether a token of theirs is good (RFC 7662), and who somebody is."""

import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import orjson

from hub.access.tokens_errors import IssuerSilent
from hub.app.keys.tls import client_context
from hub.app.settings.nodes import Tls
from hub.values import now

log = logging.getLogger(__name__)
Claims = Mapping[str, Any]

#: Errors that say that the token is none of theirs (RFC 7009 2.2.1, RFC 6750 3.1).
NO_TOKEN = ("unsupported_token_type", "invalid_token")
MAX_ANSWER = 256 * 1024  #: bytes
KEPT = timedelta(seconds=30)  #: how long an answer may be used again
MOST_KEPT = 10_000


class Peer:
    """One server. ``client_id``, ``secret``: as whom it is asked; without a secret the hub shows its certificate."""

    def __init__(self, tls: Tls, *, client_id: str, secret: str, ca: Path | None, timeout: float = 5.0) -> None:
        self._tls = tls.model_copy(update={"ca": ca})
        self._client_id = client_id
        self._secret = secret
        self._timeout = timeout
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def introspect(self, url: str, token: str) -> Claims:
        """What it says of a token: ``active`` is always there. Raises IssuerSilent."""
        form = {"token": token, "token_type_hint": "access_token"}
        if self._client_id and not self._secret:
            form["client_id"] = self._client_id
        found = self._call("POST", url, data=form, auth=(self._client_id, self._secret) if self._secret else None)
        return {**found, "active": found.get("active") is True}

    def userinfo(self, url: str, token: str) -> Claims:
        """The claims about whom the token is of. Raises IssuerSilent."""
        return self._call("GET", url, headers={"Authorization": f"Bearer {token}"})

    def _call(self, method: str, url: str, **options: Any) -> Claims:
        try:
            with (
                httpx.Client(
                    verify=self._trust(), timeout=self._timeout, follow_redirects=False, trust_env=False
                ) as client,
                client.stream(method, url, **_accepting(options)) as response,
            ):
                body = _limited(response)
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            log.warning("an authorisation server does not answer: %s", type(error).__name__)
            raise IssuerSilent() from error
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise IssuerSilent("The issuer of the token answers with something that is no JSON.") from error
        if not isinstance(found, dict):
            raise IssuerSilent("The issuer of the token answers with something that is no object.")
        if response.status_code == httpx.codes.BAD_REQUEST and found.get("error") in NO_TOKEN:
            return {"active": False}
        if response.status_code != httpx.codes.OK:
            log.warning("an authorisation server answers %d", response.status_code)
            raise IssuerSilent("The issuer of the token refuses to be asked.")
        return found

    def _trust(self) -> ssl.SSLContext:
        with self._lock:
            self._context = self._context or client_context(self._tls)
            return self._context


def _accepting(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "headers": {"Accept": "application/json", **options.get("headers", {})}}


def _limited(response: httpx.Response) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_ANSWER:
            raise IssuerSilent("The answer of the token's issuer is too large.")
    return bytes(body)


class Recent:
    """Answers about tokens for half a minute, never beyond the token's own end. Keyed by hash."""

    def __init__(self, ask: Callable[[str], Claims], clock: Callable[[], datetime] = now) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[datetime, Claims]] = {}

    def __call__(self, token: str) -> Claims:
        """What the server says, or said less than half a minute ago."""
        key, at = sha256(token.encode(errors="replace")).hexdigest(), self._clock()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept[0] > at:
            return kept[1]
        claims = self._ask(token)
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept = {name: row for name, row in self._kept.items() if row[0] > at}
            if len(self._kept) < MOST_KEPT:
                self._kept[key] = (_until(claims, at), claims)
        return claims


def _until(claims: Claims, at: datetime) -> datetime:
    end = claims.get("exp")
    if isinstance(end, int | float) and not isinstance(end, bool):
        try:
            return min(at + KEPT, datetime.fromtimestamp(end, UTC))
        except (ValueError, OverflowError, OSError):
            return at
    return at + KEPT
