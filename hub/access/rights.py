"""The one decision of every transaction and every page: may this caller read this of this person?"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from hub.access.model import Purpose, Scheme
from hub.access.region_rules import RegionRule, table
from hub.access.rights_facts import (
    EVERYBODY,
    Caller,
    Kept,
    RightsSettings,
    caller,
    is_told,
    of_person,
    who,
    with_thing,
    word,
)
from hub.access.rights_model import (
    Broken,
    Choice,
    Consent,
    KeptConsent,
    Kind,
    KnownPerson,
    Manifests,
    Matter,
    NotForYou,
    People,
    Ruling,
    Thing,
)
from hub.access.rules import Facts, Rule, decide, ruling
from hub.access.store_rights import Care, Number, RightsStore
from hub.context import Context
from hub.storage.beside import Beside
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now

log = logging.getLogger(__name__)

Row = TypeVar("Row", KeptConsent, Care, Broken)

#: Rules whose use is told to the data-protection officer.
TOLD = frozenset({"break-glass", "regulation"})
_EMERGENCIES = frozenset({Purpose.BREAK_GLASS.value, Purpose.REGULATION.value})


class Nobody:
    """No patients room: identifiers mean what they say."""

    def known(self, identifiers: Iterable[PatientIdentifier]) -> Mapping[PatientIdentifier, KnownPerson]:  # noqa: ARG002
        """Nobody."""
        return {}


class NoManifests:
    """No documents room: a study is as confidential as it says itself."""

    def of_studies(self, uids: Collection[str]) -> Mapping[str, frozenset[str]]:  # noqa: ARG002
        """None."""
        return {}


class RightsService:
    """Rights, as the rooms ask for them. ``people`` and ``manifests`` are set once the rooms are there that know."""

    def __init__(
        self,
        *,
        database: Database,
        people: People | None = None,
        settings: RightsSettings | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.database = database
        self.people: People = people or Nobody()
        self.manifests: Manifests = NoManifests()
        #: Hear that the glass was broken, in its unit of work.
        self.listeners: list[Callable[[Broken, Context], object]] = []
        self.settings = settings or RightsSettings()
        self.clock = clock
        self.table = table(self.settings.rules)
        self._refusing = tuple(rule for rule in self.settings.rules if not rule.allows)
        self._marking = tuple(rule for rule in self._refusing if rule.confidentiality)
        self._opposed = False  # whether anybody opposes, or did since this process began

    # The rooms' side

    def plain(self, context: Context) -> bool:
        """Whether nothing at all can be hidden from the caller: the hub itself, or a system that asks for no emergency
        while nobody opposes anything and no rule of the region may refuse it. One look at an index, none any more once
        somebody has opposed."""
        principal = context.principal
        if principal.scheme is Scheme.INTERNAL:
            return True
        purpose = principal.purpose or context.purpose
        restricted = principal.person or principal.about or not principal.authenticated
        if restricted or purpose in _EMERGENCIES or self._opposed:
            return False
        if self._refusing and _concerned(self._refusing, caller(context, self.settings)):
            return False
        with self.database.reading() as work:
            self._opposed = RightsStore(work).any_opposed()
        return not self._opposed

    def visible(self, things: Sequence[Thing], context: Context) -> Sequence[bool]:
        """For each thing whether the caller may read it; one look-up a person, not one a thing."""
        if context.principal.scheme is Scheme.INTERNAL:
            return [True] * len(things)
        return [rule.allows for rule in self._rules(things, context, told=True)]

    def ahead(self, patients: Sequence[PatientIdentifier], context: Context) -> Beside | None:
        """What ``visible`` will ask the database about these persons, for those who send it along with a question of
        their own. Within a unit of work that reads; what is asked is answered once for all of it."""
        if not patients or context.principal.scheme is Scheme.INTERNAL:
            return None
        with self.database.reading() as work:
            numbers = _numbers(self.people.known(patients), patients)
            return RightsStore(work).ahead(_every(numbers), person=context.principal.person)

    def require(self, thing: Thing, context: Context) -> None:
        """Raises NotForYou."""
        if not self.visible([thing], context)[0]:
            raise NotForYou()

    def feeding(self, patient: PatientIdentifier) -> bool:
        """Whether the hub may publish about the person: FEEDING is not opposed. Joins the open unit of work."""
        return self.said(patient, Matter.FEEDING) is not Choice.OPPOSITION

    def rulings(self, things: Sequence[Thing], context: Context) -> Sequence[Ruling]:
        """As ``visible``, with the rule that decided: for those who explain. Nothing is told to anybody."""
        return [ruling(rule) for rule in self._rules(things, context, told=False)]

    def said(self, patient: PatientIdentifier, matter: Matter) -> Choice:
        """The patient's word to everybody on a matter, as it stands now."""
        kept = self.word(patient, matter)
        return kept.choice if kept is not None else Choice.UNKNOWN

    def word(self, patient: PatientIdentifier, matter: Matter) -> Consent | None:
        """The word to everybody that counts now; None when there is none."""
        with self.database.reading() as work:
            kept = RightsStore(work).standing(self.numbers(patient))
        found = word(kept, matter, EVERYBODY, self.clock())
        return found.consent if found is not None else None

    def numbers(self, patient: PatientIdentifier) -> tuple[Number, ...]:
        """Every number of the person whom an identifier means, at least its own."""
        known = self.people.known([patient]).get(patient)
        return known.numbers if known is not None else ((patient.value, patient.authority),)

    # How

    def _rules(self, things: Sequence[Thing], context: Context, *, told: bool) -> list[Rule]:
        if not things:
            return []
        by, at = caller(context, self.settings), self.clock()
        patients = {thing.patient for thing in things}
        with self.database.reading() as work:
            things = self._marked(things, by)
            known = self.people.known([*patients, *([by.about] if by.about is not None else [])])
            kept = self._kept(RightsStore(work), known, patients, by)
        persons = {
            patient: _about(of_person(by, known.get(patient), kept[patient], context, at), patient, known, by)
            for patient in patients
        }
        decided: dict[object, Rule] = {}
        found = []
        for thing in things:
            mine = by.ids.isdisjoint(thing.authors), by.structures.isdisjoint(thing.authors)
            key = (thing.patient, thing.kind, thing.confidentiality, *mine)
            rule = decided.get(key)
            if rule is None:
                rule = decided[key] = decide(with_thing(persons[thing.patient], thing, by), self.table)
            found.append(rule)
        if told:
            broken = {thing.patient for thing, rule in zip(things, found, strict=True) if rule.name in TOLD}
            professional, regulating = who(context.principal), by.facts.purpose == Purpose.REGULATION
            for patient in broken:
                context.touch("glass", professional)  # the audit record tells it
                if not is_told(kept[patient].glass, professional, at, regulating=regulating):
                    self.tell(known[patient].regional if patient in known else patient, context, at)
        return found

    def _marked(self, things: Sequence[Thing], by: Caller) -> Sequence[Thing]:
        """Studies with the confidentiality of their manifests: what is masked can't be had by its UIDs. Systems are
        bound by no confidentiality but what a region's rule says of it: else nothing is looked up for them."""
        bound = by.facts.person or _concerned(self._marking, by)
        if not bound or not any(thing.kind is Kind.STUDY for thing in things):
            return things
        codes = self.manifests.of_studies({thing.study for thing in things if thing.study})
        return [
            replace(thing, confidentiality=thing.confidentiality | codes[thing.study])
            if thing.study in codes
            else thing
            for thing in things
        ]

    @staticmethod
    def _kept(
        store: RightsStore,
        known: Mapping[PatientIdentifier, KnownPerson],
        patients: Iterable[PatientIdentifier],
        by: Caller,
    ) -> dict[PatientIdentifier, Kept]:
        """What is kept about each, with one question to the database."""
        numbers = _numbers(known, patients)
        words: defaultdict[PatientIdentifier, list[KeptConsent]] = defaultdict(list)
        care: defaultdict[PatientIdentifier, list[Care]] = defaultdict(list)
        glass: defaultdict[PatientIdentifier, list[Broken]] = defaultdict(list)
        found = store.about(_every(numbers), person=by.facts.person)
        for kept in found.words:
            words[kept.consent.identity].append(kept)
        for item in found.care:
            care[item.identity].append(item)
        for broken in found.glass:
            glass[broken.patient].append(broken)
        return {
            patient: Kept(_of(words, theirs), _of(care, theirs), _of(glass, theirs))
            for patient, theirs in numbers.items()
        }

    def tell(self, patient: PatientIdentifier, context: Context, at: datetime, reason: str = "") -> Broken:
        """Keep that the glass was broken: the officer's list shows it, and it stays so for the time of the settings."""
        principal, professional = context.principal, context.principal.professional
        broken = Broken(
            patient=patient,
            professional=who(principal),
            name=principal.name,
            structure=professional.structure if professional is not None else principal.organisation,
            purpose=principal.purpose or context.purpose,
            reason=reason or principal.reason,
            at=at,
            until=at + timedelta(minutes=self.settings.break_glass_minutes),
            secret=principal.secret,
        )
        with self.database.transaction() as work:
            store = RightsStore(work)
            store.lock(f"glass:{patient.value}^{patient.authority}")
            known = store.glass([(patient.value, patient.authority)])
            if not is_told(known, broken.professional, at, regulating=broken.purpose == Purpose.REGULATION):
                store.add_glass(broken)
                for listener in self.listeners:
                    listener(broken, context)
                log.warning("the glass was broken", extra={"correlation_id": context.correlation_id})
        return broken


