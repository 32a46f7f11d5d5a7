"""The header of a Part 10 file as DICOM JSON, for archives that give whole objects only."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_INLINE = 16 * 1024  #: larger values are left out


def metadata_of(path: Path) -> dict[str, Any]:
    """DICOM JSON of one Part 10 file, without pixel data and without large values (PS3.18: 10.4.1.1.2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = dcmread(path, stop_before_pixels=True, defer_size=_INLINE)
        found: dict[str, Any] = {}
        for element in _readable(ds):
            try:
                found[f"{element.tag:08X}"] = element.to_json_dict(None, _INLINE)
            except (ValueError, TypeError, AttributeError, KeyError, NotImplementedError, OverflowError):
                continue  # a value that its own VR does not allow has no JSON form
        found["00083002"] = {"vr": "UI", "Value": [str(ds.file_meta.TransferSyntaxUID)]}
        found["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return dict(sorted(found.items()))


def _readable(ds: Dataset) -> Iterator[DataElement]:
    ds.decode()
    for tag in list(ds.keys()):
        raw = ds.get_item(tag)
        if raw is None or tag.element == 0 or getattr(raw, "length", 0) > _INLINE:
            continue
        try:
            yield ds[tag]
        except (ValueError, TypeError, KeyError, NotImplementedError, OverflowError, AttributeError):
            continue
