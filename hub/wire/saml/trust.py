"""Whether a seal is an issuer's: by certificates that the settings name, never by what KeyInfo says alone."""

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID

from hub.access.assertion_errors import AssertionSignature, UnknownIssuer
from hub.access.assertion_model import Name
from hub.errors import Invalid, Misconfigured
from hub.wire.saml.signature import Seal
from hub.wire.saml.vihf import distinguished_name
from hub.wire.x509 import chain
from hub.wire.x509.errors import CertificateRefused
from hub.wire.x509.names import Comparable, comparable, exact_name


def certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file. Raises Misconfigured."""
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError:
        raise Misconfigured("A file of [saml] holds no readable certificate.") from None


def pinned(seal: Seal, known: Sequence[x509.Certificate], at: datetime) -> x509.Certificate:
    """The one of the known certificates whose key signed it, in its time. Raises AssertionSignature, UnknownIssuer."""
    for certificate in known:
        if seal.by(_key(certificate)):
            try:
                chain.check_time(certificate, at)
            except CertificateRefused:
                raise UnknownIssuer("The certificate that signed the assertion is not valid at this time.") from None
            return certificate
    raise AssertionSignature("The assertion is not signed by its issuer.")


def vouched(
    seal: Seal, issuer: Name, authorities: Sequence[x509.Certificate], subject: str, at: datetime
) -> tuple[x509.Certificate, ...]:
    """The chain from the certificate in KeyInfo, which is the Issuer's own, to an authority.

    Raises AssertionSignature, UnknownIssuer."""
    if not seal.certificates:
        raise UnknownIssuer("The certificate that signed the assertion must stand in its KeyInfo.")
    try:
        certificate = chain.read(seal.certificates[0])
        found = chain.chain(certificate, authorities, at)
    except CertificateRefused:
        raise UnknownIssuer("No authority that is believed here vouches for who signed the assertion.") from None
    if (
        len(found) < 2
        or not fnmatchcase(distinguished_name(certificate.subject), subject)
        or not _may_sign(certificate)
    ):
        raise UnknownIssuer("The certificate that signed the assertion is not one for this purpose.")
    if same_name(issuer.text) != comparable(certificate.subject):
        raise UnknownIssuer("The assertion's Issuer is not the subject of the certificate that signed it.")
    if not seal.by(_key(certificate)):
        raise AssertionSignature("The assertion is not signed by its issuer.")
    return found


@lru_cache(maxsize=1024)
def _key(certificate: x509.Certificate) -> object:
    """Read once: that costs more than a signature's verification."""
    return certificate.public_key()


@lru_cache(maxsize=1024)
def same_name(text: str) -> Comparable | None:
    """A subject as an Issuer writes it, to be compared; None when it is no name of RFC 2253."""
    try:
        return exact_name(text)
    except Invalid:
        return None


def holder(certificate: x509.Certificate) -> str:
    """Whose card it is: the common name."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _may_sign(certificate: x509.Certificate) -> bool:
    usage = chain.extension(certificate, x509.KeyUsage)
    authority = chain.extension(certificate, x509.BasicConstraints)
    if authority is not None and authority.ca:
        return False
    return usage is None or usage.digital_signature or usage.content_commitment
