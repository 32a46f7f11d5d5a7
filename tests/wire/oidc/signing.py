"""A provider's key and what it signs with it, for tests: the product only reads."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

ISSUER = "https://provider.example/realms/wallet"
CLIENT = "maillage"
AT = 1_800_000_000.0


class Signer:
    """One key, RSA unless ``curve`` is given."""

    def __init__(self, kid: str = "k1", curve: str = "") -> None:
        made: Any = ECKey.generate_key(curve) if curve else RSAKey.generate_key(2048)
        self.kid, self.key = kid, made
        self.public: dict[str, Any] = {**made.as_dict(private=False), "kid": kid, "use": "sig"}

    def sign(self, claims: Mapping[str, Any] | str, algorithm: str = "RS256", **header: Any) -> str:
        body = claims if isinstance(claims, str) else json.dumps(claims)
        head = {"alg": algorithm, "kid": self.kid, **header}
        return jws.serialize_compact(head, body, self.key, algorithms=[algorithm])


def bare(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def claims(**more: Any) -> dict[str, Any]:
    base = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "f:1:899700000001",
        "iat": AT - 5,
        "exp": AT + 60,
        "nonce": "n",
        "acr": "eidas1",
    }
    return {name: value for name, value in (base | more).items() if value is not None}
