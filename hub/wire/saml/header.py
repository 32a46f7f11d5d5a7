"""What a caller sent -> one assertion, still unverified: a wsse:Security header, or HTTP's ``IHE-SAML`` token."""

import base64
import binascii
from typing import Any

from lxml import etree

from hub.access.assertion_errors import AssertionUnreadable, AssertionUnsupported
from hub.errors import Malformed
from hub.wire.saml.names import SAML, WSU_ID, XML_ID, ds, saml
from hub.wire.soap.names import SECURITY, WSSE
from hub.wire.xml import Element, parse_xml, serialise

MAX_BYTES = 256 * 1024
MAX_DEPTH = 40
MAX_NODES = 5000
_IDS = frozenset({"ID", "Id", "id", "AssertionID", WSU_ID, XML_ID})
_ATTRIBUTES = etree.XPath("//@*[. = $value]")
_TIMESTAMP = f"{WSU_ID.partition('}')[0]}}}Timestamp"


def assertion_of(shown: bytes) -> Element | None:
    """The Assertion, as the root of a document of its own; None when the header holds none and nothing else either.

    Raises AssertionUnreadable, AssertionUnsupported."""
    root = _parsed(shown if shown.lstrip().startswith(b"<") else _decoded(shown))
    blocks = [root] if root.tag != SECURITY else [child for child in root if child.tag != _TIMESTAMP]
    if not blocks:
        return None
    if any(block.tag == saml("EncryptedAssertion") for block in blocks):
        raise AssertionUnsupported("Encrypted assertions are not supported: send it in clear within TLS.")
    if any(block.tag != saml("Assertion") for block in blocks):
        raise AssertionUnsupported(_other(blocks))
    if len(blocks) > 1 or sum(1 for _ in root.iter(saml("Assertion"))) > 1:
        raise AssertionUnreadable("There must be exactly one assertion.")
    if _repeated(root):
        raise AssertionUnreadable("Two elements of the security header have the same ID.")
    return root if blocks[0] is root else _parsed(serialise(blocks[0]))


def shown(security: Element) -> bytes:
    """A security header as ``assertion_of`` reads it: of one that holds nothing but an assertion and a time stamp the
    assertion alone, which then needs no second reading."""
    blocks = [child for child in security if child.tag != _TIMESTAMP]
    plain = len(blocks) == 1 and blocks[0].tag == saml("Assertion")
    return serialise(blocks[0] if plain and not _repeated(security) else security)


def check_unique(security: Element) -> None:
    """No element of the whole envelope has the ID of the assertion in its header. Raises AssertionUnreadable."""
    for assertion in security.iterchildren(saml("Assertion")):
        same: Any = _ATTRIBUTES(security, value=assertion.get("ID", ""))
        if len({one.getparent() for one in same if _is_id(one.attrname)}) > 1:
            raise AssertionUnreadable("Another element of the message has the assertion's ID.")


def _is_id(name: str) -> bool:
    """Whether an attribute gives an ID in one vocabulary or another."""
    return name in {"ID", "AssertionID"} or name.rpartition("}")[2] in {"Id", "id"}


def _repeated(root: Element) -> bool:
    """Whether two elements have the same ID."""
    found = [element.get(name) for element in root.iter() for name in element.attrib if name in _IDS]
    return len(found) != len(set(found))


def _decoded(shown: bytes) -> bytes:
    """Base64 of either alphabet, padded or not (RFC 4648: 4, 5)."""
    text = shown.strip().translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise AssertionUnreadable("The IHE-SAML token is not valid base64.") from None


def _parsed(data: bytes) -> Element:
    try:
        return parse_xml(data, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH, max_nodes=MAX_NODES)
    except Malformed as error:
        raise AssertionUnreadable(error.message) from None


def _other(blocks: list[Element]) -> str:
    tags = {block.tag for block in blocks}
    if ds("Signature") in tags:
        return "Signatures beside the assertion are not supported: the assertion must hold its own."
    if any(tag.startswith(f"{{{WSSE}}}") for tag in tags):
        return "Only SAML 2.0 assertions are supported as security tokens."
    if any(tag.endswith("}Assertion") and not tag.startswith(f"{{{SAML}}}") for tag in tags):
        return "Only assertions of SAML 2.0 are supported."
    return "The security header holds something that is not supported here."
