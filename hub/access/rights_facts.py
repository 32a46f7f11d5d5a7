"""The facts that the rules look at, from what is known of a caller, of a person and of a thing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from hub.access.model import Principal, Purpose, Scheme
from hub.access.region_rules import RegionRule
from hub.access.rights_model import Broken, Choice, KeptConsent, KnownPerson, Matter, Thing
from hub.access.rules import CARE_PURPOSES, Facts
from hub.access.store_rights import Care
from hub.context import Context
from hub.values import PatientIdentifier

_OF_AGE = 18
EVERYBODY = ("",)  #: whom a word is about that names nobody


@dataclass(frozen=True, slots=True)
class RightsSettings:
    """What a region decides itself. ``care_relationship``: "asserted", a professional's own proof with the purpose
    normal declares it; "known", it must be known from elsewhere. ``regulators``: structures (national ids) that
    regulate emergencies. ``occupational``: specialities of occupational health. ``rules``: the region's own, in its
    order."""

    care_relationship: Literal["asserted", "known"] = "asserted"
    break_glass_minutes: int = 60
    regulators: frozenset[str] = frozenset()
    indirect_reads: bool = True
    occupational: frozenset[str] = frozenset({"SM25"})
    rules: tuple[RegionRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's caller, once for all things."""

    facts: Facts
    ids: frozenset[str]  #: theirs: as authors
    structures: frozenset[str]  #: their structure's
    about: PatientIdentifier | None

    @property
    def actors(self) -> frozenset[str]:
        """Who a patient's word or a care relationship names when it names them."""
        return self.ids | self.structures


def who(principal: Principal) -> str:
    """The national id of a professional, else what the caller is called here."""
    return principal.professional.id if principal.professional is not None else principal.id


def caller(context: Context, settings: RightsSettings) -> Caller:
    """What is known of the caller."""
    principal, professional = context.principal, context.principal.professional
    purpose = principal.purpose or context.purpose
    own = {principal.id, principal.source, professional.id if professional is not None else ""}
    structures = {principal.organisation, principal.node, professional.structure if professional is not None else ""}
    nobody = principal.scheme in (Scheme.NONE, Scheme.LOOPBACK)  # what the open sandbox brought is nobody's own
    facts = Facts(
        internal=principal.scheme is Scheme.INTERNAL,
        known=principal.authenticated,
        person=principal.person,
        roles=principal.roles if principal.person else frozenset(),
        indirect=principal.person and principal.level == "INDIRECTE" and not settings.indirect_reads,
        occupational=professional is not None and not settings.occupational.isdisjoint(professional.specialities),
        vouched=professional,
        purpose=purpose,
        reason=bool(principal.reason.strip()),
        regulator=professional is not None and professional.structure in settings.regulators,
        care_asserted=settings.care_relationship == "asserted" and purpose in CARE_PURPOSES,
    )
    return Caller(
        facts,
        frozenset() if nobody else frozenset(filter(None, own)),
        frozenset() if nobody else frozenset(filter(None, structures)),
        PatientIdentifier.from_cx(principal.about) if principal.about else None,
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept about one person."""

    words: Sequence[KeptConsent] = ()
    care: Sequence[Care] = ()
    glass: Sequence[Broken] = ()


def is_told(glass: Iterable[Broken], professional: str, at: datetime, *, regulating: bool) -> bool:
    """Whether it is kept that they broke the glass a short while ago, or (``regulating``) regulated an emergency: that
    one opens nothing beyond itself, and hides no reason that is given after it."""
    return any(
        item.professional == professional and item.until > at and (item.purpose == Purpose.REGULATION) is regulating
        for item in glass
    )


def of_person(by: Caller, known: KnownPerson | None, kept: Kept, context: Context, at: datetime) -> Facts:
    """The caller's facts with what concerns this person, before a thing is looked at."""
    every, named = (
        word(kept.words, Matter.CONSULTATION, EVERYBODY, at),
        word(kept.words, Matter.CONSULTATION, by.actors, at),
    )
    emergency = word(kept.words, Matter.EMERGENCY, EVERYBODY, at)
    opposed = every is not None and every.consent.choice is Choice.OPPOSITION
    yes = named is not None and named.consent.choice is Choice.CONSENT
    if yes and opposed and named is not None and every is not None:
        yes = _age(named) >= _age(every)  # said after the opposition to everybody
    professional = who(context.principal)
    return replace(
        by.facts,
        opposed=opposed,
        emergency_opposed=emergency is not None and emergency.consent.choice is Choice.OPPOSITION,
        blocked=any(
            item.consent.choice is Choice.OPPOSITION for item in _newest(kept.words, Matter.CONSULTATION, by.actors, at)
        ),
        consented=every is not None and every.consent.choice is Choice.CONSENT,
        consented_by_name=yes,
        care=frozenset(
            item.kind
            for item in kept.care
            if item.actor in by.actors and item.since <= at and (item.until is None or item.until > at)
        ),
        glass=by.facts.person and is_told(kept.glass, professional, at, regulating=False),
        minor=known is not None and bool(known.born) and all(_is_minor(text, at.date()) for text in known.born),
    )


def with_thing(facts: Facts, thing: Thing, by: Caller) -> Facts:
    """And what concerns the thing."""
    return replace(
        facts,
        kind=thing.kind,
        confidentiality=thing.confidentiality,
        own=not by.ids.isdisjoint(thing.authors),
        own_structure=not by.structures.isdisjoint(thing.authors),
    )


def word(words: Iterable[KeptConsent], matter: Matter, actors: Iterable[str], at: datetime) -> KeptConsent | None:
    """The newest word on the matter to one of the actors that holds. "Not collected" is no
    word: it takes nothing back that was said under another identity."""
    return max(_newest(words, matter, actors, at), key=_age, default=None)


def _newest(words: Iterable[KeptConsent], matter: Matter, actors: Iterable[str], at: datetime) -> list[KeptConsent]:
    """The newest word to each of the actors."""
    wanted, found = frozenset(actors), dict[str, KeptConsent]()
    for item in words:
        said = item.consent
        over = said.until is not None and said.until <= at
        if said.matter is not matter or said.actor not in wanted or said.choice is Choice.UNKNOWN or over:
            continue
        before = found.get(said.actor)
        if before is None or _age(item) >= _age(before):
            found[said.actor] = item
    return list(found.values())


def _age(item: KeptConsent) -> tuple[datetime, int]:
    return (item.consent.at, item.key)


def _is_minor(born: str, today: date) -> bool:
    """Whether they are surely not of age; what is not told of the date counts as early."""
    digits = born[:8]
    if not digits.isdecimal() or len(digits) < 4:
        return False
    year, month, day = int(digits[:4]), int(digits[4:6] or 1), int(digits[6:8] or 1)
    return (today.year - year, today.month, today.day) < (_OF_AGE, month, day)
