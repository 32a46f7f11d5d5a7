"""Signed JSON Web Tokens (RFC 7515, 7519), as strictly as RFC 8725 says. What they permit is decided elsewhere."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError

from hub.access.tokens_errors import (
    TokenAlgorithm,
    TokenAudience,
    TokenClaims,
    TokenIssuer,
    TokenKey,
    TokenOutOfTime,
    TokenPast,
    TokenSignature,
    TokenUnreadable,
)
from hub.wire import nul
from hub.wire.jose.keys import ALGORITHMS, Keys, SigningKey

Claims = Mapping[str, Any]

MAX_TOKEN = 16 * 1024  #: characters
MAX_HEADER = 2 * 1024  #: characters, encoded
MAX_TEXT = 1024  #: characters of a name or an id among the claims
ACCESS_TOKEN = "at+jwt"  # noqa: S105  #: typ of RFC 9068
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
#: Header parameters by which a token would bring its own key: an address is never fetched, a key never believed.
_OWN_KEY = ("jku", "jwk", "x5u", "x5c")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a token must be. ``longest``: most seconds between its issue (or now) and its end."""

    issuer: str
    audiences: frozenset[str]
    algorithms: tuple[str, ...] = tuple(ALGORITHMS)
    types: frozenset[str] = frozenset({ACCESS_TOKEN, "application/at+jwt", "jwt", ""})  #: typ, in lower case
    leeway: int = 10
    longest: int | None = None


def looks_signed(token: str) -> bool:
    """Whether it has the form of a JWS, readable or not."""
    return token.count(".") == 2


def peek(token: str) -> Claims:
    """What a token says of itself, unverified: good for choosing whose keys to verify it with, and for nothing else."""
    return _parts(token)[1]


def read(token: str, keys: Keys, rules: Rules, at: datetime) -> Claims:
    """The claims of a token that is good at this instant. Raises a TokenRefused that says what is wrong."""
    header, claims = _parts(token)
    _verify(token, header, keys, rules)
    _check_time(claims, rules, at)
    if text(claims, "iss") != rules.issuer:
        raise TokenIssuer(location="iss")
    if not audiences(claims) & rules.audiences:
        raise TokenAudience(location="aud")
    return claims


def signed(token: str, keys: Keys, rules: Rules, *, size: int = MAX_TOKEN) -> Claims:
    """The claims of a token whose signature is good, whoever issued it, for whom and for how long: an OpenID provider's
    userinfo says none of this. ``size``: most characters. Raises a TokenRefused."""
    header, claims = _parts(token, size)
    _verify(token, header, keys, rules)
    return claims


def write(claims: Claims, key: SigningKey, typ: str = ACCESS_TOKEN) -> str:
    """A signed token."""
    header = {"alg": key.algorithm, "kid": key.kid, "typ": typ}
    return jws.serialize_compact(header, orjson.dumps(claims), key.key, algorithms=[key.algorithm])


def thumbprint(certificate: bytes) -> str:
    """``x5t#S256`` of a certificate's DER (RFC 8705 3.1)."""
    return base64.urlsafe_b64encode(sha256(certificate).digest()).rstrip(b"=").decode()


def text(claims: Claims, name: str) -> str:
    """A claim that must be there. Raises TokenClaims."""
    value = claims.get(name)
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        raise TokenClaims(f"The claim {name} is missing or not a text.", location=name)
    return value


def audiences(claims: Claims) -> frozenset[str]:
    """aud: one or several."""
    value = claims.get("aud")
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise TokenClaims("The claim aud is missing or not a text.", location="aud")
    return frozenset(found)


def _parts(token: str, size: int = MAX_TOKEN) -> tuple[Claims, Claims]:
    if len(token) > size:
        raise TokenUnreadable(f"The token is longer than {size} characters.")
    if not _COMPACT.fullmatch(token):
        raise TokenUnreadable("The token is not a signed JWT in compact form.")
    head, payload, _ = token.split(".")
    if len(head) > MAX_HEADER:
        raise TokenUnreadable("The token's header is too long.")
    return _object(head), _object(payload)


def _object(part: str) -> Claims:
    try:
        text = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        found = orjson.loads(text)
    except (binascii.Error, ValueError) as error:
        raise TokenUnreadable() from error
    if not isinstance(found, dict) or nul.in_json(text):
        raise TokenUnreadable()
    return found


def _verify(token: str, header: Claims, keys: Keys, rules: Rules) -> None:
    """Once a token, as long as the keys are the same ones: what time and revocation say is asked each time."""
    known = sha256(token.encode()).digest(), rules.algorithms, rules.types
    if not keys.has_verified(known):
        _reckon(token, header, keys, rules)
        keys.verified(known)


def _reckon(token: str, header: Claims, keys: Keys, rules: Rules) -> None:
    algorithm, kid = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str) or algorithm not in rules.algorithms or algorithm not in ALGORITHMS:
        raise TokenAlgorithm(location="alg")
    brought = next((name for name in _OWN_KEY if name in header), "")
    if brought:
        raise TokenKey(f"The token brings its own key ({brought}): keys are configured, never fetched.")
    if "crit" in header or "b64" in header:
        raise TokenUnreadable("The token's header demands what is not supported (crit).", location="crit")
    typ = header.get("typ", "")
    if not isinstance(typ, str) or typ.lower() not in rules.types:
        raise TokenUnreadable("The token is of another kind (typ).", location="typ")
    key = keys.find(kid, algorithm) if isinstance(kid, str) else None
    if key is None:
        raise TokenKey(location="kid")
    try:
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        jws.deserialize_compact(token, key, registry=registry)
    except (JoseError, ValueError) as error:
        raise TokenSignature() from error


def _check_time(claims: Claims, rules: Rules, at: datetime) -> None:
    leeway = timedelta(seconds=rules.leeway)
    end, begin, issued = instant(claims, "exp", at), instant(claims, "nbf", at), instant(claims, "iat", at)
    if end is None:
        raise TokenOutOfTime("The token has no end (exp).", location="exp")
    if end <= at - leeway:
        raise TokenPast(location="exp")
    if begin is not None and begin > at + leeway:
        raise TokenOutOfTime("The token is not good yet (nbf).", location="nbf")
    if issued is not None and issued > at + leeway:
        raise TokenOutOfTime("The token was issued in the future (iat).", location="iat")
    if rules.longest is not None and end - min(issued or at, at) > timedelta(seconds=rules.longest) + leeway:
        raise TokenOutOfTime(f"The token may be good for {rules.longest} seconds at most.", location="exp")


def instant(claims: Claims, name: str, at: datetime) -> datetime | None:
    """A NumericDate (RFC 7519 2), None when it is not there. Raises TokenClaims."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenClaims(f"The claim {name} is not a number of seconds.", location=name)
    try:
        return datetime.fromtimestamp(value, at.tzinfo)
    except (ValueError, OverflowError, OSError) as error:
        raise TokenClaims(f"The claim {name} is not a number of seconds.", location=name) from error
