"""FHIR resources as XML <-> the JSON that everything else here works with (FHIR R4: 2.6.1, 2.6.2).

The order and the kind of each element come from the models of ``fhir.resources``; what they don't know is refused."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import orjson
from lxml import etree

from hub.errors import Malformed
from hub.wire.fhir.shapes import Shape, shapes_of
from hub.wire.xml import Element, parse_xml, serialise

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"
_RESOURCE = "Resource"
_EXTRA = ("id", "extension")  #: what a primitive may have beside its value


# JSON -> XML


def to_xml(resource: Mapping[str, Any]) -> bytes:
    """A resource as an XML document. Raises Malformed for what FHIR does not define."""
    return serialise(_write_resource(resource))


def _write_resource(resource: Mapping[str, Any]) -> Element:
    kind = str(resource.get("resourceType", ""))
    names: Any = {None: FHIR}
    root = etree.Element(f"{{{FHIR}}}{kind}", nsmap=names)
    _write_content(root, kind, resource, whole=True)
    return root


def _write_content(parent: Element, type_name: str, found: Mapping[str, Any], *, whole: bool = False) -> None:
    """``whole``: a resource, whose id is an element; that of a type, and an Extension's url, are attributes."""
    try:
        shapes = shapes_of(type_name)
    except ValueError:
        raise Malformed("There is no such FHIR type.", location="resourceType") from None
    unknown = {name.removeprefix("_") for name in found} - set(shapes) - {"resourceType"}
    if unknown:
        raise Malformed(f"FHIR R4 does not define an element of {type_name} that is here.", location=type_name)
    for name, shape in shapes.items():
        if _is_attribute(name, type_name, whole=whole):
            if name in found:
                parent.set(name, str(found[name]))
            continue
        for value, extra in _values(shape, found):
            _write(parent, shape, value, extra)


def _is_attribute(name: str, type_name: str, *, whole: bool) -> bool:
    return (name == "id" and not whole) or (name == "url" and type_name == "Extension")


def _values(shape: Shape, found: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """(value, what stands beside it) for each repetition."""
    value, beside = found.get(shape.name), found.get(f"_{shape.name}")
    if value is None and beside is None:
        return
    values = value if isinstance(value, list) else [value]
    extras = beside if isinstance(beside, list) else [beside]
    for index in range(max(len(values), len(extras))):
        one = values[index] if index < len(values) else None
        yield one, (extras[index] if index < len(extras) else None) or {}


def _write(parent: Element, shape: Shape, value: Any, extra: Mapping[str, Any]) -> None:
    if shape.xhtml:
        parent.append(_div(str(value)))
        return
    place = etree.SubElement(parent, f"{{{FHIR}}}{shape.name}")
    if shape.type_name == _RESOURCE:
        place.append(_write_resource(value))
    elif shape.type_name:
        _write_content(place, shape.type_name, value)
    else:
        if value is not None:
            place.set("value", _text(value))
        _write_content(place, "Element", {name: extra[name] for name in _EXTRA if name in extra})


def _text(value: Any) -> str:
    return orjson.dumps(value).decode() if isinstance(value, bool | int | float) else str(value)


def _div(text: str) -> Element:
    found = parse_xml(text.encode())
    if found.tag != f"{{{XHTML}}}div":
        raise Malformed("A narrative is a div of XHTML.", location="Narrative.div")
    return found


# XML -> JSON


def from_xml(data: bytes) -> dict[str, Any]:
    """The resource of an XML document as JSON values. Raises Malformed."""
    return _read_resource(parse_xml(data))


def _read_resource(root: Element) -> dict[str, Any]:
    name = etree.QName(root)
    if name.namespace != FHIR:
        raise Malformed("The body is not a FHIR resource: its namespace is another.", location="body")
    found = _read_content(root, name.localname, whole=True)
    if "implicitRules" not in shapes_of(name.localname):
        raise Malformed("The body is not a FHIR resource.", location="body")
    return {"resourceType": name.localname, **found}


def _read_content(place: Element, type_name: str, *, whole: bool = False) -> dict[str, Any]:
    try:
        shapes = shapes_of(type_name)
    except ValueError:
        raise Malformed("There is no such FHIR type.", location=type_name[:64]) from None
    found: dict[str, Any] = {}
    for name, value in place.attrib.items():
        if not _is_attribute(str(name), type_name, whole=whole):
            raise Malformed("An attribute is not one that FHIR defines.", location=type_name)
        found[str(name)] = str(value)
    for child in place.iterchildren(tag=etree.Element):
        name = etree.QName(child)
        shape = shapes.get(name.localname)
        if shape is None or name.namespace != (XHTML if shape.xhtml else FHIR):
            raise Malformed(f"FHIR R4 does not define an element of {type_name} that is here.", location=type_name)
        _put(found, shape, *_read(child, shape), location=f"{type_name}.{shape.name}")
    return found


def _read(place: Element, shape: Shape) -> tuple[Any, dict[str, Any]]:
    """(value, what stands beside a primitive one)."""
    if shape.xhtml:
        return etree.tostring(place, encoding="unicode", with_tail=False), {}
    if shape.type_name == _RESOURCE:
        inner = list(place.iterchildren(tag=etree.Element))
        if len(inner) != 1:
            raise Malformed("One resource is expected.", location=shape.name)
        return _read_resource(inner[0]), {}
    if shape.type_name:
        return _read_content(place, shape.type_name), {}
    value = place.attrib.pop("value", None)
    return (_value(str(value), shape) if value is not None else None), _read_content(place, "Element")


def _put(found: dict[str, Any], shape: Shape, value: Any, extra: dict[str, Any], *, location: str) -> None:
    name, beside = shape.name, f"_{shape.name}"
    if not shape.many:
        if name in found or beside in found:
            raise Malformed("An element stands twice.", location=location)
        found.update({name: value} if value is not None else {})
        found.update({beside: extra} if extra else {})
        return
    row = found.setdefault(name, [])
    row.append(value)
    if extra or beside in found:
        extras = found.setdefault(beside, [None] * (len(row) - 1))
        extras.append(extra or None)


def _value(text: str, shape: Shape) -> Any:
    try:
        if shape.primitive is bool:
            return {"true": True, "false": False}[text]
        if shape.primitive is int:
            return int(text)
        if shape.primitive is Decimal:
            number = float(text)
            return int(text) if number.is_integer() and text.lstrip("-").isdecimal() else number
    except (KeyError, ValueError, OverflowError):
        raise Malformed("A value is not of its element's type.", location=shape.name) from None
    return text
