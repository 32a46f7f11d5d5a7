"""Assertions that mean harm, over TLS, each refused with its own words, the standard's code and one audit record."""

import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from lxml import etree

from tests.hostile.conftest import clean
from tests.hostile.saml_hub import (
    ALGORITHM,
    AUDIENCE,
    CHECK,
    EVIL,
    FAILED,
    INVALID,
    ISSUER,
    OTHER,
    TOKEN,
    UNSUPPORTED,
    Believing,
    around,
    believing,
    good,
    refused,
    signature_of,
)
from tests.saml import DS, PURPOSE, RESOURCE, SAML, SUBJECT_ID, coded, header, instant, pair, sign, text


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Believing]:
    with believing(tmp_path_factory.mktemp("saml")) as running:
        yield running


@pytest.fixture(autouse=True)
def trail(box: Believing) -> None:
    """What came before does not count."""
    box.forget()


def test_a_good_one_is_let_in(box: Believing) -> None:
    """The yardstick of all that follows."""
    answer = box.ask(header(good(box)))
    assert answer.status_code == 200, answer.text
    (record,) = box.records()
    assert (record.principal_id, record.scheme) == ("899700000001", "assertion")


# Keys and algorithms


def test_a_key_of_ones_own(box: Believing) -> None:
    """Signed by the attacker, whose certificate stands in KeyInfo; then with the issuer's certificate there."""
    own = pair(subject="O=IdP,CN=idp", number=9)
    refused(box, header(sign(box.draft().xml, own)), CHECK, "idp: The assertion is not signed by its issuer")
    refused(box, header(sign(box.draft().xml, own, shown=box.idp)), CHECK, "not signed by its issuer")


def test_a_certificate_that_no_authority_vouches_for(box: Believing) -> None:
    foreign = pair(subject="C=FR,ST=Rhône (69),O=CH TEST,OU=1690000001,CN=cachet", number=9)
    draft = box.draft(issuer="CN=cachet,OU=1690000001,O=CH TEST,ST=Rhône (69),C=FR")
    refused(box, header(sign(draft.xml, foreign)), TOKEN, "igc: No authority that is believed here")
    refused(box, header(sign(draft.xml, foreign, shown=box.stamp)), CHECK, "igc: The assertion is not signed")
    late = pair(subject="C=FR,OU=1690000001,CN=cachet", number=9, by=box.authority, days=1, started=timedelta(days=9))
    old = box.draft(issuer="CN=cachet,OU=1690000001,C=FR")
    refused(box, header(sign(old.xml, late)), TOKEN, "igc: No authority that is believed here")


def test_a_good_certificate_under_another_name(box: Believing) -> None:
    draft = box.draft(issuer="CN=another,OU=1690000001,O=CH TEST,ST=Rhône (69),C=FR")
    refused(box, header(sign(draft.xml, box.stamp)), TOKEN, "Issuer is not the subject of the certificate")
    other = pair(subject="C=FR,OU=2690000001,CN=cachet", number=9, by=box.authority)
    draft = box.draft(issuer="CN=cachet,OU=2690000001,C=FR")
    refused(box, header(sign(draft.xml, other)), TOKEN, "not one for this purpose")


def test_an_issuer_that_nobody_knows(box: Believing) -> None:
    draft = box.draft(issuer=f"https://{EVIL}.example")
    refused(box, header(sign(draft.xml, pair(number=9))), TOKEN, "issuer is not one that is believed")


def test_sha_1_where_it_is_not_permitted(box: Believing) -> None:
    signed = sign(box.draft().xml, box.idp, algorithm="rsa-sha1", digest="sha1", sha1=True)
    refused(box, header(signed), ALGORITHM, "algorithm that is not accepted")


def test_a_strong_signature_over_a_weak_digest(box: Believing) -> None:
    signed = sign(box.draft().xml, box.idp, algorithm="rsa-sha256", digest="sha1", sha1=True)
    refused(box, header(signed), ALGORITHM, "digest that is not accepted")


def test_sha_1_where_a_setting_permits_it(box: Believing) -> None:
    signed = sign(box.draft(issuer=OTHER).xml, box.idp, algorithm="rsa-sha1", digest="sha1", sha1=True)
    assert box.ask(header(signed)).status_code == 200
    box.records()
    refused(box, header(good(box, issuer=OTHER)), ALGORITHM, "algorithm that is not accepted")


