"""Throw-away certificates with the layouts of IGC-Santé: an authority, a server, an organisation's two certificates."""

import datetime
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: File names (without .crt and .key) in the directory.
AUTHORITY, SERVER, AUTHENTICATION, SEAL = "dmp-ca", "dmp-server", "dmp-authentication", "dmp-seal"
STRUCTURE = "1750100125"
_ISSUER = (
    (NameOID.COUNTRY_NAME, "FR"),
    (NameOID.ORGANIZATION_NAME, "MAILLAGE TEST"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "IGC-SANTE"),
    (NameOID.COMMON_NAME, "TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS"),
)


def make_pki(directory: Path, *, structure: str = STRUCTURE, days: int = 30) -> Path:
    """Write everything that is not there yet; the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / f"{AUTHORITY}.key").exists():
        return directory
    key = _key()
    name = x509.Name([x509.NameAttribute(oid, text) for oid, text in _ISSUER])
    ca = _builder(name, name, key, days).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    _write(directory, AUTHORITY, ca.sign(key, hashes.SHA256()), key)
    issue(directory, SERVER, "lps.dmp.test", structure, days=days)
    issue(directory, AUTHENTICATION, "maillage.test", structure, days=days)
    issue(directory, SEAL, "Cachet Maillage", structure, days=days)
    return directory


def issue(directory: Path, kind: str, label: str, structure: str, *, name: str = "", days: int = 30) -> Path:
    """One certificate of a kind (SERVER, AUTHENTICATION, SEAL), in files of ``name``; the certificate's path."""
    ca = x509.load_pem_x509_certificate((directory / f"{AUTHORITY}.crt").read_bytes())
    ca_key = serialization.load_pem_private_key((directory / f"{AUTHORITY}.key").read_bytes(), None)
    assert isinstance(ca_key, rsa.RSAPrivateKey)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "Rhône (69)"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "HOPITAL MAILLAGE"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, structure),
            x509.NameAttribute(NameOID.COMMON_NAME, label),
        ]
    )
    key = _key()
    purpose = {
        SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
        AUTHENTICATION: ExtendedKeyUsageOID.CLIENT_AUTH,
        SEAL: ExtendedKeyUsageOID.EMAIL_PROTECTION,
    }[kind]
    builder = (
        _builder(subject, ca.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True, content_commitment=kind == SEAL), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if kind == SERVER:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _write(directory, name or kind, builder.sign(ca_key, hashes.SHA256()), key)


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, days: int) -> x509.CertificateBuilder:
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(**wanted: bool) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in every})


def _write(directory: Path, name: str, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> Path:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(directory / f"{name}.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    path = directory / f"{name}.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
