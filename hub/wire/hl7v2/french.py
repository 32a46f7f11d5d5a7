"""The segments of the French extension (PAM-FR 2.11): read strictly, so that a mistake is told and not kept unseen."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.access.rights_model import Choice, Matter, Said
from hub.wire.hl7v2.datatypes import dtm, ei, instant
from hub.wire.hl7v2.errors import DataTypeError, FieldMissing, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message, Segment

Check = Callable[[str, str], object]
#: ZFA-9 (alimentation) and ZFA-11 (consultation).
CHOICES = {
    "INO": Choice.CONSENT,  # does not oppose
    "IO": Choice.OPPOSITION,
    "IC": Choice.CONSENT,
    "INC": Choice.OPPOSITION,
    "NA": Choice.UNKNOWN,
}
_PROTECTS = (Choice.OPPOSITION, Choice.UNKNOWN, Choice.CONSENT)  #: what protects more, first
_ACTIONS = ("INSERT", "UPDATE", "CANCEL")
#: ZBE-9 (PAM-FR 6.13.9), its letters in any order: who is responsible changes, medically, for lodging, for care; the
#: bed; the administrative side; both of these.
_NATURES = frozenset({"M", "H", "S", "MS", "HS", "HM", "HMS", "L", "D", "DL"})
_CORRECTION = "C"  #: nobody moved: of Z99 only


def _one_of(*values: str) -> Check:
    def check(text: str, location: str) -> None:
        if text not in values:
            raise TableValueUnknown(f"{location} is not a value of its table (PAM-FR 2.11).", location=location)

    return check


def _number(text: str, location: str) -> None:
    if not text.isdecimal():
        raise DataTypeError("This is not a number.", location=location)


#: Segment -> field -> what its value must be, where it has one.
FIELDS: dict[str, dict[int, Check]] = {
    "ZFA": {  # the national record (DMP): its state, and what the patient said
        1: _one_of("ACTIF", "FERME", "INEXISTANT"),
        2: dtm,
        3: dtm,
        4: _one_of("Y", "N"),
        9: _one_of("INO", "IO", "NA"),
        10: dtm,
        11: _one_of("IC", "INC", "NA"),
        12: dtm,
    },
    "ZFD": {  # demographics
        2: _number,
        3: _one_of("Y", "N"),
        4: _one_of("Y", "N"),
        6: dtm,
        8: dtm,
    },
    "ZFV": {4: dtm, 5: dtm},
    "ZFM": {  # the stay as hospitals are paid for it (PMSI)
        1: _one_of(*"0678NO"),
        2: _one_of(*"0456789"),
        3: _one_of(*"123456789RU"),
        4: _one_of(*"123456789RU"),
        5: _one_of(*"5UV"),
    },
    "ZFP": {1: _one_of(*"12345678"), 2: _number},  # occupation (INSEE's PCS)
}


#: Segment -> field -> name of what it says of an identity (``hub.patients.details_model.Details``).
_DETAILS: dict[str, dict[int, str]] = {
    "ZFD": {
        1: "lunar_date", 2: "gestation_weeks", 3: "text_messages", 4: "date_corrected",
        5: "obtained", 6: "checked_on", 7: "document", 8: "document_until",
    },
    "ZFP": {1: "occupation", 2: "occupation_group"},
}  # fmt: skip
_DATES = frozenset({"checked_on", "document_until"})
_CODE = 16  #: characters of a code, the longest that PAM-FR has
_DAY = len("YYYYMMDD")  #: of a date without an hour


@dataclass(frozen=True, slots=True)
class Movement:
    """ZBE (ITI TF-2: 3.31.4.1.2.5): which movement the message inserts, updates or takes back."""

    id: str = ""
    action: str = "INSERT"
    historic: bool = False
    original: str = ""  #: the event that first told of it
    at: datetime | None = None


def check(message: Hl7Message) -> None:
    """Raises TableValueUnknown, DataTypeError with the field."""
    for segment in message.segments:
        for number, rule in FIELDS.get(segment.name, {}).items():
            value = segment.value(number)
            if value:
                rule(value, segment.at(number))
    for zfd in message.all("ZFD"):
        lunar_date(zfd)


def said(message: Hl7Message) -> tuple[Said, ...]:
    """The patient's words of every ZFA-9 to ZFA-12; a field that is empty says nothing. Raises DataTypeError."""
    return _said(message, message.segments)


def said_of_two(message: Hl7Message) -> tuple[tuple[Said, ...], tuple[Said, ...]]:
    """The same of a message about two numbers: what follows the second PID is of that. Raises DataTypeError."""
    one, other = _parts(message)
    return _said(message, one), _said(message, other)


