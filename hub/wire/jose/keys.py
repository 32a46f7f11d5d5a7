"""Keys of signatures: read strictly, chosen by configuration, never by what a token says (RFC 7517, RFC 8725)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from hub.errors import Misconfigured

#: Key type of each algorithm that can be accepted at all: asymmetric ones only.
ALGORITHMS: Mapping[str, str] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "RS384": "RSA", "ES384": "EC"}
MIN_RSA_BITS = 2048
CURVES: Mapping[str, str] = {"P-256": "ES256", "P-384": "ES384"}
MOST_KEYS = 50
_MOST_VERIFIED = 20_000


class KeyUnusable(Misconfigured):
    """A configured key is not readable, too weak, or of a kind that is not accepted."""

    code = "jose-key"
    title = "The key can't be used: RSA of 2048 bits or more, or EC P-256 or P-384, as PEM or JWK."


@dataclass(frozen=True)
class SigningKey:
    """A private key with its name and its algorithm."""

    key: RSAKey | ECKey
    kid: str
    algorithm: str

    @property
    def public(self) -> dict[str, Any]:
        """The public JWK, as a JWKS endpoint shows it."""
        shown = {name: value for name, value in self.key.as_dict(private=False).items() if name in _PUBLIC}
        return {**shown, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


_PUBLIC = ("kty", "n", "e", "crv", "x", "y")


class Keys:
    """Public keys of one issuer."""

    def __init__(self, keys: Iterable[RSAKey | ECKey] = ()) -> None:
        self._keys = tuple(keys)
        self._verified: set[object] = set()

    def __bool__(self) -> bool:
        return bool(self._keys)

    def has_verified(self, what: object) -> bool:
        """Whether a signature that ``verified`` told of is known to be good."""
        return what in self._verified

    def verified(self, what: object) -> None:
        """One of these keys made this signature: it need not be reckoned again as long as the keys are these."""
        if len(self._verified) >= _MOST_VERIFIED:
            self._verified.clear()
        self._verified.add(what)

    def find(self, kid: str, algorithm: str) -> RSAKey | ECKey | None:
        """The one key that is meant; None when there is none, or when it is not clear which."""
        fit = [key for key in self._keys if _fits(key, algorithm)]
        if kid:
            fit = [key for key in fit if _kid(key) == kid]
        return fit[0] if len(fit) == 1 else None


def public_keys(content: bytes) -> Keys:
    """Public keys of a JWK set, a JWK or PEM (public keys, certificates' keys, private keys). Raises KeyUnusable."""
    if b"-----BEGIN" in content:
        return Keys([_of_pem(content)])
    found = _json(content)
    rows = found.get("keys", [found])
    if not isinstance(rows, list) or len(rows) > MOST_KEYS or not all(isinstance(row, dict) for row in rows):
        raise KeyUnusable("A JWK set holds a list of keys.")
    # A set may hold keys for other purposes, and of kinds that are not accepted here: those verify nothing.
    usable = [_of_jwk(row, private=False) for row in rows if row.get("use", "sig") == "sig" and _accepted(row)]
    if not usable:
        raise KeyUnusable()
    names = [_kid(key) for key in usable]
    if len(set(names)) != len(names):
        raise KeyUnusable("Two keys of the set have the same kid.")
    return Keys(usable)


def signing_key(content: bytes) -> SigningKey:
    """A private key, PEM or JWK. Without a kid of its own it is called by its thumbprint (RFC 7638)."""
    key = _of_pem(content) if b"-----BEGIN" in content else _of_jwk(_json(content), private=True)
    if not key.is_private:
        raise KeyUnusable("A private key is needed to sign.")
    algorithm = str(key.as_dict(private=False).get("alg") or _own(key))
    if not _made_for(key, algorithm):
        raise KeyUnusable(f"{algorithm} is not an algorithm for this key.")
    return SigningKey(key, _kid(key), algorithm)


def verifying(keys: Iterable[SigningKey]) -> Keys:
    """The public sides of the hub's own keys."""
    return Keys([_of_jwk(key.public, private=False) for key in keys])


def new_key(algorithm: str = "ES256") -> bytes:
    """A fresh private key, PEM."""
    made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if ALGORITHMS[algorithm] == "RSA":
        made = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    else:
        made = ec.generate_private_key(ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1())
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise KeyUnusable() from error
    if not isinstance(found, dict):
        raise KeyUnusable()
    return found


def _of_pem(content: bytes) -> RSAKey | ECKey:
    try:
        kind = _kind(content)
        return _checked(kind.import_key(content))
    except (JoseError, ValueError, TypeError) as error:
        raise KeyUnusable() from error


def _kind(content: bytes) -> type[RSAKey] | type[ECKey]:
    loaded: Any
    if b"PRIVATE KEY" in content:
        loaded = serialization.load_pem_private_key(content, None)
    else:
        loaded = serialization.load_pem_public_key(content)
    if isinstance(loaded, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return RSAKey
    if isinstance(loaded, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return ECKey
    raise KeyUnusable()


def _accepted(row: Mapping[str, Any]) -> bool:
    return row.get("kty") == "RSA" or (row.get("kty") == "EC" and row.get("crv") in CURVES)


def _of_jwk(row: dict[str, Any], *, private: bool) -> RSAKey | ECKey:
    kinds: dict[str, type[RSAKey] | type[ECKey]] = {"RSA": RSAKey, "EC": ECKey}
    kind = kinds.get(str(row.get("kty")))
    if kind is None:
        raise KeyUnusable()
    shown = row if private else {name: value for name, value in row.items() if name in (*_PUBLIC, "kid", "alg", "use")}
    try:
        return _checked(kind.import_key(shown))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise KeyUnusable() from error


def _checked(key: RSAKey | ECKey) -> RSAKey | ECKey:
    if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS:
        raise KeyUnusable(f"An RSA key has {MIN_RSA_BITS} bits or more.")
    if isinstance(key, ECKey) and key.curve_name not in CURVES:
        raise KeyUnusable(f"An EC key is on the curve {' or '.join(CURVES)}.")
    return key


def _kid(key: RSAKey | ECKey) -> str:
    return str(key.kid or key.thumbprint())


def _fits(key: RSAKey | ECKey, algorithm: str) -> bool:
    return _made_for(key, algorithm) and key.alg in (None, algorithm)


def _made_for(key: RSAKey | ECKey, algorithm: str) -> bool:
    if isinstance(key, ECKey):
        return CURVES.get(key.curve_name) == algorithm
    return ALGORITHMS.get(algorithm) == key.key_type


def _own(key: RSAKey | ECKey) -> str:
    """What a key signs with when it does not say."""
    return CURVES[key.curve_name] if isinstance(key, ECKey) else "RS256"
