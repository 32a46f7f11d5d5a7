"""The signature of a submission set: XAdES with a manifest of the documents (IHEManifest)."""

import base64
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from hub.testing.dmp.envelope import DS, Element, Fault, parse
from hub.testing.dmp.metadata import Broken
from hub.testing.dmp.trust import Trust, signs

XADES = "http://uri.etsi.org/01903/v1.1.1#"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"
_HASHES = {f"{DS}sha1": "sha1", "http://www.w3.org/2001/04/xmlenc#sha256": "sha256"}
BAD = "XDSRepositoryError"


def check_signature(data: bytes, set_id: str, documents: dict[str, bytes], trust: Trust, tls: x509.Certificate) -> None:
    """``documents``: content by uniqueId. Raises Broken."""
    try:
        root = parse(data)
        if root.tag != f"{{{DS}}}Signature":
            raise Broken(BAD, "The signature document is no ds:Signature.")
        _whole(root)
        signer = trust.verified_alone(root)
    except Fault as fault:
        raise Broken(BAD, f"The submission set's signature: {fault.text}") from None
    if signer == tls or not signs(signer):
        raise Broken(BAD, "The submission set is not signed by a certificate for signatures.")
    _signed_certificate(root, signer)
    listed = _manifest(root)
    named = listed.pop(f"urn:oid:{set_id}", None)
    if named is None or _value(named) != b"\0":
        raise Broken(BAD, "The manifest does not name the submission set (with the digest AA==).")
    if set(listed) != {f"urn:oid:{item}" for item in documents}:
        raise Broken(BAD, "The manifest does not name the documents.")
    for unique_id, content in documents.items():
        reference = listed[f"urn:oid:{unique_id}"]
        if _value(reference) != _digest(reference, content):
            raise Broken(BAD, "A digest of the manifest is not that of its document.")


def _whole(root: Element) -> None:
    """Manifest and SignedProperties are signed, each found once."""
    links = {item.get("URI", "") for item in root.iterfind(f"{{{DS}}}SignedInfo/{{{DS}}}Reference")}
    properties = root.findall(f"{{{DS}}}Object/{{{XADES}}}QualifyingProperties/{{{XADES}}}SignedProperties")
    if len(properties) != 1 or links != {"#IHEManifest", f"#{properties[0].get('Id')}"}:
        raise Broken(BAD, "The signature must be about the manifest and the signed properties.")
    ids = [item.get("Id") for item in root.iter() if isinstance(item.tag, str) and item.get("Id")]
    if len(ids) != len(set(ids)):
        raise Broken(BAD, "An Id stands twice in the signature.")


def _signed_certificate(root: Element, signer: x509.Certificate) -> None:
    cert = root.find(f".//{{{XADES}}}SigningCertificate/{{{XADES}}}Cert/{{{XADES}}}CertDigest")
    if cert is None or root.find(f".//{{{XADES}}}SigningTime") is None:
        raise Broken(BAD, "SigningTime or SigningCertificate is missing.")
    method, value = cert.find(f"{{{DS}}}DigestMethod"), cert.findtext(f"{{{DS}}}DigestValue")
    if method is None or method.get("Algorithm") not in _HASHES:
        raise Broken(BAD, "The digest of the certificate has an unknown algorithm.")
    der = signer.public_bytes(Encoding.DER)
    if base64.b64decode(value or "") != hashlib.new(_HASHES[method.get("Algorithm", "")], der).digest():
        raise Broken(BAD, "SigningCertificate is another certificate.")


def _manifest(root: Element) -> dict[str, Element]:
    found = root.findall(f"{{{DS}}}Object/{{{DS}}}Manifest")
    if len(found) != 1 or found[0].get("Id") != "IHEManifest":
        raise Broken(BAD, "There must be one manifest, IHEManifest.")
    return {item.get("URI", ""): item for item in found[0].iterfind(f"{{{DS}}}Reference")}


def _value(reference: Element) -> bytes:
    return base64.b64decode(reference.findtext(f"{{{DS}}}DigestValue") or "")


def _digest(reference: Element, content: bytes) -> bytes:
    method = reference.find(f"{{{DS}}}DigestMethod")
    name = _HASHES.get(method.get("Algorithm", "") if method is not None else "")
    if name is None:
        raise Broken(BAD, "A digest of the manifest has an unknown algorithm.")
    transforms = [item.get("Algorithm") for item in reference.iterfind(f"{{{DS}}}Transforms/{{{DS}}}Transform")]
    if transforms == [C14N]:
        content = etree.tostring(parse(content).getroottree(), method="c14n", with_comments=True)
    elif transforms:
        raise Broken(BAD, "A transform of the manifest is unknown.")
    elif content.lstrip().startswith(b"<"):
        raise Broken(BAD, "A document in XML is signed in its canonical form.")
    return hashlib.new(name, content).digest()
