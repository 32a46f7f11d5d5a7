"""Registry objects: model -> XML (ITI TF-3: 4.2.1). The same form in submissions and in answers.

An answer holds up to thousands of objects of some eighty elements each. Making every one through lxml's Python
interface would be most of what a query costs: so objects are written as text, and only parsed where elements are asked
for.
"""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from lxml import etree

from hub.documents.model import Association, Author, DocumentEntry, ReferenceId, RegistryObject
from hub.federation.model import Reference
from hub.values import Code, PatientIdentifier
from hub.wire.ebxml.fields import AUTHOR_SLOTS, LAYOUTS, Layout, SlotField
from hub.wire.ebxml.names import OBJECT_TYPE, RIM, rim
from hub.wire.xml import Element

_SLOT, _VALUE_LIST, _VALUE, _REF = rim("Slot"), rim("ValueList"), rim("Value"), rim("ObjectRef")
#: In text and in attributes alike: what is markup, white space that a parser would take for a blank, and what XML 1.0
#: can't hold at all.
_SPECIAL = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]')
_IMPOSSIBLE = (*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)
_ESCAPES = {**dict.fromkeys(_IMPOSSIBLE, "\ufffd"), **{ord(each): f"&#{ord(each)};" for each in '&<>"\t\n\r'}}
_OPEN, _CLOSE = "<rim:ValueList><rim:Value>", "</rim:Value></rim:ValueList></rim:Slot>"
_CLASSIFICATION = f'<rim:Classification id="%s" objectType="{OBJECT_TYPE}Classification" classifiedObject="%s"'
#: The fourth group's first digit: it has the two bits of the variant (RFC 4122: 4.1.1).
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def objects_text(items: Iterable[RegistryObject | Reference], *, registered: bool = True) -> str:
    """The objects as XML, references as ObjectRef, in the namespace of the prefix ``rim``, which is declared elsewhere.

    ``registered``: with what only a registry knows (status, lid, version)."""
    ids = _new_ids()
    return "".join([
        _reference(item) if isinstance(item, Reference) else _object(item, ids, registered=registered) for item in items
    ])  # fmt: skip


def references_text(items: Iterable[RegistryObject | Reference]) -> str:
    """An ObjectRef for each, as ``objects_text`` writes it."""
    return "".join([_reference(item) for item in items])


def write_objects(parent: Element, items: Iterable[RegistryObject | Reference], *, registered: bool = True) -> None:
    """Append what ``objects_text`` writes."""
    text = f'<rim:made xmlns:rim="{RIM}">{objects_text(items, registered=registered)}</rim:made>'
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, collect_ids=False)
    parent.extend(etree.fromstring(text.encode(), parser))


def write_object(parent: Element, item: RegistryObject, *, registered: bool = True) -> Element:
    """Append one object."""
    write_objects(parent, (item,), registered=registered)
    return parent[-1]


def write_reference(parent: Element, item: RegistryObject | Reference) -> None:
    """Append an ObjectRef."""
    etree.SubElement(parent, _REF, {"id": item.id, "home": item.home} if item.home else {"id": item.id})


def write_slot(parent: Element, name: str, values: Iterable[str]) -> None:
    """Append a slot."""
    slot = etree.SubElement(parent, _SLOT, {"name": name})
    listed = etree.SubElement(slot, _VALUE_LIST)
    for value in values:
        etree.SubElement(listed, _VALUE).text = value


def _reference(item: RegistryObject | Reference) -> str:
    home = f' home="{escaped(item.home)}"' if item.home else ""
    return f'<rim:ObjectRef id="{escaped(item.id)}"{home}/>'


def _object(item: RegistryObject, ids: Iterator[str], *, registered: bool) -> str:
    layout = LAYOUTS[type(item)]
    own = escaped(item.id)
    attributes = {"id": item.id, "objectType": _object_type(item, layout)}
    if item.home:
        attributes["home"] = item.home
    if registered:
        attributes["lid"] = item.logical_id or item.id
        attributes["status"] = item.status
    elif item.logical_id not in ("", item.id):
        attributes["lid"] = item.logical_id  # a new version of another object (ITI-57)
    if isinstance(item, DocumentEntry):
        attributes["mimeType"] = item.mime_type
    if isinstance(item, Association):
        attributes |= {"associationType": item.type, "sourceObject": item.source, "targetObject": item.target}
    parts = [f"<rim:{layout.element}"]
    parts += [f' {name}="{escaped(value)}"' for name, value in attributes.items()]
    parts.append(">")
    parts += _slots(item, layout.slots)
    parts += [_slot(escaped(name), values) for name, values in item.extra.items()]
    if not isinstance(item, Association):
        parts += (_localized("Name", item.title), _localized("Description", item.comments))
    if registered:
        parts.append(f'<rim:VersionInfo versionName="{item.version}"/>')
    parts.append(_classifications(item, layout, own, ids))
    for field in layout.identifiers:
        value = getattr(item, field.attribute)
        text = escaped(value.cx if isinstance(value, PatientIdentifier) else value)
        parts.append(_identifier(next(ids), own, field.scheme, field.name, text))
    parts.append(f"</rim:{layout.element}>")
    return "".join(parts)


