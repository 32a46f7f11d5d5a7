"""The PID segment, read the way IHE PAM and its French extension fill it (PAM-FR 2.11; RNIV for the status)."""

from collections.abc import Sequence
from dataclasses import dataclass

from hub.patients.model import INS_AUTHORITIES, Identity, IdentityStatus, Person, Traits
from hub.values import PatientIdentifier
from hub.wire.hl7v2 import writer
from hub.wire.hl7v2.datatypes import cx, date
from hub.wire.hl7v2.errors import FieldMissing, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message, Repetition, Segment
from hub.wire.hl7v2.writer import components, escape

_SEX = {"M": "M", "F": "F", "O": "O", "U": "U", "A": "O", "N": "U"}  # HL7 table 0001
_NOT_LOCAL = frozenset({"NH", "NI", "SS", "PPN", "DL", "AN", "VN"})  # HL7 table 0203: numbers that no hospital gives
_BIRTH_NAMES = ("B", "M", "L", "C", "A", "U", "S", "")  # HL7 table 0200, best first; PAM-FR sends L
_STATUSES = {status.value: status for status in IdentityStatus}
_SHOWN = (IdentityStatus.PROVISIONAL, IdentityStatus.VALIDATED)  # what a PAM flow may say (Guide INS 2.2.2)


@dataclass(frozen=True, slots=True)
class PatientNumbers:
    """PID-3 or MRG-1, sorted."""

    local: PatientIdentifier
    ins: PatientIdentifier | None
    others: tuple[PatientIdentifier, ...]

    @property
    def all(self) -> tuple[PatientIdentifier, ...]:
        """Every number."""
        return (self.local, *([self.ins] if self.ins else []), *self.others)


def patient_numbers(segment: Segment, field: int = 3) -> PatientNumbers:
    """The hospital's own number, the INS and the others. Raises FieldMissing, DataTypeError.

    The own number is the first of type PI, else the first that no state gives, else the first that is no INS."""
    everything = [cx(item, segment.at(field)) for item in segment.repetitions(field)]
    ins = next((item for item in everything if item.authority in INS_AUTHORITIES), None)
    rest = [item for item in everything if not _is_ins(item)]
    candidates = [item for item in rest if item.type_code not in _NOT_LOCAL]
    local = next((item for item in candidates if item.type_code == "PI"), next(iter(candidates or rest), None))
    if local is None:
        raise FieldMissing("The hospital's own patient number is missing.", location=segment.at(field))
    return PatientNumbers(local, ins, tuple(item for item in rest if item != local))


def _is_ins(identifier: PatientIdentifier) -> bool:
    return identifier.authority in INS_AUTHORITIES or identifier.type_code.startswith("INS")


def identity(message: Hl7Message, *, names_required: bool = True) -> Identity:
    """The identity of the message's PID. Raises SegmentMissing, FieldMissing, DataTypeError, TableValueUnknown."""
    pid = message.require("PID")
    numbers = patient_numbers(pid)
    words = {item.value(1).strip().upper() for item in pid.repetitions(32)}
    said = next((_STATUSES[word] for word in ("QUAL", "VALI", "RECUP", "PROV") if word in words), None)
    status, ins = _status(said or IdentityStatus.PROVISIONAL, numbers.ins)
    return Identity(
        identifier=numbers.local,
        traits=traits(pid, names_required=names_required),
        status=status,
        attributes=frozenset(words - _STATUSES.keys() - {""}),
        ins=ins,
        others=numbers.others,
    )


def _status(said: IdentityStatus, ins: PatientIdentifier | None) -> tuple[IdentityStatus, PatientIdentifier | None]:
    # PAM says VALI; matricule and OID beside it make it qualified. An INS with any other status must not be kept.
    if said not in (IdentityStatus.VALIDATED, IdentityStatus.QUALIFIED):
        return said, None
    return (IdentityStatus.QUALIFIED, ins) if ins else (IdentityStatus.VALIDATED, None)


def traits(pid: Segment, *, names_required: bool = True) -> Traits:
    """What PID says of the person. Raises FieldMissing, DataTypeError, TableValueUnknown."""
    birth, used = _names(pid)
    if names_required and birth is None and used is None:
        raise FieldMissing("The patient's name is missing.", location=pid.at(5))
    place = next((item for item in pid.repetitions(11) if item.value(7) == "BDL"), None)
    home = next((item for item in pid.repetitions(11) if item.value(7) not in ("BDL", "BR", "N", "F")), None)
    phone = next(iter(pid.repetitions(13)), None)
    return Traits(
        birth_name=_part(birth, 1),
        birth_given=_part(birth, 2),
        given_names=_part(birth, 3),
        used_name=_part(used, 1),
        used_given=_part(used, 2),
        birth_date=date(pid.value(7), pid.at(7)),
        sex=_sex(pid),
        birth_place=_part(place, 9),
        address=_part(home, 1),
        city=_part(home, 3),
        postal_code=_part(home, 5),
        country=_part(home, 6),
        phone=(_part(phone, 1) or _part(phone, 12) or _part(phone, 7)),
        mother_name=pid.value(6),
        multiple_birth=pid.value(24) == "Y",
    )


def _part(item: Repetition | None, component: int) -> str:
    return item.value(component).strip() if item is not None else ""


def _names(pid: Segment) -> tuple[Repetition | None, Repetition | None]:
    """(birth name, used name) of PID-5; the used one is typed D, or a legal name beside a maiden name."""
    named = [item for item in pid.repetitions(5) if item.value(1).strip()]
    by_type = {item.value(7): item for item in reversed(named)}
    birth = next((by_type[kind] for kind in _BIRTH_NAMES if kind in by_type), None)
    used = by_type.get("D")
    if used is None and birth is not None and birth.value(7) in ("B", "M"):
        used = by_type.get("L")
    return birth, used


def _sex(pid: Segment) -> str:
    value = pid.value(8).upper()
    if value and value not in _SEX:
        raise TableValueUnknown("PID-8 is not a value of HL7 table 0001.", location=pid.at(8))
    return _SEX.get(value, "")


def person_segment(number: int, person: Person, identifiers: Sequence[PatientIdentifier]) -> str:
    """A person as PID, in PAM's French form, with the identifiers that the asking side may see."""
    t = person.traits
    birth = components(t.birth_name, t.birth_given, t.given_names, "", "", "", "L") if t.birth_name else ""
    used = components(t.used_name, t.used_given, "", "", "", "", "D") if t.used_name else ""
    home = components(t.address, "", t.city, "", t.postal_code, t.country, "H") if t.city or t.address else ""
    place = components("", "", "", "", "", "", "BDL", "", t.birth_place) if t.birth_place else ""
    status = person.status if person.status in _SHOWN else IdentityStatus.VALIDATED
    if person.status is IdentityStatus.RETRIEVED:
        status = IdentityStatus.PROVISIONAL
    return writer.segment(
        "PID",
        {
            1: str(number),
            3: "~".join(map(writer.cx, identifiers)),
            5: "~".join(filter(None, (birth, used))),
            6: escape(t.mother_name),
            7: escape(t.birth_date),
            8: escape(t.sex),
            11: "~".join(filter(None, (home, place))),
            13: escape(t.phone),
            24: "Y" if t.multiple_birth else "",
            32: status.value,
        },
    )
