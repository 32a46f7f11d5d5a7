"""The signature of an assertion (saml-core 5.4, XML Signature 1.1), without a choice: one reference to the assertion
itself, enveloped, exclusive canonicalisation. What was digested is handed out as bytes: nothing else is to be read."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import new

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from hub.access.assertion_errors import AssertionAlgorithm, AssertionSignature, AssertionUnreadable
from hub.wire.saml.names import ALGORITHMS, DIGESTS, ENVELOPED, EXCLUSIVE, INCLUSIVE_NAMESPACES, ds
from hub.wire.xml import Element, parse_xml, serialise

SMALLEST_RSA = 2048
_BY_URI = {row.uri: name for name, row in ALGORITHMS.items()}
_HASHES: Mapping[str, type[hashes.SHA1 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_MOST_CERTIFICATES = 10


@dataclass(frozen=True, slots=True)
class Seal:
    """A signature whose digest is right; whose it is remains to be seen. ``certificates``: DER, as KeyInfo claims."""

    content: bytes = field(repr=False)  #: the canonical assertion, without its signature
    info: bytes = field(repr=False)  #: the canonical SignedInfo
    value: bytes = field(repr=False)
    algorithm: str = ""
    certificates: tuple[bytes, ...] = ()

    def by(self, key: object) -> bool:
        """Whether this public key's owner signed it."""
        method = ALGORITHMS[self.algorithm]
        kind = _HASHES[method.hash]()
        try:
            if isinstance(key, rsa.RSAPublicKey) and method.key == "rsa" and key.key_size >= SMALLEST_RSA:
                key.verify(self.value, self.info, padding.PKCS1v15(), kind)
            elif isinstance(key, ec.EllipticCurvePublicKey) and method.key == "ecdsa":
                key.verify(_pair(self.value, key), self.info, ec.ECDSA(kind))
            else:
                return False
        except (InvalidSignature, ValueError):
            return False
        return True


def unseal(assertion: Element, accepted: Sequence[str]) -> Seal:
    """The signature of an assertion that is the root of its document, digest checked. The tree is used up by it.

    ``accepted``: names of algorithms. Raises AssertionUnreadable, AssertionAlgorithm, AssertionSignature."""
    signatures = list(assertion.iter(ds("Signature")))
    if not signatures:
        raise AssertionSignature("The assertion is not signed.")
    signature = signatures[0]
    if len(signatures) > 1 or signature.getparent() is not assertion:
        raise AssertionUnreadable("The assertion must hold one signature, its own.")
    info, value, *key_info = _children(signature, "SignedInfo", "SignatureValue", optional="KeyInfo")
    canonical, method, reference = _children(info, "CanonicalizationMethod", "SignatureMethod", "Reference")
    transforms, digest_method, digest = _children(reference, "Transforms", "DigestMethod", "DigestValue")
    algorithm, digest_name = _algorithms(method, digest_method, accepted)
    identifier = assertion.get("ID", "")
    if not identifier or reference.get("URI") != f"#{identifier}":
        raise AssertionSignature("The signature does not refer to the assertion that holds it.")
    steps = list(transforms)
    if [(step.tag, step.get("Algorithm")) for step in steps] != [
        (ds("Transform"), ENVELOPED),
        (ds("Transform"), EXCLUSIVE),
    ] or len(steps[0]):
        raise AssertionAlgorithm("The signature's transforms must be enveloped-signature and exclusive C14N.")
    if canonical.get("Algorithm") != EXCLUSIVE:
        raise AssertionAlgorithm("The signature's canonicalisation must be exclusive C14N.")
    signed_info = _signed_info(info, _prefixes(canonical))
    kept = tuple(_certificates(key_info[0])) if key_info else ()
    expected, signed = _base64(digest), _base64(value)
    prefixes = _prefixes(steps[1])
    _remove(signature)
    content = _canonical(assertion, prefixes)
    if not hmac.compare_digest(new(digest_name, content).digest(), expected):
        raise AssertionSignature("The assertion was changed after it was signed.")
    return Seal(content, signed_info, signed, algorithm, kept)


def _algorithms(method: Element, digest: Element, accepted: Sequence[str]) -> tuple[str, str]:
    algorithm = _BY_URI.get(method.get("Algorithm", ""), "")
    digest_name = DIGESTS.get(digest.get("Algorithm", ""), "")
    if algorithm not in accepted or len(method):
        raise AssertionAlgorithm()
    if digest_name not in {ALGORITHMS[name].hash for name in accepted} or len(digest):
        raise AssertionAlgorithm("The assertion's signature uses a digest that is not accepted.")
    return algorithm, digest_name


def _children(element: Element, *wanted: str, optional: str = "") -> list[Element]:
    """The children, which must be these, in order."""
    tags = [child.tag for child in element]
    names = [ds(name) for name in wanted]
    if tags not in (names, [*names, ds(optional)] if optional else names):
        raise AssertionUnreadable("The assertion's signature is not of the form that SAML asks for.")
    return list(element)


def _prefixes(step: Element) -> list[str]:
    """InclusiveNamespaces/@PrefixList."""
    children = list(step)
    if not children:
        return []
    if len(children) > 1 or children[0].tag != INCLUSIVE_NAMESPACES:
        raise AssertionUnreadable("The assertion's signature is not of the form that SAML asks for.")
    return str(children[0].get("PrefixList", "")).split()


def _canonical(root: Element, prefixes: list[str]) -> bytes:
    try:
        return bytes(
            etree.tostring(root, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes)
        )
    except (etree.LxmlError, ValueError):
        raise AssertionUnreadable("The assertion has no canonical form.") from None


def _signed_info(info: Element, prefixes: list[str]) -> bytes:
    """Exclusive C14N looks at what an element uses: it needs nothing from above but for prefixes that are named."""
    if (info.tail or "").strip():
        raise AssertionUnreadable("The assertion's signature is not of the form that SAML asks for.")
    return _canonical(parse_xml(serialise(info)) if prefixes else info, prefixes)


def _remove(signature: Element) -> None:
    """Without the blanks after it, the digest would be another."""
    parent, before, tail = signature.getparent(), signature.getprevious(), signature.tail or ""
    parent.remove(signature)
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail


def _certificates(key_info: Element) -> list[bytes]:
    found = [
        item for data in key_info.iterchildren(ds("X509Data")) for item in data.iterchildren(ds("X509Certificate"))
    ]
    if len(found) > _MOST_CERTIFICATES:
        raise AssertionUnreadable("The assertion's KeyInfo holds too many certificates.")
    return [_base64(item) for item in found]


def _base64(element: Element) -> bytes:
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise AssertionUnreadable("The assertion's signature holds something that is not base64.") from None


def _pair(value: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """r and s, each as long as the curve's order, as DER (XML Signature 1.1: 6.4.3)."""
    size = (key.curve.key_size + 7) // 8
    if len(value) != 2 * size:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(value[:size]), int.from_bytes(value[size:]))
