"""Data types of HL7 v2 (HL7 v2.5: 2.A) as domain values: CX, EI, HD, DTM, RP, XCN."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from hub.errors import Invalid
from hub.values import Oid, PatientIdentifier, Uid
from hub.wire.hl7v2.errors import DataTypeError, FieldMissing
from hub.wire.hl7v2.message import Repetition, Segment

_DTM = re.compile(r"(\d{4}(?:\d{2}){0,5})(?:\.(\d{1,4}))?([+-]\d{4})?")
_FORMATS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


def hd(item: Repetition, component: int, location: str) -> tuple[str, str]:
    """(namespace, OID) of an HD component (HL7 v2.5: 2.A.33). A universal id that is no OID counts as a namespace.

    Raises DataTypeError when a type of ISO does not go with an OID."""
    namespace, universal, kind = (item.value(component, number) for number in (1, 2, 3))
    if not universal:
        return namespace, ""
    if kind not in ("ISO", ""):
        return namespace or universal, ""
    try:
        return namespace, Oid(universal)
    except Invalid:
        raise DataTypeError("The assigning authority is not an OID.", location=f"{location}.{component}.2") from None


def cx(item: Repetition, location: str) -> PatientIdentifier:
    """An identifier with its authority, OID "" where missing (HL7 v2.5: 2.A.14). FieldMissing, DataTypeError."""
    value = item.value(1).strip()
    if not value:
        raise FieldMissing("An identifier is empty.", location=f"{location}.1")
    namespace, oid = hd(item, 4, location)
    return PatientIdentifier(value, oid, item.value(5), namespace)


def ei(segment: Segment, number: int) -> tuple[str, str]:
    """(identifier, authority) of an EI field (HL7 v2.5: 2.A.28): the OID, else the namespace, else ""."""
    value, namespace, universal = (segment.value(number, component) for component in (1, 2, 3))
    return value, universal or namespace


def uid(text: str, location: str) -> str:
    """A DICOM UID, "" where empty. Raises DataTypeError."""
    try:
        return Uid(text) if text else ""
    except Invalid:
        raise DataTypeError("This is not a DICOM unique identifier.", location=location) from None


def dtm(text: str, location: str) -> str:
    """The digits of a DTM (HL7 v2.5: 2.A.22), without fraction and zone; "" where empty. Raises DataTypeError.

    A day or month of 00 is let through: birth dates that are known in part (RNIV)."""
    if not text:
        return ""
    found = _DTM.fullmatch(text)
    if found is None:
        raise DataTypeError("A time must have the form YYYY[MM[DD[HH[MM[SS]]]]][+ZZZZ].", location=location)
    digits = found[1]
    if digits[4:6] > "12" or digits[6:8] > "31":
        raise DataTypeError("A month or day is out of range.", location=location)
    if digits[8:10] > "23" or digits[10:12] > "59" or digits[12:14] > "59":
        raise DataTypeError("A time of day is out of range.", location=location)
    return digits


def date(text: str, location: str) -> str:
    """The date of a DTM: ``YYYY[MM[DD]]``. Raises DataTypeError."""
    return dtm(text, location)[:8]


def instant(text: str, location: str, zone: tzinfo = UTC) -> datetime:
    """A DTM as an aware datetime; ``zone`` where it names none. Raises DataTypeError."""
    digits = dtm(text, location)
    found = _DTM.fullmatch(text)
    try:
        moment = datetime.strptime(digits, _FORMATS[len(digits)]).replace(tzinfo=zone)
        if found is not None and found[3]:
            offset = timedelta(hours=int(found[3][1:3]), minutes=int(found[3][3:]))
            moment = moment.replace(tzinfo=timezone(-offset if found[3][0] == "-" else offset))
        moment.astimezone(UTC)  # the first and the last day of all time have no UTC everywhere
    except (KeyError, ValueError, OverflowError):
        raise DataTypeError("This is not a date.", location=location) from None
    return moment


def code(segment: Segment, number: int) -> tuple[str, str, str]:
    """(code, scheme, meaning) of a CE or CWE field."""
    return segment.value(number, 1), segment.value(number, 3), segment.value(number, 2)


def xcn(segment: Segment, number: int) -> str:
    """The first repetition of an XCN field as it came, in standard delimiters: ``id^family^given^...``."""
    item = next(iter(segment.repetitions(number)), None)
    return standard(item) if item is not None else ""


def standard(item: Repetition) -> str:
    """A repetition in standard delimiters."""
    d = item.segment.delimiters
    if (d.component, d.subcomponent) == ("^", "&"):
        return item.text
    return item.text.translate(str.maketrans(d.component + d.subcomponent, "^&"))
