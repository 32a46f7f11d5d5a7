"""xsd:dateTime and xsd:duration, as termination times are written (WS-BaseNotification 1.3: 4.2)."""

import re
from datetime import UTC, datetime, timedelta

from hub.subscriptions.model import Termination

_DURATION = re.compile(
    r"P(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,4})M)?(?:(?P<days>\d{1,6})D)?"
    r"(?P<time>T(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})(?:\.\d{1,9})?S)?)?"
)
_DAYS = {"years": 365, "months": 30, "days": 1}


def read_termination(text: str) -> Termination:
    """An instant (UTC when it names no zone) or a while; a year counts 365 days, a month 30. Raises ValueError."""
    text = text.strip()
    if not text.startswith("P"):
        if "T" not in text:
            raise ValueError("not a dateTime")
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    found = _DURATION.fullmatch(text)
    parts = {
        name: int(value) for name, value in (found.groupdict() if found else {}).items() if value and name != "time"
    }
    if not parts or text.endswith("T"):
        raise ValueError("not a duration")
    days = sum(parts.pop(name, 0) * each for name, each in _DAYS.items())
    return timedelta(days=days, **parts)


def write_time(at: datetime) -> str:
    """An xsd:dateTime in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
