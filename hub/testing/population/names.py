"""Names of a made-up French population: frequent ones as they are met, and an endless made-up tail."""

import random
from functools import lru_cache
from importlib import resources
from itertools import accumulate


def _lists() -> tuple[tuple[str, ...], ...]:
    text = resources.files("hub.testing.population").joinpath("names.txt").read_text("utf-8")
    parts = (part.partition("\n")[2].replace("\n", " ") for part in text.split("# ")[1:])
    return tuple(tuple(name.strip() for name in part.split(",")) for part in parts)


SURNAMES, PARTICLED, MEN, WOMEN, _MEN_COMPOUND, _WOMEN_COMPOUND = _lists()
COMPOUND = {"M": _MEN_COMPOUND, "F": _WOMEN_COMPOUND}
_LISTS = {"M": MEN, "F": WOMEN}
_ONSETS = (
    "B",
    "Br",
    "C",
    "Ch",
    "Cl",
    "D",
    "F",
    "G",
    "Gr",
    "H",
    "J",
    "L",
    "M",
    "N",
    "P",
    "Pl",
    "R",
    "S",
    "T",
    "Tr",
    "V",
)
_NUCLEI = ("a", "e", "i", "o", "u", "au", "ou", "oi", "ai", "eu", "é", "an", "en", "on", "in")
_ENDS = (
    "",
    "r",
    "t",
    "d",
    "l",
    "n",
    "s",
    "x",
    "rd",
    "nt",
    "lle",
    "tte",
    "ux",
    "ier",
    "eau",
    "ot",
    "in",
    "ac",
    "ec",
    "on",
)
_TAIL = 200_000
_FLAT = 25  # the larger, the less the first names outweigh the others: 0.4 % are called Martin


@lru_cache(maxsize=1 << 17)
def _made_up(number: int, word: str) -> str:
    chance = random.Random(f"{word}{number}")
    syllables = [chance.choice(_ONSETS) + chance.choice(_NUCLEI) for _ in range(chance.choice((1, 2, 2, 3)))]
    return ("".join(syllables) + chance.choice(_ENDS)).capitalize()


def surname(chance: random.Random) -> str:
    """One family name: Zipf with a flat top, 200,000 names in all, some with particles, few compound."""
    if chance.random() < 0.03:
        return chance.choice(PARTICLED)
    one = _surname(chance)
    return f"{one}-{_surname(chance)}" if chance.random() < 0.02 else one


def _surname(chance: random.Random) -> str:
    rank = int(_FLAT * (_TAIL / _FLAT + 1) ** chance.random() - _FLAT)
    return SURNAMES[rank] if rank < len(SURNAMES) else _made_up(rank, "family")


_WEIGHTS = {sex: tuple(accumulate(1 / (rank + 12) for rank in range(len(names)))) for sex, names in _LISTS.items()}


def given(chance: random.Random, sex: str) -> str:
    """One given name of a sex: frequent, compound (7 %) or rare (8 %)."""
    dice = chance.random()
    if dice < 0.07:
        return chance.choice(COMPOUND[sex])
    if dice < 0.15:
        return _made_up(int(3000 * chance.random() ** 2), f"given {sex}")
    return chance.choices(_LISTS[sex], cum_weights=_WEIGHTS[sex])[0]


@lru_cache(maxsize=1 << 10)
def alike(name: str) -> tuple[str, ...]:
    """Other given names that begin as this one does: what parents of twins like."""
    return tuple(other for other in MEN + WOMEN if other[:3] == name[:3] and other != name)
