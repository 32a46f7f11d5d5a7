"""Patient -> Identity: the same as PAM-FR's PID gives (FR Core: fr-core-patient-ins; RNIV; PDQm, PIXm profiles)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from hub.errors import Invalid
from hub.patients.model import INS_AUTHORITIES, Identity, IdentityStatus, Traits
from hub.values import Oid, PatientIdentifier, known_date
from hub.wire.fhir import fr_core
from hub.wire.fhir.body import check_unmodified
from hub.wire.fhir.codes import text
from hub.wire.fhir.people import first, listed

_INS_TYPES = frozenset(INS_AUTHORITIES.values()) | {"INS"}
_NOT_LOCAL = frozenset({"NH", "NI", "SS", "PPN", "DL", "AN", "VN"})  # HL7 table 0203: numbers that no hospital gives
_STATUSES = {status.value: status for status in IdentityStatus}
_DATE = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?")
#: Part of fr-core-identity-reliability -> what it says (the date's name differs between FR Core's versions).
_DETAILS = {
    "methodCollection": "obtained",
    "dateCollection": "checked_on",
    "dateInterrogationINSi": "checked_on",
    "validationMode": "document",
}
_MOST_LISTED = 50  #: identifiers, names ... of one Patient
_MOST_CHARACTERS = 250
REPLACED_BY = "replaced-by"


def identity(resource: Mapping[str, Any], local: PatientIdentifier | None = None) -> Identity:
    """The identity that a Patient announces. ``local``: which of its numbers it is announced under; None: the first of
    type PI, else the first that no state gives. Raises Invalid; the location is the element."""
    check_unmodified(resource, "Patient")
    numbers = [found for found in map(_number, _rows(resource, "identifier")) if found is not None]
    local = _named(local, numbers) if local is not None else _own(numbers)
    told, attributes = reliability(resource)
    said = told or IdentityStatus.PROVISIONAL
    ins = next((item for item in numbers if _is_ins(item)), None)
    validated = said in (IdentityStatus.VALIDATED, IdentityStatus.QUALIFIED)
    status = IdentityStatus.QUALIFIED if validated and ins is not None else said  # else it is not kept (``qualify``)
    if validated and ins is None:
        status = IdentityStatus.VALIDATED
    return Identity(
        identifier=local,
        traits=traits(resource),
        status=status,
        attributes=attributes,
        ins=replace(ins, type_code="INS") if ins is not None else None,
        others=tuple(item for item in numbers if item != local and item.authority not in INS_AUTHORITIES),
    )


def identifiers(resource: Mapping[str, Any]) -> tuple[PatientIdentifier, ...]:
    """Every number of a Patient that can be looked up; a social security number is none (RNIV). Raises Invalid."""
    numbers = [found for found in map(_number, _rows(resource, "identifier")) if found is not None]
    return tuple(item for item in numbers if item.authority not in INS_AUTHORITIES or _is_ins(item))


def traits(resource: Mapping[str, Any]) -> Traits:
    """What a Patient says of the person. Raises Invalid."""
    birth, used = _names(resource)
    given = [part for part in listed(birth, "given") if isinstance(part, str)]
    every = _extension(birth, fr_core.GIVEN_NAMES, "valueString") or (" ".join(given) if len(given) > 1 else "")
    home = _best(resource, "address", ("home", "", "temp", "work"))
    phone = next((row for row in _rows(resource, "telecom") if text(row, "system") == "phone"), {})
    place = _value(resource, fr_core.BIRTH_PLACE, "valueAddress")
    return Traits(
        birth_name=_part(birth, "family"),
        birth_given=_short(given[0]) if given else "",
        given_names=_short(every),
        used_name=_part(used, "family"),
        used_given=_short(" ".join(part for part in listed(used, "given") if isinstance(part, str))),
        birth_date=_birth_date(resource),
        sex=_sex(resource),
        birth_place=_commune(place),
        address=_short(" ".join(part for part in listed(home, "line") if isinstance(part, str))),
        city=_part(home, "city"),
        postal_code=_part(home, "postalCode"),
        country=_part(home, "country"),
        phone=_part(phone, "value"),
        mother_name=_short(_extension(resource, fr_core.MOTHER, "valueString")),
        multiple_birth=_multiple(resource),
    )


def survivor(resource: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The Reference of the Patient that replaces this one; None when nobody does. Raises Invalid."""
    found = [row for row in _rows(resource, "link") if text(row, "type") == REPLACED_BY]
    if not found:
        return None
    if len(found) > 1 or not isinstance(found[0].get("other"), dict):
        raise Invalid("A Patient is replaced by one other.", location="Patient.link")
    other: Mapping[str, Any] = found[0]["other"]
    return other


