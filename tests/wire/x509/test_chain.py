"""Chains: who vouches, until when, for what."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from hub.app.keys import pki
from hub.values import now
from hub.wire.x509 import chain
from hub.wire.x509.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificatePurpose,
    CertificateUnreadable,
    CertificateUntrusted,
)

Made = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def made(
    name: str, issuer: Made | None = None, *, ca: bool = False, path: int | None = None, critical: str = ""
) -> Made:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path), critical=True)
    )
    if critical:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(critical), b"\x05\x00"), critical=True
        )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def test_up_to_the_root_and_up_to_an_authority_that_is_believed_by_itself() -> None:
    root = made("root", ca=True)
    below = made("below", root, ca=True)
    leaf = made("leaf", below)
    assert chain.chain(leaf[0], [root[0], below[0]], now()) == (leaf[0], below[0], root[0])
    assert chain.chain(leaf[0], [below[0]], now()) == (leaf[0], below[0])
    with pytest.raises(CertificateUntrusted):
        chain.chain(leaf[0], [root[0]], now())


@pytest.mark.parametrize("kind", ["foreign", "self-signed", "not-an-authority", "path", "critical", "same-name"])
def test_nobody_vouches(kind: str) -> None:
    root = made("root", ca=True, path=0)
    known = [root[0]]
    if kind == "foreign":
        leaf = made("leaf", made("another", ca=True))
    elif kind == "self-signed":
        leaf = made("leaf")
    elif kind == "not-an-authority":
        between = made("between", root)
        known, leaf = [root[0], between[0]], made("leaf", between)
    elif kind == "path":
        between = made("between", root, ca=True)
        known, leaf = [root[0], between[0]], made("leaf", between)
    elif kind == "critical":
        leaf = made("leaf", root, critical="1.2.3.4")
    else:
        leaf = made("leaf", made("root", ca=True))
    with pytest.raises(CertificateUntrusted):
        chain.chain(leaf[0], known, now())


def test_times(authority: Path) -> None:
    ca, card = pki.load(authority / "ca.crt"), pki.load(authority / "cps.crt")
    assert chain.chain(card, [ca], now()) == (card, ca)
    with pytest.raises(CertificateExpired):
        chain.chain(pki.load(authority / "expired.crt"), [ca], now())
    with pytest.raises(CertificateExpired):
        chain.check_time(card, datetime.fromisoformat("2100-01-01T00:00:00+00:00"))
    with pytest.raises(CertificateNotYetValid):
        chain.check_time(card, datetime.fromisoformat("2000-01-01T00:00:00+00:00"))


def test_purposes(authority: Path) -> None:
    chain.check_client(pki.load(authority / "cps.crt"))
    with pytest.raises(CertificatePurpose):
        chain.check_client(pki.load(authority / "seal.crt"))


def test_a_short_key_and_an_old_digest_are_not_believed() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    root = made("root", ca=True)
    builder = pki.builder_of(root[0].subject, root[0].subject, key.public_key(), 1)
    with pytest.raises(CertificateUntrusted):
        chain.chain(builder.sign(root[1], hashes.SHA256()), [root[0]], now())


@pytest.mark.parametrize("der", [b"", b"\x30", b"nothing", b"\x30\x80" * 50])
def test_what_is_no_certificate(der: bytes) -> None:
    with pytest.raises(CertificateUnreadable):
        chain.read(der)


def test_a_certificate_cut_short(authority: Path) -> None:
    der = pki.load(authority / "cps.crt").public_bytes(Encoding.DER)
    for end in range(0, len(der), 37):
        with pytest.raises(CertificateUnreadable):
            chain.read(der[:end])
