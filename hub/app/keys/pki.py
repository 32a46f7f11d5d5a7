"""A private test authority and certificates for nodes: for trials, never for a hospital's network."""

import ipaddress
import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.errors import Invalid, Misconfigured
from hub.values import now

CA = "ca"
CA_DAYS = 3650
NODE_DAYS = 397
CRL_DAYS = 30
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
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
    usage = usage_of(key_cert_sign=True, crl_sign=True)
    builder = (
        builder_of(subject, subject, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return write(directory, CA, builder.sign(key, hashes.SHA256()), key)


def issue(directory: Path, node: str, hosts: tuple[str, ...] = ()) -> Path:
    """A key and a certificate for a node, as server and as client: ``NODE.crt``, ``NODE.key``.

    ``hosts``: further names and addresses beside those of this machine. Raises AuthorityMissing, Invalid."""
    check_name(node)
    authority, authority_key = authority_of(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    names = dict.fromkeys((*LOCAL, node, *hosts))
    builder = (
        builder_of(_name(node), authority.subject, key.public_key(), NODE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage_of(digital_signature=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    return write(directory, node, builder.sign(authority_key, hashes.SHA256()), key)


def check_name(node: str) -> None:
    """Raises Invalid unless files may be called so."""
    if not node or node == CA or not all(character.isalnum() or character in "-_." for character in node):
        raise Invalid("A node's name has letters, digits, - _ and . only, and is not 'ca'.")


def export(directory: Path, node: str, password: str) -> Path:
    """Key and certificate together, as browsers and workstations import them: ``NODE.p12`` (PKCS#12, mode 600)."""
    path = directory / f"{node}.crt"
    try:
        key = serialization.load_pem_private_key(path.with_suffix(".key").read_bytes(), None)
        certificate, authority = load(path), load(directory / f"{CA}.crt")
    except FileNotFoundError as error:
        raise Invalid("There is no key and certificate of this name.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Invalid("The key is not one that `maillage pki` made.")
    encryption = serialization.BestAvailableEncryption(password.encode())
    data = pkcs12.serialize_key_and_certificates(node.encode(), key, certificate, [authority], encryption)
    return write_secret(path.with_suffix(".p12"), data)


def revoke(directory: Path, node: str) -> Path:
    """Put a certificate of the directory on the authority's list. Returns the list's path."""
    path = directory / f"{node}.crt"
    if not node or not path.is_file():
        raise Invalid("There is no certificate of this name.")
    return crl(directory, revoked=(load(path).serial_number,))


def crl(directory: Path, revoked: Iterable[int] = (), days: int = CRL_DAYS) -> Path:
    """Sign the authority's list anew: ``ca.crl`` with what was on it, and further serial numbers."""
    authority, authority_key = authority_of(directory)
    path, at = directory / f"{CA}.crl", now()
    entries = dict.fromkeys(revoked, at)
    if path.exists():
        before = x509.load_pem_x509_crl(path.read_bytes())
        entries |= {entry.serial_number: entry.revocation_date_utc for entry in before}
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(at - timedelta(minutes=5))
        .next_update(at + timedelta(days=days))
        .add_extension(x509.CRLNumber(int(at.timestamp() * 1000)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    for serial, since in entries.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
        builder = builder.add_revoked_certificate(entry)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return fresh.replace(path)  # at once: the hub may be reading it


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the certificate's DER, as ``clients.certificate_sha256`` wants it."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex()


def load(certificate: Path) -> x509.Certificate:
    """A PEM certificate."""
    return x509.load_pem_x509_certificate(certificate.read_bytes())


def authority_of(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The authority and its key. Raises AuthorityMissing."""
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


def builder_of(subject: x509.Name, issuer: x509.Name, key: PublicKey, days: int) -> x509.CertificateBuilder:
    """A certificate of so many days; of days that have passed where ``days`` is negative."""
    started = now() - timedelta(minutes=5) + timedelta(days=min(0, 2 * days))
    days = abs(days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(started)
        .not_valid_after(started + timedelta(days=days))
    )


def usage_of(
    *,
    digital_signature: bool = False,
    non_repudiation: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    """The extension keyUsage."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=non_repudiation,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def write(directory: Path, name: str, certificate: x509.Certificate, key: Key) -> Path:
    """``NAME.key`` (mode 600) and ``NAME.crt``; the latter's path."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(directory / f"{name}.key", pem)
    path = directory / f"{name}.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


def write_secret(path: Path, data: bytes) -> Path:
    """A file that its owner alone may read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    return path
