"""A private test authority and certificates for nodes: for trials, never for a hospital's network."""

import ipaddress
import os
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.errors import Invalid, Misconfigured
from hub.values import now

CA = "ca"
CA_DAYS = 3650
NODE_DAYS = 397
LOCAL = ("localhost", "127.0.0.1", "::1")


class AuthorityMissing(Misconfigured):
    """There is no test authority in the directory."""

    code = "test-authority-missing"
    title = "There is no test authority here: run `maillage pki init` first."


class AuthorityExists(Misconfigured):
    """A test authority is never replaced silently: every certificate of it would become worthless."""

    code = "test-authority-exists"
    title = "There is a test authority here already."


def init(directory: Path, name: str = "Maillage test authority") -> Path:
    """Make the authority: ``ca.crt`` and ``ca.key`` (mode 600). Raises AuthorityExists."""
    if (directory / f"{CA}.key").exists():
        raise AuthorityExists()
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = (
        _builder(subject, subject, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _write(directory, CA, builder.sign(key, hashes.SHA256()), key)


def issue(directory: Path, node: str, hosts: tuple[str, ...] = ()) -> Path:
    """A key and a certificate for a node, as server and as client: ``NODE.crt``, ``NODE.key``.

    ``hosts``: further names and addresses beside those of this machine. Raises AuthorityMissing, Invalid."""
    if not node or node == CA or not all(character.isalnum() or character in "-_." for character in node):
        raise Invalid("A node's name has letters, digits, - _ and . only, and is not 'ca'.")
    authority, authority_key = _authority(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    names = dict.fromkeys((*LOCAL, node, *hosts))
    builder = (
        _builder(_name(node), authority.subject, key.public_key(), NODE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    return _write(directory, node, builder.sign(authority_key, hashes.SHA256()), key)


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the certificate's DER, as ``clients.certificate_sha256`` wants it."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex()


def load(certificate: Path) -> x509.Certificate:
    """A PEM certificate."""
    return x509.load_pem_x509_certificate(certificate.read_bytes())


def _authority(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = load(directory / f"{CA}.crt")
        key = serialization.load_pem_private_key((directory / f"{CA}.key").read_bytes(), None)
    except FileNotFoundError as error:
        raise AuthorityMissing() from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Misconfigured("The test authority's key is not one that `maillage pki init` made.")
    return certificate, key


def _name(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Maillage test"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    started = now() - timedelta(minutes=5)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(started)
        .not_valid_after(started + timedelta(days=days))
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _write(directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Path:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    target = directory / f"{name}.key"
    target.unlink(missing_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    path = directory / f"{name}.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
