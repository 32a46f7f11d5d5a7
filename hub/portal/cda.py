"""A CDA document as something that a page may show: its narrative through a whitelist, never its own markup.

The narrative block is CDA R2's own small markup (CDA R2: 4.3.5); whatever is not in the table below is dropped and its
text kept. No attribute of the document reaches the page except column and row spans.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from hub.errors import Malformed
from hub.wire.xml import parse_xml

NS = "{urn:hl7-org:v3}"
MAX_BYTES = 20 * 1024 * 1024
MAX_BODY = 20 * 1024 * 1024

#: Narrative element -> HTML element. "" : only its text.
NARRATIVE = {
    "paragraph": "p",
    "content": "span",
    "list": "ul",
    "item": "li",
    "table": "table",
    "thead": "thead",
    "tbody": "tbody",
    "tfoot": "tfoot",
    "tr": "tr",
    "td": "td",
    "th": "th",
    "br": "br",
    "sub": "sub",
    "sup": "sup",
    "caption": "caption",
    "footnote": "small",
    "linkHtml": "",
}
STYLES = {"bold": "strong", "italics": "em", "emphasis": "em", "underline": "u"}
DROPPED = {"renderMultiMedia", "col", "colgroup", "footnoteRef", "script", "style"}
SPANS = ("colspan", "rowspan")


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its title, its narrative as safe HTML, and how deep it lies (1 at the top)."""

    title: str
    html: Markup
    level: int


@dataclass(frozen=True, slots=True)
class ClinicalDocument:
    """What a page shows of a CDA document."""

    title: str
    effective_time: str = ""  #: DTM text
    authors: tuple[str, ...] = ()
    authenticator: str = ""
    custodian: str = ""
    patient: str = ""
    birth_date: str = ""
    sex: str = ""
    sections: tuple[Section, ...] = ()
    media_type: str = ""  #: of a nonXMLBody
    body: bytes = field(default=b"", repr=False)

    @property
    def text(self) -> str:
        """A plain-text nonXMLBody."""
        return self.body.decode("utf-8", "replace") if self.media_type == "text/plain" else ""


def read(data: bytes) -> ClinicalDocument:
    """The document. Raises Malformed when it isn't CDA, TooLarge beyond the limits."""
    root = parse_xml(data, max_bytes=MAX_BYTES, max_nodes=400_000)
    if root.tag != f"{NS}ClinicalDocument":
        raise Malformed("This is not a CDA document.")
    patient = root.find(f"{NS}recordTarget/{NS}patientRole/{NS}patient")
    media_type, body = _non_xml_body(root)
    structured = root.find(f"{NS}component/{NS}structuredBody")
    return ClinicalDocument(
        title=_text(root.find(f"{NS}title")),
        effective_time=_attribute(root.find(f"{NS}effectiveTime"), "value"),
        authors=tuple(filter(None, (_author(author) for author in root.iterfind(f"{NS}author")))),
        authenticator=_name(root.find(f"{NS}legalAuthenticator/{NS}assignedEntity/{NS}assignedPerson/{NS}name")),
        custodian=_text(
            root.find(f"{NS}custodian/{NS}assignedCustodian/{NS}representedCustodianOrganization/{NS}name")
        ),
        patient=_name(patient.find(f"{NS}name")) if patient is not None else "",
        birth_date=_attribute(patient.find(f"{NS}birthTime"), "value") if patient is not None else "",
        sex=_attribute(patient.find(f"{NS}administrativeGenderCode"), "code") if patient is not None else "",
        sections=tuple(_sections(structured, 1)) if structured is not None else (),
        media_type=media_type,
        body=body,
    )


def _non_xml_body(root: Any) -> tuple[str, bytes]:
    text = root.find(f"{NS}component/{NS}nonXMLBody/{NS}text")
    if text is None:
        return "", b""
    media_type = text.get("mediaType", "text/plain")
    content = "".join(text.itertext())
    if text.get("representation") != "B64":
        return media_type, content.encode()
    try:
        return media_type, base64.b64decode("".join(content.split()), validate=True)[:MAX_BODY]
    except binascii.Error as error:
        raise Malformed("The document's body is not valid base64.") from error


def _sections(parent: Any, level: int) -> Iterator[Section]:
    for section in parent.iterfind(f"{NS}component/{NS}section"):
        text = section.find(f"{NS}text")
        html = _narrative(text) if text is not None else Markup("")
        title = _text(section.find(f"{NS}title"))
        if title or html.strip():
            yield Section(title, html, level)
        yield from _sections(section, min(level + 1, 4))


def _narrative(text: Any) -> Markup:
    parts: list[Markup | str] = []
    _render(text, parts)
    return Markup("").join(parts)


def _render(element: Any, parts: list[Markup | str]) -> None:
    _inline(element.text, parts)
    for child in element:
        name = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
        if name and name not in DROPPED:
            _element(child, name, parts)
        _inline(child.tail, parts)


def _element(element: Any, name: str, parts: list[Markup | str]) -> None:
    tags = [NARRATIVE.get(name, "")]
    if name == "list" and element.get("listType") == "ordered":
        tags = ["ol"]
    if name == "th" and not "".join(element.itertext()).strip():
        tags = ["td"]  # an empty heading means nothing to a screen reader
    if name == "br":
        parts.append(Markup("<br>"))
        return
    tags += [STYLES[style] for style in element.get("styleCode", "").lower().split() if style in STYLES]
    tags = [tag for tag in tags if tag]
    for tag in tags:
        parts.append(Markup("<%s%s>") % (Markup(tag), _spans(element) if tag in ("td", "th") else ""))  # noqa: S704 (a name of our own table)
    _render(element, parts)
    for tag in reversed(tags):
        parts.append(Markup("</%s>") % Markup(tag))  # noqa: S704 (a name of our own table)


def _spans(element: Any) -> Markup:
    return Markup("").join(
        Markup(' %s="%s"') % (span, int(element.get(span)))
        for span in SPANS
        if element.get(span, "").isdecimal() and 1 < int(element.get(span)) < 100
    )


def _inline(text: str | None, parts: list[Markup | str]) -> None:
    if text:
        parts.append(escape(text))


def _text(element: Any) -> str:
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def _attribute(element: Any, name: str) -> str:
    return str(element.get(name, "")) if element is not None else ""


def _name(element: Any) -> str:
    """Birth names first (qualifier BR), the used family name after them in brackets."""
    if element is None:
        return ""
    given = _qualified(element, "given", "BR") or _qualified(element, "given")
    family = _qualified(element, "family", "BR") or _qualified(element, "family")
    used = _qualified(element, "family", "CL", "SP")
    parts = [_text(element.find(f"{NS}prefix")), given, family, f"({used})" if used and used != family else ""]
    return " ".join(filter(None, parts)) or _text(element)


def _qualified(element: Any, kind: str, *qualifiers: str) -> str:
    """The first part of a kind, of one of the qualifiers where they are given."""
    for part in element.iterfind(f"{NS}{kind}"):
        if not qualifiers or set(part.get("qualifier", "").split()) & set(qualifiers):
            return _text(part)
    return ""


def _author(author: Any) -> str:
    assigned = author.find(f"{NS}assignedAuthor")
    if assigned is None:
        return ""
    person = _name(assigned.find(f"{NS}assignedPerson/{NS}name"))
    organisation = _text(assigned.find(f"{NS}representedOrganization/{NS}name"))
    return ", ".join(filter(None, (person, organisation)))
