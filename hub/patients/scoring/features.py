"""An identity made comparable: what every comparison, key and veto reads. The batch reads the same columns."""

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from hub.patients.model import Traits
from hub.patients.normalise import NOBODY, PARTICLES, glued, newborn, words

_DIGITS = re.compile(r"\D+")
_ARRONDISSEMENTS = (("751", "75056"), ("6938", "69123"), ("132", "13055"))  # counted as their city
_UNKNOWN_PLACES = frozenset({"99999", "00000"})
_SHORTEST_PART = 3
_FICTIVE = frozenset({"0101", "3112", "1231"})


class Features(NamedTuple):
    """Normalised: upper case without accents or blanks, "" where it is not known or names nobody."""

    name: str  #: birth name
    used: str  #: used name, "" where it is the birth name
    parts: tuple[str, ...]  #: words of a birth or used name, without particles
    given: str  #: first birth given name
    givens: tuple[str, ...]  #: every given name, glued and by its parts
    born: str  #: YYYYMMDD, 00 for what is not known
    place: str  #: INSEE code
    department: str  #: of the birth place; "" for abroad
    sex: str  #: M, F
    postcode: str
    area: str  #: département of the postcode
    phone: str  #: last nine digits
    address: str
    city: str
    newborn: bool  #: a given name such as BEBE or FILLE DE
    multiple: bool  #: of a multiple birth
    ins: str  #: matricule

    def __hash__(self) -> int:
        """As that of ``Traits``: of some fields only."""
        return hash((self.name, self.given, self.born, self.place))


_READ = (
    "birth_name", "used_name", "birth_given", "used_given", "given_names", "birth_date", "birth_place", "sex",
    "postal_code", "phone", "address", "city", "multiple_birth",
)  # fmt: skip
_NOTHING = {field.name: field.default for field in fields(Traits)}
_of_traits, _of_row = attrgetter(*_READ), itemgetter(*_READ)


@lru_cache(maxsize=1 << 15)
def features(traits: Traits, ins: str = "") -> Features:
    """The comparable form of traits; cached, as the same identities are compared again and again."""
    return _features(_of_traits(traits), ins)


def features_of_row(traits: Mapping[str, Any], ins: str = "") -> Features:
    """As ``features``, of traits as they are stored (what is not known is left out): for whoever reads them all."""
    return _features(_of_row({**_NOTHING, **traits}), ins)


def _features(told: tuple[Any, ...], ins: str) -> Features:
    (birth_name, used_name, birth_given, used_given, given_names, birth_date, birth_place, sex, postal_code, phone,
     address, city, multiple_birth) = told  # fmt: skip
    name, used, parts = _names(birth_name, used_name)
    newborn, given, givens = _given(birth_given, used_given, given_names)
    place, department = _place(birth_place)
    postcode, area = _home(postal_code)
    return Features(
        name, used, parts, given, givens, _date(birth_date), place, department, sex if sex in ("M", "F") else "",
        postcode, area, _phone(phone) if phone else "", glued(address) if address else "", _city(city), newborn,
        multiple_birth, ins,
    )  # fmt: skip


# Names and places are met again and again, whoever bears them: each is looked at once.


@lru_cache(maxsize=1 << 16)
def _names(birth: str, used: str) -> tuple[str, str, tuple[str, ...]]:
    """Birth name, used name, their parts."""
    name, other = _somebody(birth), _somebody(used)
    if not name:
        name, other = other, ""
    return name, "" if other == name else other, _parts(birth, used) if name else ()


@lru_cache(maxsize=1 << 16)
def _given(birth: str, used: str, listed: str) -> tuple[bool, str, tuple[str, ...]]:
    """Whether it is a newborn's, the first given name, every one."""
    if newborn(birth):
        return True, "", ()
    given = _somebody(birth)
    givens = _givens(given, birth, used, listed)
    return False, given or (givens[0] if givens else ""), givens


def _somebody(text: str) -> str:
    value = glued(text)
    return "" if value in NOBODY else value


def _givens(first: str, birth: str, other: str, listed: str) -> tuple[str, ...]:
    every = [first, *words(birth).split()]
    if used := _somebody(other):
        every += [used, *words(other).split()]
    every += words(listed).split()
    kept = (name for name in every if len(name) > 1 and name not in NOBODY)
    return tuple(dict.fromkeys(kept))


def _parts(birth: str, used: str) -> tuple[str, ...]:
    every = [*words(birth).split(), *words(used).split()]
    kept = (part for part in every if len(part) >= _SHORTEST_PART and part not in PARTICLES and part not in NOBODY)
    return tuple(dict.fromkeys(kept))


@lru_cache(maxsize=1 << 16)
def _date(text: str) -> str:
    digits = text[:8]
    if not digits.isascii() or not digits.isdigit() or len(digits) < 4 or digits[:4] == "0000":
        return ""
    return digits.ljust(8, "0") if len(digits) in (4, 6, 8) else ""


def fictive(born: str) -> bool:
    """A date that registrars fill in where day or month is not known, or that lacks them."""
    return born[4:] in _FICTIVE or born[6:] == "00" or born[4:6] == "00" or born[4:6] > "12"


@lru_cache(maxsize=1 << 16)
def _place(text: str) -> tuple[str, str]:
    """INSEE code, département."""
    place = text.strip().upper()
    if len(place) != 5 or place in _UNKNOWN_PLACES:
        return "", ""
    place = next((city for prefix, city in _ARRONDISSEMENTS if place.startswith(prefix)), place)
    return place, _department(place)


@lru_cache(maxsize=1 << 14)
def _home(postal_code: str) -> tuple[str, str]:
    """Postal code, département."""
    postcode = postal_code.strip()
    return postcode, _department(postcode)


@lru_cache(maxsize=1 << 14)
def _city(text: str) -> str:
    return glued(text)


def _department(code: str) -> str:
    if code[:2] == "97":
        return code[:3]
    return "" if code[:2] == "99" else code[:2]


def _phone(text: str) -> str:
    digits = text if text.isdecimal() else _DIGITS.sub("", text)
    return digits[-9:] if len(digits) >= 9 and len(set(digits[-8:])) > 1 else ""
