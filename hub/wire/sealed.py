"""Records that only the holder of a secret can read: authenticated encryption under a key derived from the secret."""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class NotSealedHere(ValueError):
    """Another secret, another purpose, or other bytes."""


def seal(secret: str, purpose: str, record: Mapping[str, Any]) -> str:
    """The record, for whoever has the secret (at least 128 random bits)."""
    nonce = secrets.token_bytes(_NONCE)
    plain = json.dumps(record, separators=(",", ":")).encode()
    return base64.b64encode(nonce + _key(secret, purpose).encrypt(nonce, plain, None)).decode()


def unseal(secret: str, purpose: str, text: str) -> dict[str, Any]:
    """The record again. Raises NotSealedHere."""
    try:
        data = base64.b64decode(text, validate=True)
        found: dict[str, Any] = json.loads(_key(secret, purpose).decrypt(data[:_NONCE], data[_NONCE:], None))
    except (binascii.Error, InvalidTag, ValueError) as error:
        raise NotSealedHere("not sealed with this secret") from error
    return found


def _key(secret: str, purpose: str) -> AESGCM:
    derived = HKDF(SHA256(), 32, salt=None, info=b"maillage " + purpose.encode())
    return AESGCM(derived.derive(secret.encode()))
