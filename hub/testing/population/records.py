"""What hospitals write down: each in its own way, with its own mistakes."""

import random
import string
from dataclasses import dataclass, replace

from hub.patients.ins_model import NAMESPACES
from hub.patients.model import Identity, IdentityStatus, Traits
from hub.patients.normalise import words
from hub.testing.population.people import Someone
from hub.values import PatientIdentifier

INS_OID = "1.2.250.1.213.1.4.10"  #: INS-NIR of tests: nobody's real number
AUTHORITY = "1.2.250.1.999.20"  #: a hospital's authority: this, a point, its number


@dataclass(frozen=True, slots=True)
class Mistakes:
    """How records err. Each a share of the records, before ``by_status``; the last ones as they say."""

    name_typo: float = 0.015
    given_typo: float = 0.012
    only_used: float = 0.03  #: of those with a used name: it stands where the birth name should
    used_shown: float = 0.6  #: of those with a used name
    half_compound: float = 0.12  #: of compound family or given names: one part only
    glued: float = 0.15  #: of names with particles or hyphens: written together, or without the particle
    names_swapped: float = 0.002
    list_shown: float = 0.6
    other_given: float = 0.01  #: a later given name stands first
    initial: float = 0.002
    day_month: float = 0.003
    digit: float = 0.006
    year: float = 0.001
    partial: float = 0.002
    place_missing: float = 0.06
    place_near: float = 0.015  #: another commune of the département
    sex_wrong: float = 0.001
    sex_missing: float = 0.003
    phone_missing: float = 0.35
    phone_digit: float = 0.01
    address_missing: float = 0.15
    address_style: float = 0.3
    ins_shown: float = 0.7  #: of those who have one
    foreign_ins: float = 0.0002  #: somebody else's INS
    doubtful: float = 0.001
    homonym: float = 0.001
    multiple_shown: float = 0.3  #: of twins: PID-24
    provisional: float = 0.25  #: of records without an INS
    retrieved: float = 0.02  #: likewise
    by_status: tuple[tuple[IdentityStatus, float], ...] = (
        (IdentityStatus.QUALIFIED, 0.3),  # its strict traits were compared with the national register's
        (IdentityStatus.VALIDATED, 1.0),
        (IdentityStatus.RETRIEVED, 1.0),
        (IdentityStatus.PROVISIONAL, 2.0),
    )


_SHORT = (("rue", "r"), ("avenue", "av"), ("boulevard", "bd"), ("place", "pl"), ("chemin", "che"))
_NEIGHBOURS = {
    "S": "Z",
    "I": "Y",
    "Y": "I",
    "C": "K",
    "K": "C",
    "O": "A",
    "E": "A",
    "T": "D",
    "D": "T",
    "M": "N",
    "N": "M",
}