def _said(message: Hl7Message, segments: Sequence[Segment]) -> tuple[Said, ...]:
    evn = message.first("EVN")
    recorded = evn.value(2) if evn is not None else ""
    told_at = instant(recorded, "EVN-2") if recorded else None
    found: dict[Matter, list[Said]] = {}
    for zfa in (segment for segment in segments if segment.name == "ZFA"):
        for number, matter in ((9, Matter.FEEDING), (11, Matter.CONSULTATION)):
            value, date = zfa.value(number), zfa.value(number + 1)
            if value:
                at = instant(date, zfa.at(number + 1)) if date else None
                word = Said(matter, CHOICES[value], at, told_at, day=len(date) == _DAY)
                found.setdefault(matter, []).append(word)
    return tuple(word for words in found.values() for word in _in_order(words))


def _in_order(words: list[Said]) -> list[Said]:
    """What one message says of one matter, the oldest first. Where it contradicts itself, two words at one time or one
    that has none, the one that protects more counts."""
    if len(words) == 1 or not all(word.at for word in words):
        return [min(words, key=lambda word: _PROTECTS.index(word.choice))]
    kept: dict[datetime, Said] = {}
    for word in sorted(words, key=lambda word: _PROTECTS.index(word.choice)):
        if word.at is not None:
            kept.setdefault(word.at, word)
    return [kept[at] for at in sorted(kept)]


def details(message: Hl7Message) -> dict[str, str]:
    """What ZFD and ZFP say of the identity, by name; "" where they delete it. Raises DataTypeError."""
    return _details(filter(None, map(message.first, _DETAILS)))


def details_of_two(message: Hl7Message) -> tuple[dict[str, str], dict[str, str]]:
    """The same of a message about two numbers: what follows the second PID is of that. Raises DataTypeError."""
    one, other = (_details(item for item in part if item.name in _DETAILS) for part in _parts(message))
    return one, other


def _parts(message: Hl7Message) -> tuple[Sequence[Segment], Sequence[Segment]]:
    second = next(at for at, item in enumerate(message.segments) if item.name == "PID" and item.index > 1)
    return message.segments[:second], message.segments[second:]


def _details(segments: Iterable[Segment]) -> dict[str, str]:
    found: dict[str, str] = {}
    for segment in segments:
        for number, name in _DETAILS[segment.name].items():
            if segment.field(number):
                found[name] = _detail(segment, number, name)
    return found


def _detail(segment: Segment, number: int, name: str) -> str:
    if name == "lunar_date":
        lunar = lunar_date(segment)
        return "{2:02}/{1:02}/{0:04}".format(*lunar) if lunar is not None else ""
    value = segment.value(number)
    return value[:_DAY] if name in _DATES else value[:_CODE]


def movement(message: Hl7Message, *, required: bool = False) -> Movement:
    """The movement of the message; the usual one where it names none. Raises Hl7Invalid."""
    zbe = message.require("ZBE") if required else message.first("ZBE")
    if zbe is None:
        return Movement()
    zbe.require(1)
    number, authority = ei(zbe, 1)
    action, historic, original = zbe.require(4), zbe.require(5), zbe.value(6)
    if action not in _ACTIONS:
        raise TableValueUnknown("ZBE-4 must be INSERT, UPDATE or CANCEL.", location=zbe.at(4))
    if historic not in ("Y", "N"):
        raise TableValueUnknown("ZBE-5 must be Y or N.", location=zbe.at(5))
    corrects = message.event.endswith("^Z99")
    if corrects and action != "UPDATE":
        raise TableValueUnknown("Z99 corrects a movement: its ZBE-4 is UPDATE (PAM-FR 5.3.2).", location=zbe.at(4))
    if corrects and not original:
        raise FieldMissing("The original trigger event is missing.", location=zbe.at(6))
    nature = zbe.value(9)
    if nature and "".join(sorted(nature)) not in _NATURES and not (corrects and nature == _CORRECTION):
        raise TableValueUnknown("ZBE-9 is not a nature of this movement (PAM-FR 6.13.9).", location=zbe.at(9))
    at = instant(zbe.require(2), zbe.at(2))
    return Movement(f"{number}^{authority}", action, historic == "Y", original, at)


def lunar_date(zfd: Segment) -> tuple[int, int, int] | None:
    """(year, month, day) of ZFD-1, as another calendar counts. Raises DataTypeError."""
    parts = [zfd.value(1, number) for number in (1, 2, 3)]
    if not any(parts):
        return None
    if not all(part.isdecimal() for part in parts) or not 1800 <= int(parts[2]) <= 2200:
        raise DataTypeError("A lunar date is day^month^year.", location=zfd.at(1))
    day, month, year = map(int, parts)
    return year, month, day
