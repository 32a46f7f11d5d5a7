"""Whether another community's person is one of this region: the index's own strict rules, one person or none (XCPD)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hub.context import Context
from hub.errors import Ambiguous, Invalid
from hub.patients.errors import UnknownDomain
from hub.patients.ins_model import valid
from hub.patients.matching import basis, contradiction, strict
from hub.patients.model import FindPersons, Identity, IdentityStatus, Person, PersonPage, Traits
from hub.patients.normalise import glued
from hub.values import PatientIdentifier

_MOST = 200


class DiscoveryIncomplete(Invalid):
    """Neither an identifier nor name and birth date (ITI TF-2: 3.55.4.1.2.1)."""

    code = "discovery-incomplete"
    title = "A patient is looked for by an identifier, or by family name and birth date."


class SeveralMatches(Ambiguous):
    """More than one person fits, or the identifier and the traits contradict each other: nobody is named."""

    code = "several-matches"
    title = "It can't be decided automatically which person is meant."


class Index(Protocol):
    """The patients room, as the matcher sees it."""

    def person(self, identifier: PatientIdentifier) -> Person | None:
        """Whom the identifier means."""
        ...

    def find(self, command: FindPersons, context: Context) -> PersonPage:
        """Persons that answer a description."""
        ...


@dataclass(frozen=True, slots=True)
class Match:
    """Exactly one person, or none. ``lacking``: strict traits that were not given and could decide."""

    person: Person | None = None
    lacking: tuple[str, ...] = ()


class Matcher:
    """Looks strangers up in the index. What they say is taken as an identity that was checked: who asks answers for
    it; everything else must fit as between two hospitals of the region."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def match(
        self, traits: Traits, identifiers: Sequence[PatientIdentifier], only: PatientIdentifier | None = None
    ) -> Match:
        """``only``: nobody but whom this means, looked up by it: it costs the same whoever is described.

        Raises DiscoveryIncomplete, SeveralMatches."""
        stranger = described(traits, identifiers)
        numbered = {person.regional: person for person in map(self.index.person, identifiers) if person is not None}
        if numbered:
            return Match(self._the_one(stranger, list(numbered.values())))
        if not traits.birth_name or not traits.birth_date:
            if identifiers:
                return Match()
            raise DiscoveryIncomplete()
        candidates = self._candidates(traits, only)
        exact = [person for person in candidates if any(basis(stranger, item) for item in person.identities)]
        if len(exact) > 1:
            raise SeveralMatches()
        if exact:
            return Match(exact[0])
        return Match(lacking=_lacking(stranger, candidates))

    @staticmethod
    def _the_one(stranger: Identity, persons: Sequence[Person]) -> Person:
        if len(persons) > 1 or any(contradiction(stranger, item) for item in persons[0].identities):
            raise SeveralMatches()
        return persons[0]

    def _candidates(self, traits: Traits, only: PatientIdentifier | None) -> tuple[Person, ...]:
        """Persons with that name and birth date; whom they are is audited only when one is named."""
        wanted = FindPersons(only, name=traits.birth_name, birth_date=traits.birth_date, limit=_MOST)
        try:
            return self.index.find(wanted, Context()).persons
        except UnknownDomain:  # the only person is nobody here
            return ()


def described(traits: Traits, identifiers: Iterable[PatientIdentifier]) -> Identity:
    """A stranger as an identity of an authority that is none of ours."""
    ins = next((item for item in identifiers if valid(item)), None)
    status = IdentityStatus.QUALIFIED if ins is not None else IdentityStatus.VALIDATED
    return Identity(PatientIdentifier("", ""), traits, status, ins=ins)


def agrees(person: Person, traits: Traits, identifiers: Iterable[PatientIdentifier]) -> bool:
    """Whether whom another community describes can be this person: nothing contradicts, and it tells the person's own
    birth name and birth date."""
    stranger = described(traits, identifiers)
    if any(contradiction(stranger, item) for item in person.identities):
        return False
    name, _, born, *_ = strict(traits)
    known_name, _, known_born, *_ = strict(person.traits)
    return bool(person.identities and name and born) and (name, born) == (known_name, known_born)


def _lacking(stranger: Identity, candidates: Sequence[Person]) -> tuple[str, ...]:
    """Which strict traits to ask for: only where somebody is left whom nothing excludes so far."""
    _, _, _, sex, place = strict(stranger.traits)
    missing = tuple(name for name, value in (("sex", sex), ("birth_place", place)) if not value)
    given = glued(stranger.traits.birth_given)
    possible = (
        person
        for person in candidates
        if glued(person.traits.birth_given) == given
        and not any(contradiction(stranger, item) for item in person.identities)
    )
    return missing if given and next(possible, None) is not None else ()
