"""Signature wrapping: the attacker has one good assertion and wants to be somebody else.

XSW1 to XSW8: Somorovsky et al., "On Breaking SAML: Be Whoever You Want to Be" (USENIX Security 2012), moved from the
Response to the security header of WS-Security."""

import copy
from collections.abc import Callable, Iterator

import pytest
from lxml import etree

from tests.hostile.saml_hub import (
    ASK,
    CHECK,
    EVIL,
    INVALID,
    Believing,
    Element,
    around,
    believing,
    good,
    refused,
    signature_of,
)
from tests.saml import DS, SAML, header


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Believing]:
    with believing(tmp_path_factory.mktemp("saml")) as running:
        yield running


@pytest.fixture(autouse=True)
def trail(box: Believing) -> None:
    """What came before does not count."""
    box.forget()


def _parts(box: Believing) -> tuple[Element, Element, Element]:
    """The signed assertion, a copy without its signature, and one that says it is somebody else (another ID)."""
    original = etree.fromstring(good(box))
    bare = copy.deepcopy(original)
    bare.remove(signature_of(bare))
    evil = copy.deepcopy(bare)
    evil.set("ID", "_evil")
    name = evil.find(f".//{{{SAML}}}NameID")
    assert name is not None
    name.text = EVIL
    return original, bare, evil


def xsw1(original: Element, bare: Element, evil: Element) -> bytes:
    """The signature moves to the evil one, and what it signed goes into the signature."""
    signature = copy.deepcopy(signature_of(original))
    evil.insert(1, signature)
    signature.append(original)
    return around(evil)


def xsw2(original: Element, bare: Element, evil: Element) -> bytes:
    """Detached: the signature in the evil one, what it signed before it."""
    signature = copy.deepcopy(signature_of(original))
    evil.insert(1, signature)
    signature.addprevious(bare)
    return around(evil)


def xsw3(original: Element, bare: Element, evil: Element) -> bytes:
    """An unsigned evil one before the signed one."""
    return around(evil, original)


def xsw4(original: Element, bare: Element, evil: Element) -> bytes:
    """The signed one within an unsigned evil one."""
    evil.append(original)
    return around(evil)


def xsw5(original: Element, bare: Element, evil: Element) -> bytes:
    """The evil one has the signature; what it signed stands behind."""
    evil.insert(1, copy.deepcopy(signature_of(original)))
    return around(evil, bare)


def xsw6(original: Element, bare: Element, evil: Element) -> bytes:
    """The evil one has the signature, and the signature what it signed."""
    signature = copy.deepcopy(signature_of(original))
    evil.insert(1, signature)
    signature.append(bare)
    return around(evil)


def xsw7(original: Element, bare: Element, evil: Element) -> bytes:
    """An element that nobody validates (Extensions) holds the evil one, with the ID of the signed one."""
    evil.set("ID", original.get("ID", ""))
    extensions = etree.Element("{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
    extensions.append(evil)
    return around(extensions, original)


def xsw8(original: Element, bare: Element, evil: Element) -> bytes:
    """An Object of the signature holds what it signed; the evil one around has its ID."""
    evil.set("ID", original.get("ID", ""))
    signature = copy.deepcopy(signature_of(original))
    evil.insert(1, signature)
    etree.SubElement(signature, f"{{{DS}}}Object").append(bare)
    return around(evil)


def in_advice(original: Element, bare: Element, evil: Element) -> bytes:
    """The schema allows assertions in Advice."""
    etree.SubElement(evil, f"{{{SAML}}}Advice").append(original)
    evil.insert(1, copy.deepcopy(signature_of(original)))
    return around(evil)


def same_id(original: Element, bare: Element, evil: Element) -> bytes:
    """The signature and the ID of the good one on an evil one: only the digest tells."""
    evil.set("ID", original.get("ID", ""))
    evil.insert(1, copy.deepcopy(signature_of(original)))
    return around(evil)


def own_reference(original: Element, bare: Element, evil: Element) -> bytes:
    """The evil one with the good one's signature, which refers to the good one."""
    evil.insert(1, copy.deepcopy(signature_of(original)))
    return around(evil)


WRAPPED: dict[Callable[[Element, Element, Element], bytes], tuple[str, str]] = {
    xsw1: (INVALID, "exactly one assertion"),
    xsw2: (INVALID, "exactly one assertion"),
    xsw3: (INVALID, "exactly one assertion"),
    xsw4: (INVALID, "exactly one assertion"),
    xsw5: (INVALID, "exactly one assertion"),
    xsw6: (INVALID, "exactly one assertion"),
    xsw7: (INVALID, "has the assertion's ID"),
    xsw8: (INVALID, "has the assertion's ID"),
    in_advice: (INVALID, "exactly one assertion"),
    same_id: (CHECK, "changed after it was signed"),
    own_reference: (CHECK, "does not refer to the assertion that holds it"),
}


@pytest.mark.parametrize("wrap", WRAPPED, ids=lambda wrap: wrap.__name__)
def test_signature_wrapping(box: Believing, wrap: Callable[[Element, Element, Element], bytes]) -> None:
    refused(box, wrap(*_parts(box)), *WRAPPED[wrap])


@pytest.mark.parametrize("place", ["header", "body"])
def test_what_was_signed_elsewhere_in_the_envelope(box: Believing, place: str) -> None:
    """XSW for WS-Security: the good one is moved out of the security header, an evil one has its ID and signature."""
    original, _, evil = _parts(box)
    evil.set("ID", original.get("ID", ""))
    evil.insert(1, copy.deepcopy(signature_of(original)))
    wrapper = b'<w:Wrapper xmlns:w="urn:w">' + etree.tostring(original) + b"</w:Wrapper>"
    message = ASK if place == "header" else ASK.replace(b"<rim:AdhocQuery ", wrapper + b"<rim:AdhocQuery ", 1)
    before = wrapper if place == "header" else b""
    refused(box, before + around(evil), INVALID, "has the assertion's ID", message=message)


def test_a_comment_within_the_name_cuts_nothing_off(box: Believing) -> None:
    """Canonicalisation leaves comments out, so the signature holds: what counts is that all of the name is read."""
    signed = good(box, subject="899700000001.evil.example").replace(b"899700000001.evil", b"899700000001<!-- -->.evil")
    assert box.ask(header(signed)).status_code == 200
    (record,) = box.records()
    assert record.principal_id == "899700000001.evil.example"


def test_a_name_that_holds_elements(box: Believing) -> None:
    refused(box, header(good(box, subject=f"a<x>{EVIL}</x>b")), INVALID, "idp: A text of the assertion holds other")
