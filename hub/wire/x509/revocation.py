"""Certificates that were taken back: revocation lists (RFC 5280: 5) and OCSP (RFC 6960), read and verified."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from hub.wire.x509.chain import extension, signed_by
from hub.wire.x509.errors import RevocationUnreadable

SKEW = timedelta(minutes=5)  #: how far ahead another machine's clock may be
_WEAK = (hashes.MD5, hashes.SHA1)
#: What a list's critical extensions may be; an indirect or partial list is not understood.
_UNDERSTOOD = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.CRL_NUMBER})


@dataclass(frozen=True, slots=True)
class Standing:
    """What a list or a responder says of one certificate, and until when it is fresh."""

    revoked: bool
    fresh_until: datetime


def read_lists(data: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """One DER list, or all PEM lists of a text. Raises RevocationUnreadable."""
    try:
        if b"-----BEGIN" not in data:
            return (x509.load_der_x509_crl(data),)
        end = b"-----END X509 CRL-----"
        found = tuple(x509.load_pem_x509_crl(part + end) for part in data.split(end)[:-1])
    except ValueError as error:
        raise RevocationUnreadable("The file holds no revocation list.") from error
    if not found:
        raise RevocationUnreadable("The file holds no revocation list.")
    return found


def in_list(
    crl: x509.CertificateRevocationList, certificate: x509.Certificate, issuer: x509.Certificate
) -> Standing | None:
    """What the list says of the certificate; None when it is not about such certificates.

    ``fresh_until`` may have passed: what a list revoked stays revoked. Raises RevocationUnreadable when the list is
    not signed by the issuer, or partial."""
    if crl.issuer != certificate.issuer:
        return None
    if not is_list_of(crl, issuer):
        raise RevocationUnreadable("The revocation list is not signed by the authority that it names.")
    if not _covers(crl, certificate):
        return None
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    return Standing(entry is not None, crl.next_update_utc or crl.last_update_utc)


def is_list_of(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether the authority itself made the list: its name, its key, and a key that may sign lists."""
    return crl.issuer == issuer.subject and _may_sign_lists(issuer) and _signed(crl, issuer)


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    usage = extension(issuer, x509.KeyUsage)
    return usage is None or usage.crl_sign


def _signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key: Any = issuer.public_key()
    try:
        if isinstance(crl.signature_hash_algorithm, _WEAK):
            return False
        return bool(crl.is_signature_valid(key))
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _covers(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Whether the list speaks for such a certificate. Raises RevocationUnreadable for a list of another kind."""
    if any(item.critical and item.oid not in _UNDERSTOOD for item in crl.extensions):
        raise RevocationUnreadable("The revocation list has a critical extension that is not understood.")
    try:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return True
    if point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs:
        raise RevocationUnreadable("The revocation list is indirect or partial.")
    if point.full_name and not {name.value for name in point.full_name} & set(_points(certificate)):
        return False  # one of several lists of the authority, and not the one that the certificate names
    constraints = extension(certificate, x509.BasicConstraints)
    authority = constraints is not None and constraints.ca
    return not (point.only_contains_user_certs if authority else point.only_contains_ca_certs)


def list_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where its authority keeps the list that it would be on."""
    return tuple(url for url in _points(certificate) if url.startswith("http://"))


def _points(certificate: x509.Certificate) -> list[str]:
    points = extension(certificate, x509.CRLDistributionPoints)
    names = (name for point in points or () if not point.reasons for name in point.full_name or ())
    return [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]


def ocsp_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """The responders that its authority names."""
    access = extension(certificate, x509.AuthorityInformationAccess)
    wanted = AuthorityInformationAccessOID.OCSP
    names = (item.access_location for item in access or () if item.access_method == wanted)
    found = (name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))
    return tuple(url for url in found if url.startswith("http://"))


def ocsp_request(certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes) -> bytes:
    """The question to a responder, DER."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303 (a name only)
    return builder.add_extension(x509.OCSPNonce(nonce), critical=False).build().public_bytes(serialization.Encoding.DER)


def ocsp_standing(
    data: bytes, certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes, at: datetime
) -> Standing:
    """What a responder says. Raises RevocationUnreadable for anything but a fresh, signed answer to this question.

    A responder may leave the nonce out (RFC 5019), then its times count; another one than was sent is refused."""
    try:
        answer = ocsp.load_der_ocsp_response(data)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise RevocationUnreadable("The OCSP responder gives no answer.")
        _check_question(answer, certificate, issuer, nonce)
        _check_signature(answer, issuer, at)
        until = answer.next_update_utc or answer.this_update_utc + SKEW
        if answer.this_update_utc > at + SKEW or until < at:
            raise RevocationUnreadable("The OCSP answer is out of date.")
        status = answer.certificate_status
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RevocationUnreadable("The OCSP answer is not readable.") from error
    if status is ocsp.OCSPCertStatus.UNKNOWN:
        raise RevocationUnreadable("The OCSP responder does not know the certificate.")
    return Standing(status is ocsp.OCSPCertStatus.REVOKED, until)


def _check_question(
    answer: ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes
) -> None:
    if [*answer.responses][1:]:
        raise RevocationUnreadable("The OCSP answer speaks of several certificates.")
    asked = (
        ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, answer.hash_algorithm).build()
        if isinstance(answer.hash_algorithm, hashes.SHA1 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512)
        else None
    )
    told = (answer.serial_number, answer.issuer_name_hash, answer.issuer_key_hash)
    if asked is None or told != (asked.serial_number, asked.issuer_name_hash, asked.issuer_key_hash):
        raise RevocationUnreadable("The OCSP answer speaks of another certificate.")
    try:
        back = answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return
    if back != nonce:
        raise RevocationUnreadable("The OCSP answer is to another question.")


def _check_signature(answer: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime) -> None:
    """By the authority itself, or by a responder to which it gave this very task (RFC 6960: 4.2.2.2)."""
    for responder in (issuer, *answer.certificates):
        if _is_responder(answer, responder) and (responder == issuer or _delegated(responder, issuer, at)):
            _verify(answer, responder)
            return
    raise RevocationUnreadable("The OCSP answer is not from a responder of the authority.")


def _is_responder(answer: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    if answer.responder_name is not None:
        return answer.responder_name == candidate.subject
    return answer.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(candidate.public_key()).digest


def _delegated(responder: x509.Certificate, issuer: x509.Certificate, at: datetime) -> bool:
    usage = extension(responder, x509.ExtendedKeyUsage)
    return (
        usage is not None
        and ExtendedKeyUsageOID.OCSP_SIGNING in [*usage]
        and responder.not_valid_before_utc <= at <= responder.not_valid_after_utc
        and responder.issuer == issuer.subject
        and signed_by(responder, issuer)
    )


def _verify(answer: ocsp.OCSPResponse, responder: x509.Certificate) -> None:
    key, digest = responder.public_key(), answer.signature_hash_algorithm
    signed, signature = answer.tbs_response_bytes, answer.signature
    try:
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        elif digest is None or isinstance(digest, _WEAK):
            raise RevocationUnreadable("The OCSP answer is signed with an algorithm of the past.")
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(digest))
        else:
            raise RevocationUnreadable("The OCSP answer is signed with a key of another kind.")
    except InvalidSignature as error:
        raise RevocationUnreadable("The OCSP answer's signature is not valid.") from error
