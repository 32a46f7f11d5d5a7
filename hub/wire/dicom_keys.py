"""Matching keys of studies that a question carries as they came: wildcards and ranges (PS3.4: C.2.2.2)."""

import contextlib
import re
from collections.abc import Mapping
from datetime import date

from hub.errors import Invalid
from hub.wire import dicom

#: Keys of studies besides those that identify or date a study.
FURTHER = ("StudyTime", "AccessionNumber", "ModalitiesInStudy", "ReferringPhysicianName", "StudyDescription",
           "PatientBirthDate", "StudyID")  # fmt: skip
_EXACT = ("AccessionNumber", "ModalitiesInStudy", "PatientBirthDate")  #: have a field of the question, if exact
_CLOCK = re.compile(r"(?:[0-9]{2}(?:[0-9]{2}(?:[0-9]{2}(?:\.[0-9]{1,6})?)?)?)?")


def divided(keys: Mapping[str, str]) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """The exact values of those keys that a question has fields for, and all others of FURTHER. Raises Invalid."""
    exact, further = {}, []
    for keyword in FURTHER:
        value = keys.get(keyword, "")
        if keyword == "PatientBirthDate" and value:
            value = _range(keyword, value)
        if keyword == "StudyTime" and value:
            value = _times(value)
        if not value:
            continue
        if keyword in _EXACT and not set(value) & set("-" if keyword == "PatientBirthDate" else "*?"):
            exact[keyword] = value
        else:
            further.append((keyword, value))
    return exact, tuple(further)


def days(keyword: str, text: str) -> tuple[str, str]:
    """``20260101-20260131``, ``20260101``, ``-20260131``, ``20260101-`` as inclusive (from, to). Raises Invalid."""
    start, dash, end = text.strip().partition("-")
    first, last = _day(start), _day(end)
    if (start and not first) or (end and not last) or not (first or last):
        raise Invalid(f"{keyword} is a date or a range of dates, YYYYMMDD-YYYYMMDD.", section="PS3.4: C.2.2.2.5")
    return (first, last) if dash else (first, first)


def _day(text: str) -> str:
    found = dicom.date(text)
    with contextlib.suppress(ValueError):
        return found and date.fromisoformat(found).strftime("%Y%m%d")
    return ""


def _range(keyword: str, text: str) -> str:
    start, end = days(keyword, text)
    return start if start == end else f"{start}-{end}"


def _times(text: str) -> str:
    """HHMMSS, or less of it, or a range of them; fractions of a second are left out."""
    parts = [part.replace(":", "") for part in text.strip().split("-")]
    if len(parts) > 2 or not any(parts) or not all(_CLOCK.fullmatch(part) for part in parts):
        raise Invalid("StudyTime is a time or a range of times, HHMMSS-HHMMSS.", section="PS3.4: C.2.2.2.5")
    return "-".join(part.partition(".")[0] for part in parts)
