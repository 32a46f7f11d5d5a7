"""Registry objects: model -> XML (ITI TF-3: 4.2.1). The same form in submissions and in answers."""

from collections.abc import Iterable, Iterator
from typing import Any

from lxml import etree

from hub.documents.model import Association, Author, DocumentEntry, ReferenceId, RegistryObject
from hub.federation.model import Reference
from hub.values import Code, PatientIdentifier, new_uuid
from hub.wire.ebxml.fields import ASSOCIATION, AUTHOR_SLOTS, LAYOUTS, Layout, SlotField
from hub.wire.ebxml.names import OBJECT_TYPE, rim
from hub.wire.xml import Element

_SLOT, _VALUE_LIST, _VALUE = rim("Slot"), rim("ValueList"), rim("Value")
_CLASSIFICATION, _IDENTIFIER, _REF = rim("Classification"), rim("ExternalIdentifier"), rim("ObjectRef")
_LOCALIZED, _VERSION = rim("LocalizedString"), rim("VersionInfo")
_TAGS = {layout.element: rim(layout.element) for layout in LAYOUTS.values()}


def write_object(parent: Element, item: RegistryObject, *, registered: bool = True) -> Element:
    """Append the object. ``registered``: with what only a registry knows (status, lid, version)."""
    layout = LAYOUTS[type(item)]
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
    element = etree.SubElement(parent, _TAGS[layout.element], attributes)
    for name, values in _slots(item, layout.slots):
        write_slot(element, name, values)
    for name, values in item.extra.items():
        write_slot(element, name, values)
    if not isinstance(item, Association):
        _localized(element, "Name", item.title)
        _localized(element, "Description", item.comments)
    if registered:
        etree.SubElement(element, _VERSION, {"versionName": str(item.version)})
    _classifications(element, item, layout)
    for field in layout.identifiers:
        value = getattr(item, field.attribute)
        text = value.cx if isinstance(value, PatientIdentifier) else value
        _identifier(element, item.id, field.scheme, field.name, text)
    return element


def write_reference(parent: Element, item: RegistryObject | Reference) -> None:
    """Append an ObjectRef."""
    etree.SubElement(parent, _REF, {"id": item.id, "home": item.home} if item.home else {"id": item.id})


def write_slot(parent: Element, name: str, values: Iterable[str]) -> None:
    """Append a slot."""
    slot = etree.SubElement(parent, _SLOT, {"name": name})
    listed = etree.SubElement(slot, _VALUE_LIST)
    for value in values:
        etree.SubElement(listed, _VALUE).text = value


def _object_type(item: RegistryObject, layout: Layout) -> str:
    return item.object_type if isinstance(item, DocumentEntry) else OBJECT_TYPE + layout.element


def _slots(item: Any, fields: Iterable[SlotField]) -> Iterator[tuple[str, Iterable[str]]]:
    for field in fields:
        value = getattr(item, field.attribute)
        several = value if isinstance(value, tuple) else (() if value is None or value == "" else (value,))
        if several:
            yield field.slot, [each.text if isinstance(each, ReferenceId) else str(each) for each in several]


def _localized(parent: Element, name: str, text: str) -> None:
    if text:
        etree.SubElement(etree.SubElement(parent, rim(name)), _LOCALIZED, {"value": text})


def _classifications(element: Element, item: RegistryObject, layout: Layout) -> None:
    if layout.author:
        for author in item.authors:  # type: ignore[union-attr]
            _author(element, item.id, layout.author, author)
    for field in layout.codes:
        value = getattr(item, field.attribute)
        for code in value if field.many else (value,):
            if code is not None:
                _code(element, item.id, field.scheme, code)
    for node in filter(None, (layout.node, layout.limited if layout is not ASSOCIATION and item.limited else "")):  # type: ignore[union-attr]
        etree.SubElement(
            element, _CLASSIFICATION, _own("Classification", classifiedObject=item.id, classificationNode=node)
        )


def _own(kind: str, **attributes: str) -> dict[str, str]:
    return {"id": new_uuid(), "objectType": OBJECT_TYPE + kind, **attributes}


def _code(parent: Element, owner: str, scheme: str, code: Code) -> None:
    element = etree.SubElement(
        parent,
        _CLASSIFICATION,
        _own("Classification", classifiedObject=owner, classificationScheme=scheme, nodeRepresentation=code.value),
    )
    write_slot(element, "codingScheme", (code.scheme,))
    _localized(element, "Name", code.display)


def _author(parent: Element, owner: str, scheme: str, author: Author) -> None:
    element = etree.SubElement(
        parent,
        _CLASSIFICATION,
        _own("Classification", classifiedObject=owner, classificationScheme=scheme, nodeRepresentation=""),
    )
    for name, values in _slots(author, AUTHOR_SLOTS):
        write_slot(element, name, values)


def _identifier(parent: Element, owner: str, scheme: str, name: str, value: str) -> None:
    element = etree.SubElement(
        parent,
        _IDENTIFIER,
        _own("ExternalIdentifier", registryObject=owner, identificationScheme=scheme, value=value),
    )
    _localized(element, "Name", name)
