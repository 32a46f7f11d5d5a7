"""Person -> Patient (FHIR R4: 8.1; FR Core: fr-core-patient, fr-core-patient-ins where the identity is qualified)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hub.patients.model import INS_AUTHORITIES, Details, IdentityStatus, Person, Traits
from hub.values import PatientIdentifier, known_date
from hub.wire.fhir import fr_core
from hub.wire.fhir.codes import filled

_NIA = "INS-NIA"


def patient(person: Person, domains: Sequence[str] = ()) -> dict[str, Any]:
    """The resource; its id is the regional identifier. ``domains``: whose numbers are told; empty: all."""
    changed = _changed(person)
    return filled(
        {
            "resourceType": "Patient",
            "id": person.regional.value,
            "meta": filled({"lastUpdated": changed, "profile": _profiles(person)}),
            "extension": _extensions(person, changed),
            "identifier": [
                identifier_of(item, person)
                for item in person.identifiers
                if _told(item, person) and (not domains or item.authority in domains)
            ],
            "active": bool(person.identities),
            "name": _names(person.traits),
            "telecom": [{"system": "phone", "value": person.traits.phone}] if person.traits.phone else [],
            "gender": fr_core.GENDERS.get(person.traits.sex, "unknown"),
            "birthDate": birth_date(person.traits.birth_date),
            "address": _addresses(person.traits),
            "multipleBirthBoolean": True if person.traits.multiple_birth else None,
        }
    )


def replaced(alias: PatientIdentifier, survivor: PatientIdentifier) -> dict[str, Any]:
    """The Patient that a former regional identifier was, as it is now (PMIR: IHE.PMIR.Patient.Merge)."""
    other = {"reference": f"Patient/{survivor.value}", "identifier": plain(survivor)}
    return {
        "resourceType": "Patient",
        "id": alias.value,
        "identifier": [{"use": "old", "type": _type("RRI"), **plain(alias)}],
        "active": False,
        "link": [{"other": other, "type": "replaced-by"}],
    }


def system_of(identifier: PatientIdentifier) -> str:
    """An authority as FHIR names it: the URL that its system itself uses, else ``urn:oid:``."""
    return identifier.namespace if "://" in identifier.namespace else f"urn:oid:{identifier.authority}"


def plain(identifier: PatientIdentifier) -> dict[str, str]:
    """System and value."""
    return {"system": system_of(identifier), "value": identifier.value}


def birth_date(text: str) -> str:
    """YYYY[-MM[-DD]] of YYYY[MM[DD]]; what is not known, or no day of a calendar, is left out."""
    digits = text[:8]
    if not digits.isdecimal() or not digits.isascii() or len(digits) not in (4, 6, 8) or digits[:4] == "0000":
        return ""
    known = known_date(digits)
    return "-".join(filter(None, (known[:4], known[4:6], known[6:8])))


def identifier_of(identifier: PatientIdentifier, person: Person) -> dict[str, Any]:
    """One of a person's identifiers, in the slice of FR Core that it belongs to."""
    if identifier.authority in INS_AUTHORITIES:
        kind = INS_AUTHORITIES[identifier.authority]
        return {
            "use": "temp" if kind == _NIA else "official",
            "type": {"coding": [{"system": fr_core.IDENTIFIER_TYPE, "code": kind}]},
            **plain(identifier),
        }
    if identifier == person.regional:
        return {"use": "secondary", "type": _type("RRI"), **plain(identifier)}
    if identifier in person.aliases:
        return {"use": "old", "type": _type("RRI"), **plain(identifier)}
    return {"use": "usual", "type": _type("PI"), **plain(identifier)}


def _told(identifier: PatientIdentifier, person: Person) -> bool:
    """An INS is passed on for a qualified identity only (Guide INS: EXI SI 08)."""
    if identifier.authority not in INS_AUTHORITIES:
        return True
    return identifier == person.ins and person.status is IdentityStatus.QUALIFIED


