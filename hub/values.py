"""Domain values that every room shares, parsed at the edge: an instance is always valid."""

import calendar
import os
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from hub.errors import Invalid

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_UID_AS_WRITTEN = re.compile(r"[0-9]+(\.[0-9]+)*")
_ROOT = "2.25"


class Oid(str):
    """An ISO object identifier, dotted decimal, at most 64 characters (ITI TF-3: Table 4.2.3.1.7-2)."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Parse. Raises Invalid."""
        if len(value) > 64 or not _OID.fullmatch(value):
            raise Invalid("An OID must be dotted decimal numbers, at most 64 characters.")
        return super().__new__(cls, value)

    @property
    def urn(self) -> str:
        """``urn:oid:`` form."""
        return f"urn:oid:{self}"

    @classmethod
    def from_urn(cls, value: str) -> Self:
        """From either form."""
        return cls(value.removeprefix("urn:oid:"))


class Uid(Oid):
    """A DICOM unique identifier (PS3.5: 9)."""

    __slots__ = ()


def is_uid(text: str) -> bool:
    """Whether it is a UID as archives write them: numbers, with leading zeros perhaps, and single dots between them.

    So it is safe in a path, where two dots would lead elsewhere."""
    return len(text) <= 64 and _UID_AS_WRITTEN.fullmatch(text) is not None


class AETitle(str):
    """A DICOM application entity title: 1 to 16 printable ASCII characters without backslash (PS3.5: 6.2)."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Parse; surrounding blanks do not count. Raises Invalid."""
        text = value.strip(" ")
        if not 1 <= len(text) <= 16 or not text.isascii() or not text.isprintable() or "\\" in text:
            raise Invalid("An AE title has 1 to 16 printable ASCII characters and no backslash.")
        return super().__new__(cls, text)


@dataclass(frozen=True, slots=True)
class AssigningAuthority:
    """Who numbers patients, orders or visits: an OID, with the namespace that HL7 v2 peers use for it."""

    oid: str
    namespace: str = ""

    @property
    def hd(self) -> str:
        """HL7 v2 HD: ``namespace&oid&ISO``."""
        return f"{self.namespace}&{self.oid}&ISO"


def known_date(digits: str) -> str:
    """What is known of a date of eight digits or fewer: unknown parts (00) are left out; a day that no calendar has, as
    lunar dates have (30 February, a thirteenth month), leaves the year (RNIV)."""
    year, month, day = digits[:4], digits[4:6] or "00", digits[6:8] or "00"
    if month == "00" or month > "12" or (day != "00" and not day_exists(int(year), int(month), int(day))):
        return year
    return year + month + (day if day != "00" else "")


def day_exists(year: int, month: int, day: int) -> bool:
    """Whether the calendar has it."""
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(max(year, 1), month)[1]


@dataclass(frozen=True, slots=True)
class PatientIdentifier:
    """A patient's number in an authority's domain (HL7 v2 CX). Equality is by number and the authority's OID."""

    value: str
    authority: str  #: the assigning authority's OID
    type_code: str = ""  #: HL7 table 0203: PI, INS, NH ...
    namespace: str = ""  #: the authority's namespace as received; names it where the OID is missing (then "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PatientIdentifier) and (self.value, self.authority) == (other.value, other.authority)

    def __hash__(self) -> int:
        return hash((self.value, self.authority))

    @property
    def cx(self) -> str:
        """The XDS form, ``id^^^&oid&ISO`` (ITI TF-3: Table 4.2.3.1.7-2, CX)."""
        return f"{self.value}^^^&{self.authority}&ISO"

    @classmethod
    def from_cx(cls, text: str) -> Self:
        """From ``id^^^[namespace]&oid&ISO[^type]``. Raises Invalid when the number or the OID is missing."""
        parts = text.split("^")
        universal = parts[3].split("&") if len(parts) > 3 else []
        if not parts[0] or len(universal) < 2 or not universal[1]:
            raise Invalid("A patient identifier must have the form id^^^&oid&ISO.")
        if len(universal) > 2 and universal[2] not in ("ISO", ""):
            raise Invalid("A patient identifier's assigning authority must be an ISO OID.")
        return cls(parts[0], Oid(universal[1]), parts[4] if len(parts) > 4 else "")

    def __repr__(self) -> str:  # a log line or a traceback never shows the number
        return f"PatientIdentifier(<hidden>, {self.authority!r})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: code, coding scheme, display name."""

    value: str
    scheme: str
    display: str = ""

    @property
    def key(self) -> str:
        """``code^^scheme``, as in stored queries."""
        return f"{self.value}^^{self.scheme}"


def setting(kind: type[str]) -> Callable[[str], str]:
    """The kind's own rule as settings want it: a ValueError for what it refuses."""

    def parse(value: str) -> str:
        try:
            return str(kind(value))
        except Invalid as error:
            raise ValueError(error.message) from error

    return parse


def now() -> datetime:
    """The current instant, aware, UTC."""
    return datetime.now(UTC)


def new_uid() -> Uid:
    """A fresh DICOM UID / OID under 2.25 (a UUID as a decimal number; PS3.5: B.2)."""
    return Uid(f"{_ROOT}.{uuid.uuid4().int}")


def new_uuid() -> str:
    """A fresh ``urn:uuid:``."""
    return f"urn:uuid:{uuid.uuid4()}"


def new_key() -> str:
    """A short random key for rows and correlation ids: 20 characters, sortable by time of creation."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(4).hex()}"
