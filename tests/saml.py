"""Issuers of assertions for tests: throw-away keys, and signxml as a signer and a reader of its own."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_PARTS = {"C": NameOID.COUNTRY_NAME, "ST": NameOID.STATE_OR_PROVINCE_NAME, "O": NameOID.ORGANIZATION_NAME}
_PARTS |= {"OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "CN": NameOID.COMMON_NAME}


@lru_cache(maxsize=32)
def private_key(kind: str, number: int = 0) -> PrivateKey:
    """One key of a kind (rsa, ecdsa) for the whole run."""
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class KeyPair:
    """A key and its certificate."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        """PKCS#8."""
        none = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def written(self, directory: Path, name: str) -> Path:
        """The certificate in a file."""
        path = directory / f"{name}.crt"
        path.write_bytes(self.pem)
        (directory / f"{name}.key").write_bytes(self.key_pem)
        return path


def pair(
    *,
    subject: str = "C=FR,ST=Rhône (69),O=CH TEST,OU=1690000001,CN=cachet",
    kind: str = "rsa",
    number: int = 0,
    by: KeyPair | None = None,
    ca: bool = False,
    days: int = 30,
    started: timedelta = timedelta(days=1),
) -> KeyPair:
    """A key pair, signed by itself or by another. ``subject``: least specific part first."""
    key = private_key(kind, number)
    parts = [part.split("=", 1) for part in subject.split(",")]
    name = x509.Name([x509.NameAttribute(_PARTS[part], value) for part, value in parts])
    start = datetime.now(UTC) - started
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.certificate.subject if by else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    return KeyPair(key, builder.sign(by.key if by else key, hashes.SHA256()))
