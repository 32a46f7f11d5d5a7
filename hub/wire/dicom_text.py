"""Text and codes as DICOM takes them."""

import re

from pydicom.dataset import Dataset

_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]+")


def clean(text: str, length: int = 64) -> str:
    """Text as a DICOM short text takes it: no control character, no backslash, at most ``length`` bytes.

    DICOM counts characters, many readers count bytes: what fits in bytes fits both."""
    plain = _CONTROL.sub(" ", text).strip().encode("utf-8", "replace")[:length]
    return plain.decode("utf-8", "ignore").strip()


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3: 8.8)."""
    item = Dataset()
    if len(value) > 16:
        item.LongCodeValue = value
    else:
        item.CodeValue = value
    item.CodingSchemeDesignator = clean(scheme, 16)
    item.CodeMeaning = clean(meaning) or value
    return item
