"""Text of DICOM attributes by keyword, from data sets and from DICOM JSON, read tolerantly."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pydicom import charset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from hub.errors import Invalid

NUMBERS = ("IS", "US", "UL", "SS", "SL")
PADDING = " \0\t\r\n"


class Reader(Protocol):
    """Text of attributes by keyword, whatever they are encoded in."""

    def texts(self, keyword: str) -> list[str]:
        """All values; person names in the form ``Alphabetic=Ideographic=Phonetic``."""
        ...

    def items(self, keyword: str) -> "list[Reader]":
        """The items of a sequence."""
        ...


class JsonReader:
    """Reads one DICOM JSON object (PS3.18: F.2)."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self._source = source

    def _values(self, keyword: str) -> list[Any]:
        element = self._source.get(hex_tag(keyword))
        values = element.get("Value") if isinstance(element, Mapping) else None
        return values if isinstance(values, list) else []

    def texts(self, keyword: str) -> list[str]:
        """All values as text."""
        return [_json_text(value) for value in self._values(keyword) if value is not None]

    def items(self, keyword: str) -> list[Reader]:
        """The items of a sequence."""
        return [JsonReader(value) for value in self._values(keyword) if isinstance(value, Mapping)]


class DatasetReader:
    """Reads a pydicom data set; ``override`` is a character set to assume whatever the data says."""

    def __init__(self, source: Dataset, override: str = "", inherited: Sequence[str] = ()) -> None:
        self._source = source
        self._override = override
        self._encodings = _encodings(source, override, inherited)

    def texts(self, keyword: str) -> list[str]:
        """All values as text, decoded tolerantly."""
        tag = tag_for_keyword(keyword)
        if tag not in self._source:
            return []
        element = self._source.get_item(tag)
        vr = dictionary_VR(keyword)
        if isinstance(element, RawDataElement) and vr not in NUMBERS[1:] and isinstance(element.value, bytes):
            text = _decode(element.value, self._encodings)
            return [part.strip(PADDING) for part in text.split("\\")] if text.strip(PADDING) else []
        try:
            value = self._source[tag].value
        except (ValueError, TypeError, KeyError, NotImplementedError, OverflowError):
            return []  # a value that its own VR does not allow: absent for the index
        if value is None or value == "":
            return []
        several = isinstance(value, Iterable) and not isinstance(value, str | bytes | PersonName)
        return [str(item).strip(PADDING) for item in (value if several else [value])]

    def items(self, keyword: str) -> list[Reader]:
        """The items of a sequence."""
        tag = tag_for_keyword(keyword)
        if tag not in self._source:
            return []
        try:
            value = self._source[tag].value
        except (ValueError, TypeError, KeyError, NotImplementedError, OverflowError):
            return []
        if not isinstance(value, Iterable) or isinstance(value, str | bytes):
            return []
        return [DatasetReader(item, self._override, self._encodings) for item in value if isinstance(item, Dataset)]


def first(reader: Reader, *keywords: str) -> str:
    """The first non-empty value of the first keyword that has one."""
    for keyword in keywords:
        for text in reader.texts(keyword):
            if text:
                return text
    return ""


def number(reader: Reader, keyword: str) -> int | None:
    """A whole number; ``4``, ``+4`` and ``4.0`` are the same. None when absent or not a number."""
    text = first(reader, keyword)
    try:
        return int(float(text)) if text else None
    except (ValueError, OverflowError):
        return None


def hex_tag(keyword: str) -> str:
    """``0020000D`` of ``StudyInstanceUID``. Raises Invalid for a word that the dictionary does not hold."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise Invalid("This is not the keyword of a DICOM attribute.", attribute=keyword[:64])
    return f"{tag:08X}"


def _json_text(value: Any) -> str:
    if isinstance(value, Mapping):  # PN
        groups = [str(value.get(name) or "") for name in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=").strip(PADDING)
    return str(value).strip(PADDING)


def _encodings(source: Dataset, override: str, inherited: Sequence[str]) -> Sequence[str]:
    declared = override.split("\\") if override else _declared(source)
    if not declared:
        return inherited
    try:
        found: Sequence[str] = charset.convert_encodings(declared)
    except (LookupError, ValueError):
        return inherited
    return found


def _declared(source: Dataset) -> list[str]:
    element = source.get_item(0x00080005) if 0x00080005 in source else None
    if element is None:
        return []
    value = element.value
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").strip(PADDING).split("\\")
    names = [value] if isinstance(value, str) else list(value or ())
    return [str(name).strip(PADDING) for name in names] if any(names) else []


def _decode(raw: bytes, encodings: Sequence[str]) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    if encodings:
        try:
            # backslash is a delimiter in values; "^" and "=" reset the code extensions of person names
            return str(charset.decode_bytes(raw, list(encodings), {0x0D, 0x0A, 0x09, 0x0C, 0x5C, 0x5E, 0x3D}))
        except (LookupError, ValueError):
            return raw.decode("latin-1")
    try:
        return raw.decode("utf-8")  # undeclared: UTF-8 rarely passes by accident
    except UnicodeDecodeError:
        return raw.decode("latin-1")
