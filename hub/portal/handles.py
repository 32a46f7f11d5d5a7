"""Opaque handles: what a portal URL says instead of a patient's number or a search's words.

A handle is deterministic authenticated encryption (AES-SIV, RFC 5297) under a key derived from the session's token, so
that it means nothing to anybody else, in any log or to another session, and nothing has to be kept on the server.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from hub.errors import NotFound

MAX_LENGTH = 4096


class Handles:
    """Seals and opens handles for one session."""

    def __init__(self, session_token: str) -> None:
        key = hashlib.sha512(b"maillage portal handles\0" + session_token.encode()).digest()
        self._siv = AESSIV(key)
        self._csrf = hmac.new(key, b"csrf", hashlib.sha256).hexdigest()

    @property
    def csrf(self) -> str:
        """The token that every form of this session carries."""
        return self._csrf

    def genuine(self, token: str) -> bool:
        """Whether a form carried this session's token."""
        return hmac.compare_digest(token.encode(), self._csrf.encode())

    def seal(self, kind: str, *values: str) -> str:
        """A handle for the values; the same ones always give the same handle within the session."""
        plain = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._siv.encrypt(plain, [kind.encode()])).rstrip(b"=").decode()

    def open(self, kind: str, handle: str) -> Sequence[str]:
        """The values. Raises NotFound for anything that this session did not seal for this kind of page."""
        if len(handle) > MAX_LENGTH:
            raise NotFound("This link belongs to another session.")
        try:
            sealed = base64.urlsafe_b64decode(handle.encode() + b"=" * (-len(handle) % 4))
            values = json.loads(self._siv.decrypt(sealed, [kind.encode()]))
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise NotFound("This link belongs to another session.") from error
        return [str(value) for value in values]