def _object_type(item: RegistryObject, layout: Layout) -> str:
    return item.object_type if isinstance(item, DocumentEntry) else OBJECT_TYPE + layout.element


def _slots(item: Any, fields: Iterable[SlotField]) -> Iterator[str]:
    for field in fields:
        value = getattr(item, field.attribute)
        if value is None or value in ("", ()):
            continue
        if isinstance(value, str):
            yield f'<rim:Slot name="{field.slot}">{_OPEN}{escaped(value)}{_CLOSE}'
            continue
        several = value if isinstance(value, tuple) else (value,)
        yield _slot(field.slot, [each.text if isinstance(each, ReferenceId) else str(each) for each in several])


def _slot(name: str, values: Sequence[str]) -> str:
    listed = "</rim:Value><rim:Value>".join([escaped(value) for value in values])
    inner = f"<rim:Value>{listed}</rim:Value>" if values else ""
    return f'<rim:Slot name="{name}"><rim:ValueList>{inner}</rim:ValueList></rim:Slot>'


def _localized(name: str, text: str) -> str:
    return f'<rim:{name}><rim:LocalizedString value="{escaped(text)}"/></rim:{name}>' if text else ""


def _classifications(item: RegistryObject, layout: Layout, own: str, ids: Iterator[str]) -> str:
    values = tuple([getattr(item, field.attribute) for field in layout.codes])
    authors = item.authors if layout.author else ()  # type: ignore[union-attr]
    limited = bool(layout.limited) and item.limited  # type: ignore[union-attr]
    text, count = _classified(type(item), authors, values, limited)  # type: ignore[arg-type]  # a class is hashable
    return text % tuple([part for _ in range(count) for part in (next(ids), own)])


@lru_cache(maxsize=4096)
def _classified(kind: type, authors: tuple[Author, ...], values: tuple[Any, ...], limited: bool) -> tuple[str, int]:
    """All classifications of an object, with places for their ids and for its own: many objects have the same ones."""
    layout = LAYOUTS[kind]
    made = [_author(layout.author, author) for author in authors]
    for field, value in zip(layout.codes, values, strict=True):
        made += [_code(field.scheme, code) for code in (value if field.many else (value,)) if code is not None]
    nodes = filter(None, (layout.node, layout.limited if limited else ""))
    made += [f' classificationNode="{node}"/>' for node in nodes]
    return "".join([_CLASSIFICATION + rest.replace("%", "%%") for rest in made]), len(made)


def _code(scheme: str, code: Code) -> str:
    """What follows a classification's own attributes."""
    return (
        f' classificationScheme="{scheme}" nodeRepresentation="{escaped(code.value)}">'
        f"{_slot('codingScheme', (code.scheme,))}{_localized('Name', code.display)}</rim:Classification>"
    )


def _author(scheme: str, author: Author) -> str:
    slots = "".join(_slots(author, AUTHOR_SLOTS))
    return f' classificationScheme="{scheme}" nodeRepresentation="">{slots}</rim:Classification>'


def _identifier(identifier: str, owner: str, scheme: str, name: str, value: str) -> str:
    return (
        f'<rim:ExternalIdentifier id="{identifier}" objectType="{OBJECT_TYPE}ExternalIdentifier"'
        f' registryObject="{owner}" identificationScheme="{scheme}" value="{value}">'
        f"{_localized('Name', name)}</rim:ExternalIdentifier>"
    )


def escaped(text: str) -> str:
    """As text or as an attribute's value."""
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


def _new_ids() -> Iterator[str]:
    """UUIDs of one answer: random (RFC 4122: 4.4), counted in their first group."""
    digits = os.urandom(16).hex()
    first = int(digits[:8], 16)
    rest = f"{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
    for number in itertools.count(first):
        yield f"urn:uuid:{number & 0xFFFFFFFF:08x}-{rest}"
