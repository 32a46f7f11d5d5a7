"""Whom a described patient may be, each candidate with a grade (PDQm: ITI-119, ``Patient/$match``).

Certain is what the index itself would link: a number that is known, or the rules of ``matching``, and nothing that
contradicts. A score, where there is a model, grades the rest; what it finds is never more than probable."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from hub.context import Context
from hub.patients.discovery import DiscoveryIncomplete
from hub.patients.errors import SearchTooBroad, UnknownDomain
from hub.patients.ins_model import qualify
from hub.patients.lookup_model import Grade, Matched, MatchPerson
from hub.patients.matching import basis, contradiction, strict, vetoes
from hub.patients.model import FindPersons, Identity, Person
from hub.patients.normalise import selects, words
from hub.patients.scoring.vetoes import PROVISIONAL
from hub.patients.service import PatientService
from hub.patients.steward_model import Score
from hub.patients.store_keys import KeyStore
from hub.patients.store_search import PatientReader
from hub.usecase import use_case
from hub.values import PatientIdentifier

PROBABLE, POSSIBLE = 0.99, 0.5
_MOST = 100  #: candidates of each question to the index
_ORDER = (Grade.CERTAIN, Grade.PROBABLE, Grade.POSSIBLE)


class Scorer(Protocol):
    """What weighs two identities (``hub.patients.scoring``)."""

    def keys(self, identity: Identity) -> tuple[tuple[str, int], ...]:
        """Blocking keys, under which possible candidates are stored."""
        ...

    def score(self, one: Identity, other: Identity) -> Score:
        """The reckoning, with what forbids a decision."""
        ...


class MatchService:
    """ITI-119. ``scorer`` None: the rules alone grade."""

    def __init__(self, *, patients: PatientService, scorer: Scorer | None = None) -> None:
        self.patients = patients
        self.scorer = scorer

    @use_case
    def match(self, command: MatchPerson, context: Context) -> tuple[Matched, ...]:
        """Candidates, the likeliest first. Raises DiscoveryIncomplete."""
        described = command.described
        status, ins = qualify(described.status, described.ins, described.attributes)
        command = replace(command, described=replace(described, status=status, ins=ins))
        known = {person.regional: person for person in self._numbered(command.numbers)}
        others = {person.regional: person for person in self._candidates(command)} if self._searchable(command) else {}
        if not known and not command.numbers and not self._searchable(command):
            raise DiscoveryIncomplete()
        several = len(known) > 1  # its numbers mean different persons: a person must decide
        found = [self._by_number(command.described, person, several=several) for person in known.values()]
        found += [
            graded
            for key, person in others.items()
            if key not in known and (graded := self._graded(command.described, person)) is not None
        ]
        found.sort(key=lambda item: (_ORDER.index(item.grade), -item.probability, item.person.regional.value))
        if command.only_certain:
            found = [item for item in found if item.grade is Grade.CERTAIN]
            found = found if len(found) == 1 else []
        told = tuple(found[: max(0, command.limit)])
        for item in told:
            context.touch("patient", item.person.regional.cx)
        persons = self.patients.with_details(item.person for item in told)
        return tuple(replace(item, person=person) for item, person in zip(told, persons, strict=True))

    @staticmethod
    def _searchable(command: MatchPerson) -> bool:
        traits = command.described.traits
        name = words(traits.birth_name) or words(traits.used_name)
        return len(traits.birth_date) == 8 or (selects(name) and len(traits.birth_date) >= 4)

    def _numbered(self, numbers: Iterable[PatientIdentifier]) -> Iterable[Person]:
        return (person for number in numbers if (person := self.patients.person(number)) is not None)

    def _candidates(self, command: MatchPerson) -> Iterable[Person]:
        """Those with a name of it and the birth date, and with a given name and the full birth date."""
        traits = command.described.traits
        born = traits.birth_date
        questions = [
            FindPersons(command.only, name=name, birth_date=born, limit=_MOST)
            for name in dict.fromkeys((traits.birth_name, traits.used_name))
            if selects(name)
        ]
        if len(born) == 8:
            questions += [FindPersons(command.only, given=traits.birth_given, birth_date=born, limit=_MOST)]
        for question in questions:
            try:
                yield from self.patients.find(question, Context()).persons
            except (SearchTooBroad, UnknownDomain):  # the latter: the only person is nobody here
                continue
        if command.only is None:
            yield from self._blocked(command.described)
        elif self.scorer is not None:
            yield from self._alike(command.described, self._numbered([command.only]))

    def _blocked(self, described: Identity) -> Iterable[Person]:
        """Those who share a blocking key of the model."""
        if self.scorer is None:
            return ()
        with self.patients.database.reading() as work:
            keys = [key for _, key in self.scorer.keys(described)]
            members = map(PatientReader(work).identity, KeyStore(work).candidates(keys, 0)[:_MOST] if keys else ())
            numbers = [member.identity.identifier for member in members if member is not None]
        return self._numbered(numbers)

    def _alike(self, described: Identity, persons: Iterable[Person]) -> Iterable[Person]:
        """Of these, who shares a blocking key of the model: nothing is looked up."""
        assert self.scorer is not None
        wanted = {key for _, key in self.scorer.keys(described)}
        for person in persons:
            if any(key in wanted for item in person.identities for _, key in self.scorer.keys(item)):
                yield person

    @staticmethod
    def _by_number(described: Identity, person: Person, *, several: bool) -> Matched:
        contradicted = any(contradiction(described, item) for item in person.identities)
        if contradicted or several:
            return Matched(person, Grade.POSSIBLE, POSSIBLE)
        return Matched(person, Grade.CERTAIN, 1.0)

    def _graded(self, described: Identity, person: Person) -> Matched | None:
        contradicted = any(contradiction(described, item) or vetoes(described, item) for item in person.identities)
        if not contradicted and any(basis(described, item) for item in person.identities):
            return Matched(person, Grade.CERTAIN, 1.0)
        if self.scorer is None:
            return None if contradicted else _by_traits(described, person)
        scores = [self.scorer.score(described, item) for item in person.identities]
        if not scores:
            return None
        best = max(scores, key=lambda item: item.probability)
        forbidden = contradicted or any(set(item.vetoes) - {PROVISIONAL} for item in scores)
        if best.probability < POSSIBLE:
            return None
        likely = min(best.probability, PROBABLE)
        if forbidden:  # a twin, a relative: likely by what they share, and not by what tells them apart
            return Matched(person, Grade.POSSIBLE, likely / 2, best)
        return Matched(person, Grade.PROBABLE if likely == PROBABLE else Grade.POSSIBLE, likely, best)


def _by_traits(described: Identity, person: Person) -> Matched | None:
    """Without a model: how many of the strict traits agree, of those that both have."""
    mine, theirs = strict(described.traits), strict(person.traits)
    both = [(a, b) for a, b in zip(mine, theirs, strict=True) if a and b]
    agree = sum(a == b for a, b in both)
    if not both or agree < 2:
        return None
    whole = all(mine[:3]) and mine[:3] == theirs[:3]  # name, given name, birth date
    return Matched(person, Grade.PROBABLE if whole else Grade.POSSIBLE, round(0.9 * agree / len(mine), 3))