CHANGED: dict[str, tuple[str, str, str, str]] = {
    "HMAC with the public key": (
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        f"{DS}hmac-sha1",
        ALGORITHM,
        "algorithm that is not accepted",
    ),
    "no algorithm": ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "none", ALGORITHM, "not accepted"),
    "ECDSA said of an RSA signature": ("rsa-sha256", "ecdsa-sha256", CHECK, "not signed by its issuer"),
    "inclusive canonicalisation": (
        f'{DS}enveloped-signature"/><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>',
        f'{DS}enveloped-signature"/>',
        ALGORITHM,
        "transforms must be",
    ),
    "XSLT": (
        '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>',
        '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>',
        ALGORITHM,
        "transforms must be",
    ),
    "XPath": (
        f'<ds:Transform Algorithm="{DS}enveloped-signature"/>',
        '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>1</ds:XPath></ds:Transform>',
        ALGORITHM,
        "transforms must be",
    ),
    "comments kept": (
        'CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"',
        'CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#WithComments"',
        ALGORITHM,
        "canonicalisation must be",
    ),
    "the whole document": ('<ds:Reference URI="#', '<ds:Reference URI="" x="#', CHECK, "does not refer to"),
    "a reference to elsewhere": (
        '<ds:Reference URI="#',
        '<ds:Reference URI="http://127.0.0.1:1/#',
        CHECK,
        "does not refer to",
    ),
    "an XPointer": ('<ds:Reference URI="#', '<ds:Reference URI="#xpointer(/)', CHECK, "does not refer to"),
    "two references": (
        "</ds:SignedInfo>",
        '<ds:Reference URI="#x"/></ds:SignedInfo>',
        INVALID,
        "not of the form that SAML asks for",
    ),
    "an Object": ("</ds:SignatureValue>", "</ds:SignatureValue><ds:Object/>", INVALID, "not of the form"),
    "a digest that is no base64": ("<ds:DigestValue>", "<ds:DigestValue>%%%", INVALID, "not base64"),
    "a signature that is no base64": ("<ds:SignatureValue>", "<ds:SignatureValue>%%%", INVALID, "not base64"),
    "another digest": ("<ds:DigestValue>", "<ds:DigestValue>AAAA", CHECK, "changed after it was signed"),
    "another signature": ("<ds:SignatureValue>", "<ds:SignatureValue>AAAA", CHECK, "not signed by its issuer"),
    "an attribute more": ("<saml:AttributeStatement>", '<saml:AttributeStatement x="y">', CHECK, "changed after"),
}


@pytest.mark.parametrize("change", sorted(CHANGED))
def test_a_signature_that_was_changed(box: Believing, change: str) -> None:
    old, new, code, says = CHANGED[change]
    signed = good(box).decode()
    assert old in signed
    refused(box, header(signed.replace(old, new, 1).encode()), code, says)


def test_unsigned(box: Believing) -> None:
    bare = etree.fromstring(box.draft().xml)
    bare.remove(signature_of(bare))
    refused(box, around(bare), CHECK, "is not signed")


def test_encrypted(box: Believing) -> None:
    refused(box, header(f'<s:EncryptedAssertion xmlns:s="{SAML}"/>'.encode()), UNSUPPORTED, "Encrypted assertions")


@pytest.mark.parametrize(
    "block",
    ["<wsse:UsernameToken/>", "<wsse:BinarySecurityToken>AA==</wsse:BinarySecurityToken>", "<x:x xmlns:x='u'/>"],
)
def test_another_token(box: Believing, block: str) -> None:
    for blocks in ((block.encode(),), (good(box), block.encode())):
        refused(box, header(*blocks), UNSUPPORTED, "supported")


def test_an_assertion_of_saml_1_1(box: Believing) -> None:
    old = b'<s:Assertion xmlns:s="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="_1"/>'
    refused(box, header(old), UNSUPPORTED, "SAML 2.0")
    refused(box, header(good(box, version="1.1")), UNSUPPORTED, "idp: Only assertions of SAML 2.0")


def test_two_security_headers(box: Believing) -> None:
    answer = box.ask(header(good(box)) + header(good(box)))
    assert answer.status_code == 400
    assert len(box.records()) == 1


# Conditions

