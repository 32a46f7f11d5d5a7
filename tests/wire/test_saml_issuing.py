"""The hub's own assertions, read by signxml: another implementation of XML Signature."""

from datetime import timedelta

import pytest
from lxml import etree
from signxml.verifier import XMLVerifier

from hub.access.assertion_model import HOLDER_OF_KEY, Assertion, Attribute, Coded, Confirmation, Name
from hub.access.model import Professional, Purpose
from hub.errors import Invalid, Misconfigured
from hub.values import PatientIdentifier, now
from hub.wire.saml import names
from hub.wire.saml.issuing import issue, new_id, security
from hub.wire.saml.vihf import Form, Mode, Software, vihf
from hub.wire.soap.names import SECURITY
from tests.saml import KeyPair, pair

PATIENT = PatientIdentifier.from_cx("279035121518989^^^&1.2.250.1.213.1.4.10&ISO")
DOCTOR = Professional(
    "899700000001", "MARTIN", "Anne", "10", specialities=("SM26",), structure="1690000001", sector="SA07"
)
SOFTWARE = Software("Maillage", "0.1.0", homologation="ABC-123")
NS = {"saml": names.SAML, "v3": names.HL7, "ds": names.DS}


def verified(signed: bytes, keys: KeyPair) -> etree._Element:
    result = XMLVerifier().verify(etree.fromstring(signed), x509_cert=keys.pem.decode(), id_attribute="ID")
    root = result[0].signed_xml if isinstance(result, list) else result.signed_xml
    assert root is not None
    return root


def the_vihf(keys: KeyPair, mode: Mode = Mode.DIRECT, **more: object) -> Assertion:
    return vihf(DOCTOR, PATIENT, Purpose.NORMAL, mode, SOFTWARE, certificate=keys.pem, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("rsa", "rsa-sha256"), ("rsa", "rsa-sha512"), ("ecdsa", "ecdsa-sha256")]
)
def test_signxml_verifies_what_the_hub_issues(kind: str, algorithm: str) -> None:
    keys = pair(kind=kind)
    signed = verified(issue(the_vihf(keys), keys.key_pem, keys.pem, algorithm), keys)
    assert signed.tag == names.saml("Assertion")
    assert [child.tag for child in signed][:2] == [names.saml("Issuer"), names.saml("Subject")]


@pytest.mark.parametrize(
    ("mode", "declared"), [(Mode.DIRECT, None), (Mode.INDIRECT, None), (Mode.REINFORCED, "APP_BROWSER_AUTH")]
)
def test_a_vihf_has_each_attribute_of_the_sheet(mode: Mode, declared: str | None) -> None:
    keys = pair()
    signed = verified(issue(the_vihf(keys, mode), keys.key_pem, keys.pem), keys)

    def value(name: str) -> str | None:
        return signed.findtext(f".//saml:Attribute[@Name='{name}']/saml:AttributeValue", namespaces=NS)

    def codes(name: str) -> list[tuple[str | None, str | None]]:
        found = signed.findall(f".//saml:Attribute[@Name='{name}']/saml:AttributeValue/v3:*", NS)
        return [(child.get("code"), child.get("codeSystem")) for child in found]

    issuer = signed.find("saml:Issuer", NS)
    assert issuer is not None
    assert issuer.text == "CN=cachet,OU=1690000001,O=CH TEST,ST=Rhône (69),C=FR"
    assert issuer.get("Format") == "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
    assert signed.findtext("saml:Subject/saml:NameID", namespaces=NS) == "899700000001"
    assert value("VIHF_Version") == "3.0"
    assert value("Identifiant_Structure") == "1690000001"
    assert value("Secteur_Activite") == "SA07^1.2.250.1.71.4.2.4"
    assert value("Authentification_mode") == mode.value
    assert value(names.SUBJECT_ID) == "MARTIN Anne"
    assert value(names.RESOURCE) == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
    assert value("Ressource_URN") == "urn:dmp"
    assert value("LPS_Nom") == "Maillage"
    assert value("LPS_ID_HOMOLOGATION_DMP") == "ABC-123"
    assert value("LPS_ID") is None
    assert codes(names.ROLE) == [("10", "1.2.250.1.71.1.2.7"), ("SM26", "1.2.250.1.71.4.2.5")]
    assert codes(names.PURPOSE) == [("normal", "1.2.250.1.213.1.1.4.248")]
    assert signed.findtext(".//saml:AuthnContextDecl", namespaces=NS) == declared
    assert signed.find("saml:Conditions", NS) is None


def test_what_moves_is_a_setting() -> None:
    keys, form = pair(), Form(version="4.0", mode_attribute="Authentification_Mode", resource="urn:ROR", minutes=5)
    assertion = the_vihf(keys, form=form)
    assert assertion.text("VIHF_Version") == "4.0"
    assert assertion.text("Authentification_Mode") == "DIRECTE"
    assert assertion.not_on_or_after is not None


def test_a_vihf_that_lacks_something_is_not_made() -> None:
    keys = pair()
    nobody = Professional("899700000001", profession="10")
    with pytest.raises(Invalid, match="structure"):
        vihf(nobody, PATIENT, Purpose.NORMAL, Mode.INDIRECT, SOFTWARE, certificate=keys.pem)
    with pytest.raises(Invalid, match="reason"):
        vihf(DOCTOR, PATIENT, Purpose.BREAK_GLASS, Mode.DIRECT, SOFTWARE, certificate=keys.pem)
    told = vihf(DOCTOR, PATIENT, Purpose.BREAK_GLASS, Mode.DIRECT, SOFTWARE, certificate=keys.pem, reason="Urgence")
    assert told.text("Mode_Acces_Raison") == "Urgence"


def test_conditions_and_a_holder_of_key_are_written() -> None:
    keys, at = pair(), now()
    assertion = Assertion(
        id=new_id(),
        issuer=Name("https://hub.example.org/saml"),
        subject=Name("u1", qualifier="here"),
        issued_at=at,
        authenticated_at=at,
        context_class="urn:oasis:names:tc:SAML:2.0:ac:classes:X509",
        attributes=(Attribute(names.ROLE, (Coded("10", names.PURPOSES),)), Attribute("plain", ("a", "b"))),
        not_before=at,
        not_on_or_after=at + timedelta(minutes=5),
        audiences=(frozenset({"https://b.example"}),),
        one_time=True,
        session_ends=at + timedelta(hours=1),
        confirmations=(
            Confirmation(HOLDER_OF_KEY, not_on_or_after=at, recipient="https://b/", certificates=(keys.der,)),
        ),
    )
    signed = verified(issue(assertion, keys.key_pem, keys.pem), keys)
    assert signed.findtext(".//saml:AudienceRestriction/saml:Audience", namespaces=NS) == "https://b.example"
    assert signed.find("saml:Conditions/saml:OneTimeUse", NS) is not None
    assert signed.find(".//saml:SubjectConfirmationData/ds:KeyInfo", NS) is not None


def test_a_key_of_another_kind_signs_nothing() -> None:
    keys = pair(kind="ecdsa")
    for algorithm in ("rsa-sha256", "hmac-sha256"):
        with pytest.raises(Misconfigured):
            issue(the_vihf(keys), keys.key_pem, keys.pem, algorithm)


def test_the_security_header_carries_it() -> None:
    keys = pair()
    header = security(issue(the_vihf(keys), keys.key_pem, keys.pem))
    assert header.tag == SECURITY
    again = etree.fromstring(etree.tostring(header))
    verified(etree.tostring(again[0]), keys)
