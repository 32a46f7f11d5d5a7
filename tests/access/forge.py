"""Tokens put together by hand, with whatever header: what no honest library would sign."""

import base64
import hmac
import json
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forge(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """``key``: a private key, bytes for an HMAC, or None for no signature at all."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(_signature(signed.encode(), header, key))}"


def _signature(signed: bytes, header: dict[str, Any], key: Any) -> bytes:
    if isinstance(key, bytes):
        return hmac.new(key, signed, sha256).digest()
    if isinstance(key, rsa.RSAPrivateKey):
        if header.get("alg") == "PS256":
            return key.sign(signed, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return b""
