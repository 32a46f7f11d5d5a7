"""The parameters of PDQ questions (ITI TF-2: 3.21, 3.22): QPD-3 as criteria."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hub.errors import Invalid
from hub.patients.model import Traits
from hub.patients.portions_model import Asked, AskedName
from hub.values import Oid, PatientIdentifier
from hub.wire.hl7v2.errors import DataTypeError, FieldMissing, TableValueUnknown
from hub.wire.hl7v2.message import Segment
from hub.wire.hl7v2.pid import birth_date

CRITERIA, DOMAINS = 3, 8
_NAME = re.compile(r"@(PID|PV1)((?:\.\d+)+)")
_WILDCARDS = "*%"

Read = Callable[[str, str], str]


def _text(value: str, location: str) -> str:
    """A beginning, with or without a wildcard behind it. A wildcard elsewhere, or alone, is refused: who asks so wants
    everybody, or would be told nobody."""
    text = value.rstrip(_WILDCARDS)
    if not text or any(mark in text for mark in _WILDCARDS):
        raise DataTypeError("A wildcard may stand at the end only, after a letter at least.", location=location)
    return text


def _exact(value: str, location: str) -> str:
    if any(mark in value for mark in _WILDCARDS):
        raise DataTypeError("No wildcard is possible here.", location=location)
    return value


def _sex(value: str, location: str) -> str:
    if value.upper() not in ("M", "F", "O", "U"):
        raise TableValueUnknown("PID-8 is not a value of HL7 table 0001.", location=location)
    return value.upper()


def _oid(value: str, location: str) -> str:  # noqa: ARG001 (the whole question is at fault, not one repetition)
    try:
        return Oid(value)
    except Invalid:
        raise DataTypeError("The assigning authority is not an OID.", location=f"QPD-{CRITERIA}") from None


def _iso(value: str, location: str) -> str:
    if value != "ISO":
        raise TableValueUnknown("Only ISO is known as a type of universal ids.", location=location)
    return value


#: Parameter -> criterion, and how its value is read (ITI TF-2: Table 3.21.4.1.2.2.1-1).
PARAMETERS: dict[str, tuple[str, Read]] = {
    "PID.3.1": ("number", _exact),
    "PID.3.4.1": ("namespace", _exact),
    "PID.3.4.2": ("oid", _oid),
    "PID.3.4.3": ("", _iso),
    "PID.3.5": ("", _exact),
    "PID.5.1.1": ("family", _text),
    "PID.5.2": ("given", _text),
    "PID.6.1.1": ("mother", _exact),
    "PID.7.1": ("born", birth_date),
    "PID.8": ("sex", _sex),
    "PID.11.1.1": ("address", _text),
    "PID.11.3": ("city", _text),
    "PID.11.5": ("postal_code", _text),
    "PID.11.6": ("country", _exact),
    "PID.11.9": ("birth_place", _exact),
    "PID.13.1": ("phone", _exact),
    "PID.18.1": ("account", _exact),
    "PID.18.4.1": ("", _exact),
    "PID.18.4.2": ("", _oid),
    "PID.18.4.3": ("", _iso),
}
_ALIASES = {
    "PID.3": "PID.3.1", "PID.3.4": "PID.3.4.1", "PID.5": "PID.5.1.1", "PID.5.1": "PID.5.1.1", "PID.5.2.1": "PID.5.2",
    "PID.6": "PID.6.1.1", "PID.6.1": "PID.6.1.1", "PID.7": "PID.7.1", "PID.8.1": "PID.8", "PID.11": "PID.11.1.1",
    "PID.11.1": "PID.11.1.1", "PID.13": "PID.13.1", "PID.13.12": "PID.13.1", "PID.18": "PID.18.1",
}  # fmt: skip
#: PV1 field -> the components that may be asked for (ITI TF-2: Table 3.22.4.1.2.2.1-1); the first where none is named.
VISIT_PARAMETERS: Mapping[int, tuple[int, ...]] = {
    2: (1,),
    3: (1, 2, 3, 4),
    7: (1, 2, 3),
    8: (1, 2, 3),
    9: (1, 2, 3),
    10: (1,),
    17: (1, 2, 3),
    19: (1,),
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, by criterion; ``visit``: (PV1 field, component) -> value."""

    criteria: Mapping[str, str] = field(default_factory=dict)
    visit: Mapping[tuple[int, int], str] = field(default_factory=dict)

    @property
    def identifier(self) -> PatientIdentifier | None:
        """The number that is asked for, with its authority; None without one."""
        c = self.criteria
        if "number" not in c or not ("oid" in c or "namespace" in c):
            return None
        return PatientIdentifier(c["number"], c.get("oid", ""), namespace=c.get("namespace", ""))

    def asked(self) -> Asked:
        """As the patients room is asked. Names are beginnings."""
        c = self.criteria
        family, given, born = c.get("family", ""), c.get("given", ""), c.get("born", "")
        identifier = self.identifier
        traits = Traits(
            address=c.get("address", ""),
            city=c.get("city", ""),
            postal_code=c.get("postal_code", ""),
            country=c.get("country", ""),
            birth_place=c.get("birth_place", ""),
            phone=c.get("phone", ""),
            mother_name=c.get("mother", ""),
        )
        return Asked(
            names=(AskedName(family, (given,) if given else (), loose=True),) if family or given else (),
            sex=c.get("sex", ""),
            born=(born, born),
            identifiers=((identifier,),) if identifier is not None else (),
            traits=traits,
        )


def question(qpd: Segment, *, visits: bool = False) -> Question:
    """QPD-3. ``visits``: PV1's parameters are allowed too. Raises FieldMissing, TableValueUnknown, DataTypeError."""
    criteria: dict[str, str] = {}
    visit: dict[tuple[int, int], str] = {}
    for number, item in enumerate(qpd.repetitions(CRITERIA), 1):
        location = f"{qpd.at(CRITERIA)}[{number}]"
        shape, value = _NAME.fullmatch(item.value(1)), item.value(2).strip()
        if shape is None:
            raise _unknown(location)
        name = shape[0].removeprefix("@")
        if visits and shape[1] == "PV1":
            place = _place(name, location)
            if value:
                visit[place] = _text(value, f"{location}.2")
            continue
        if (name := _ALIASES.get(name, name)) not in PARAMETERS:
            raise _unknown(location)
        criterion, read = PARAMETERS[name]
        if value:
            value = read(value, f"{location}.2")
        if value and criterion:
            criteria[criterion] = value
    if not criteria and not visit:
        raise FieldMissing("The query names no parameter.", location=qpd.at(CRITERIA))
    return Question(criteria, visit)


def _place(name: str, location: str) -> tuple[int, int]:
    _, field_number, *rest = name.split(".")
    number, component = int(field_number), int(rest[0]) if rest else 1
    if component not in VISIT_PARAMETERS.get(number, ()):
        raise _unknown(location)
    return number, component


def _unknown(location: str) -> TableValueUnknown:
    return TableValueUnknown("This parameter can't be searched by.", location=f"{location}.1")
