"""A provider's documents and answers: discovery (OIDC Discovery 4), tokens (RFC 6749 5), CIBA (CIBA Core 7.3, 11)."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit

from hub.access.sign_in_errors import ProviderDeclined, ProviderUnavailable
from hub.access.tokens_errors import TokenIssuer
from hub.wire.jose.jwt import Claims
from hub.wire.jose.keys import Keys, KeyUnusable, public_keys
from hub.wire.oidc.tokens import json_object

MAX_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider does what; "" where it does not. The names are those of its metadata."""

    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    jwks_uri: str = ""
    end_session_endpoint: str = ""
    introspection_endpoint: str = ""
    backchannel_authentication_endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gave."""

    access_token: str = field(repr=False)
    id_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    seconds: float = 60.0  #: how long the access token is good


@dataclass(frozen=True, slots=True)
class PhoneRequest:
    """A request that waits on somebody's phone."""

    auth_req_id: str = field(repr=False)
    seconds: float  #: how long it waits
    interval: float  #: seconds between two questions


def discovered(body: bytes, issuer: str, given: Mapping[str, str]) -> Endpoints:
    """A discovery document's endpoints, with those that are ``given`` in their place.

    Raises TokenIssuer for another provider's document, ProviderUnavailable for what is no such document."""
    document = json_object(body)
    if document.get("issuer") != issuer:
        raise TokenIssuer("The discovery document is another provider's.")
    return Endpoints(**{name: given.get(name) or _address(document, name) for name in names()})


def names() -> tuple[str, ...]:
    """Of all endpoints."""
    return tuple(one.name for one in fields(Endpoints))


def keys(body: bytes) -> Keys:
    """The keys of a JWK Set (RFC 7517 5). Raises ProviderUnavailable."""
    json_object(body)
    try:
        return public_keys(body)
    except KeyUnusable as error:
        raise ProviderUnavailable("The provider's keys can't be used.") from error


def tokens(status: int, body: bytes) -> Tokens:
    """The token endpoint's answer. Raises ProviderDeclined with the provider's own code, ProviderUnavailable."""
    answer = _answer(status, body)
    access, kind = answer.get("access_token"), answer.get("token_type")
    if not isinstance(access, str) or not access or not isinstance(kind, str) or kind.lower() != "bearer":
        raise ProviderUnavailable("The provider's answer has no bearer token.")
    return Tokens(
        access, _text(answer, "id_token"), _text(answer, "refresh_token"), _seconds(answer, "expires_in", 60.0)
    )


def phone_request(status: int, body: bytes) -> PhoneRequest:
    """The backchannel authentication endpoint's answer. Raises as ``tokens``."""
    answer = _answer(status, body)
    if not _text(answer, "auth_req_id"):
        raise ProviderUnavailable("The provider's answer has no auth_req_id.")
    return PhoneRequest(
        _text(answer, "auth_req_id"), _seconds(answer, "expires_in", 120.0), max(_seconds(answer, "interval", 5.0), 1.0)
    )


def is_safe(url: str) -> bool:
    """Whether something secret may go there: https, or http on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme != "http":
        return False
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


def declined(code: object) -> ProviderDeclined:
    """The provider's error, by its code alone: descriptions may hold anything."""
    known = code if isinstance(code, str) and len(code) <= 60 and code.replace("_", "").isalnum() else "unknown"
    return ProviderDeclined(error=known)


def _answer(status: int, body: bytes) -> Claims:
    if status >= 500:
        raise ProviderUnavailable()
    answer = json_object(body)
    if status >= 300 or "error" in answer:
        raise declined(answer.get("error"))
    return answer


def _address(document: Claims, name: str) -> str:
    value = _text(document, name)
    if value and not is_safe(value):
        raise ProviderUnavailable("The discovery document has an address without TLS.", location=name)
    return value


def _text(answer: Claims, name: str) -> str:
    value = answer.get(name, "")
    return value if isinstance(value, str) else ""


def _seconds(answer: Claims, name: str, otherwise: float) -> float:
    value = answer.get(name, otherwise)
    try:
        return min(max(float(value), 0.0), MAX_SECONDS)
    except (TypeError, ValueError):
        return otherwise