def _type(code: str) -> dict[str, Any]:
    return {"coding": [{"system": fr_core.V2_0203, "code": code}]}


def _changed(person: Person) -> str:
    moments = [item.updated_at for item in person.identities if item.updated_at is not None]
    latest: datetime | None = max(moments, default=None)
    return latest.isoformat(timespec="seconds") if latest is not None else ""


def _profiles(person: Person) -> list[str]:
    """What it conforms to: PDQm's, FR Core's, and that of a qualified identity where every trait is there."""
    t = person.traits
    complete = t.birth_name and t.birth_given and t.birth_place and birth_date(t.birth_date) and t.sex in ("M", "F")
    qualified = person.status is IdentityStatus.QUALIFIED and person.ins is not None and complete
    return [fr_core.PDQM_PATIENT, fr_core.PATIENT_INS if qualified else fr_core.PATIENT]


def _extensions(person: Person, changed: str) -> list[dict[str, Any]]:
    status = {"system": fr_core.STATUS, "code": person.status.value, "display": fr_core.STATUSES[person.status]}
    parts: list[dict[str, Any]] = [{"url": "identityStatus", "valueCoding": status}]
    for code in person.attributes:
        if code in fr_core.COMMENTS:
            said = {"system": fr_core.COMMENT, "code": code, "display": fr_core.COMMENTS[code]}
            parts.append({"url": "comment", "valueCodeableConcept": {"coding": [said]}})
    if changed:
        parts.append({"url": "lastUpdated", "valueDateTime": changed})
    if person.details is not None:
        parts += _checked(person.details)
    found: list[dict[str, Any]] = [{"url": fr_core.RELIABILITY, "extension": parts}]
    if person.traits.birth_place:
        commune = {"system": fr_core.COMMUNE, "code": person.traits.birth_place}
        place = {"extension": [{"url": fr_core.INSEE_CODE, "valueCoding": commune}]}
        found.append({"url": fr_core.BIRTH_PLACE, "valueAddress": place})
    if person.traits.mother_name:
        found.append({"url": fr_core.MOTHER, "valueString": person.traits.mother_name})
    return found


def _checked(details: Details) -> list[dict[str, Any]]:
    """How the identity was checked (ZFD-5 to ZFD-7 of PAM-FR), in FR Core's codes; one that it has not is left out."""
    parts: list[dict[str, Any]] = []
    if details.obtained in fr_core.METHODS:
        method = {"system": fr_core.METHOD, "code": details.obtained}
        parts.append({"url": "methodCollection", "valueCoding": method})
    if asked := birth_date(details.checked_on):
        parts.append({"url": "dateCollection", "valueDate": asked})
    if details.document in fr_core.DOCUMENTS:
        document = {"system": fr_core.VALIDATION_MODE, "code": details.document}
        parts.append({"url": "validationMode", "valueCoding": document})
    return parts


def _addresses(traits: Traits) -> list[dict[str, Any]]:
    parts = {"city": traits.city, "postalCode": traits.postal_code, "country": traits.country}
    found = filled({"line": [traits.address] if traits.address else [], **parts})
    return [{"use": "home", **found}] if found else []


def _names(traits: Traits) -> list[dict[str, Any]]:
    names = []
    first = traits.birth_given or traits.given_names.partition(" ")[0]
    official = _name("official", traits.birth_name, first)
    if official:
        if traits.given_names or first:
            listed = {"url": fr_core.GIVEN_NAMES, "valueString": traits.given_names or first}
            official = {"extension": [listed], **official}
        names.append(official)
    used = _name("usual", traits.used_name, traits.used_given)
    if used and (traits.used_name, traits.used_given) != (traits.birth_name, traits.birth_given):
        names.append(used)
    return names


def _name(use: str, family: str, given: str) -> dict[str, Any]:
    found = filled({"family": family, "given": [given] if given else []})
    return {"use": use, **found} if found else {}
