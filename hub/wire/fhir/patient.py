"""Person -> Patient (FHIR R4: 8.1, with the French core profile's identifier types)."""

from typing import Any

from hub.patients.model import INS_AUTHORITIES, Person, Traits
from hub.values import PatientIdentifier

_V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
_FR_0203 = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
_GENDERS = {"M": "male", "F": "female", "O": "other", "A": "other"}


def patient(person: Person) -> dict[str, Any]:
    """The resource; its id is the regional identifier."""
    found: dict[str, Any] = {
        "resourceType": "Patient",
        "id": person.regional.value,
        "identifier": [_identifier(item, person) for item in person.identifiers],
        "active": True,
        "name": _names(person.traits),
        "gender": _GENDERS.get(person.traits.sex, "unknown"),
        "birthDate": birth_date(person.traits.birth_date),
    }
    return {name: value for name, value in found.items() if value not in ("", [], None)}


def birth_date(text: str) -> str:
    """YYYY[-MM[-DD]] of YYYY[MM[DD]]; an unknown day or month (00) is left out."""
    parts = [text[:4], text[4:6], text[6:8]]
    found = []
    for part in parts:
        if not part or not part.isdecimal() or not int(part):
            break
        found.append(part)
    return "-".join(found)


def _identifier(identifier: PatientIdentifier, person: Person) -> dict[str, Any]:
    found: dict[str, Any] = {"system": f"urn:oid:{identifier.authority}", "value": identifier.value}
    if identifier.authority in INS_AUTHORITIES:
        kind = INS_AUTHORITIES[identifier.authority]
        return {"use": "official", "type": {"coding": [{"system": _FR_0203, "code": kind}]}, **found}
    old = identifier in person.aliases
    return {
        "use": "old" if old else "usual",
        "type": {"coding": [{"system": _V2_0203, "code": "PI"}]},
        **found,
    }


def _names(traits: Traits) -> list[dict[str, Any]]:
    names = []
    official = _name("official", traits.birth_name, traits.given_names or traits.birth_given)
    if official:
        names.append(official)
    used = _name("usual", traits.used_name, traits.used_given)
    if used and (traits.used_name, traits.used_given) != (traits.birth_name, traits.birth_given):
        names.append(used)
    return names


def _name(use: str, family: str, given: str) -> dict[str, Any]:
    if not family and not given:
        return {}
    found: dict[str, Any] = {"use": use}
    if family:
        found["family"] = family
    if given:
        found["given"] = given.split()
    return found
