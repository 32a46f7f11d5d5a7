"""Families: who they are, before hospitals write them down."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from hub.patients.ins_model import key_of
from hub.testing.population import names

_DEPARTMENTS = (
    *(f"{number:02d}" for number in range(1, 96) if number != 20), "2A", "2B", "75", "75", "69", "69", "13", "13", "59",
    "59", "971", "972", "973", "974",
)  # fmt: skip
_COUNTRIES = ("352", "350", "351", "139", "134", "127", "326", "331", "335", "216", "208", "109", "243", "203", "416")
_STREETS = (
    "rue Victor Hugo", "rue de la République", "avenue Jean Jaurès", "rue des Lilas", "place de l'Église",
    "boulevard Gambetta", "chemin des Vignes", "rue du Moulin", "allée des Chênes", "impasse du Stade", "rue de Verdun",
    "rue du Général de Gaulle", "route de la Mer", "rue Émile Zola", "avenue de la Gare", "rue des Écoles", "rue Neuve",
    "rue Pasteur",
)  # fmt: skip
_TO_CHILDREN = 2.5  # the share of twins is of all persons, but only children get them here
_TOWNS = ("Saint-Malo", "Vitré", "Auray", "Fougères", "Redon", "Lannion", "Morlaix", "Dinan", "Pontivy", "Quimperlé")


@dataclass(frozen=True, slots=True)
class Rates:
    """How families are. Each a share, unless it says otherwise."""

    twins: float = 0.008  #: persons who have a twin
    alike_twins: float = 0.1  #: twins whose given names begin alike
    abroad: float = 0.12  #: born abroad
    fictive_date: float = 0.3  #: of those born abroad: 31/12 or 01/01 of the year
    partial_date: float = 0.02  #: of those born abroad: year, or year and month only (lunar dates)
    used_name: float = 0.7  #: wives who use their husband's name
    double_name: float = 0.08  #: children with both parents' names
    namesake: float = 0.01  #: sons who are called as their father
    ins: float = 0.7  #: persons who have an INS
    moved: float = 0.15  #: persons with a former address
    new_phone: float = 0.2  #: persons with a former phone
    region: float = 0.8  #: persons born in the region's four départements, of those born in France


@dataclass(frozen=True, slots=True)
class Someone:
    """A person as the civil register knows them, with homes and phones (the present one first)."""

    name: str
    used: str
    given: tuple[str, ...]
    sex: str
    born: str
    place: str
    nir: str
    homes: tuple[tuple[str, str, str], ...]
    phones: tuple[str, ...]
    mother: str = ""
    multiple: bool = False
    newborn_as: str = ""  #: how the maternity wrote a child down before it had a name


@dataclass(slots=True)
class Families:
    """An endless row of families."""

    chance: random.Random
    rates: Rates
    _orders: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[list[Someone]]:
        while True:
            yield self._family()

    def _family(self) -> list[Someone]:
        chance = self.chance
        home, line = self._home(), self._phone("02")
        first = self._adult(home, line, names.surname(chance), chance.choice("MF"))
        if chance.random() < 0.4:
            return [first]
        father = first if first.sex == "M" else self._adult(home, line, names.surname(chance), "M")
        mother = self._adult(home, line, names.surname(chance), "F", near=int(father.born[:4]))
        if chance.random() < self.rates.used_name:
            mother = replace(mother, used=father.name)
        return [father, mother, *self._children(father, mother, home, line)]

    def _children(self, father: Someone, mother: Someone, home: tuple[str, str, str], line: str) -> list[Someone]:
        chance, family = self.chance, []
        name = father.name
        if chance.random() < self.rates.double_name:
            name = f"{father.name}-{mother.name}"
        year = int(mother.born[:4]) + chance.randint(20, 30)
        for _ in range(chance.choice((0, 1, 1, 2, 2, 2, 3, 4))):
            year += chance.randint(2, 4)
            if year > 2026:
                break
            sex = chance.choice("MF")
            given = names.given(chance, sex)
            if sex == "M" and chance.random() < self.rates.namesake:
                given = father.given[0]
            abroad = mother.place.startswith("99") and chance.random() < 0.3
            child = self._person(name, given, sex, self._day(year), self._place(abroad=abroad), home, line)
            as_newborn = ""
            if year >= 2015 and chance.random() < 0.1:
                as_newborn = chance.choice(("BEBE", f"{'FILLE' if sex == 'F' else 'GARCON'} DE {mother.given[0]}"))
            child = replace(child, mother=mother.name, newborn_as=as_newborn)
            family.append(child)
            if chance.random() < self.rates.twins * _TO_CHILDREN:
                family[-1] = replace(child, multiple=True)
                family.append(self._twin(family[-1]))
        return family

    def _twin(self, child: Someone) -> Someone:
        chance, sex = self.chance, self.chance.choice("MF")
        alike = names.alike(child.given[0])
        given = names.given(chance, sex)
        if alike and chance.random() < self.rates.alike_twins:
            given = chance.choice(alike)
        while given == child.given[0]:
            given = names.given(chance, sex)
        nir = self._nir(sex, child.born, child.place) if child.nir else ""
        as_newborn = f"{'FILLE' if sex == 'F' else 'GARCON'} DE {child.mother}" if child.newborn_as else ""
        return replace(child, given=self._list(given, sex), sex=sex, nir=nir, newborn_as=as_newborn)

    def _adult(self, home: tuple[str, str, str], line: str, name: str, sex: str, near: int = 0) -> Someone:
        chance = self.chance
        year = min(2004, near + chance.randint(-8, 6)) if near else chance.randint(1925, 2004)
        abroad = chance.random() < self.rates.abroad * 1.45  # their children are mostly born here
        born = self._day(year)
        if abroad:
            dice = chance.random()
            if dice < self.rates.fictive_date:
                born = f"{year}{chance.choice(('1231', '0101'))}"
            elif dice < self.rates.fictive_date + self.rates.partial_date:
                born = chance.choice((str(year), born[:6]))
        return self._person(name, names.given(chance, sex), sex, born, self._place(abroad=abroad), home, line)

    def _person(  # noqa: PLR0917
        self, name: str, given: str, sex: str, born: str, place: str, home: tuple[str, str, str], line: str
    ) -> Someone:
        chance = self.chance
        homes: tuple[tuple[str, str, str], ...] = (home,)
        phones: tuple[str, ...] = (line,)
        if born < "2010":
            phones = (self._phone("06"),) if chance.random() < 0.7 else phones
            homes = (home, self._home()) if chance.random() < self.rates.moved else homes
            phones = (*phones, self._phone("06")) if chance.random() < self.rates.new_phone else phones
        nir = self._nir(sex, born, place) if chance.random() < self.rates.ins else ""
        return Someone(name, "", self._list(given, sex), sex, born, place, nir, homes, phones)

    def _list(self, given: str, sex: str) -> tuple[str, ...]:
        more = (names.given(self.chance, sex) for _ in range(self.chance.choice((0, 1, 1, 2, 2))))
        return tuple(dict.fromkeys((given, *more)))

    def _day(self, year: int) -> str:
        return f"{date(year, 1, 1) + timedelta(days=self.chance.randrange(365)):%Y%m%d}"

    def _place(self, *, abroad: bool) -> str:
        chance = self.chance
        if abroad:
            return f"99{chance.choice(_COUNTRIES)}"
        if chance.random() < self.rates.region:
            return f"{chance.choice(('22', '29', '35', '56'))}{int(300 * chance.random() ** 4) + 1:03d}"
        department = chance.choice(_DEPARTMENTS)
        if department == "75":
            return f"751{chance.randint(1, 20):02d}"
        number = int((30 if len(department) == 3 else 500) * chance.random() ** 3) + 1
        return f"{department}{number:0{5 - len(department)}d}"

    def _home(self) -> tuple[str, str, str]:
        """Address, postcode, city."""
        chance = self.chance
        place = int(250 * chance.random() ** 2)
        code = f"{('22', '29', '35', '56')[place % 4]}{place // 4 * 10:03d}"
        return f"{chance.randint(1, 220)} {chance.choice(_STREETS)}", code, _TOWNS[place % len(_TOWNS)]

    def _phone(self, start: str) -> str:
        return f"{start}{self.chance.randrange(10**8):08d}"

    def _nir(self, sex: str, born: str, place: str) -> str:
        month = born[4:6] or "20"
        start = f"{1 if sex == 'M' else 2}{born[2:4]}{'20' if month == '00' else month}{place}"
        order = self._orders[start] = self._orders.get(start, 0) + 1
        first = f"{start}{order % 1000:03d}"
        return first + key_of(first)
