"""The signed list of trusted DRIMboxes: read as signxml signs it, and broken in every way."""

import base64
import copy
from collections.abc import Callable
from datetime import timedelta

import pytest
import xmlsec
from cryptography.hazmat.primitives import hashes
from lxml import etree
from signxml.xades.xades import XAdESVerifier

from hub.values import now
from hub.wire.drimbox.errors import WhiteListRefused
from hub.wire.drimbox.white_list import Trust, WhiteList, place_of, read_white_list
from hub.wire.x509.revocation import read_lists
from tests.drimbox import NAMESPACE, SIGNER, Authority, plain, sign, signed
from tests.saml import KeyPair, pair

OPERATOR = "CN=db1.111.mesimagesmedicales.fr, OU=31598513500187,O=editeur,ST=Paris (75),C=FR"
BOXES = [("db1.mesimagesmedicales.fr", OPERATOR), ("https://db2.mesimagesmedicales.fr:8443/wado", "not a name")]
DS, XADES = "{http://www.w3.org/2000/09/xmldsig#}", "{http://uri.etsi.org/01903/v1.3.2#}"
ANS = Authority()


def trust(*lists: bytes, authority: Authority = ANS, **options: object) -> Trust:
    found = tuple(crl for data in lists or (authority.crl(),) for crl in read_lists(data))
    return Trust((authority.ca.certificate,), found, **options)  # type: ignore[arg-type]


def read(data: bytes, using: Trust | None = None) -> WhiteList:
    return read_white_list(data, using or trust(), now())


def test_a_signed_list() -> None:
    found = read(signed(BOXES, ANS))
    assert [(item.id, item.source, item.viewer, item.name) for item in found.domains] == [
        ("1", "db1.mesimagesmedicales.fr", "vi1.test", "Opérateur 1"),
        ("2", "db2.mesimagesmedicales.fr:8443", "vi2.test", "Opérateur 2"),
    ]
    assert found.generated.isoformat() == "2026-01-02T03:04:05+00:00"
    assert now() < found.good_until <= now() + timedelta(days=7)


@pytest.mark.parametrize(
    "form",
    [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2006/12/xml-c14n11",
    ],
)
def test_canonical_forms(form: str) -> None:
    assert len(read(sign(plain(BOXES), ANS.signer, c14n=form)).domains) == 2


def by_xmlsec(by: KeyPair, *, named: KeyPair | None = None, shown: bool = True) -> bytes:
    """As signature services sign: exclusive canonicalisation, an XPath filter, KeyInfo not signed. By libxmlsec."""
    dsig, xades = DS[1:-1], XADES[1:-1]
    exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
    sha256 = '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    digest = base64.b64encode((named or by).certificate.fingerprint(hashes.SHA256())).decode()
    held = f"<ds:X509Certificate>{base64.b64encode(by.der).decode()}</ds:X509Certificate>" if shown else ""
    root = etree.fromstring(plain(BOXES))
    root.append(
        etree.fromstring(
            f'<ds:Signature xmlns:ds="{dsig}" Id="s"><ds:SignedInfo>'
            f'<ds:CanonicalizationMethod Algorithm="{exclusive}"/>'
            '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
            '<ds:Reference Id="r" URI=""><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
            "<ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>"
            f'<ds:Transform Algorithm="{exclusive}"/></ds:Transforms>{sha256}<ds:DigestValue/></ds:Reference>'
            '<ds:Reference URI="#p" Type="http://uri.etsi.org/01903#SignedProperties"><ds:Transforms>'
            f'<ds:Transform Algorithm="{exclusive}"/></ds:Transforms>{sha256}<ds:DigestValue/></ds:Reference>'
            "</ds:SignedInfo><ds:SignatureValue/>"
            f"<ds:KeyInfo><ds:X509Data>{held}</ds:X509Data></ds:KeyInfo><ds:Object>"
            f'<x:QualifyingProperties xmlns:x="{xades}" Target="#s"><x:SignedProperties Id="p">'
            "<x:SignedSignatureProperties>"
            "<x:SigningTime>2026-01-02T03:04:05Z</x:SigningTime><x:SigningCertificateV2><x:Cert><x:CertDigest>"
            f"{sha256}<ds:DigestValue>{digest}</ds:DigestValue></x:CertDigest></x:Cert></x:SigningCertificateV2>"
            "</x:SignedSignatureProperties></x:SignedProperties></x:QualifyingProperties></ds:Object></ds:Signature>"
        )
    )
    xmlsec.tree.add_ids(root, ["Id"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(by.key_pem, xmlsec.constants.KeyDataFormatPem)
    context.sign(at(root, f"{DS}Signature"))
    return etree.tostring(root)


def test_as_signature_services_sign() -> None:
    assert len(read(by_xmlsec(ANS.signer)).domains) == 2
    with pytest.raises(WhiteListRefused, match="changed after"):
        read(by_xmlsec(ANS.signer).replace(b"db1.mes", b"db9.mes"))


def test_the_kit_signs_what_others_verify() -> None:
    found = XAdESVerifier().verify(signed(BOXES, ANS), x509_cert=ANS.signer.certificate, expect_references=3)
    assert len(found) == 3


def test_who_asks_and_who_is_asked() -> None:
    found = read(signed(BOXES, ANS))
    parts = "C=FR,ST=Paris (75),O=editeur,OU=31598513500187,CN=db1.111.mesimagesmedicales.fr"
    box = found.operator(pair(subject=parts, number=44).certificate)
    assert box is not None
    assert box.id == "1"
    for other in (parts.replace("db1", "db3"), parts.rpartition(",")[0], "CN=not a name"):
        assert found.operator(pair(subject=other, number=44).certificate) is None
    assert found.source_of("https://DB1.mesimagesmedicales.fr/rs/studies/1.2") == box
    assert found.source_of("https://db1.mesimagesmedicales.fr:443/rs") == box
    assert found.source_of("https://db2.mesimagesmedicales.fr:8443/rs") is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://db1.mesimagesmedicales.fr/",
        "https://db1.mesimagesmedicales.fr:444/",
        "https://db1.mesimagesmedicales.fr.evil.example/",
        "https://evil.example/db1.mesimagesmedicales.fr",
        "https://db1.mesimagesmedicales.fr@evil.example/",
        "https://user@db1.mesimagesmedicales.fr/",
        "https://evil.example#@db1.mesimagesmedicales.fr/",
        "https://127.0.0.1/",
        "https://db1.mesimagesmedicales.fr:x/",
        "//db1.mesimagesmedicales.fr/",
        "file:///etc/passwd",
        "https://[::1",
        "",
    ],
)
def test_no_other_place(url: str) -> None:
    assert read(signed(BOXES, ANS)).source_of(url) is None