def number_of(found: Any, where: str) -> PatientIdentifier:
    """An Identifier that must be there. Raises Invalid."""
    number = _number(found) if isinstance(found, dict) else None
    if number is None:
        raise Invalid("An identifier has a system and a value.", location=where)
    return number


def authority_of(system: str, where: str) -> tuple[str, str]:
    """(OID, namespace) of a system: an OID, or the URL that a hospital's own server uses. Raises Invalid."""
    if system.startswith("urn:oid:"):
        return str(Oid.from_urn(system)), ""
    if "://" not in system or len(system) > _MOST_CHARACTERS - 30 or not system.isprintable():
        raise Invalid("An identifier's system is urn:oid: or a URL.", location=where)
    return "", system


def _number(row: Mapping[str, Any]) -> PatientIdentifier | None:
    """A number with its type; None for one that is no longer in use, or that lacks its system."""
    system, value = text(row, "system"), text(row, "value").strip()
    if not system or not value or text(row, "use") == "old":
        return None
    if len(value) > _MOST_CHARACTERS:
        raise Invalid("A patient number is too long.", location="Patient.identifier.value")
    oid, namespace = authority_of(system, "Patient.identifier.system")
    kind = row.get("type")
    codes = [text(item, "code") for item in listed(kind, "coding") if isinstance(item, dict)] if kind else []
    return PatientIdentifier(value, oid, next((code for code in codes if code), ""), namespace)


def _is_ins(item: PatientIdentifier) -> bool:
    # The social security number (NSS) has the same system and the type NH: it may be a parent's, so it is no INS.
    return item.authority in INS_AUTHORITIES and item.type_code in _INS_TYPES


def _named(local: PatientIdentifier, numbers: list[PatientIdentifier]) -> PatientIdentifier:
    """The number that the request names, with its type; the resource has it too, if it has any of that authority."""
    if local.authority in INS_AUTHORITIES:
        raise Invalid("An INS is nobody's own number.", location="identifier")
    key = (local.authority, local.namespace)
    same = [item for item in numbers if (item.authority, item.namespace) == key]
    found = next((item for item in same if item.value == local.value), None)
    if found is None and same:
        raise Invalid("The Patient has another number of that authority.", location="Patient.identifier")
    return found or local


def _own(numbers: list[PatientIdentifier]) -> PatientIdentifier:
    rest = [item for item in numbers if item.authority not in INS_AUTHORITIES]
    candidates = [item for item in rest if item.type_code not in _NOT_LOCAL]
    local = next((item for item in candidates if item.type_code == "PI"), next(iter(candidates or rest), None))
    if local is None:
        raise Invalid("The source's own patient number is missing.", location="Patient.identifier")
    return local


def reliability(resource: Mapping[str, Any]) -> tuple[IdentityStatus | None, frozenset[str]]:
    """Status, None when nothing is said of it, and RNIV attributes (fr-core-identity-reliability, any version)."""
    said: set[str] = set()
    for extension in _rows(resource, "extension"):
        if text(extension, "url") == fr_core.RELIABILITY:
            for part in _rows(extension, "extension"):
                if text(part, "url") in ("identityStatus", "comment"):
                    said |= set(_codes(part))
    status = next((_STATUSES[word] for word in ("QUAL", "VALI", "RECUP", "PROV") if word in said), None)
    return status, frozenset(said - _STATUSES.keys() - {""})


