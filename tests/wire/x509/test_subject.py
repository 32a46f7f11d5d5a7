"""Subjects and private extensions of French cards, as facts; what is odd is left out, never an error."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from hub.app.keys import pki
from hub.values import now
from hub.wire.x509.subject import Facts, Kind, Oids, facts, structure_of

CN, SN, GN, O, OU, TITLE = (  # noqa: E741
    NameOID.COMMON_NAME,
    NameOID.SURNAME,
    NameOID.GIVEN_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.TITLE,
)
KEY = ec.generate_private_key(ec.SECP256R1())


def made(*attributes: tuple[x509.ObjectIdentifier, str], **extensions: bytes) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now())
        .not_valid_after(now() + timedelta(days=1))
    )
    for field, value in extensions.items():
        oid = x509.ObjectIdentifier(getattr(Oids(), field))
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    return builder.sign(KEY, hashes.SHA256())


def read(authority: Path, name: str) -> Facts:
    return facts(pki.load(authority / f"{name}.crt"))


def test_a_professional_s_card(authority: Path) -> None:
    found = read(authority, "cps")
    assert (found.kind, found.id, found.family, found.given) == (Kind.PROFESSIONAL, "899700000001", "DURAND", "Anne")
    assert (found.profession, found.specialities, found.card_type) == ("10", ("SM26",), 0)
    assert found.card_serial == "80250000001/2600855206"
    assert found.professional is not None
    assert found.professional.profession_system == "1.2.250.1.71.1.2.7"


def test_the_older_layout_names_the_profession_in_a_word(authority: Path) -> None:
    found = read(authority, "cps-old")
    assert (found.kind, found.id, found.profession) == (Kind.PROFESSIONAL, "899700000001", "10")
    assert found.structure_name == ""  # O is who issued the card


def test_employees_cards_with_and_without_a_name(authority: Path) -> None:
    named, unnamed = read(authority, "cpe"), read(authority, "cpe-unnamed")
    assert (named.kind, named.structure, named.named) == (Kind.EMPLOYEE, "1750100125", True)
    assert (unnamed.kind, unnamed.family, unnamed.given) == (Kind.EMPLOYEE, "HOPITAL A", "3750100125-89")
    assert not unnamed.named
    assert named.profession == unnamed.profession == ""


@pytest.mark.parametrize("layout", ["organisation", "seal"])
def test_a_structure_s_certificate(authority: Path, layout: str) -> None:
    found = read(authority, layout)
    assert (found.kind, found.structure, found.structure_name) == (Kind.STRUCTURE, "1750100125", "HOPITAL A")
    assert found.professional is None


def test_a_node_of_the_region_is_nobody(authority: Path) -> None:
    assert read(authority, "node").kind is Kind.OTHER


@pytest.mark.parametrize(
    ("person", "structure"),
    [("3750100125/88", "1750100125"), ("538012345678901/1", "338012345678901"), ("899700000001", ""), ("9/1", "")],
)
def test_the_structure_that_a_number_names(person: str, structure: str) -> None:
    assert structure_of(person) == structure


def test_a_number_that_stands_twice_is_nobody_s() -> None:
    twice = made((CN, "899700000001"), (CN, "899700000002"), (TITLE, "Médecin"))
    assert facts(twice).kind is Kind.OTHER
    assert facts(made((CN, "not a number"), (TITLE, "Médecin"))).kind is Kind.OTHER
    assert facts(made((CN, "899700000001\x00/CN=x"), (TITLE, "Médecin"))).kind is Kind.OTHER


def test_a_card_whose_profession_is_not_known_gives_none() -> None:
    found = facts(made((CN, "899700000001"), (TITLE, "Astrologue"), card_type=b"\x02\x01\x00"))
    assert (found.kind, found.profession) == (Kind.PROFESSIONAL, "")


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_odd_extensions_are_left_out(profession: bytes, specialities: bytes) -> None:
    found = facts(made((CN, "899700000001"), (TITLE, "Médecin"), profession=profession, specialities=specialities))
    assert found.kind in (Kind.PROFESSIONAL, Kind.EMPLOYEE)
    assert all(text.isprintable() for text in found.specialities)