def test_places() -> None:
    assert place_of("DB1.example.") == "db1.example"
    assert place_of("http://db1.example") == ""


# broken


def changed(change: Callable[[etree._Element], None]) -> bytes:
    root = etree.fromstring(signed(BOXES, ANS))
    change(root)
    return etree.tostring(root)


def at(root: etree._Element, path: str) -> etree._Element:
    found = root.find(f".//{path}")
    assert found is not None
    return found


def domain(root: etree._Element) -> None:
    at(root, f"{{{NAMESPACE}}}db").text = "evil.example"


def added(root: etree._Element) -> None:
    rows = at(root, f"{{{NAMESPACE}}}ListeDomaines")
    rows.append(copy.deepcopy(rows[0]))


def wrapped(root: etree._Element) -> None:
    """The signed list within another one: the outer one is what a careless reader reads."""
    inner = copy.deepcopy(root)
    signature = at(root, f"{DS}Signature")
    root.remove(signature)
    domain(root)
    root.append(inner)


def second(root: etree._Element) -> None:
    root.append(copy.deepcopy(at(root, f"{DS}Signature")))


def moved(root: etree._Element) -> None:
    signature = at(root, f"{DS}Signature")
    at(root, f"{{{NAMESPACE}}}ListeDomaines").append(signature)


def unsigned(root: etree._Element) -> None:
    root.remove(at(root, f"{DS}Signature"))


def attribute(path: str, name: str, value: str) -> Callable[[etree._Element], None]:
    return lambda root: at(root, path).set(name, value)


def text(path: str, value: str) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        at(root, path).text = value

    return change


def dropped(path: str) -> Callable[[etree._Element], None]:
    def change(root: etree._Element) -> None:
        found = at(root, path)
        parent = found.getparent()
        assert parent is not None
        parent.remove(found)

    return change


