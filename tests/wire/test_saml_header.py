"""What is taken out of a security header, and the canonical form of a part of a document."""

import pytest
from lxml import etree

from hub.access.assertion_errors import AssertionUnreadable
from hub.wire.saml.header import assertion_of, check_unique, shown
from hub.wire.saml.names import SAML, saml
from hub.wire.saml.signature import _signed_info
from hub.wire.soap.names import WSSE
from hub.wire.xml import Element, parse_xml, serialise

WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
ASSERTION = '<a:Assertion ID="_1"><a:Issuer u:x="é">x</a:Issuer></a:Assertion>'
STAMP = '<u:Timestamp u:Id="{id}"/>'


def security(content: str, beside: str = "") -> Element:
    root = f'<e xmlns:a="{SAML}" xmlns:u="{WSU}" xmlns:w="{WSSE}">{beside}<w:Security>{content}</w:Security></e>'
    return parse_xml(root.encode())[-1]


def canonical(root: Element, prefixes: list[str]) -> bytes:
    return bytes(
        etree.tostring(root, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes)
    )


def test_an_assertion_alone_is_read_once_and_is_the_same() -> None:
    for content in (ASSERTION, STAMP.format(id="_2") + ASSERTION, f" {ASSERTION} "):
        header = security(content)
        found, before = assertion_of(shown(header)), assertion_of(serialise(header))
        assert found is not None
        assert before is not None
        assert found.tag == saml("Assertion")
        assert found.nsmap == before.nsmap
        for prefixes in ([], ["u"], ["a", "u", "w"]):
            assert canonical(found, prefixes) == canonical(before, prefixes)


@pytest.mark.parametrize("content", [ASSERTION * 2, STAMP.format(id="_1") + ASSERTION, f"<u:x/>{ASSERTION}"])
def test_what_is_refused_is_shown_whole(content: str) -> None:
    header = security(content)
    assert shown(header) == serialise(header)


@pytest.mark.parametrize("name", ["ID", "Id", "id", "AssertionID", "u:Id", "xml:id", "u:id"])
def test_another_element_with_its_id(name: str) -> None:
    with pytest.raises(AssertionUnreadable, match="Another element"):
        check_unique(security(ASSERTION, f'<b {name}="_1"/>'))
    check_unique(security(ASSERTION, f'<b {name}="_2"/>'))
    check_unique(security(ASSERTION, '<b name="_1"/>'))


@pytest.mark.parametrize(
    "document",
    [
        '<a xmlns="urn:d" xmlns:p="urn:p" xml:lang="fr"><p:I p:r="2"><p:c/><d xmlns=""><e/></d><f>t</f></p:I></a>',
        '<a xmlns:p="urn:p"><I><p:c xmlns:z="urn:z" z:q="1"/><d/></I></a>',
        '<s:S xmlns:s="urn:s" xmlns:u="urn:u">\n<s:I>\n<s:M Algorithm="x"/>\n</s:I>\n<s:V/></s:S>',
        '<S xmlns="urn:s" xmlns:u="urn:u"><I><u:k xmlns:u="urn:v"/><u:l/></I></S>',
    ],
)
def test_a_part_has_the_canonical_form_that_it_has_by_itself(document: str) -> None:
    part = parse_xml(document.encode())[0]
    alone = parse_xml(serialise(part))
    assert _signed_info(part, []) == canonical(alone, [])


def test_text_beside_what_was_signed() -> None:
    with pytest.raises(AssertionUnreadable):
        _signed_info(parse_xml(b"<S><I/>text</S>")[0], [])
