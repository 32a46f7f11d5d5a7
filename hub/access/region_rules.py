"""A region's own rules: data with a small vocabulary of conditions, which become lines of the one table."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.access.model import Purpose
from hub.access.rights_model import Kind
from hub.access.rules import CARE_PURPOSES, HIDDEN, RULES, Facts, Rule

#: Before this rule stand those that refuse: behind what is the hub's, the author's and the patient's own, and before
#: every rule by which somebody else reads.
REFUSE_BEFORE: Final = "regulation"
#: Before this one stand those that allow: nothing that another rule refuses reaches them.
ALLOW_BEFORE: Final = "closed"

_ALLOWED = "A rule of the region."


@dataclass(frozen=True, slots=True)
class RegionRule:
    """One rule: it holds where everything holds that it asks for; None and the empty set ask for nothing. Of a set one
    member is enough."""

    name: str
    allows: bool
    why: str = ""
    source: str = ""
    kind: frozenset[Kind] = frozenset()
    confidentiality: frozenset[str] = frozenset()
    person: bool | None = None
    roles: frozenset[str] = frozenset()
    professions: frozenset[str] = frozenset()
    specialities: frozenset[str] = frozenset()
    structures: frozenset[str] = frozenset()
    purpose: frozenset[str] = frozenset()
    emergency: bool | None = None
    minor: bool | None = None
    in_care: bool | None = None
    consented: bool | None = None

    def concerns(self, facts: Facts) -> bool:
        """Whether it may hold for this caller, before a person or a thing is looked at."""
        if self.person is not None and facts.person is not self.person:
            return False
        if not facts.person and (self.in_care is not None or self.roles):
            return False  # of a system nobody knows whom it cares for
        purpose = Purpose.NORMAL.value if facts.purpose in CARE_PURPOSES else facts.purpose
        return (
            (not self.roles or not self.roles.isdisjoint(facts.roles))
            and self._is_of(facts)
            and (not self.purpose or purpose in self.purpose)
        )

    def holds(self, facts: Facts) -> bool:
        """Whether all of it holds."""
        return (
            self.concerns(facts)
            and (not self.kind or facts.kind in self.kind)
            and (not self.confidentiality or not self.confidentiality.isdisjoint(facts.confidentiality))
            and self.emergency in (None, facts.emergency)
            and self.minor in (None, facts.minor)
            and self.in_care in (None, facts.professional and facts.in_care)
            and self.consented in (None, facts.consented or facts.consented_by_name)
        )

    def _is_of(self, facts: Facts) -> bool:
        """Whether the professional is one of those that it names."""
        if not (self.professions or self.specialities or self.structures):
            return True
        who = facts.vouched if facts.person else None
        return (
            who is not None
            and (not self.professions or who.profession in self.professions)
            and (not self.specialities or not self.specialities.isdisjoint(who.specialities))
            and (not self.structures or who.structure in self.structures)
        )

    def line(self) -> Rule:
        """As a line of the table. What it says to the caller is not the region's to write: it tells nothing."""
        return Rule(self.name, self.holds, self.allows, _ALLOWED if self.allows else HIDDEN, self.why, self.source)


def table(rules: Sequence[RegionRule]) -> tuple[Rule, ...]:
    """The whole matrix with the region's rules in their places, in the order in which the region wrote them."""
    return tuple(_placed(rules)) if rules else RULES


def _placed(rules: Collection[RegionRule]) -> Iterable[Rule]:
    for rule in RULES:
        if rule.name == REFUSE_BEFORE:
            yield from (item.line() for item in rules if not item.allows)
        if rule.name == ALLOW_BEFORE:
            yield from (item.line() for item in rules if item.allows)
        yield rule
