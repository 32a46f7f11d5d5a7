"""Certificates as cards have them (IGC-Santé, and the older IGC-CPS), from the test authority."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from hub.app.keys import pki
from hub.errors import Invalid
from hub.wire.x509.subject import LABELS, Oids

CARD_DAYS = 3 * 365
_SERIAL = "80250000001/2600855206"


class Layout(StrEnum):
    """Whose certificate it is to look like."""

    CPS = "cps"  #: a professional's card
    CPS_OLD = "cps-old"  #: the same, as the older IGC-CPS wrote it
    CPE = "cpe"  #: an employee's card with a name
    CPE_UNNAMED = "cpe-unnamed"  #: an employee's card without one
    ORGANISATION = "organisation"  #: a structure's certificate for authentication
    SEAL = "seal"  #: a structure's certificate for signatures: of assertions, of submissions


CARDS = frozenset({Layout.CPS, Layout.CPS_OLD, Layout.CPE, Layout.CPE_UNNAMED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What the certificate is to say. ``days`` below zero: it has expired."""

    layout: Layout = Layout.CPS
    id: str = ""  #: idNat_PS; default: one that fits the layout
    family: str = "DURAND"
    given: str = "Anne"
    profession: str = "10"
    specialities: tuple[str, ...] = ("SM26",)
    structure: str = "1750100125"
    structure_name: str = "HOPITAL A"
    common_name: str = ""  #: of an organisation's certificate
    days: int = CARD_DAYS
    crl_url: str = ""
    ocsp_url: str = ""

    @property
    def number(self) -> str:
        """idNat_PS."""
        return self.id or {Layout.CPE: "3750100125/88", Layout.CPE_UNNAMED: "3750100125/89"}.get(
            self.layout, "899700000001"
        )


def issue(directory: Path, name: str, card: Card) -> Path:
    """A key (RSA 2048, as cards have) and a certificate: ``NAME.crt``, ``NAME.key``.

    Raises AuthorityMissing, Invalid."""
    pki.check_name(name)
    if not card.profession.isdigit():
        raise Invalid("A profession is a code of digits (TRE_G15): 10 for a doctor.")
    authority, authority_key = pki.authority_of(directory)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    seal = card.layout is Layout.SEAL
    purpose = ExtendedKeyUsageOID.EMAIL_PROTECTION if seal else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        pki.builder_of(_subject(card), authority.subject, key.public_key(), card.days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(pki.usage_of(digital_signature=True, non_repudiation=seal), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    for oid, value in _private(card):
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False)
    if card.crl_url:
        builder = builder.add_extension(x509.CRLDistributionPoints([_point(card.crl_url)]), critical=False)
    if card.ocsp_url:
        place = x509.UniformResourceIdentifier(card.ocsp_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return pki.write(directory, name, builder.sign(authority_key, hashes.SHA256()), key)


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)


def _subject(card: Card) -> x509.Name:
    attribute, part = x509.NameAttribute, x509.RelativeDistinguishedName
    country = part([attribute(NameOID.COUNTRY_NAME, "FR")])
    organisation = part([attribute(NameOID.ORGANIZATION_NAME, card.structure_name)])
    word = next((word for word, code in LABELS.items() if code == card.profession), "Professionnel")
    named = [
        attribute(NameOID.GIVEN_NAME, card.given),
        attribute(NameOID.SURNAME, card.family),
        attribute(NameOID.COMMON_NAME, card.number),
    ]
    if card.layout is Layout.CPS:
        return x509.Name([country, part([attribute(NameOID.TITLE, word)]), part(named)])
    if card.layout is Layout.CPS_OLD:
        return x509.Name(
            [
                country,
                part([attribute(NameOID.ORGANIZATION_NAME, "GIP-CPS")]),
                part([attribute(NameOID.ORGANIZATIONAL_UNIT_NAME, word)]),
                part(named),
            ]
        )
    if card.layout is Layout.CPE:
        return x509.Name([country, organisation, part(named)])
    if card.layout is Layout.CPE_UNNAMED:
        return x509.Name([country, organisation, part([attribute(NameOID.COMMON_NAME, card.number)])])
    return x509.Name(
        [
            country,
            part([attribute(NameOID.STATE_OR_PROVINCE_NAME, "Paris (75)")]),
            organisation,
            part([attribute(NameOID.ORGANIZATIONAL_UNIT_NAME, card.structure)]),
            part([attribute(NameOID.COMMON_NAME, card.common_name or "hub.example")]),
        ]
    )


def _private(card: Card) -> list[tuple[str, bytes]]:
    """The extensions of IGC-Santé: a card's kind, number, profession and specialities."""
    if card.layout not in CARDS:
        return []
    oids, employee = Oids(), card.layout in (Layout.CPE, Layout.CPE_UNNAMED)
    found = [
        (oids.card_type, _integer(oids.employee_types[0] if employee else 0)),
        (oids.card_serial, _string(0x13, _SERIAL)),
    ]
    if card.layout is Layout.CPS:
        found.append((oids.profession, _integer(int(card.profession))))
        texts = b"".join(_string(0x0C, text) for text in card.specialities)
        found.append((oids.specialities, _der(0x30, texts)))
    return found


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, signed=True))


def _string(tag: int, text: str) -> bytes:
    return _der(tag, text.encode())


def _der(tag: int, content: bytes) -> bytes:
    if len(content) > 127:
        raise Invalid("A card has a few short specialities.")
    return bytes((tag, len(content))) + content
