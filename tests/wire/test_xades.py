"""The signature of a submission set, judged by signxml, by the xmlsec library, and by openssl where it can."""

import base64
import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier

from hub.errors import Malformed, Misconfigured
from hub.testing.dmp.metadata import Broken
from hub.testing.dmp.pki import AUTHENTICATION, AUTHORITY, SEAL, make_pki
from hub.testing.dmp.signature import check_signature
from hub.testing.dmp.trust import Trust
from hub.wire.xades import DS, Form, Signed, sign_submission

AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CDA = Signed("1.2.3.4", "text/xml", b'<?xml version="1.0"?>\n<a  b="1"><!-- kept --><c/></a>')
KOS = Signed("1.2.3.5", "application/dicom", b"\0" * 128 + b"DICM" + bytes(range(256)))


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("dmp-pki"))


def signed(
    pki: Path, form: Form | None = None, *, name: str = SEAL, documents: tuple[Signed, ...] = (CDA, KOS)
) -> bytes:
    key, certificate = (pki / f"{name}.key").read_bytes(), (pki / f"{name}.crt").read_bytes()
    return sign_submission("1.2.3", documents, key=key, certificate=certificate, form=form, at=AT)


def load(pki: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())


@pytest.mark.parametrize(
    ("form", "method", "digest"),
    [
        (Form(), SignatureMethod.RSA_SHA256, DigestAlgorithm.SHA256),
        (Form("rsa-sha512"), SignatureMethod.RSA_SHA512, DigestAlgorithm.SHA512),
        (Form("rsa-sha1"), SignatureMethod.RSA_SHA1, DigestAlgorithm.SHA1),
    ],
)
def test_signxml_verifies_it(pki: Path, form: Form, method: SignatureMethod, digest: DigestAlgorithm) -> None:
    expected = SignatureConfiguration(
        require_x509=True,
        expect_references=2,
        signature_methods=frozenset({method}),
        digest_algorithms=frozenset({digest}),
        location="./",
    )

    class Lenient(XMLVerifier):
        """signxml 4 refuses SHA-1 before its configuration is asked."""

        def check_digest_alg_expected(self, digest_algorithm: DigestAlgorithm) -> DigestAlgorithm:
            return digest_algorithm

        def check_signature_alg_expected(self, signature_alg: SignatureMethod) -> SignatureMethod:
            return signature_alg

    result = Lenient().verify(
        signed(pki, form),
        x509_cert=load(pki, SEAL),
        id_attribute="Id",
        expect_config=expected,
    )
    said = result if isinstance(result, list) else [result]
    tags = {etree.QName(item.signed_xml).localname for item in said if item.signed_xml is not None}
    assert tags == {"Manifest", "SignedProperties"}


def test_openssl_verifies_the_bytes_that_are_signed(pki: Path, tmp_path: Path) -> None:
    root = etree.fromstring(signed(pki))
    info = root.find(f"{{{DS}}}SignedInfo")
    assert info is not None
    (tmp_path / "info").write_bytes(etree.tostring(info, method="c14n", with_comments=True))
    (tmp_path / "value").write_bytes(base64.b64decode(root.findtext(f"{{{DS}}}SignatureValue") or ""))
    done = subprocess.run(
        ["openssl", "x509", "-in", str(pki / f"{SEAL}.crt"), "-pubkey", "-noout"], capture_output=True, check=True
    )
    (tmp_path / "public").write_bytes(done.stdout)
    command = ["openssl", "dgst", "-sha256", "-verify", "public", "-signature", "value", "info"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout == b"Verified OK\n"


def test_the_manifest_names_the_set_and_each_document(pki: Path) -> None:
    root = etree.fromstring(signed(pki))
    found = {
        item.get("URI"): item.findtext(f"{{{DS}}}DigestValue")
        for item in root.iterfind(f"{{{DS}}}Object/{{{DS}}}Manifest/{{{DS}}}Reference")
    }
    canonical = b'<a b="1"><!-- kept --><c></c></a>'
    assert found == {
        "urn:oid:1.2.3": "AA==",
        "urn:oid:1.2.3.4": base64.b64encode(hashlib.sha256(canonical).digest()).decode(),
        "urn:oid:1.2.3.5": base64.b64encode(hashlib.sha256(KOS.content).digest()).decode(),
    }


def judge(
    pki: Path, data: bytes, *, set_id: str = "1.2.3", sha1: bool = False, changed: dict[str, bytes] | None = None
) -> None:
    documents = {CDA.unique_id: CDA.content, KOS.unique_id: KOS.content} | (changed or {})
    check_signature(data, set_id, documents, Trust(load(pki, AUTHORITY), sha1=sha1), load(pki, AUTHENTICATION))


def test_the_simulated_record_takes_it(pki: Path) -> None:
    judge(pki, signed(pki))
    judge(pki, signed(pki, Form("rsa-sha1")), sha1=True)


def test_what_the_simulated_record_refuses(pki: Path) -> None:
    good = signed(pki)
    root = etree.fromstring(good)
    root.find(f"{{{DS}}}Object/{{{DS}}}Manifest/{{{DS}}}Reference").set("URI", "urn:oid:9.9")  # type: ignore[union-attr]
    for data, changed in (
        (etree.tostring(root), {}),  # the manifest was changed
        (good, {KOS.unique_id: KOS.content + b"x"}),  # a document was changed
        (good, {"1.2.3.6": b"more"}),  # one document is not signed
        (signed(pki, documents=(CDA,)), {}),
        (signed(pki, Form("rsa-sha1")), {}),  # an algorithm of the past
        (signed(pki, name=AUTHENTICATION), {}),  # the wrong certificate
        (b"<nothing/>", {}),
    ):
        with pytest.raises(Broken):
            judge(pki, data, changed=changed)
    with pytest.raises(Broken):
        judge(pki, good, set_id="1.2.4")


def test_what_can_not_be_signed(pki: Path) -> None:
    with pytest.raises(Misconfigured):
        signed(pki, Form("md5"))
    with pytest.raises(Misconfigured):
        sign_submission("1.2.3", (), key=b"no key", certificate=(pki / f"{SEAL}.crt").read_bytes(), at=AT)
    with pytest.raises(Misconfigured):
        sign_submission("1.2.3", (), key=(pki / f"{SEAL}.key").read_bytes(), certificate=b"none", at=AT)
    with pytest.raises(Malformed):
        signed(pki, documents=(Signed("1.2", "text/xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),))
