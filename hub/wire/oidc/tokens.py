"""What a provider signs or says: ID tokens, claims, logout tokens. Everything is checked; nothing is decided."""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub.access.sign_in_errors import (
    ClaimsUnusable,
    HashMismatch,
    LevelTooLow,
    LogoutRefused,
    NonceMismatch,
    ProviderUnavailable,
    SubjectMismatch,
)
from hub.access.tokens_errors import (
    TokenAudience,
    TokenIssuer,
    TokenKey,
    TokenOutOfTime,
    TokenRefused,
    TokenSignature,
)
from hub.wire import nul
from hub.wire.jose import jwt
from hub.wire.jose.jwt import Claims, Rules
from hub.wire.jose.keys import Keys

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
MAX_CLAIMS = 256 * 1024  #: characters of signed claims about a person: somebody may work in many places
_PLAIN = frozenset({"jwt", ""})
_LOGOUT = frozenset({"logout+jwt", "application/logout+jwt", "jwt", ""})


@dataclass(frozen=True, slots=True)
class Expected:
    """What every token of the provider must fit. ``leeway``: seconds that clocks may differ."""

    issuer: str
    client_id: str
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256")
    leeway: int = 30

    def rules(self, types: frozenset[str] = _PLAIN) -> Rules:
        """The same, for the reader of signed tokens."""
        return Rules(self.issuer, frozenset({self.client_id}), self.algorithms, types, self.leeway)


@dataclass(frozen=True, slots=True)
class Logout:
    """Whose session the provider ended: one of ``session`` and ``subject`` may be empty."""

    session: str
    subject: str
    jti: str
    until: datetime  #: it can't be used later


def id_token(  # noqa: PLR0917 (what it is checked against, in the order of OIDC Core 3.1.3.7)
    text: str,
    keys: Keys,
    expected: Expected,
    at: datetime,
    nonce: str = "",
    acr: Iterable[str] = (),
    access_token: str = "",
) -> Claims:
    """The claims of an ID token (OIDC Core 3.1.3.7). ``nonce`` "": none was sent (CIBA, refreshed tokens).

    Raises the TokenRefused or SignInRefused whose rule it breaks."""
    claims = _read(text, keys, expected, at, _PLAIN)
    if nonce and not _same(_text(claims, "nonce"), nonce):
        raise NonceMismatch()
    levels = tuple(acr)
    if levels and _text(claims, "acr") not in levels:
        raise LevelTooLow()
    if access_token and "at_hash" in claims and not _same(_text(claims, "at_hash"), _half(access_token)):
        raise HashMismatch()
    jwt.text(claims, "sub")
    return claims


def userinfo(
    content_type: str, body: bytes, keys: Keys, expected: Expected, subject: str, *, signed: bool = False
) -> Claims:
    """The claims of a userinfo answer (OIDC Core 5.3.2): JSON, or a signed JWT. ``signed``: nothing else will do.

    Raises ClaimsUnusable, ProviderUnavailable, TokenRefused."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/jwt":
        claims = signed_userinfo(body, keys, expected)
    elif signed:
        raise TokenSignature("The provider's claims are not signed.")
    elif kind == "application/json":
        if nul.in_json(body):
            raise ClaimsUnusable("A claim holds U+0000.")
        claims = json_object(body)
    else:
        raise ProviderUnavailable("The provider's claims are neither JSON nor a JWT.")
    if not _same(_text(claims, "sub"), subject):
        raise SubjectMismatch()
    return claims


def signed_userinfo(body: bytes, keys: Keys, expected: Expected) -> Claims:
    """The claims of a userinfo answer that is a signed JWT. Raises TokenRefused; TokenKey for a key that may be new."""
    claims = jwt.signed(body.decode("ascii", "replace").strip(), keys, expected.rules(), size=MAX_CLAIMS)
    if "iss" in claims and claims["iss"] != expected.issuer:
        raise TokenIssuer(location="iss")
    if "aud" in claims and expected.client_id not in jwt.audiences(claims):
        raise TokenAudience(location="aud")
    return claims


def logout_token(text: str, keys: Keys, expected: Expected, at: datetime) -> Logout:
    """What a logout token says (Back-Channel Logout 2.6). Raises LogoutRefused; TokenKey for a key that may be new."""
    try:
        claims = _read(text, keys, expected, at, _LOGOUT)
    except TokenKey:
        raise
    except TokenRefused as refused:
        raise LogoutRefused(refused.message) from refused
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise LogoutRefused("The token tells of no logout.")
    if "nonce" in claims:
        raise LogoutRefused("A logout token has no nonce.")
    until = jwt.instant(claims, "exp", at) or at
    found = Logout(_text(claims, "sid"), _text(claims, "sub"), _text(claims, "jti"), until)
    if not found.jti or not (found.session or found.subject):
        raise LogoutRefused("The token does not say whose session ended.")
    return found


def _read(text: str, keys: Keys, expected: Expected, at: datetime, types: frozenset[str]) -> Claims:
    claims = jwt.read(text, keys, expected.rules(types), at.astimezone(UTC))
    if jwt.instant(claims, "iat", at.astimezone(UTC)) is None:
        raise TokenOutOfTime("The token does not say when it was issued (iat).", location="iat")
    party = claims.get("azp")
    if (len(jwt.audiences(claims)) > 1 or party is not None) and party != expected.client_id:
        raise TokenAudience(location="azp")
    return claims


def json_object(body: bytes) -> Claims:
    """A JSON object; its names each once. Raises ProviderUnavailable."""
    try:
        found = json.loads(body, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as unreadable:
        raise ProviderUnavailable() from unreadable
    if not isinstance(found, dict) or nul.in_json(body):
        raise ProviderUnavailable()
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name, "")
    return value if isinstance(value, str) else ""


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _half(access_token: str) -> str:
    """Its at_hash (OIDC Core 3.1.3.6): the left half of SHA-256, which every accepted algorithm is named after."""
    digest = hashlib.sha256(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
