"""A made-up French population: who is truly who, and what hospitals write down of them.

Seeded: the same seed gives the same records. Lazy: three million records need no memory but the NIRs' counters. The
records come family by family; shuffle what you can hold. The shares of everything are in ``Rates`` and ``Mistakes``."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from hub.patients.model import Identity
from hub.testing.population.people import Families, Rates
from hub.testing.population.records import AUTHORITY, Clerk, Mistakes

__all__ = ["AUTHORITY", "Mistakes", "Population", "Rates", "population"]


@dataclass(frozen=True, slots=True)
class Population:
    """What is made. ``records_each``: share of the persons who are known to 1, 2, 3 ... hospitals (1.7 on average)."""

    seed: int = 1
    records: int = 100_000
    hospitals: int = 12
    records_each: tuple[float, ...] = (0.55, 0.27, 0.12, 0.04, 0.02)
    twice: float = 0.004  #: records that one hospital has a second time under another number
    rates: Rates = field(default_factory=Rates)
    mistakes: Mistakes = field(default_factory=Mistakes)

    def __iter__(self) -> Iterator[tuple[int, Identity]]:
        chance = random.Random(self.seed)
        clerk, numbers, persons, made = Clerk(chance, self.mistakes), count(1), count(1), 0
        for family in Families(chance, self.rates):
            for who in family:
                person, known = next(persons), chance.choices(range(len(self.records_each)), self.records_each)[0] + 1
                hospitals = chance.sample(range(self.hospitals), min(known, self.hospitals))
                if who.newborn_as:
                    made += 1
                    yield person, clerk.write_newborn(who, hospitals[0], next(numbers))
                elif chance.random() < self.twice:
                    hospitals.append(hospitals[0])
                for hospital in hospitals[1 if who.newborn_as else 0 :]:
                    if made >= self.records:
                        return
                    made += 1
                    yield person, clerk.write(who, hospital, next(numbers))
            if made >= self.records:
                return


def population(seed: int, records: int) -> Iterator[tuple[int, Identity]]:
    """(true person, identity) for so many records, all settings as they are."""
    return iter(Population(seed=seed, records=records))
