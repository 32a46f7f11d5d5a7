"""The PID segment, read the way IHE PAM and its French extension fill it (PAM-FR 2.11; RNIV for the status)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hub.patients.ins_model import PROVISIONAL_ONLY, valid_matricule
from hub.patients.model import INS_AUTHORITIES, Identity, IdentityStatus, Person, Traits
from hub.values import PatientIdentifier, day_exists, known_date
from hub.wire.hl7v2 import writer
from hub.wire.hl7v2.datatypes import cx, dtm
from hub.wire.hl7v2.errors import DataTypeError, FieldMissing, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message, Repetition, Segment
from hub.wire.hl7v2.writer import components, escape

_SEX = {"M": "M", "F": "F", "O": "O", "U": "U", "A": "O", "N": "U"}  # HL7 table 0001
_NOT_LOCAL = frozenset({"NH", "NI", "SS", "PPN", "DL", "AN", "VN"})  # HL7 table 0203: numbers that no hospital gives
_BIRTH_NAMES = ("B", "M", "L", "C", "A", "U", "S", "")  # HL7 table 0200, best first; PAM-FR sends L
_STATUSES = {status.value: status for status in IdentityStatus}
_BIRTH = re.compile(r"([0-9]{4})([0-9]{2})?([0-9]{2})?")
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


def patient_or_national(segment: Segment) -> PatientNumbers:
    """As ``patient_numbers``, of a sender that may know the patient by the INS alone."""
    everything = [cx(item, segment.at(3)) for item in segment.repetitions(3)]
    if everything and all(item.authority in INS_AUTHORITIES for item in everything):
        return PatientNumbers(everything[0], everything[0], ())
    return patient_numbers(segment)


def _is_ins(identifier: PatientIdentifier) -> bool:
    return identifier.authority in INS_AUTHORITIES or identifier.type_code.startswith("INS")


def identity(message: Hl7Message, *, names_required: bool = True, pid: Segment | None = None) -> Identity:
    """The identity of the message's PID, or of one of its PIDs.

    Raises SegmentMissing, FieldMissing, DataTypeError, TableValueUnknown."""
    pid = pid or message.require("PID")
    numbers = patient_numbers(pid)
    words = {item.value(1).strip().upper() for item in pid.repetitions(32)}
    status, ins = _status(_said(pid), _right(numbers.ins))
    return Identity(
        identifier=numbers.local,
        traits=traits(pid, names_required=names_required),
        status=status,
        attributes=frozenset(words - _STATUSES.keys() - {""}),
        ins=ins,
        others=numbers.others,
    )


def _said(pid: Segment) -> IdentityStatus:
    words = {item.value(1).strip().upper() for item in pid.repetitions(32)}
    if words & PROVISIONAL_ONLY:
        return IdentityStatus.PROVISIONAL
    said = (_STATUSES[word] for word in ("QUAL", "VALI", "RECUP", "PROV") if word in words)
    return next(said, IdentityStatus.PROVISIONAL)


def _right(ins: PatientIdentifier | None) -> PatientIdentifier | None:
    """Only a matricule whose key is right is one: a typing error breaks it (RNIV; the key of Corsica included)."""
    return ins if ins is not None and valid_matricule(ins.value) else None


def refused_ins(pid: Segment) -> str:
    """Why the INS of a PID is not kept although the identity is; "" where it is, or there is none.

    ``ins-key``: the matricule is mistyped. ``ins-not-qualified``: the identity is not qualified (RNIV: a provisional
    or merely retrieved one never shows its INS). ``ins-without-oid``: of type INS, by no authority of the INS."""
    if "INS" not in pid.field(3) and not any(oid in pid.field(3) for oid in INS_AUTHORITIES):
        return ""
    typed = [cx(item, pid.at(3)) for item in pid.repetitions(3) if _is_ins(cx(item, pid.at(3)))]
    if not typed:
        return ""
    known = next((item for item in typed if item.authority in INS_AUTHORITIES), None)
    if known is None:
        return "ins-without-oid"
    if not valid_matricule(known.value):
        return "ins-key"
    return "" if _said(pid) in (IdentityStatus.VALIDATED, IdentityStatus.QUALIFIED) else "ins-not-qualified"


def birth_date(text: str, location: str) -> str:
    """What is known of a birth date: ``YYYY[MM[DD]]``. Raises DataTypeError.

    Unknown parts (00) are left out (RNIV); a day that no month has, as lunar dates have, leaves the year."""
    if not text:
        return ""
    found = _BIRTH.match(text)
    if found is None:
        raise DataTypeError("A birth date must have the form YYYY[MM[DD]].", location=location)
    year, month, day = found[1], found[2] or "00", found[3] or "00"
    lunar = month > "12" or (day != "00" and not day_exists(int(year), int(month), int(day)))
    dtm(f"{year}00{day}{text[8:]}" if lunar else text, location)
    return known_date(year + month + day)


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
        birth_date=birth_date(pid.value(7), pid.at(7)),
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


def person_segment(number: int, person: Person, identifiers: Sequence[PatientIdentifier], account: str = "") -> str:
    """A person as PID, in PAM's French form, with the identifiers that the asking side may see.

    ``account``: PID-18, escaped already."""
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
            18: account,
            24: "Y" if t.multiple_birth else "",
            32: "~".join([status.value, *map(escape, person.attributes)]),
        },
    )
