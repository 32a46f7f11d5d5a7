"""Other authorisation servers: asked whether a token of theirs is good (RFC 7662), and who somebody is."""

import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import orjson

from hub.access.tokens_errors import IssuerSilent, TokenSignature
from hub.app.keys.remote import RemoteKeys
from hub.app.keys.tls import client_context
from hub.app.settings.nodes import Tls
from hub.values import now
from hub.wire import nul
from hub.wire.jose.keys import Keys, KeyUnusable, public_keys
from hub.wire.oidc.tokens import Expected, signed_userinfo

log = logging.getLogger(__name__)
Claims = Mapping[str, Any]

#: Errors that say that the token is none of theirs (RFC 7009 2.2.1, RFC 6750 3.1).
NO_TOKEN = ("unsupported_token_type", "invalid_token")
MAX_ANSWER = 256 * 1024  #: bytes
KEPT = timedelta(seconds=30)  #: how long an answer may be used again
MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Signing:
    """How a server signs claims about people. ``keys``: URL of its JWK set; ``required``: unsigned ones won't do."""

    issuer: str
    keys: str = ""
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256")
    required: bool = False


class Peer:
    """One server. ``client_id``, ``secret``: as whom it is asked; without a secret the hub shows its certificate."""

    def __init__(
        self,
        tls: Tls,
        *,
        client_id: str,
        secret: str,
        ca: Path | None,
        timeout: float = 5.0,
        signing: Signing | None = None,
    ) -> None:
        self._tls = tls.model_copy(update={"ca": ca})
        self._client_id = client_id
        self._secret = secret
        self._timeout = timeout
        self._signing = signing
        self._keys = RemoteKeys(self._fetch_keys)
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def introspect(self, url: str, token: str) -> Claims:
        """What it says of a token: ``active`` is always there. Raises IssuerSilent."""
        form = {"token": token, "token_type_hint": "access_token"}
        if self._client_id and not self._secret:
            form["client_id"] = self._client_id
        found = self._call("POST", url, data=form, auth=(self._client_id, self._secret) if self._secret else None)
        return {**found, "active": found.get("active") is True}

    def userinfo(self, url: str, token: str, *, issued_to: str = "") -> Claims:
        """The claims about whom the token is of: JSON, or a JWT of the server for the client that the token was issued
        to (OIDC Core 5.3.2). Raises IssuerSilent; TokenRefused for one that is not to be believed."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, application/jwt"}
        status, kind, body = self._send("GET", url, headers=headers)
        signing, signed = self._signing, kind.partition(";")[0].strip().lower() == "application/jwt"
        if status == httpx.codes.OK and signed:
            if signing is None or not signing.keys:
                raise IssuerSilent("The issuer's claims are signed, and no keys of it are configured.")
            expected = Expected(signing.issuer, issued_to, signing.algorithms)
            return self._keys.use(lambda keys: signed_userinfo(body, keys, expected))
        if status == httpx.codes.OK and signing is not None and signing.required:
            raise TokenSignature("The issuer's claims are not signed.")
        return _object(status, body)

    def _fetch_keys(self) -> Keys:
        assert self._signing is not None
        status, _, body = self._send("GET", self._signing.keys)
        if status != httpx.codes.OK:
            raise IssuerSilent("The issuer's keys can't be had.")
        try:
            return public_keys(body)
        except KeyUnusable as error:
            raise IssuerSilent("The issuer's keys can't be used.") from error

    def _call(self, method: str, url: str, **options: Any) -> Claims:
        status, _, body = self._send(method, url, **options)
        return _object(status, body)

    def _send(self, method: str, url: str, **options: Any) -> tuple[int, str, bytes]:
        """Status, content type, body. Raises IssuerSilent."""
        try:
            with (
                httpx.Client(
                    verify=self._trust(), timeout=self._timeout, follow_redirects=False, trust_env=False
                ) as client,
                client.stream(method, url, **_accepting(options)) as response,
            ):
                return response.status_code, response.headers.get("content-type", ""), _limited(response)
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            log.warning("an authorisation server does not answer: %s", type(error).__name__)
            raise IssuerSilent() from error

    def _trust(self) -> ssl.SSLContext:
        with self._lock:
            self._context = self._context or client_context(self._tls)
            return self._context


def _object(status: int, body: bytes) -> Claims:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise IssuerSilent("The issuer of the token answers with something that is no JSON.") from error
    if not isinstance(found, dict) or nul.in_json(body):
        raise IssuerSilent("The issuer of the token answers with something that is no object.")
    if status == httpx.codes.BAD_REQUEST and found.get("error") in NO_TOKEN:
        return {"active": False}
    if status != httpx.codes.OK:
        log.warning("an authorisation server answers %d", status)
        raise IssuerSilent("The issuer of the token refuses to be asked.")
    return found


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
