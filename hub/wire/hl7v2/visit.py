"""The visit of an encounter message: PV1, PID-18, EVN (ITI TF-2: 3.31), and as an answer (ITI TF-2: 3.22)."""

from hub.patients.visits_model import Visit
from hub.values import PatientIdentifier
from hub.wire.hl7v2 import writer
from hub.wire.hl7v2.datatypes import cx, dtm, instant, standard
from hub.wire.hl7v2.errors import FieldMissing, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message, Segment

CLASS = 2
_CLASSES = frozenset("EIOPRBCNU")  #: HL7 table 0004
_TIMES = (44, 45)
#: Fields that are kept: class, location, type, prior location, doctors, service, number, admitted, discharged.
KEPT = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 17, 18, 19, 44, 45)


def visit(message: Hl7Message, movement: str = "") -> Visit | None:
    """The visit; None where the message is about the person only (no PV1, or class N). Raises Hl7Invalid."""
    pv1 = message.first("PV1")
    if pv1 is None or pv1.value(CLASS) in ("", "N"):
        return None
    if pv1.value(CLASS) not in _CLASSES:
        raise TableValueUnknown("PV1-2 is not a value of HL7 table 0004.", location=pv1.at(CLASS))
    for number in _TIMES:
        dtm(pv1.value(number), pv1.at(number))
    fields = {number: _standard(pv1, number) for number in KEPT if pv1.field(number)}
    evn, pid = message.first("EVN"), message.first("PID")
    recorded = evn.value(2) if evn is not None else ""
    at = instant(recorded, "EVN-2") if recorded else None
    return Visit(_number(pv1, 19), _number(pid, 18), fields, movement, at)


def check_class(message: Hl7Message) -> None:
    """An encounter needs PV1 with a class (ITI TF-2: 3.31.4). Raises SegmentMissing, FieldMissing."""
    message.require("PV1").require(CLASS)


def visit_segment(number: int, found: Visit) -> str:
    """PV1 of an answer."""
    return writer.segment("PV1", {**found.fields, 1: str(number)})


def account(found: Visit) -> str:
    """PID-18 of an answer."""
    return writer.cx(found.account) if found.account else ""


def _number(segment: Segment | None, field: int) -> PatientIdentifier | None:
    first = next(iter(segment.repetitions(field)), None) if segment is not None else None
    if first is None or not first.value(1).strip():
        return None
    if segment is None:
        raise FieldMissing(location=f"PID-{field}")
    return cx(first, segment.at(field))


def _standard(segment: Segment, number: int) -> str:
    return "~".join(standard(item) for item in segment.repetitions(number))
