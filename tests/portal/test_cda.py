import base64

import pytest

from hub.errors import HubError, Malformed
from hub.portal import cda
from tests.portal.made_up import CDA


def _document(body: str) -> bytes:
    head = '<ClinicalDocument xmlns="urn:hl7-org:v3"><title>T</title>'
    return f"{head}<component>{body}</component></ClinicalDocument>".encode()


def _narrative(text: str) -> str:
    section = f"<structuredBody><component><section><text>{text}</text></section></component></structuredBody>"
    (found,) = cda.read(_document(section)).sections
    return str(found.html)


def test_a_report_is_read() -> None:
    document = cda.read(CDA.encode())
    assert document.title == "Compte rendu de scanner thoracique"
    assert document.authors == ("Dr Sophie Leroy, Centre hospitalier d'Aix",)
    assert (document.patient, document.birth_date, document.sex) == ("JEANNE MARTIN", "19560512", "F")
    titles = [(section.title, section.level) for section in document.sections]
    assert titles == [("Indication", 1), ("Technique", 1), ("Résultats", 1), ("Cœur", 2), ("Conclusion", 1)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<paragraph>a &lt;b&gt; &amp; c</paragraph>", "<p>a &lt;b&gt; &amp; c</p>"),
        ('<content styleCode="Bold Italics">x</content>', "<span><strong><em>x</em></strong></span>"),
        ('<list listType="ordered"><item>1</item></list>', "<ol><li>1</li></ol>"),
        ("<script>alert(1)</script>a<style>b</style>c", "ac"),
        ('<paragraph onclick="x()" style="y" ID="z">t</paragraph>', "<p>t</p>"),
        ('<linkHtml href="javascript:alert(1)">here</linkHtml>', "here"),
        ("<iframe src='http://example.org'>x</iframe>", "x"),
        ("<svg xmlns='http://www.w3.org/2000/svg'><script>x</script>y</svg>", "y"),
        ("a<br/>b", "a<br>b"),
        (
            '<table><thead><tr><th colspan="2">A</th><th/></tr></thead></table>',
            '<table><thead><tr><th colspan="2">A</th><td></td></tr></thead></table>',
        ),
        (
            '<table><tbody><tr><td colspan="99999">A</td></tr></tbody></table>',
            "<table><tbody><tr><td>A</td></tr></tbody></table>",
        ),
    ],
)
def test_only_whitelisted_markup_gets_through(source: str, expected: str) -> None:
    assert _narrative(source) == expected


def test_a_body_of_another_type() -> None:
    encoded = base64.b64encode(b"%PDF-1.4").decode()
    body = f'<nonXMLBody><text mediaType="application/pdf" representation="B64">\n{encoded}\n</text></nonXMLBody>'
    document = cda.read(_document(body))
    assert (document.media_type, document.body) == ("application/pdf", b"%PDF-1.4")
    text = cda.read(_document('<nonXMLBody><text mediaType="text/plain">Bonjour</text></nonXMLBody>'))
    assert text.text == "Bonjour"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not xml",
        b"<html/>",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ClinicalDocument xmlns="urn:hl7-org:v3">&e;'
        b"</ClinicalDocument>",
        b"<a>" * 100_000,
        _document('<nonXMLBody><text mediaType="application/pdf" representation="B64">*</text></nonXMLBody>'),
    ],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(HubError) as caught:
        cda.read(data)
    assert isinstance(caught.value, Malformed)