STATEMENT = f'<saml:AuthnStatement AuthnInstant="{instant()}"><saml:AuthnContext/></saml:AuthnStatement>'
AUDIENCES = "<saml:AudienceRestriction><saml:Audience>https://other</saml:Audience></saml:AudienceRestriction>"
DRAFTS: dict[str, tuple[dict[str, object], str, str]] = {
    "expired": ({"issued": -600, "starts": -600, "ends": -90}, TOKEN, "idp: the assertion has expired"),
    "not yet": ({"starts": 200}, TOKEN, "idp: the assertion is not valid yet"),
    "issued in the future": ({"issued": 200}, TOKEN, "not valid yet"),
    "issued too long ago": ({"issued": -4000, "starts": -4000, "ends": 9000}, TOKEN, "has expired"),
    "without an end": ({"ends": None}, TOKEN, "does not say how long"),
    "another audience": ({"audience": "https://other"}, TOKEN, "another audience"),
    "two restrictions, one for another": ({"conditions": AUDIENCES}, TOKEN, "another audience"),
    "no audience": ({"audience": ""}, TOKEN, "does not say for which audience"),
    "an unknown condition": ({"conditions": "<saml:Condition/>"}, UNSUPPORTED, "condition that is not supported"),
    "a chain": ({"conditions": '<saml:ProxyRestriction Count="0"/>'}, UNSUPPORTED, "condition that is not supported"),
    "no authentication": ({"authentication": ""}, INVALID, "exactly one AuthnStatement"),
    "two authentications": ({"authentication": STATEMENT * 2}, INVALID, "exactly one AuthnStatement"),
    "two attribute statements": ({"more": "<saml:AttributeStatement/>"}, INVALID, "exactly one AttributeStatement"),
    "another statement": ({"more": "<saml:AuthzDecisionStatement/>"}, UNSUPPORTED, "statement of a kind"),
    "two issuers": ({"more": f"<saml:Issuer>{ISSUER}</saml:Issuer>"}, INVALID, "exactly one Issuer"),
    "an ended session": (
        {
            "authentication": STATEMENT.replace(
                "AuthnInstant", 'SessionNotOnOrAfter="2020-01-01T00:00:00Z" AuthnInstant', 1
            )
        },
        TOKEN,
        "has expired",
    ),
    "a time that is none": (
        {"authentication": STATEMENT.replace(STATEMENT.split('"')[1], "yesterday")},
        INVALID,
        "not an instant of UTC",
    ),
    "no confirmation": ({"confirmation": ""}, FAILED, "not confirmed for who presents it"),
    "sender vouches": (
        {"confirmation": '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"/>'},
        FAILED,
        "not confirmed",
    ),
    "a bearer's time is over": (
        {
            "confirmation": '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
            f'<saml:SubjectConfirmationData NotOnOrAfter="{instant(-90)}"/></saml:SubjectConfirmation>'
        },
        FAILED,
        "not confirmed",
    ),
    "for another recipient": (
        {
            "confirmation": '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
            f'<saml:SubjectConfirmationData Recipient="{AUDIENCE}.evil.example/"/></saml:SubjectConfirmation>'
        },
        FAILED,
        "not confirmed",
    ),
    "no attributes": ({"attributes": ""}, INVALID, "idp: the assertion lacks subject-id, role"),
    "an attribute twice": ({"attributes": text(SUBJECT_ID, "a") * 2}, INVALID, "stands twice"),
    "encrypted attributes": ({"attributes": "<saml:EncryptedAttribute/>"}, UNSUPPORTED, "Encrypted attributes"),
}


@pytest.mark.parametrize("draft", sorted(DRAFTS))
def test_an_assertion_that_does_not_hold(box: Believing, draft: str) -> None:
    changes, code, says = DRAFTS[draft]
    refused(box, header(good(box, **changes)), code, says)


def test_a_purpose_that_is_not_admitted(box: Believing) -> None:
    attributes = box.draft().attributes + coded(PURPOSE, "PurposeOfUse", EVIL, "2.16.840.1.113883.3.18.7.1")
    refused(box, header(good(box, attributes=attributes)), TOKEN, "purpose of use is not one")


def test_a_patient_that_is_no_identifier(box: Believing) -> None:
    attributes = box.draft().attributes + text(RESOURCE, EVIL)
    refused(box, header(good(box, attributes=attributes)), INVALID, "resource-id is not a patient identifier")


# Replay and confirmation


def test_replay(box: Believing) -> None:
    signed = good(box)
    assert box.ask(header(signed)).status_code == 200
    box.records()
    refused(box, header(signed), TOKEN, "idp: the assertion was used before; it is good once")
    refused(box, header(signed), TOKEN, "idp: the assertion was used by another system before", node="b")