class Clerk:
    """Writes records of persons down, each as a hospital would."""

    def __init__(self, chance: random.Random, mistakes: Mistakes) -> None:
        self.chance = chance
        self.mistakes = mistakes
        self._factors = dict(mistakes.by_status)
        self._previous_nir = ""

    def write(self, who: Someone, hospital: int, number: int) -> Identity:
        """One record of a person at a hospital."""
        rates, often = self.mistakes, self._often
        ins = who.nir if who.nir and often(rates.ins_shown) else ""
        status = IdentityStatus.QUALIFIED if ins else self._status()
        if ins and often(rates.foreign_ins) and self._previous_nir:
            ins = self._previous_nir
        self._previous_nir = who.nir or self._previous_nir
        traits = self._traits(who, self._factors[status])
        marks = {"DOUT"} if often(rates.doubtful) and not ins else set()
        if often(rates.homonym):
            marks.add("HOMO")
        return Identity(
            identifier=PatientIdentifier(f"{number:09d}", f"{AUTHORITY}.{hospital + 1}"),
            traits=traits,
            status=IdentityStatus.PROVISIONAL if "DOUT" in marks else status,
            attributes=frozenset(marks),
            ins=PatientIdentifier(ins, INS_OID, "INS", NAMESPACES[INS_OID]) if ins else None,
        )

    def write_newborn(self, who: Someone, hospital: int, number: int) -> Identity:
        """A child at its maternity, before it has a name: under its mother's."""
        address, postcode, city = who.homes[-1]
        traits = Traits(
            birth_name=words(who.mother), birth_given=words(who.newborn_as), birth_date=who.born, sex=who.sex,
            birth_place=who.place, address=address, city=city, postal_code=postcode, phone=who.phones[-1],
            mother_name=words(who.mother), multiple_birth=who.multiple,
        )  # fmt: skip
        identifier = PatientIdentifier(f"{number:09d}", f"{AUTHORITY}.{hospital + 1}")
        return Identity(identifier, traits, IdentityStatus.PROVISIONAL)

    def _often(self, share: float) -> bool:
        return self.chance.random() < share

    def _status(self) -> IdentityStatus:
        dice = self.chance.random()
        if dice < self.mistakes.provisional:
            return IdentityStatus.PROVISIONAL
        retrieved = dice < self.mistakes.provisional + self.mistakes.retrieved
        return IdentityStatus.RETRIEVED if retrieved else IdentityStatus.VALIDATED

    def _traits(self, who: Someone, factor: float) -> Traits:
        rates, chance = self.mistakes, self.chance
        name, used = who.name, who.used
        if used and self._often(rates.only_used * factor):
            name, used = used, ""
        elif used and not self._often(rates.used_shown):
            used = ""
        name, given = self._name(name, factor), self._given(who, factor)
        if self._often(rates.names_swapped * factor):
            name, given = given, name
        style = chance.choice((words, str, str.upper))
        address, postcode, city = self._address(who)
        listed = " ".join(who.given) if self._often(rates.list_shown) else ""
        sex = who.sex
        if self._often(rates.sex_wrong * factor):
            sex = "F" if sex == "M" else "M"
        elif self._often(rates.sex_missing * factor):
            sex = "U"
        return Traits(
            birth_name=style(name),
            birth_given=style(given),
            given_names=style(listed.replace("-", " ")) if listed else "",
            used_name=style(used),
            birth_date=self._date(who.born, factor),
            sex=sex,
            birth_place=self._place(who.place, factor),
            address=address,
            city=city,
            postal_code=postcode,
            phone=self._phone(who),
            mother_name=words(who.mother) if self._often(0.1) else "",
            multiple_birth=who.multiple and self._often(rates.multiple_shown),
        )

    def _name(self, name: str, factor: float) -> str:
        rates, chance = self.mistakes, self.chance
        if "-" in name and self._often(rates.half_compound * factor):
            name = chance.choice(name.split("-"))
        if (" " in name or "-" in name or "'" in name) and self._often(rates.glued):
            parts = name.replace("'", " ").replace("-", " ").split()
            name = "".join(parts) if self._often(0.6) else parts[-1] if " " in name else " ".join(parts)
        return self._typo(name) if self._often(rates.name_typo * factor) else name

    def _given(self, who: Someone, factor: float) -> str:
        rates = self.mistakes
        given = who.given[0]
        if "-" in given and self._often(rates.half_compound * factor):
            given = given.split("-")[0]
        if len(who.given) > 1 and self._often(rates.other_given * factor):
            given = who.given[1]
        if self._often(rates.initial * factor):
            return given[0]
        return self._typo(given) if self._often(rates.given_typo * factor) else given

    def _typo(self, text: str) -> str:
        chance = self.chance
        if len(text) < 3:
            return text
        at = chance.randrange(1, len(text) - 1)
        before, letter, after = text[:at], text[at], text[at + 1 :]
        letter = chance.choice((
            "", letter * 2, _NEIGHBOURS.get(letter.upper(), "H").lower(), chance.choice(string.ascii_lowercase),
            after[:1] + letter,
        ))  # fmt: skip
        if len(letter) == 2 and letter[1] == text[at]:
            after = after[1:] if letter[0] != letter[1] else after
        text = before + letter + after
        return self._typo(text) if self._often(0.15) else text

    def _date(self, born: str, factor: float) -> str:
        rates, chance = self.mistakes, self.chance
        if len(born) < 8:
            return born
        if self._often(rates.day_month * factor) and born[6:] <= "12":
            return born[:4] + born[6:] + born[4:6]
        if self._often(rates.digit * factor):
            at = chance.choice((3, 5, 7, 2, 6))
            wrong = born[:at] + chance.choice("0123456789") + born[at + 1 :]
            return wrong if "01" <= wrong[4:6] <= "12" and "01" <= wrong[6:] <= "28" else born
        if self._often(rates.year * factor):
            return f"{int(born[:4]) + chance.choice((-10, -2, -1, 1, 2, 10))}{born[4:]}"
        return born[: chance.choice((4, 6))] if self._often(rates.partial * factor) else born

    def _place(self, place: str, factor: float) -> str:
        if self._often(self.mistakes.place_missing * factor):
            return ""
        if self._often(self.mistakes.place_near * factor) and not place.startswith("99"):
            return f"{place[:3]}{self.chance.randint(1, 99):02d}"
        return place

    def _address(self, who: Someone) -> tuple[str, str, str]:
        rates, chance = self.mistakes, self.chance
        address, postcode, city = chance.choice(who.homes)
        if self._often(rates.address_missing):
            return "", postcode if self._often(0.5) else "", ""
        if self._often(rates.address_style):
            for long, short in _SHORT:
                address = address.replace(long, short)
        return address, postcode, city

    def _phone(self, who: Someone) -> str:
        rates, chance = self.mistakes, self.chance
        if self._often(rates.phone_missing):
            return ""
        phone = chance.choice(who.phones)
        if self._often(rates.phone_digit):
            at = chance.randrange(2, 10)
            phone = phone[:at] + chance.choice(string.digits) + phone[at + 1 :]
        return f"+33{phone[1:]}" if self._often(0.2) else phone


def renumbered(identity: Identity, number: int) -> Identity:
    """The same person once more at the same hospital, under another number."""
    return replace(identity, identifier=replace(identity.identifier, value=f"{number:09d}"))
