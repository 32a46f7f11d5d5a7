"""Weighs two identities: Fellegi-Sunter, the sum of what each comparison says (docs: explanation of scoring)."""

import math
from dataclasses import dataclass

from hub.patients.model import Identity
from hub.patients.scoring import keys, terms, vetoes
from hub.patients.scoring.features import Features, features
from hub.patients.scoring.kinds import KINDS, UNKNOWN, Compare
from hub.patients.scoring.model import Comparison, Model, default
from hub.patients.scoring.terms import Terms
from hub.patients.steward_model import FieldWeight, Score

_MOST_BITS = 300.0


@dataclass(frozen=True, slots=True)
class _Field:
    """A comparison ready for use; ``column``: whose frequency adjusts a level, "" for none."""

    name: str
    compare: Compare
    levels: tuple[str, ...]
    weights: tuple[float, ...]
    column: str
    by_term: tuple[float, ...]  #: log2 u of the levels that the term adjusts, 0 for the others


class Scorer:
    """One model at work. Safe for many threads: nothing in it changes."""

    def __init__(self, model: Model | None = None, frequencies: Terms | None = None) -> None:
        self.model = model or default()
        self.terms = frequencies or Terms(self.model.terms)
        self.version = self.model.version
        self._prior = self.model.prior_weight
        self._fields = tuple(_field(item, self.terms) for item in self.model.comparisons)
        self._log = {
            column: {value: math.log2(frequency) for value, frequency in self.terms.table(column).items()}
            for column in self.terms.values
        }
        self._rarest = math.log2(terms.RAREST)

    def keys(self, identity: Identity) -> tuple[tuple[str, int], ...]:
        """(name, signed 64-bit hash) of each blocking key; () for what names nobody."""
        return keys.keys(prepared(identity))

    def score(self, one: Identity, other: Identity) -> Score:
        """The whole reckoning, for a decision and its explanation."""
        a, b = prepared(one), prepared(other)
        fields = tuple(self._fields_of(a, b))
        weight = self._prior + sum(item.weight for item in fields)
        found = vetoes.vetoes(one, other, a, b, self.terms)
        return Score(weight, probability(weight), fields, found, self.version)

    def weight(self, a: Features, b: Features) -> float:
        """The sum alone, in bits: what a batch and a first look need."""
        total = self._prior
        for field in self._fields:
            level = field.compare(a, b)
            if level != UNKNOWN:
                total += field.weights[level]
                if field.by_term[level]:
                    total += self._adjusted(field, level, a, b)
        return total

    def chance(self, one: Identity, other: Identity) -> float:
        """The probability alone: whether the whole reckoning is worth its price."""
        return probability(self.weight(prepared(one), prepared(other)))

    def vetoes(self, one: Identity, other: Identity) -> tuple[str, ...]:
        """Why the pair is not joined automatically whatever its weight."""
        return vetoes.vetoes(one, other, prepared(one), prepared(other), self.terms)

    def _fields_of(self, a: Features, b: Features) -> list[FieldWeight]:
        found = []
        for field in self._fields:
            level = field.compare(a, b)
            if level != UNKNOWN:
                bits = field.weights[level]
                if field.by_term[level]:
                    bits += self._adjusted(field, level, a, b)
                found.append(FieldWeight(field.name, field.levels[level], bits))
        return found

    def _adjusted(self, field: _Field, level: int, a: Features, b: Features) -> float:
        """How much rarer (or more frequent) the value is than values are on the average."""
        logs = self._log[field.column]
        mine = logs.get(getattr(a, field.column), self._rarest)
        theirs = logs.get(getattr(b, field.column), self._rarest)
        return field.by_term[level] - max(mine, theirs)


def prepared(identity: Identity) -> Features:
    """The identity's traits and INS, made comparable."""
    return features(identity.traits, identity.ins.value if identity.ins else "")


def probability(weight: float) -> float:
    """Of being one person, from the weight in bits."""
    if weight > _MOST_BITS:
        return 1.0
    odds = math.exp2(max(weight, -_MOST_BITS))
    return odds / (1.0 + odds)


def bits(chance: float) -> float:
    """The weight at which the probability is ``chance``."""
    return math.log2(chance / (1.0 - chance))


def _field(comparison: Comparison, frequencies: Terms) -> _Field:
    rule, levels = KINDS[comparison.kind], comparison.levels
    adjusts = bool(rule.term) and rule.term in frequencies.values
    return _Field(
        comparison.kind,
        rule.compare,
        tuple(level.name for level in levels),
        tuple(level.weight for level in levels),
        rule.term if adjusts else "",
        tuple(math.log2(level.u) if adjusts and level.name in rule.by_term else 0.0 for level in levels),
    )
