"""The header of an instance as DICOM JSON, for archives that give whole objects only (PS3.18: 10.4.1.1.2, F)."""

import base64
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from hub.wire import dicom
from hub.wire.dicom import DatasetReader

#: Binary values up to this many bytes are sent inline; longer ones are left out.
MAX_INLINE = 4096
_BINARY = ("OB", "OW", "OF", "OD", "OL", "OV", "UN")
_WHOLE = ("IS", "US", "UL", "SS", "SL", "UV", "SV")
_REAL = ("DS", "FL", "FD")


def metadata_of(dataset: Dataset, charset: str = "") -> dict[str, Any]:
    """DICOM JSON of the data set; text in Unicode. ``charset``: assume it whatever the data says."""
    if charset:
        dataset.SpecificCharacterSet = charset.split("\\")
    with contextlib.suppress(LookupError, ValueError):
        dataset.decode()
    found = _object(dataset)
    found["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if syntax:
        found["00083002"] = {"vr": "UI", "Value": [str(syntax)]}  # AvailableTransferSyntaxUID
    _repair(found, dataset, charset)
    return dict(sorted(found.items()))


def _object(dataset: Dataset) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tag in list(dataset.keys()):
        if tag.group in (0x0002, 0x7FE0) or tag.element == 0:
            continue
        try:
            element = dataset[tag]
            value = _element(element)
        except (ValueError, TypeError, KeyError, NotImplementedError, OverflowError, AttributeError, RecursionError):
            continue  # a value that its own VR does not allow has no JSON form
        if value is not None:
            found[f"{int(tag):08X}"] = value
    return found


def _element(element: DataElement) -> dict[str, Any] | None:
    vr = str(element.VR)
    if vr == "SQ":
        return {"vr": "SQ", "Value": [_object(item) for item in element.value]} if element.value else {"vr": "SQ"}
    if vr in _BINARY:
        raw = element.value
        if not isinstance(raw, bytes) or len(raw) > MAX_INLINE:
            return None
        return {"vr": vr, "InlineBinary": base64.b64encode(raw).decode("ascii")} if raw else {"vr": vr}
    values: Sequence[Any] = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    if not values or all(item is None or item == "" for item in values):
        return {"vr": vr}
    return {"vr": vr, "Value": [_value(vr, item) for item in values]}


def _value(vr: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    if vr == "PN":
        name = value if isinstance(value, PersonName) else PersonName(str(value))
        groups: Mapping[str, str] = {
            "Alphabetic": name.alphabetic, "Ideographic": name.ideographic, "Phonetic": name.phonetic,
        }  # fmt: skip
        return {key: group for key, group in groups.items() if group}
    if vr in _WHOLE:
        return int(value)
    if vr in _REAL:
        return float(value)
    if vr == "AT":
        return f"{int(value):08X}"
    return str(value)


def _repair(found: dict[str, Any], dataset: Dataset, charset: str) -> None:
    """Dates and times in the standard's form, for viewers that read no other."""
    reader = DatasetReader(dataset, charset)
    for keyword in ("StudyDate", "SeriesDate", "PatientBirthDate"):
        tag = dicom.hex_tag(keyword)
        if "Value" in found.get(tag, ()):
            day = dicom.date(dicom.first(reader, keyword))
            found[tag] = {"vr": "DA", "Value": [day]} if day else {"vr": "DA"}
