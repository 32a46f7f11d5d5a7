"""Tokens for systems: what is asked of the authorisation server, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.usecase import Command

JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105


@dataclass(frozen=True, slots=True)
class GetToken(Command):
    """ITI-71 (RFC 6749 4.4, RFC 8693 2.1). Outcome: IssuedToken.

    ``thumbprint``: x5t#S256 of the certificate that the caller showed, "" for none: the token is bound to it."""

    parameters: Mapping[str, tuple[str, ...]] = field(repr=False)
    thumbprint: str = ""


@dataclass(frozen=True, slots=True)
class IntrospectToken(Command):
    """ITI-102 (RFC 7662). Outcome: TokenFacts."""

    parameters: Mapping[str, tuple[str, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RevokeToken(Command):
    """RFC 7009. Outcome: None, whether there was such a token or not."""

    parameters: Mapping[str, tuple[str, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DescribeServer(Command):
    """ITI-103 (RFC 8414), or what SMART has of it. Outcome: the metadata, a mapping.

    ``smart``: as ``/.well-known/smart-configuration`` (SMART App Launch 2: 3)."""

    smart: bool = False


@dataclass(frozen=True, slots=True)
class ShowKeys(Command):
    """Outcome: the public keys, a JWK set."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token and what goes with it (RFC 6749 5.1, RFC 8693 2.2.1)."""

    access_token: str = field(repr=False)
    expires_in: int
    scope: str
    issued_token_type: str = ""
    token_type: str = "Bearer"  # noqa: S105


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What introspection says; empty claims: not active, for whatever reason."""

    claims: Mapping[str, Any] = field(default_factory=dict)
