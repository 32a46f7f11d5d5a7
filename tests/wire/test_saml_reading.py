"""Forms that honest issuers use, signed by signxml; and what no bytes may do."""

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from hub.access.assertion_errors import AssertionRefused
from hub.access.assertion_model import Assertion
from hub.app.settings.saml import STRONG, Saml, SamlIssuer
from hub.errors import Misconfigured
from hub.wire.saml.claims import vihf, xua
from hub.wire.saml.header import assertion_of
from hub.wire.saml.names import WSU_ID
from hub.wire.saml.reading import read
from hub.wire.saml.signature import Seal, unseal
from hub.wire.saml.trust import certificates
from tests.saml import PURPOSE, ROLE, SUBJECT_ID, Draft, coded, header, pair, sign, text

KEYS = pair()
GOOD = sign(Draft("https://idp", "https://hub").xml, KEYS)


TIMESTAMP = f'<u:Timestamp xmlns:u="{WSU_ID[1:].partition("}")[0]}" u:Id="t"/>'.encode()


def sealed(shown: bytes) -> Seal:
    assertion = assertion_of(shown)
    assert assertion is not None
    return unseal(assertion, STRONG)


def told(**changes: str) -> Assertion:
    seal = sealed(header(sign(Draft("https://idp", "https://hub", **changes).xml, KEYS)))  # type: ignore[arg-type]
    assert seal.by(KEYS.key.public_key())
    return read(seal.content)


@pytest.mark.parametrize(
    ("kind", "algorithm"), [(kind, f"{kind}-sha{n}") for kind in ("rsa", "ecdsa") for n in (256, 384, 512)]
)
def test_every_algorithm(kind: str, algorithm: str) -> None:
    keys = pair(kind=kind)
    signed = sign(
        Draft("https://idp", "https://hub").xml, keys, algorithm=algorithm, digest=algorithm.partition("-")[2]
    )
    seal = sealed(header(signed))
    assert (seal.algorithm, seal.by(keys.key.public_key())) == (algorithm, True)
    assert not seal.by(pair(kind=kind, number=1).key.public_key())
    assert seal.certificates == (keys.der,)


@pytest.mark.parametrize(
    "shown",
    [
        GOOD,
        header(GOOD),
        base64.b64encode(GOOD),
        base64.urlsafe_b64encode(GOOD).rstrip(b"="),
        header(
            TIMESTAMP,
            GOOD,
        ),
        b"\n " + header(b"\n  " + GOOD + b"\n"),
    ],
    ids=["bare", "header", "base64", "base64url", "with a timestamp", "with blanks"],
)
def test_ways_to_show_it(shown: bytes) -> None:
    assert read(sealed(shown).content).subject.text == "899700000001"


def test_a_header_that_says_nothing() -> None:
    assert assertion_of(header()) is None


def test_a_pretty_printed_one() -> None:
    """Blanks around the signature are part of what was signed."""
    xml = Draft("https://idp", "https://hub").xml.replace("><", ">\n  <")
    assert sealed(header(sign(xml, KEYS))).by(KEYS.key.public_key())


def test_xua_says_who() -> None:
    claims = xua(
        told(
            attributes=text(SUBJECT_ID, "Walter H. Brattain IV")
            + coded(ROLE, "Role", "309343006", "2.16.840.1.113883.6.96")
            + text(PURPOSE, "TREATMENT")
            + text("urn:oasis:names:tc:xspa:1.0:subject:organization", "Family Medical Clinic")
            + text("urn:oasis:names:tc:xspa:1.0:subject:organization-id", "urn:oid:1.2.3")
            + '<saml:Attribute Name="urn:ihe:iti:xua:2017:subject:provider-identifier"><saml:AttributeValue>'
            '<id xmlns="urn:hl7-org:v3" extension="77" root="1.2.3.4"/></saml:AttributeValue></saml:Attribute>'
        )
    )
    assert (claims.subject, claims.names) == ("77", ("Walter H. Brattain IV",))
    assert (claims.structure, claims.structure_name) == ("1.2.3", "Family Medical Clinic")
    assert claims.roles[0].code == "309343006"
    assert claims.purpose is not None
    assert claims.purpose.code == "TREATMENT"
    assert claims.missing == ()


def test_a_vihf_with_names_apart_and_a_secret_connection() -> None:
    claims = vihf(
        told(
            attributes=text(SUBJECT_ID, "MARTIN", "Anne", "Radiologie")
            + text("Authentification_Mode", "INDIRECTE")
            + text("urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code", "S")
        )
    )
    assert claims.names == ("MARTIN", "Anne")
    assert claims.mode == "INDIRECTE"
    assert claims.secret
    assert "VIHF_Version" in claims.missing


def test_files_and_settings_that_are_no_good() -> None:
    with pytest.raises(Misconfigured):
        certificates(b"nothing")
    with pytest.raises(ValidationError, match="by its certificate or by a ca"):
        SamlIssuer(name="x", issuer="y")
    with pytest.raises(ValidationError, match="needs its name"):
        SamlIssuer(name="x", certificate=Path("x"))
    with pytest.raises(ValidationError, match="go together"):
        Saml(key=Path("x"))
    twice = SamlIssuer(name="x", issuer="y", certificate=Path("x"))
    with pytest.raises(ValidationError, match="name of its own"):
        Saml(issuers=(twice, twice))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_bytes_are_refused_or_change_nothing(data: st.DataObject) -> None:
    """Whatever is cut, put in or doubled: AssertionRefused or Malformed's own kind, or the signed words themselves."""
    place = data.draw(st.integers(0, len(GOOD) - 1))
    length = data.draw(st.integers(0, 60))
    new = data.draw(
        st.sampled_from([b"", b"<", b">", b'"', b"&", b"\0", b"<!-- -->", b" ", GOOD[place : place + 200], b"A"])
    )
    changed = GOOD[:place] + new + GOOD[place + length :]
    try:
        seal = sealed(header(changed))
        if not seal.by(KEYS.key.public_key()):
            return
        assertion = read(seal.content)
    except AssertionRefused:
        return
    assert assertion == read(sealed(header(GOOD)).content)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(AssertionRefused):
        sealed(data if not data.strip().startswith(b"<") else data + b"<")


def test_the_canonical_bytes_alone_are_read() -> None:
    """What stands beside the assertion in its document can't be told from the seal."""
    seal = sealed(header(GOOD))
    assert b"Signature" not in seal.content
    assert etree.fromstring(seal.content).get("ID")
