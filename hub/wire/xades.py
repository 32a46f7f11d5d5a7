"""The signature of a submission set (CI-SIS "Partage de documents", IHE DSG): XAdES over a manifest of its documents.

One ds:Signature is the document. It signs its own manifest (``IHEManifest``), which names the submission set and every
document by URN with the document's digest, and the XAdES properties (time, certificate). XML documents are digested in
their canonical form (C14N 1.0 with comments), others as they are."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from hub.errors import Malformed, Misconfigured
from hub.values import new_key
from hub.wire.xml import Element, parse_xml, serialise

DS = "http://www.w3.org/2000/09/xmldsig#"
#: The version of XAdES that the samples use; a later one is a setting (``Form.namespace``).
XADES_1_1_1 = "http://uri.etsi.org/01903/v1.1.1#"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
C14N_WITH_COMMENTS = f"{C14N}#WithComments"
MANIFEST = "IHEManifest"


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How a signature is made: URIs of the signature and of digests, and hashlib's name."""

    signature: str
    digest: str
    name: str


ALGORITHMS: Mapping[str, Algorithm] = {
    "rsa-sha256": Algorithm(
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", "sha256"
    ),
    "rsa-sha512": Algorithm(
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512", "sha512"
    ),
    "rsa-sha1": Algorithm(f"{DS}rsa-sha1", f"{DS}sha1", "sha1"),  # older services take nothing else
}


_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha512": hashes.SHA512(),
    "sha1": hashes.SHA1(),  # noqa: S303
}


@dataclass(frozen=True, slots=True)
class Form:
    """What moves from release to release."""

    algorithm: str = "rsa-sha256"  #: a name of ALGORITHMS
    namespace: str = XADES_1_1_1


@dataclass(frozen=True, slots=True)
class Signed:
    """A document that is signed. ``content``: read into memory, since it is canonicalised."""

    unique_id: str
    mime_type: str
    content: bytes


def sign_submission(
    set_id: str,
    documents: Iterable[Signed],
    *,
    key: bytes,
    certificate: bytes,
    form: Form | None = None,
    at: datetime,
) -> bytes:
    """The signature document. ``set_id``: uniqueId of the submission set; ``key``, ``certificate``: PEM.

    Raises Misconfigured when key, certificate and algorithm do not fit, Malformed when an XML document can't be read.
    """
    form = form or Form()
    algorithm = ALGORITHMS.get(form.algorithm)
    if algorithm is None:
        raise Misconfigured("The algorithm is not one that submissions can be signed with.", location="algorithm")
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise Misconfigured("The certificate that signs submissions is not readable.") from None
    number = new_key()
    root = etree.Element(_ds("Signature"), {"Id": f"signature-{number}"}, nsmap={"ds": DS})
    _info(root, algorithm, form, number)
    etree.SubElement(root, _ds("SignatureValue"))
    data = etree.SubElement(etree.SubElement(root, _ds("KeyInfo")), _ds("X509Data"))
    der = base64.b64encode(leaf.public_bytes(Encoding.DER)).decode()
    etree.SubElement(data, _ds("X509Certificate")).text = der
    _properties(root, leaf, algorithm, form, number=number, at=at)
    _manifest(root, set_id, documents, algorithm)
    _sign(root, key, leaf, algorithm)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + serialise(root)


def digest(document: Signed, algorithm: Algorithm) -> bytes:
    """A document's digest as the manifest has it. Raises Malformed."""
    content = canonical(document.content) if is_xml(document.mime_type) else document.content
    return hashlib.new(algorithm.name, content, usedforsecurity=False).digest()


def is_xml(mime_type: str) -> bool:
    """Whether a document is signed in its canonical form."""
    return mime_type in ("text/xml", "application/xml") or mime_type.endswith("+xml")


def canonical(content: bytes) -> bytes:
    """C14N 1.0 with comments of a document from strangers. Raises Malformed."""
    parse_xml(content)  # the limits, and no document type: checked by the parser for strangers, which drops comments
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        tree = etree.fromstring(content, parser).getroottree()
    except etree.XMLSyntaxError:
        raise Malformed("The document that is to be signed is not well-formed.") from None
    return bytes(etree.tostring(tree, method="c14n", exclusive=False, with_comments=True))


