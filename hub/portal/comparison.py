"""Identities side by side: which of their traits differ, and where. Pure functions; nothing here decides."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from hub.patients.model import Identity, Traits
from hub.patients.normalise import glued, words
from hub.patients.steward_model import Score

#: RNIV's strict traits, then what else describes a person, in the order of the rows.
STRICT = ("birth_name", "birth_given", "given_names", "birth_date", "sex", "birth_place")
OTHERS = (
    "used_name", "used_given", "mother_name", "multiple_birth", "address", "postal_code", "city", "country", "phone",
)  # fmt: skip
DATES = frozenset({"birth_date"})
BAR = 100  #: half of a weight's bar, in its own units
_COMPARED = 120  #: letters that are compared one by one
_CITIES = (("751", "75056"), ("6938", "69123"), ("132", "13055"))  #: districts counted as their city
_DIGITS = re.compile(r"\D+")


class Likeness(StrEnum):
    """How a trait compares with that of the first identity."""

    FIRST = "first"  #: it is the first identity's own
    SAME = "same"
    NEAR = "near"  #: written otherwise, or less complete
    DIFFERENT = "different"
    MISSING = "missing"  #: one of the two doesn't say
    NOTHING = "nothing"  #: neither says


@dataclass(frozen=True, slots=True)
class Cell:
    """A trait of one identity. ``pieces``: its text in parts; a marked one is not in the first identity's."""

    value: str
    likeness: Likeness
    pieces: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A trait of every identity, the first one's first."""

    trait: str
    strict: bool
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        """Whether any identity differs from the first."""
        return any(cell.likeness is Likeness.DIFFERENT for cell in self.cells)


def rows(first: Identity, others: Sequence[Identity]) -> tuple[Row, ...]:
    """The traits that anybody has, and all the strict ones."""
    found = []
    for trait in (*STRICT, *OTHERS):
        mine = text(first.traits, trait)
        theirs = [text(other.traits, trait) for other in others]
        if trait in STRICT or mine or any(theirs):
            alone = Likeness.FIRST if mine else Likeness.NOTHING
            cells = (Cell(mine, alone, ((mine, False),)), *(_cell(trait, mine, value) for value in theirs))
            found.append(Row(trait, trait in STRICT, cells))
    return tuple(found)


def contradictions(one: Identity, other: Identity) -> tuple[str, ...]:
    """The strict traits that differ, and ``ins`` where both have another one."""
    differing = [
        trait
        for trait in STRICT
        if likeness(trait, text(one.traits, trait), text(other.traits, trait)) is Likeness.DIFFERENT
    ]
    both = one.ins is not None and other.ins is not None
    return (*differing, *(["ins"] if both and one.ins != other.ins else []))


def text(traits: Traits, trait: str) -> str:
    """A trait as text; a multiple birth is "yes" or nothing."""
    value = getattr(traits, trait)
    return ("yes" if value else "") if isinstance(value, bool) else str(value)


def likeness(trait: str, mine: str, theirs: str) -> Likeness:
    """How two values of a trait compare."""
    if not mine or not theirs:
        return Likeness.MISSING if mine or theirs else Likeness.NOTHING
    if mine == theirs:
        return Likeness.SAME
    near = _NEAR.get(trait, _near_text)
    return Likeness.NEAR if near(mine, theirs) else Likeness.DIFFERENT


def _cell(trait: str, mine: str, theirs: str) -> Cell:
    found = likeness(trait, mine, theirs)
    told = found in (Likeness.NEAR, Likeness.DIFFERENT)
    return Cell(theirs, found, _pieces(mine, theirs) if told and trait not in DATES else ((theirs, False),))


def _pieces(mine: str, theirs: str) -> tuple[tuple[str, bool], ...]:
    """The second text in parts that are in the first one, and parts that are not."""
    if max(len(mine), len(theirs)) > _COMPARED:
        return ((theirs, False),)
    matcher = SequenceMatcher(None, mine.casefold(), theirs.casefold(), autojunk=False)
    if len(theirs.casefold()) != len(theirs) or matcher.ratio() < 0.5:
        return ((theirs, True),)
    parts = [(theirs[low:high], tag != "equal") for tag, _, _, low, high in matcher.get_opcodes() if low < high]
    return tuple(parts) or ((theirs, False),)


def _plain(value: str) -> str:
    """Without case, accents and punctuation where it is in Latin letters; other scripts' letters stay."""
    latin = glued(value)
    letters = [letter for letter in unicodedata.normalize("NFKC", value).casefold() if letter.isalnum()]
    return latin if latin and len(latin) >= len(letters) else "".join(letters)


def _near_text(mine: str, theirs: str) -> bool:
    return _plain(mine) == _plain(theirs)


def _near_given(mine: str, theirs: str) -> bool:
    """Written otherwise, or one list holds the other: JEAN and JEAN PIERRE."""
    if _near_text(mine, theirs):
        return True
    one, other = set(words(mine).split()), set(words(theirs).split())
    return bool(one and other) and (one <= other or other <= one)


def _near_date(mine: str, theirs: str) -> bool:
    """An incomplete date within the other one. A swapped day and month is a difference."""
    return mine.startswith(theirs) or theirs.startswith(mine)


def _near_place(mine: str, theirs: str) -> bool:
    return _city(mine) == _city(theirs)


def _city(code: str) -> str:
    code = code.strip().upper()
    return next((city for start, city in _CITIES if code.startswith(start)), code)


def _near_phone(mine: str, theirs: str) -> bool:
    one, other = _DIGITS.sub("", mine)[-9:], _DIGITS.sub("", theirs)[-9:]
    return bool(one) and one == other


_NEAR: dict[str, Callable[[str, str], bool]] = {
    "birth_given": _near_given,
    "given_names": _near_given,
    "used_given": _near_given,
    "birth_date": _near_date,
    "birth_place": _near_place,
    "phone": _near_phone,
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A weight as a bar left (against) or right (for) of the middle; ``field`` "prior": what any two people start with.

    ``start`` and ``width`` in units of which ``BAR`` is one side."""

    field: str
    level: str
    weight: float
    start: float
    width: float


def bars(score: Score) -> tuple[Bar, ...]:
    """The prior's bar, then each field's, on one scale."""
    prior = score.weight - sum(item.weight for item in score.fields)
    told = [("prior", "", prior), *((item.field, item.level, item.weight) for item in score.fields)]
    longest = max((abs(weight) for _, _, weight in told), default=0.0) or 1.0
    return tuple(Bar(field, level, weight, *_extent(weight / longest * BAR)) for field, level, weight in told)


def _extent(length: float) -> tuple[float, float]:
    return round(BAR + min(length, 0.0), 1), round(max(abs(length), 1.0), 1)


def differing(compared: Iterable[Row]) -> int:
    """How many rows differ."""
    return sum(row.differs for row in compared)
