"""Whether an authority that is believed vouches for a client's certificate now (RFC 5280: 6)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from hub.wire.x509.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificatePurpose,
    CertificateUnreadable,
    CertificateUntrusted,
)

E = TypeVar("E", bound=x509.ExtensionType)

DEEPEST = 6  #: certificates from the holder's to the authority's
_WEAK = (hashes.MD5, hashes.SHA1)
#: Critical extensions that are understood here; what names constraints or anything else is not believed.
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)


def read(der: bytes) -> x509.Certificate:
    """A certificate and its extensions. Raises CertificateUnreadable."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions, certificate.subject, certificate.issuer
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise CertificateUnreadable() from error
    return certificate


def check_time(certificate: x509.Certificate, at: datetime) -> None:
    """Raises CertificateExpired or CertificateNotYetValid."""
    if at > certificate.not_valid_after_utc:
        raise CertificateExpired()
    if at < certificate.not_valid_before_utc:
        raise CertificateNotYetValid()


def check_client(certificate: x509.Certificate) -> None:
    """Raises CertificatePurpose unless it may authenticate a client."""
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.key_agreement):
        raise CertificatePurpose()
    extended = extension(certificate, x509.ExtendedKeyUsage)
    if extended is not None and not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & {
        *extended
    }:
        raise CertificatePurpose()


def chain(
    certificate: x509.Certificate, authorities: Iterable[x509.Certificate], at: datetime
) -> tuple[x509.Certificate, ...]:
    """From the certificate to one of the authorities, each issued by the next; each authority is believed by itself.

    Raises CertificateUntrusted, CertificateExpired, CertificateNotYetValid."""
    check_time(certificate, at)
    _check_strength(certificate)
    known = tuple(authorities)
    found = [certificate]
    while True:
        issuer = issuer_of(found[-1], known)
        if issuer is None or issuer == found[-1]:
            break
        check_time(issuer, at)
        _check_authority(issuer, below=len(found) - 1)
        found.append(issuer)
        if len(found) > DEEPEST:
            raise CertificateUntrusted()
    if len(found) == 1 and certificate not in known:
        raise CertificateUntrusted()
    return tuple(found)


def issuer_of(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The authority that signed it, None when it is none of these. Several of one name and key: the latest."""
    found = [
        authority
        for authority in authorities
        if authority.subject == certificate.issuer and signed_by(certificate, authority)
    ]
    return max(found, key=lambda authority: authority.not_valid_after_utc, default=None)


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the authority's key signed the certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """The extension of this kind, None without."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _check_authority(authority: x509.Certificate, below: int) -> None:
    """``below``: authorities between it and the holder's certificate."""
    constraints = extension(authority, x509.BasicConstraints)
    usage = extension(authority, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise CertificateUntrusted()
    if constraints.path_length is not None and constraints.path_length < below:
        raise CertificateUntrusted()
    _check_strength(authority, signature=authority.subject != authority.issuer)


def _check_strength(certificate: x509.Certificate, *, signature: bool = True) -> None:
    """Algorithms of today, and nothing critical that is not understood."""
    key = certificate.public_key()
    strong = (
        (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= 256)
        or isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)
    )
    if not strong or (signature and isinstance(certificate.signature_hash_algorithm, _WEAK)):
        raise CertificateUntrusted()
    if any(item.critical and item.oid not in _UNDERSTOOD for item in certificate.extensions):
        raise CertificateUntrusted()
