"""XML signatures as the simulated record checks them: known algorithms, a certificate of its authority."""

import base64
import datetime
import hashlib

import xmlsec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from lxml import etree

from hub.testing.dmp.envelope import DS, Element, Fault

RSA_SHA1 = f"{DS}rsa-sha1"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA1 = f"{DS}sha1"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

#: Canonical forms -> whether comments stay.
_C14N = {
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315": False,
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments": True,
}


def _canonical(element: Element, name: str) -> bytes:
    return etree.tostring(element, method="c14n", with_comments=_C14N[name], with_tail=False)


class Trust:
    """Whom the record trusts. ``sha1``: whether the algorithms of the older samples are still taken."""

    def __init__(self, authority: x509.Certificate, *, sha1: bool = False) -> None:
        self.authority = authority
        self.signatures = {RSA_SHA256, RSA_SHA1} if sha1 else {RSA_SHA256}
        self.digests = {SHA256, SHA1} if sha1 else {SHA256}

    def verified(self, signature: Element, ids: tuple[str, ...]) -> x509.Certificate:
        """The certificate that made an enveloped signature. ``ids``: attributes that are identifiers. Raises Fault."""
        certificate = self._certificate(signature)
        context = xmlsec.SignatureContext()
        public = certificate.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        context.key = xmlsec.Key.from_memory(public, xmlsec.constants.KeyDataFormatPem, None)
        xmlsec.tree.add_ids(signature.getroottree().getroot(), list(ids))
        try:
            context.verify(signature)
        except xmlsec.Error:
            raise Fault("DMPInvalidSignature", "The signature does not verify.") from None
        self.check(certificate)
        return certificate

    def verified_alone(self, root: Element) -> x509.Certificate:
        """The certificate of a ds:Signature that is a document and refers to its own parts by Id. Raises Fault.

        By hand: libxmlsec would follow the references of its manifest as well, which lead elsewhere."""
        certificate = self._certificate(root)
        info = root.find(f"{{{DS}}}SignedInfo")
        assert info is not None
        method = info.find(f"{{{DS}}}CanonicalizationMethod")
        if method is None or method.get("Algorithm") not in _C14N:
            raise Fault("DMPInvalidSignature", "The canonical form is an unknown one.")
        parts = {item.get("Id"): item for item in root.iter() if isinstance(item.tag, str) and item.get("Id")}
        for reference in info.iterfind(f"{{{DS}}}Reference"):
            part = parts.get((reference.get("URI") or "").removeprefix("#"))
            digest = reference.find(f"{{{DS}}}DigestMethod")
            if part is None or digest is None:
                raise Fault("DMPInvalidSignature", "A reference leads nowhere.")
            named = [item.get("Algorithm") for item in reference.iterfind(f"{{{DS}}}Transforms/{{{DS}}}Transform")]
            if len(named) != 1 or named[0] not in _C14N:
                raise Fault("DMPInvalidSignature", "A transform is an unknown one.")
            kind = "sha1" if digest.get("Algorithm") == SHA1 else "sha256"
            if (
                base64.b64decode(reference.findtext(f"{{{DS}}}DigestValue") or "")
                != hashlib.new(kind, _canonical(part, str(named[0]))).digest()
            ):
                raise Fault("DMPInvalidSignature", "A digest is wrong.")
        key, signed = certificate.public_key(), info.find(f"{{{DS}}}SignatureMethod")
        assert isinstance(key, rsa.RSAPublicKey)
        assert signed is not None
        kind_of = hashes.SHA1() if signed.get("Algorithm") == RSA_SHA1 else hashes.SHA256()
        value = base64.b64decode(root.findtext(f"{{{DS}}}SignatureValue") or "")
        try:
            key.verify(value, _canonical(info, str(method.get("Algorithm"))), padding.PKCS1v15(), kind_of)
        except InvalidSignature:
            raise Fault("DMPInvalidSignature", "The signature does not verify.") from None
        self.check(certificate)
        return certificate

    def _certificate(self, signature: Element) -> x509.Certificate:
        method = signature.find(f"{{{DS}}}SignedInfo/{{{DS}}}SignatureMethod")
        if method is None or method.get("Algorithm") not in self.signatures:
            raise Fault("DMPInvalidSignature", "The signature's algorithm is not accepted.")
        for digest in signature.iterfind(f"{{{DS}}}SignedInfo/{{{DS}}}Reference/{{{DS}}}DigestMethod"):
            if digest.get("Algorithm") not in self.digests:
                raise Fault("DMPInvalidSignature", "A digest's algorithm is not accepted.")
        texts = signature.findall(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate")
        if len(texts) != 1:
            raise Fault("DMPInvalidSignature", "The signature must bring its certificate.")
        try:
            return x509.load_der_x509_certificate(base64.b64decode("".join((texts[0].text or "").split())))
        except ValueError:
            raise Fault("DMPInvalidSignature", "The certificate can't be read.") from None

    def check(self, certificate: x509.Certificate) -> None:
        """Issued by the authority, valid today. Raises Fault."""
        key, hashed = self.authority.public_key(), certificate.signature_hash_algorithm
        assert isinstance(key, rsa.RSAPublicKey)
        assert hashed is not None
        try:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), hashed)
        except InvalidSignature:
            raise Fault("DMPInvalidCertificate", "The certificate is not of IGC-Santé.") from None
        now = datetime.datetime.now(datetime.UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Fault("DMPInvalidCertificate", "The certificate is not valid today.")


def signs(certificate: x509.Certificate) -> bool:
    """Whether it is a certificate for signatures (cachet or PS): nonRepudiation, emailProtection, no clientAuth."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return (
        usage.content_commitment
        and ExtendedKeyUsageOID.EMAIL_PROTECTION in extended
        and ExtendedKeyUsageOID.CLIENT_AUTH not in extended
    )


def structure_of(certificate: x509.Certificate) -> str:
    """OU of an organisation's certificate: its Struct_IdNat; "" for a person's."""
    found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def common_name(certificate: x509.Certificate) -> str:
    """CN: idNat_PS on a professional's certificate."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""
