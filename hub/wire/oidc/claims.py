"""A provider's claims (Pro Santé Connect's ``scope_all``): one Professional a situation of exercise.

A professional may practise several professions, each at several places: which of them somebody acts in is theirs to
choose, and is never guessed from the order of a list.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub.access.model import Professional
from hub.access.sign_in_errors import ClaimsUnusable

#: idNat_PS: 8 and an RPPS number, 0 and an ADELI number, or an organisation's number with the person's within it.
NATIONAL_ID = re.compile(r"[0-9][0-9A-Z]{1,29}(/[0-9A-Za-z]{1,30})?")
MAX_SITUATIONS = 60
MAX_LENGTH = 200

Claims = Mapping[str, Any]


def situations(claims: Claims) -> tuple[Professional, ...]:
    """Everything that the person may act as, each once, at least one. Raises ClaimsUnusable."""
    person = Professional(
        id=national_id(claims), family=_text(claims, "family_name"), given=_text(claims, "given_name")
    )
    found: dict[tuple[object, ...], Professional] = {}
    for exercise in _records(_record(claims, "SubjectRefPro"), "exercices"):
        for activity in _records(exercise, "activities") or ({},):
            situation = _situation(person, exercise, activity, claims)
            found.setdefault(_what(situation), situation)
            if len(found) > MAX_SITUATIONS:
                raise ClaimsUnusable("There are too many situations of exercise.", location="SubjectRefPro")
    return tuple(found.values()) or (_alone(person, claims),)


def national_id(claims: Claims) -> str:
    """idNat_PS of the person. Raises ClaimsUnusable."""
    value = _text(claims, "SubjectNameID")
    if not NATIONAL_ID.fullmatch(value):
        raise ClaimsUnusable(location="SubjectNameID")
    return value


def _situation(person: Professional, exercise: Claims, activity: Claims, claims: Claims) -> Professional:
    speciality = _text(exercise, "codeSavoirFaire")
    return Professional(
        id=person.id,
        family=_text(exercise, "nomDexercice") or person.family,
        given=_text(exercise, "prenomDexercice") or person.given,
        profession=_text(exercise, "codeProfession"),
        specialities=(speciality,) if speciality else (),
        structure=structure_of(activity),
        structure_name=_text(activity, "raisonSocialeSite"),
        sector=_text(activity, "codeSecteurDactivite") or _code(_text(claims, "Secteur_Activite")),
    )


def _what(one: Professional) -> tuple[object, ...]:
    return one.profession, one.specialities, one.structure or one.structure_name


def structure_of(activity: Claims) -> str:
    """Struct_IdNat of the place: as it is given, or made from the number that is there (1.2.250.1.71.4.2.2)."""
    given = _text(activity, "ancienIdentifiantDeLaStructure")
    if given:
        return given
    for prefix, claim in (("1", "numeroFinessSite"), ("3", "numeroSiretSite"), ("2", "numeroSirenSite")):
        number = _text(activity, claim)
        if number:
            return prefix + number
    return _text(activity, "identifiantTechniqueDeLaStructure")


def _alone(person: Professional, claims: Claims) -> Professional:
    """From the flat claims, where no situation is told."""
    roles = [_code(role) for role in _texts(claims, "SubjectRole")]
    return Professional(
        id=person.id,
        family=person.family,
        given=person.given,
        profession=roles[0] if roles else "",
        structure=_text(claims, "SubjectOrganizationID"),
        structure_name=_text(claims, "SubjectOrganization"),
        sector=_code(_text(claims, "Secteur_Activite")),
    )


def _code(concept: str) -> str:
    """``SA07`` of ``SA07^1.2.250.1.71.4.2.4``."""
    return concept.partition("^")[0]


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_LENGTH or not value.isprintable():
        raise ClaimsUnusable("A claim is not a short text.", location=name)
    return value.strip()


def _texts(claims: Claims, name: str) -> Iterator[str]:
    value = claims.get(name)
    items: Iterable[Any] = value if isinstance(value, list) else [] if value is None else [value]
    for item in items:
        yield _text({name: item}, name)


def _record(claims: Claims, name: str) -> Claims:
    value = claims.get(name)
    if value is not None and not isinstance(value, dict):
        raise ClaimsUnusable("A claim is not an object.", location=name)
    return value or {}


def _records(claims: Claims, name: str) -> tuple[Claims, ...]:
    value = claims.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_SITUATIONS or not all(isinstance(one, dict) for one in value):
        raise ClaimsUnusable("A claim is not a list of objects.", location=name)
    return tuple(value)