REFERENCE = f"{DS}Reference[@URI='']"
BROKEN: dict[str, tuple[Callable[[etree._Element], None], str]] = {
    "another domain": (domain, "changed after"),
    "one more domain": (added, "changed after"),
    "another date": (text(f"{{{NAMESPACE}}}DateDeGeneration", "2027-01-01T00:00:00Z"), "changed after"),
    "a list round it": (wrapped, "one signature"),
    "two signatures": (second, "one signature"),
    "a signature elsewhere": (moved, "one signature"),
    "no signature": (unsigned, "not signed"),
    "SHA-1": (
        attribute(f"{DS}SignatureMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        "algorithm",
    ),
    "HMAC": (
        attribute(f"{DS}SignatureMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
        "algorithm",
    ),
    "a SHA-1 digest": (
        attribute(f"{REFERENCE}/{DS}DigestMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1"),
        "digest",
    ),
    "a reference to a part": (attribute(REFERENCE, "URI", "#part"), "whole list"),
    "no reference to the list": (dropped(REFERENCE), "whole list"),
    "properties of another type": (
        attribute(f"{DS}Reference[@Type]", "Type", "http://www.w3.org/2000/09/xmldsig#Object"),
        "whole list",
    ),
    "a stylesheet": (
        attribute(
            f"{REFERENCE}/{DS}Transforms/{DS}Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116"
        ),
        "enveloped",
    ),
    "a form that nobody knows": (attribute(f"{DS}CanonicalizationMethod", "Algorithm", "urn:none"), "canonical form"),
    "another time": (text(f"{XADES}SigningTime", "2020-01-01T00:00:00Z"), "properties"),
    "no properties": (dropped(f"{DS}Object"), "XAdES"),
    "another value": (text(f"{DS}SignatureValue", "AAAA"), "does not fit"),
    "no value": (dropped(f"{DS}SignatureValue"), "XAdES"),
    "a value that is none": (text(f"{DS}SignatureValue", "é"), "base64"),
    "no certificate": (dropped(f"{DS}KeyInfo"), "whole list"),
    "another certificate beside it": (text(f"{DS}X509Certificate", "AAAA"), "properties"),
}


@pytest.mark.parametrize("wrong", sorted(BROKEN))
def test_a_broken_list(wrong: str) -> None:
    change, told = BROKEN[wrong]
    with pytest.raises(WhiteListRefused, match=told):
        read(changed(change))


def test_a_signature_that_shows_another_certificate() -> None:
    """Another key signs, and shows the true signer's certificate."""
    thief = pair(subject=SIGNER, number=45, by=ANS.ca)
    with pytest.raises(WhiteListRefused, match="does not fit"):
        read(by_xmlsec(KeyPair(thief.key, ANS.signer.certificate)))
    with pytest.raises(WhiteListRefused, match="not the one that it names"):
        read(by_xmlsec(ANS.signer, named=thief))
    with pytest.raises(WhiteListRefused, match="whose"):
        read(by_xmlsec(ANS.signer, shown=False))


def test_signed_by_whom_nobody_vouches_for() -> None:
    for other in (Authority(50).signer, pair(subject=SIGNER, number=41)):
        with pytest.raises(WhiteListRefused, match="vouches"):
            read(sign(plain(BOXES), other))


def test_signed_by_somebody_else() -> None:
    for subject in (
        SIGNER.replace("318751275100020", "1"),
        SIGNER.replace("Liste", "Autre"),
        "C=FR,CN=Liste Blanche DRIM-M",
    ):
        with pytest.raises(WhiteListRefused, match="somebody else"):
            read(sign(plain(BOXES), pair(subject=subject, number=41, by=ANS.ca)))
    own = trust(signer=(("CN", "Autre *"),))
    assert read(sign(plain(BOXES), pair(subject="C=FR,CN=Autre liste", number=41, by=ANS.ca)), own).domains


def test_signed_with_an_authoritys_key() -> None:
    with pytest.raises(WhiteListRefused, match="purpose"):
        read(sign(plain(BOXES), pair(subject=SIGNER, number=41, by=ANS.ca, ca=True)))
    with pytest.raises(WhiteListRefused, match="purpose"):
        read(sign(plain(BOXES), ANS.ca))


def test_out_of_time() -> None:
    for options in ({"days": 1, "started": timedelta(days=3)}, {"started": -timedelta(days=1)}):
        with pytest.raises(WhiteListRefused, match="vouches"):
            read(sign(plain(BOXES), pair(subject=SIGNER, number=41, by=ANS.ca, **options)))


def test_revoked_or_nobody_tells() -> None:
    data = signed(BOXES, ANS)
    with pytest.raises(WhiteListRefused, match="revoked"):
        read(data, trust(ANS.crl(ANS.signer)))
    with pytest.raises(WhiteListRefused, match="revoked"):  # an older list took it back: it stays so
        read(data, trust(ANS.crl(), ANS.crl(ANS.signer, days=1, started=timedelta(days=3))))
    for lists in (Authority(50).crl(), ANS.crl(days=1, started=timedelta(days=3))):
        with pytest.raises(WhiteListRefused):
            read(data, trust(lists))
    none = Trust((ANS.ca.certificate,), ())
    with pytest.raises(WhiteListRefused, match="No fresh"):
        read(data, none)


@pytest.mark.parametrize("algorithm", ["RSA_SHA512", "RSA_SHA384"])
def test_algorithms_are_settings(algorithm: str) -> None:
    data = sign(plain(BOXES), ANS.signer, algorithm=algorithm)
    with pytest.raises(WhiteListRefused, match="algorithm"):
        read(data)
    assert read(data, trust(algorithms=(algorithm.lower().replace("_", "-"),))).domains


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not XML",
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"<a>" * 300 + b"</a>" * 300,
        plain(BOXES),
    ],
)
def test_what_is_no_list(data: bytes) -> None:
    with pytest.raises(WhiteListRefused):
        read(data)


def test_another_document_of_the_same_signer() -> None:
    for document in (
        plain(BOXES, version="2.0.0"),
        b"<liste/>",
        plain(BOXES, generated="yesterday"),
        plain([("x" * 600, "")]),
    ):
        with pytest.raises(WhiteListRefused):
            read(sign(document, ANS.signer))