def test_replay_where_its_own_system_may_use_it_again(box: Believing) -> None:
    draft = box.draft(issuer=OTHER)
    signed = sign(draft.xml, box.idp, algorithm="rsa-sha1", digest="sha1", sha1=True)
    assert [box.ask(header(signed)).status_code for _ in range(2)] == [200, 200]
    box.records()
    refused(box, header(signed), TOKEN, "old-idp: the assertion was used by another system", node="b")
    once = replace(box.draft(issuer=OTHER), conditions="<saml:OneTimeUse/>")
    signed = sign(once.xml, box.idp, algorithm="rsa-sha1", digest="sha1", sha1=True)
    assert box.ask(header(signed)).status_code == 200
    box.records()
    refused(box, header(signed), TOKEN, "it is good once")


def test_many_at_once_are_one(box: Believing) -> None:
    shown, outcomes = header(good(box)), []
    threads = [threading.Thread(target=lambda: outcomes.append(box.ask(shown).status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [200, *[401] * 7]


def _held(certificate: bytes) -> str:
    return (
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"><saml:SubjectConfirmationData>'
        f'<ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>{base64.b64encode(certificate).decode()}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></saml:SubjectConfirmationData></saml:SubjectConfirmation>"
    )


def test_a_holder_of_key_is_the_system_that_calls(box: Believing) -> None:
    held = _held(box.certificate("a"))
    assert box.ask(header(good(box, confirmation=held)), "a").status_code == 200
    box.records()
    refused(box, header(good(box, confirmation=held)), FAILED, "not confirmed", node="b")
    refused(box, header(good(box, confirmation=_held(b"%"))), FAILED, "not confirmed")


def test_nobody_without_a_system_of_its_own(box: Believing) -> None:
    """An assertion opens nothing for a caller that is no node."""
    answer = box.ask(header(good(box)), node="")
    assert answer.status_code == 401
    (record,) = box.records()
    assert record.principal_id == "anonymous"


def test_an_assertion_that_is_required(box: Believing) -> None:
    refused(box, b"", INVALID, "must send an assertion", node="speaking")
    refused(box, header(), INVALID, "must send an assertion", node="speaking")
    assert box.ask(header(good(box)), "speaking").status_code == 200


# XML that means harm


HARM: dict[str, tuple[bytes, int]] = {
    "huge": (b"<x>" + b"A" * 300_000 + b"</x>", 401),
    "deep": (b"<x>" * 100 + b"</x>" * 100, 401),
    "wide": (b"<x>" + b"<y/>" * 20_000 + b"</x>", 401),
    "entity": (b"<x>&lol;</x>", 400),
    "DTD within": (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', 400),
}


@pytest.mark.parametrize("kind", sorted(HARM))
def test_xml_that_means_harm(box: Believing, kind: str) -> None:
    block, status = HARM[kind]
    answer = box.ask(header(block))
    assert answer.status_code == status, answer.text
    assert "root:" not in answer.text
    clean(answer.text)
    assert len(box.records()) == 1


def test_two_elements_with_one_id(box: Believing) -> None:
    signed = good(box).decode()
    twice = signed.replace("<saml:Subject>", '<saml:Subject xml:id="x">').replace(
        "<saml:NameID>", '<saml:NameID Id="x">'
    )
    refused(box, header(twice.encode()), INVALID, "same ID")


# HTTP's own header (IHE-SAML)


def fhir(box: Believing, token: str, node: str = "a") -> tuple[int, str]:
    with box.http(node) as client:
        answer = client.get(
            "/fhir/DocumentReference?patient.identifier=urn:oid:1.2.3|4", headers={"Authorization": token}
        )
    return answer.status_code, answer.text


def test_ihe_saml(box: Believing) -> None:
    signed = good(box)
    shown = "IHE-SAML " + base64.urlsafe_b64encode(signed).decode().rstrip("=")
    status, told = fhir(box, shown)
    assert status == 200, told
    (record,) = box.records()
    assert record.principal_id == "899700000001"
    status, told = fhir(box, shown)
    assert (status, "used before" in told) == (401, True)
    assert len(box.records()) == 1
    status, _ = fhir(box, shown, node="")
    assert status == 401


@pytest.mark.parametrize("token", ["%%%", "AAAA", base64.b64encode(b"<!DOCTYPE a><a/>").decode(), "PGE+"])
def test_ihe_saml_that_is_none(box: Believing, token: str) -> None:
    status, told = fhir(box, f"IHE-SAML {token}")
    assert status == 401
    clean(told)
    (record,) = box.records()
    assert record.error_code in ("assertion-unreadable", "assertion-unsupported")
