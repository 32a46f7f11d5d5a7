"""Authorisation requests (OIDC Core 3.1.2.1, PKCE by RFC 7636) and logout requests (RP-Initiated Logout 1.0)."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one authorisation request must not have in common with any other: 256 random bits each."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def challenge(self) -> str:
        """The verifier's S256 challenge."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def authorisation(
    endpoint: str, mine: Secrets, *, client_id: str, redirect_uri: str, scope: str, acr_values: str, language: str = ""
) -> str:
    """Where the browser goes."""
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "acr_values": acr_values,
        "state": mine.state,
        "nonce": mine.nonce,
        "code_challenge": mine.challenge,
        "code_challenge_method": "S256",
        "ui_locales": language,
    }
    return extended(endpoint, parameters)


def logout(endpoint: str, *, id_token: str, client_id: str, back: str, state: str = "") -> str:
    """Where the browser goes to end the provider's session as well."""
    return extended(
        endpoint,
        {"id_token_hint": id_token, "client_id": client_id, "post_logout_redirect_uri": back, "state": state},
    )


def extended(url: str, parameters: Mapping[str, str]) -> str:
    """The URL with those parameters that are not empty."""
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"{url}{'&' if '?' in url else '?'}{query}"