def _sign(root: Element, key: bytes, leaf: x509.Certificate, algorithm: Algorithm) -> None:
    """Fill in the digests of what SignedInfo refers to, then the signature.

    By hand: libxmlsec would follow the manifest's references, which lead to documents that are elsewhere."""
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, RSAPrivateKey) or private.public_key() != leaf.public_key():
        raise Misconfigured("Submissions can't be signed with this key and certificate.")
    info = root.find(_ds("SignedInfo"))
    by_id = {item.get("Id"): item for item in root.iter() if item.get("Id")}
    for reference in info.iterfind(_ds("Reference")):
        data = c14n(by_id[reference.get("URI")[1:]])
        value = hashlib.new(algorithm.name, data, usedforsecurity=False).digest()
        reference.find(_ds("DigestValue")).text = base64.b64encode(value).decode()
    signature = private.sign(c14n(info), padding.PKCS1v15(), _HASHES[algorithm.name])
    root.find(_ds("SignatureValue")).text = base64.b64encode(signature).decode()


def c14n(element: Element) -> bytes:
    """C14N 1.0 with comments of an element where it stands, with the namespaces that are in scope there."""
    return bytes(etree.tostring(element, method="c14n", exclusive=False, with_comments=True, with_tail=False))


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"


def _info(root: Element, algorithm: Algorithm, form: Form, number: str) -> None:
    info = etree.SubElement(root, _ds("SignedInfo"))
    etree.SubElement(info, _ds("CanonicalizationMethod"), {"Algorithm": C14N_WITH_COMMENTS})
    etree.SubElement(info, _ds("SignatureMethod"), {"Algorithm": algorithm.signature})
    _reference(info, f"#{MANIFEST}", algorithm, transform=C14N, type=f"{DS}Manifest")
    properties = f"{form.namespace}SignedProperties"
    _reference(info, f"#properties-{number}", algorithm, transform=C14N, type=properties)


def _reference(
    parent: Element,
    uri: str,
    algorithm: Algorithm,
    *,
    transform: str = "",
    type: str = "",  # noqa: A002
    value: bytes = b"",
) -> None:
    reference = etree.SubElement(parent, _ds("Reference"), {"URI": uri} | ({"Type": type} if type else {}))
    if transform:
        transforms = etree.SubElement(reference, _ds("Transforms"))
        etree.SubElement(transforms, _ds("Transform"), {"Algorithm": transform})
    etree.SubElement(reference, _ds("DigestMethod"), {"Algorithm": algorithm.digest})
    etree.SubElement(reference, _ds("DigestValue")).text = base64.b64encode(value).decode() or None


def _properties(
    root: Element, leaf: x509.Certificate, algorithm: Algorithm, form: Form, *, number: str, at: datetime
) -> None:
    def add(parent: Element, name: str, text: str = "", **attributes: str) -> Element:
        child = etree.SubElement(parent, f"{{{form.namespace}}}{name}", attributes)
        child.text = text or None
        return child

    place: Any = etree.SubElement(root, _ds("Object"))
    qualifying = etree.SubElement(
        place,
        f"{{{form.namespace}}}QualifyingProperties",
        {"Target": f"#signature-{number}"},
        nsmap={"xad": form.namespace},
    )
    signed = add(add(qualifying, "SignedProperties", Id=f"properties-{number}"), "SignedSignatureProperties")
    add(signed, "SigningTime", at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    cert = add(add(signed, "SigningCertificate"), "Cert")
    hashed = add(cert, "CertDigest")
    etree.SubElement(hashed, _ds("DigestMethod"), {"Algorithm": algorithm.digest})
    value = hashlib.new(algorithm.name, leaf.public_bytes(Encoding.DER), usedforsecurity=False).digest()
    etree.SubElement(hashed, _ds("DigestValue")).text = base64.b64encode(value).decode()
    serial = add(cert, "IssuerSerial")
    etree.SubElement(serial, _ds("X509IssuerName")).text = leaf.issuer.rfc4514_string()
    etree.SubElement(serial, _ds("X509SerialNumber")).text = str(leaf.serial_number)
    add(add(signed, "SignaturePolicyIdentifier"), "SignaturePolicyImplied")


def _manifest(root: Element, set_id: str, documents: Iterable[Signed], algorithm: Algorithm) -> None:
    place = etree.SubElement(root, _ds("Object"))
    manifest = etree.SubElement(place, _ds("Manifest"), {"Id": MANIFEST})
    _reference(manifest, f"urn:oid:{set_id}", algorithm, value=b"\0")  # the set has no bytes: AA== stands for it
    for document in documents:
        transform = C14N_WITH_COMMENTS if is_xml(document.mime_type) else ""
        _reference(
            manifest, f"urn:oid:{document.unique_id}", algorithm, transform=transform, value=digest(document, algorithm)
        )
