"""The bytes that a signature holds for -> Assertion (saml-core 2.3). Strict: what is not understood is refused."""

import base64
import binascii
import re
from datetime import UTC, datetime

from hub.access.assertion_errors import AssertionUnreadable, AssertionUnsupported
from hub.access.assertion_model import Assertion, Attribute, Coded, Confirmation, Name
from hub.wire.saml.header import MAX_BYTES, MAX_DEPTH, MAX_NODES
from hub.wire.saml.names import ds, saml
from hub.wire.xml import Element, parse_xml

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_ONCE = ("Issuer", "Subject", "AuthnStatement", "AttributeStatement")
_AT_MOST_ONCE = ("Conditions", "Advice")
_CERTIFICATES = f"{ds('KeyInfo')}/{ds('X509Data')}/{ds('X509Certificate')}"
_NAMES = {saml(name): name for name in (*_ONCE, *_AT_MOST_ONCE)}


def issuer_of(assertion: Element) -> Name:
    """Who says to have issued it: a claim, before the signature is verified. Raises AssertionUnreadable."""
    return _name(_one(assertion, "Issuer"))


def read(content: bytes) -> Assertion:
    """An assertion. Raises AssertionUnreadable, AssertionUnsupported."""
    root = parse_xml(content, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH, max_nodes=MAX_NODES)
    if root.tag != saml("Assertion") or root.get("Version") != "2.0":
        raise AssertionUnsupported("Only assertions of SAML 2.0 are supported.")
    parts = _parts(root)
    subject, authentication = parts["Subject"], parts["AuthnStatement"]
    context = _one(authentication, "AuthnContext")
    not_before, not_on_or_after, audiences, one_time = _conditions(parts.get("Conditions"))
    return Assertion(
        id=root.get("ID", ""),
        issuer=_name(parts["Issuer"]),
        subject=_name(_subject(subject)),
        issued_at=_needed(root, "IssueInstant"),
        authenticated_at=_needed(authentication, "AuthnInstant"),
        context_class=_text(context, "AuthnContextClassRef"),
        context_declaration=_text(context, "AuthnContextDecl"),
        session_ends=_time(authentication, "SessionNotOnOrAfter"),
        not_before=not_before,
        not_on_or_after=not_on_or_after,
        audiences=audiences,
        one_time=one_time,
        confirmations=tuple([_confirmation(item) for item in subject.iterchildren(saml("SubjectConfirmation"))]),
        attributes=_attributes(parts["AttributeStatement"]),
    )


def _parts(root: Element) -> dict[str, Element]:
    """What an assertion is made of, by local name."""
    tags = [child.tag for child in root]
    for tag in tags:
        if tag not in _NAMES:
            raise AssertionUnsupported("The assertion holds a statement of a kind that is not supported.")
    for name in _ONCE:
        if tags.count(saml(name)) != 1:
            raise AssertionUnreadable(f"An assertion must hold exactly one {name}.")
    for name in _AT_MOST_ONCE:
        if tags.count(saml(name)) > 1:
            raise AssertionUnreadable(f"An assertion must not hold more than one {name}.")
    return {_NAMES[tag]: child for tag, child in zip(tags, root, strict=True)}


def _subject(subject: Element) -> Element:
    first = next(iter(subject), None)
    if first is None or first.tag != saml("NameID"):
        raise AssertionUnsupported("The assertion's subject must be a NameID.")
    if any(child.tag != saml("SubjectConfirmation") for child in list(subject)[1:]):
        raise AssertionUnsupported("The assertion's subject holds something that is not supported.")
    return first


def _conditions(
    element: Element | None,
) -> tuple[datetime | None, datetime | None, tuple[frozenset[str], ...], bool]:
    if element is None:
        return None, None, (), False
    audiences, one_time = [], False
    for child in element:
        if child.tag == saml("AudienceRestriction"):
            audiences.append(frozenset([_plain(item) for item in child.iterchildren(saml("Audience"))]))
        elif child.tag == saml("OneTimeUse"):
            one_time = True
        else:  # saml-core 2.5.1: a condition that is not understood makes the assertion's validity unknown
            raise AssertionUnsupported("The assertion is bound to a condition that is not supported.")
    return _time(element, "NotBefore"), _time(element, "NotOnOrAfter"), tuple(audiences), one_time


def _confirmation(element: Element) -> Confirmation:
    data = next(element.iterchildren(), None)
    if len(element) > 1 or (data is not None and data.tag != saml("SubjectConfirmationData")):
        raise AssertionUnsupported("The assertion's confirmation holds something that is not supported.")
    if data is None:
        return Confirmation(element.get("Method", ""))
    certificates = data.findall(_CERTIFICATES) if len(data) else ()
    return Confirmation(
        element.get("Method", ""),
        _time(data, "NotBefore"),
        _time(data, "NotOnOrAfter"),
        data.get("Recipient", ""),
        tuple(_base64(item) for item in certificates),
    )


def _attributes(statement: Element) -> tuple[Attribute, ...]:
    found: dict[str, Attribute] = {}
    for element in statement:
        if element.tag != saml("Attribute"):
            raise AssertionUnsupported("Encrypted attributes are not supported.")
        name = element.get("Name", "")
        if not name or name in found:
            raise AssertionUnreadable("An attribute of the assertion has no name, or stands twice.")
        values = tuple([_value(item) for item in element.iterchildren(saml("AttributeValue"))])
        found[name] = Attribute(name, values, element.get("FriendlyName", ""))
    return tuple(found.values())


def _value(element: Element) -> str | Coded:
    children = list(element)
    if not children:
        return (element.text or "").strip()
    child = children[0]
    if len(children) > 1 or len(child) or (element.text or "").strip() or (child.tail or "").strip():
        raise AssertionUnreadable("A value of an attribute must be a text or one code.")
    if child.get("code") is not None:
        return Coded(
            child.get("code"),
            child.get("codeSystem", ""),
            child.get("displayName", ""),
            child.get("codeSystemName", ""),
            child.tag.rpartition("}")[2],
        )
    if child.get("root") is not None:  # II: an identifier
        return f"{child.get('extension', '')}^^^&{child.get('root')}&ISO"
    return (child.text or "").strip()


def _one(parent: Element, name: str) -> Element:
    found = list(parent.iterchildren(saml(name)))
    if len(found) != 1:
        raise AssertionUnreadable(f"An assertion must hold exactly one {name}.")
    return found[0]


def _name(element: Element) -> Name:
    text = _plain(element)
    if not text:
        raise AssertionUnreadable("A name in the assertion is empty.")
    return Name(text, element.get("Format", ""), element.get("NameQualifier", ""))


def _plain(element: Element) -> str:
    """The text of an element that has no children: all of it."""
    if len(element):
        raise AssertionUnreadable("A text of the assertion holds other elements.")
    return (element.text or "").strip()


def _text(parent: Element, name: str) -> str:
    return " ".join([_plain(item) for item in parent.iterchildren(saml(name)) if not len(item)])


def _time(element: Element, name: str) -> datetime | None:
    text = element.get(name)
    if text is None:
        return None
    if not _TIME.fullmatch(text):
        raise AssertionUnreadable("A time in the assertion is not an instant of UTC.")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise AssertionUnreadable("A time in the assertion is not an instant of UTC.") from None


def _needed(element: Element, name: str) -> datetime:
    found = _time(element, name)
    if found is None:
        raise AssertionUnreadable("A time is missing in the assertion.")
    return found


def _base64(element: Element) -> bytes:
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise AssertionUnreadable("The assertion's confirmation holds something that is not base64.") from None
