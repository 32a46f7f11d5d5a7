"""DTM of XDS <-> dateTime of FHIR, and what a date parameter of a search asks (FHIR R4: 3.1.1.5.6)."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hub.errors import Invalid

_PARAMETER = re.compile(r"(eq|ge|le|gt|lt|sa|eb)?([0-9].*)")
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?")

_FROM, _TO = ("eq", "ge", "gt", "sa"), ("eq", "le", "lt", "eb")


@dataclass(frozen=True, slots=True)
class Asked:
    """One date parameter: its prefix, and the period it names as DTM, the end not included."""

    prefix: str
    low: str
    high: str


def date_time(dtm: str) -> str:
    """dateTime of a DTM in UTC, as precise as it is; FHIR wants minutes and seconds with every hour."""
    if len(dtm) <= 8:
        return "-".join(part for part in (dtm[:4], dtm[4:6], dtm[6:8]) if part)
    full = dtm.ljust(14, "0")
    return f"{full[:4]}-{full[4:6]}-{full[6:8]}T{full[8:10]}:{full[10:12]}:{full[12:14]}Z"


def instant(dtm: str) -> str:
    """instant of a DTM in UTC; "" when it is not precise enough."""
    return date_time(dtm) if len(dtm) > 8 else ""


def first_dtm(dtm: str) -> str:
    """The first second of the period that a DTM names."""
    return dtm + "00000101000000"[len(dtm) :]


def last_dtm(dtm: str) -> str:
    """The last second of the period that a DTM names."""
    year, month = int(dtm[:4]), int(dtm[4:6] or 12)
    day = dtm[6:8] or f"{calendar.monthrange(year, month)[1]:02}"
    return f"{dtm[:4]}{month:02}{day}{dtm[8:10] or '23'}{dtm[10:12] or '59'}{dtm[12:14] or '59'}"


def dtm_of(text: str, name: str) -> str:
    """The DTM in UTC of a dateTime or an instant. Raises Invalid."""
    if _DATE.fullmatch(text):
        return text.replace("-", "")
    return _dtm(_moment(text, name))


def asked(texts: Sequence[str], name: str) -> tuple[Asked, ...]:
    """The date parameters of one name, all of which must hold. Raises Invalid."""
    return tuple(_asked(text, name) for text in texts)


def bounds(found: Sequence[Asked]) -> tuple[str, str]:
    """From (included) and to (not included) for a moment that fulfils all; "" where open."""
    lows = [item.high if item.prefix in ("gt", "sa") else item.low for item in found if item.prefix in _FROM]
    highs = [item.low if item.prefix in ("lt", "eb") else item.high for item in found if item.prefix in _TO]
    return max(lows, default=""), min(highs, default="")


def _asked(text: str, name: str) -> Asked:
    match = _PARAMETER.fullmatch(text)
    if match is None:
        raise Invalid("A date has the form [eq|ge|le|gt|lt|sa|eb]YYYY[-MM[-DD[Thh:mm[:ss][zone]]]].", location=name)
    prefix, value = match[1] or "eq", match[2].replace(" ", "+")  # a zone's plus that was not written as %2B
    try:
        low, high = _period(value, name)
    except (ValueError, OverflowError) as error:
        raise Invalid("There is no such date.", location=name) from error
    return Asked(prefix, _dtm(low), _dtm(high))


def _period(value: str, name: str) -> tuple[datetime, datetime]:
    match = _DATE.fullmatch(value)
    if match is None:
        low = _moment(value, name).replace(microsecond=0)
        return low, low + (timedelta(seconds=1) if value.count(":", 0, 19) > 1 else timedelta(minutes=1))
    year, month, day = match.groups()
    low = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    if day:
        return low, low + timedelta(days=1)
    if month:
        return low, (low.replace(day=28) + timedelta(days=4)).replace(day=1)
    return low, low.replace(year=low.year + 1)


def _dtm(moment: datetime) -> str:
    return re.sub(r"[-T:]", "", moment.isoformat()[:19])


def _moment(text: str, name: str) -> datetime:
    if not _INSTANT.fullmatch(text):
        raise Invalid("A date has the form YYYY[-MM[-DD[Thh:mm:ss+zz:zz]]].", location=name)
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid("There is no such date.", location=name) from error
