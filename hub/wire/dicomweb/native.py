"""DICOM JSON -> the Native DICOM Model in XML (PS3.19: A.1), for who prefers it (PS3.18: 8.7.3)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lxml import etree
from pydicom.datadict import keyword_for_tag

from hub.wire import multipart
from hub.wire.dicomweb.media import XML
from hub.wire.xml import Element, serialise

_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
#: What XML 1.0 has no place for.
_NO_TEXT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Private creators reserve blocks of their group's elements (PS3.5: 7.8.1).
_FIRST_CREATOR, _LAST_CREATOR = 0x10, 0xFF


def native(item: Mapping[str, Any]) -> bytes:
    """One object as an XML document."""
    nsmap: Any = {None: _NAMESPACE}
    root = etree.Element(f"{{{_NAMESPACE}}}NativeDicomModel", {_XML_SPACE: "preserve"}, nsmap=nsmap)
    _attributes(root, item)
    return serialise(root)


def native_parts(objects: Iterable[Mapping[str, Any]]) -> Iterator[multipart.Part]:
    """A part for each object."""
    return (multipart.Part({"Content-Type": XML}, iter((native(item),))) for item in objects)


def _attributes(parent: Element, item: Mapping[str, Any]) -> None:
    for tag in sorted(item):
        group, element, value = int(tag[:4], 16), int(tag[4:], 16), item[tag]
        names = {"tag": tag.upper(), "vr": str(value.get("vr", "UN"))}
        if group % 2:
            if _FIRST_CREATOR <= element <= _LAST_CREATOR:
                continue  # told by the attribute of what it reserves
            names["tag"] = f"{tag[:4].upper()}00{tag[6:].upper()}"
            names["privateCreator"] = _creator(item, tag)
        elif keyword := keyword_for_tag(int(tag, 16)):
            names["keyword"] = str(keyword)
        _values(_add(parent, "DicomAttribute", names), value)


def _creator(item: Mapping[str, Any], tag: str) -> str:
    values = item.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value") or [""]
    return _text(values[0])


def _values(parent: Element, value: Mapping[str, Any]) -> None:
    if "BulkDataURI" in value:
        _add(parent, "BulkData", {"uri": str(value["BulkDataURI"])})
    elif "InlineBinary" in value:
        _add(parent, "InlineBinary").text = str(value["InlineBinary"])
    for number, each in enumerate(value.get("Value", ()), 1):
        if each is None:
            continue  # an empty value keeps its number by being left out
        place = {"number": str(number)}
        if value.get("vr") == "SQ":
            _attributes(_add(parent, "Item", place), each)
        elif isinstance(each, Mapping):
            _person(_add(parent, "PersonName", place), each)
        else:
            _add(parent, "Value", place).text = _text(each)


def _person(parent: Element, name: Mapping[str, Any]) -> None:
    for group in _GROUPS:
        if not name.get(group):
            continue
        holder = _add(parent, group)
        for component, text in zip(_COMPONENTS, str(name[group]).split("^"), strict=False):
            if text:
                _add(holder, component).text = _text(text)


def _add(parent: Element, name: str, values: Mapping[str, str] | None = None) -> Element:
    return etree.SubElement(parent, f"{{{_NAMESPACE}}}{name}", dict(values or {}))


def _text(value: Any) -> str:
    return _NO_TEXT.sub("\ufffd", str(value))