def _concerned(rules: Iterable[RegionRule], by: Caller) -> bool:
    """Whether one of the rules may hold for the caller."""
    return any(rule.concerns(by.facts) for rule in rules)


def _numbers(
    known: Mapping[PatientIdentifier, KnownPerson], patients: Iterable[PatientIdentifier]
) -> dict[PatientIdentifier, tuple[Number, ...]]:
    """Every number of each, at least the one that is asked about."""
    return {
        patient: known[patient].numbers if patient in known else ((patient.value, patient.authority),)
        for patient in patients
    }


def _every(numbers: Mapping[PatientIdentifier, tuple[Number, ...]]) -> list[Number]:
    return sorted({number for theirs in numbers.values() for number in theirs})


def _of(rows: Mapping[PatientIdentifier, Sequence[Row]], numbers: Iterable[Number]) -> list[Row]:
    """The rows of a person's numbers."""
    return [row for number in numbers for row in rows.get(PatientIdentifier(*number), ())]


def _about(
    facts: Facts, patient: PatientIdentifier, known: Mapping[PatientIdentifier, KnownPerson], by: Caller
) -> Facts:
    """Whether the caller's proof is good for this person, where it names one."""
    if by.about is None:
        return facts
    mine, theirs = known.get(by.about), known.get(patient)
    same = by.about == patient if mine is None or theirs is None else mine.regional == theirs.regional
    return replace(facts, about=same)