def details(resource: Mapping[str, Any]) -> dict[str, str]:
    """How the identity was checked, by name of a field of ``Details``. Raises Invalid."""
    found: dict[str, str] = {}
    for extension in _rows(resource, "extension"):
        if text(extension, "url") == fr_core.RELIABILITY:
            for part in _rows(extension, "extension"):
                name = _DETAILS.get(text(part, "url"), "")
                if name == "checked_on":
                    found[name] = _date(text(part, "valueDate"), "Patient.extension.valueDate")
                elif name:
                    coding = part.get("valueCoding")
                    found[name] = text(coding, "code").strip()[:16] if isinstance(coding, dict) else ""
    return {name: value for name, value in found.items() if value}


def _codes(part: Mapping[str, Any]) -> Iterator[str]:
    coding, concept = part.get("valueCoding"), part.get("valueCodeableConcept")
    rows = [coding] if isinstance(coding, dict) else listed(concept, "coding")
    for row in rows:
        if isinstance(row, dict):
            yield text(row, "code").strip().upper()[:16]


def _names(resource: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """(birth name, used name): official and usual; elsewhere maiden and official."""
    rows = [row for row in _rows(resource, "name") if text(row, "family") or listed(row, "given")]
    by_use = {text(row, "use"): row for row in reversed(rows)}
    birth = by_use.get("maiden") or by_use.get("official") or by_use.get("")
    used = by_use.get("usual")
    if used is None and "maiden" in by_use:
        used = by_use.get("official") or by_use.get("")
    return birth or {}, used or {}


def _sex(resource: Mapping[str, Any]) -> str:
    gender = text(resource, "gender")
    if gender and gender not in fr_core.SEXES:
        raise Invalid("gender is male, female, other or unknown.", location="Patient.gender")
    return fr_core.SEXES.get(gender, "")


def _birth_date(resource: Mapping[str, Any]) -> str:
    return _date(text(resource, "birthDate"), "Patient.birthDate")


def _date(value: str, where: str) -> str:
    digits = value.replace("-", "")
    if value and not _DATE.fullmatch(value):
        raise Invalid("A date has the form YYYY[-MM[-DD]].", location=where)
    if known_date(digits) != digits or digits.startswith("0000"):
        raise Invalid("There is no such day.", location=where)
    return digits


def _multiple(resource: Mapping[str, Any]) -> bool:
    said, order = resource.get("multipleBirthBoolean", False), resource.get("multipleBirthInteger", 0)
    if not isinstance(said, bool) or not isinstance(order, int) or isinstance(order, bool):
        raise Invalid("multipleBirth is a boolean or a whole number.", location="Patient.multipleBirth")
    return said or order > 0


def _commune(place: Any) -> str:
    if not isinstance(place, dict):
        return ""
    code = _value(place, fr_core.INSEE_CODE, "valueCoding")
    return text(code, "code").strip()[:16] if isinstance(code, dict) else ""


def _best(resource: Mapping[str, Any], name: str, uses: tuple[str, ...]) -> Mapping[str, Any]:
    rows = {text(row, "use"): row for row in reversed(_rows(resource, name))}
    return next((rows[use] for use in uses if use in rows), first(resource, name) if not rows else {})


def _value(found: Mapping[str, Any], url: str, name: str) -> Any:
    return next((row.get(name) for row in _rows(found, "extension") if text(row, "url") == url), None)


def _extension(found: Mapping[str, Any], url: str, name: str) -> str:
    value = _value(found, url, name)
    if value is not None and not isinstance(value, str):
        raise Invalid("A text is expected.", location=name)
    return (value or "").strip()


def _rows(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects. Raises Invalid for anything else, and for very many."""
    rows = listed(found, name)
    if len(rows) > _MOST_LISTED or any(not isinstance(row, dict) for row in rows):
        raise Invalid("A list of at most 50 objects is expected.", location=name)
    return rows


def _part(row: Mapping[str, Any], name: str) -> str:
    return _short(text(row, name))


def _short(value: str) -> str:
    value = value.strip()
    if len(value) > _MOST_CHARACTERS:
        raise Invalid("A text is too long.", location="Patient")
    return value
