"""The signature within the list of trusted DRIMboxes: XAdES-BASELINE-B, enveloped (ETSI EN 319 132-1: 6).

One signature, a child of the root; it signs the whole document and its own SignedProperties (its KeyInfo as well, as
some signers do), nothing else. What was digested is handed out as bytes: nothing else is to be read."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from hashlib import new

from lxml import etree

from hub.wire.drimbox.errors import WhiteListRefused
from hub.wire.saml.names import ALGORITHMS, DIGESTS, ENVELOPED, EXCLUSIVE, INCLUSIVE_NAMESPACES, ds
from hub.wire.saml.signature import Seal
from hub.wire.xml import Element, parse_xml

XADES = "http://uri.etsi.org/01903/v1.3.2#"
PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
#: The XPath filter that says what enveloped-signature says, as signature services write it.
NO_SIGNATURE = "not(ancestor-or-self::ds:Signature)"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
#: Canonicalisations: (exclusive, with comments). 1.1 differs from 1.0 in inherited xml:id and xml:base only.
_CANONICAL: Mapping[str, tuple[bool, bool]] = {
    INCLUSIVE: (False, False),
    f"{INCLUSIVE}#WithComments": (False, True),
    "http://www.w3.org/2006/12/xml-c14n11": (False, False),
    "http://www.w3.org/2006/12/xml-c14n11#WithComments": (False, True),
    EXCLUSIVE: (True, False),
    f"{EXCLUSIVE}WithComments": (True, True),
}
_BY_URI = {row.uri: name for name, row in ALGORITHMS.items()}
_MOST_CERTIFICATES = 10
_WEAK = "sha1"


def unseal(root: Element, accepted: Sequence[str]) -> Seal:
    """The signature of a document, its digests checked. The tree is used up by it; the first of ``certificates`` is the
    one that the signed properties name.

    ``accepted``: names of algorithms (rsa-sha256). Raises WhiteListRefused."""
    signatures = list(root.iter(ds("Signature")))
    if not signatures:
        raise WhiteListRefused("The list is not signed.")
    signature = signatures[0]
    if len(signatures) > 1 or signature.getparent() is not root:
        raise WhiteListRefused("The list must hold one signature, its own.")
    info, value = _only(signature, ds("SignedInfo")), _only(signature, ds("SignatureValue"))
    method, canonical = _only(info, ds("SignatureMethod")), _only(info, ds("CanonicalizationMethod"))
    algorithm = _BY_URI.get(method.get("Algorithm", ""), "")
    if algorithm not in accepted:
        raise WhiteListRefused("The list is signed with an algorithm that is not accepted.")
    properties = _properties(signature)
    whole, parts = _references(info, signature, properties)
    for reference, part in parts:
        if not _fits(reference, _octets(part, *_steps(reference, enveloped=False))):
            raise WhiteListRefused("The properties of the list's signature were changed after it was signed.")
    signed_info = _octets(info, _form(canonical), _prefixes(canonical))
    certificates = _certificates(signature, properties)
    seal = Seal(b"", signed_info, _base64(value), algorithm, certificates)
    steps = _steps(whole, enveloped=True)
    _remove(signature)
    content = _octets(root, *steps)
    if not _fits(whole, content):
        raise WhiteListRefused("The list was changed after it was signed.")
    return Seal(content, seal.info, seal.value, algorithm, certificates)


def _references(
    info: Element, signature: Element, properties: Element
) -> tuple[Element, list[tuple[Element, Element]]]:
    """The reference to the document; those to parts of the signature, each with its part. No other is accepted."""
    found = info.findall(ds("Reference"))
    parts = [(properties, PROPERTIES_TYPE), *((item, None) for item in signature.findall(ds("KeyInfo")))]
    pairs = [
        (reference, part)
        for part, kind in parts
        for reference in found
        if part.get("Id") and reference.get("URI") == f"#{part.get('Id')}" and kind in (None, reference.get("Type"))
    ]
    whole = [item for item in found if item.get("URI") == ""]
    signs_properties = any(part is properties for _, part in pairs)
    if len(whole) != 1 or len(found) != 1 + len(pairs) or not signs_properties:
        raise WhiteListRefused(
            "The signature must be of the whole list and of its own properties, and of nothing else."
        )
    return whole[0], pairs


def _properties(signature: Element) -> Element:
    qualifying = [item for box in signature.findall(ds("Object")) for item in box.findall(_x("QualifyingProperties"))]
    if len(qualifying) != 1 or qualifying[0].get("Target") != f"#{signature.get('Id', '')}":
        raise WhiteListRefused("The list's signature is not one of XAdES.")
    return _only(qualifying[0], _x("SignedProperties"))


def _steps(reference: Element, *, enveloped: bool) -> tuple[tuple[bool, bool], list[str]]:
    """(canonical form, inclusive prefixes) of a reference."""
    transforms = reference.find(ds("Transforms"))
    steps = list(transforms) if transforms is not None else []
    if any(step.tag != ds("Transform") for step in steps):
        raise WhiteListRefused("The list's signature has transforms that are not accepted.")
    if enveloped:
        if not steps or not _leaves_signature_out(steps[0]):
            raise WhiteListRefused("The list's signature must be enveloped in the list.")
        steps = steps[1:]
    if len(steps) > 1:
        raise WhiteListRefused("The list's signature has transforms that are not accepted.")
    return (_form(steps[0]), _prefixes(steps[0])) if steps else ((False, False), [])


def _leaves_signature_out(step: Element) -> bool:
    if step.get("Algorithm") == ENVELOPED:
        return not len(step)
    children = list(step)
    return (
        step.get("Algorithm") == XPATH
        and [child.tag for child in children] == [ds("XPath")]
        and "".join((children[0].text or "").split()) == NO_SIGNATURE.replace(" ", "")
    )


def _form(step: Element) -> tuple[bool, bool]:
    found = _CANONICAL.get(step.get("Algorithm", ""))
    if found is None:
        raise WhiteListRefused("The list's signature has a canonical form that is not accepted.")
    return found


def _prefixes(step: Element) -> list[str]:
    named = step.find(INCLUSIVE_NAMESPACES)
    return str(named.get("PrefixList", "")).split() if named is not None else []


def _octets(element: Element, form: tuple[bool, bool], prefixes: list[str]) -> bytes:
    exclusive, comments = form
    try:
        return bytes(
            etree.tostring(
                element,
                method="c14n",
                exclusive=exclusive,
                with_comments=comments,
                with_tail=False,
                inclusive_ns_prefixes=prefixes if exclusive else None,
            )
        )
    except (etree.LxmlError, ValueError):
        raise WhiteListRefused("The list has no canonical form.") from None


def _fits(reference: Element, content: bytes) -> bool:
    return _digest_fits(_only(reference, ds("DigestMethod")), _only(reference, ds("DigestValue")), content)


def _digest_fits(method: Element, value: Element, content: bytes) -> bool:
    name = DIGESTS.get(method.get("Algorithm", ""), _WEAK)
    if name == _WEAK:
        raise WhiteListRefused("The list's signature uses a digest that is not accepted.")
    return hmac.compare_digest(new(name, content).digest(), _base64(value))


def _certificates(signature: Element, properties: Element) -> tuple[bytes, ...]:
    """The signer's as the signed properties name it by its digest, then what else KeyInfo holds."""
    held = [_base64(item) for item in signature.iterfind(f"{ds('KeyInfo')}/{ds('X509Data')}/{ds('X509Certificate')}")]
    own = _only(properties, _x("SignedSignatureProperties"))
    if own.find(_x("SigningTime")) is None:
        raise WhiteListRefused("The list's signature does not say when it was made.")
    named = [item for kind in ("SigningCertificateV2", "SigningCertificate") for item in own.findall(_x(kind))]
    digests = [item for each in named for item in each.iterfind(f"{_x('Cert')}/{_x('CertDigest')}")]
    if not digests or not held or len(held) > _MOST_CERTIFICATES:
        raise WhiteListRefused("The list's signature does not say whose it is.")
    method, value = _only(digests[0], ds("DigestMethod")), _only(digests[0], ds("DigestValue"))
    signer = next((item for item in held if _digest_fits(method, value, item)), None)
    if signer is None:
        raise WhiteListRefused("The certificate of the list's signature is not the one that it names.")
    return (signer, *(item for item in held if item != signer))


def _remove(signature: Element) -> None:
    parent, before, tail = signature.getparent(), signature.getprevious(), signature.tail or ""
    parent.remove(signature)
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail


def _only(parent: Element, tag: str) -> Element:
    found = parent.findall(tag)
    if len(found) != 1:
        raise WhiteListRefused("The list's signature is not one of XAdES.")
    return found[0]


def _base64(element: Element) -> bytes:
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise WhiteListRefused("The list's signature holds something that is not base64.") from None


def _x(name: str) -> str:
    return f"{{{XADES}}}{name}"


def content_of(seal: Seal) -> Element:
    """What was signed, read anew."""
    return parse_xml(seal.content)
