"""Identity questions of a caller whose proof is about one person: everybody else is as if nobody knew them.

Rights decide whom the proof is about (rules ``another-patient``, ``patient-unnamed``). A question that names somebody
else is carried out about a number that was made up this moment; one that describes somebody is asked about the one
person, or its answer holds nobody else. So errors, totals and pages are those of a stranger, and so is the cost: to
look for whoever is described (ITI-55, ITI-119) is to compare them with the one person, who is found by their number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.access.model import Principal
from hub.access.rights_model import Kind, Rights, Thing
from hub.access.rules import PATIENT, REPRESENTATIVE, WITHOUT_READING
from hub.context import Context
from hub.federation.model import Discovered, DiscoverPatient, LocatePatient
from hub.patients.discovery import SeveralMatches
from hub.patients.errors import UnknownDomain
from hub.patients.lookup_model import FindNumbers, Matched, MatchPerson, SearchPersons
from hub.patients.model import CrossReference, FindPersons, GetPerson, Person, PersonPage, Traits
from hub.patients.portions_model import Asked, ContinueDemographics, DemographicsPage, QueryDemographics
from hub.patients.visits_model import FindVisits, VisitPage
from hub.usecase import Command, Dispatcher, Handler
from hub.values import PatientIdentifier, new_key

_THEMSELVES = frozenset({PATIENT, REPRESENTATIVE})
_MOST = 1000
_NOBODY = PatientIdentifier("0", "")
#: (the room's handler, command, the room's company, the only person)
_Asked = Callable[[Handler, Any, Context, "OnePerson"], Any]


def bound_to_one(principal: Principal) -> bool:
    """Whether the caller may know of one person at most."""
    themselves = principal.roles & _THEMSELVES and not principal.roles - WITHOUT_READING - _THEMSELVES
    return bool(principal.about or themselves)


class OnePerson:
    """The person whom a caller's proof is about."""

    def __init__(self, rights: Rights, context: Context) -> None:
        self._rights = rights
        self._context = context
        about = context.principal.about
        self.identifier = PatientIdentifier.from_cx(about) if about else None

    def meant(self, identifiers: Sequence[PatientIdentifier]) -> Sequence[bool]:
        """For each identifier whether it means them; to ask about none costs as much."""
        things = [Thing(Kind.PERSON, identifier) for identifier in identifiers or (_NOBODY,)]
        return self._rights.visible(things, self._context)[: len(identifiers)]

    def is_meant(self, identifier: PatientIdentifier) -> bool:
        """Whether an identifier means them."""
        return self.meant([identifier])[0]

    def named(self, identifier: PatientIdentifier) -> PatientIdentifier:
        """The identifier if it means them, else one of the same authority that means nobody."""
        return identifier if self.is_meant(identifier) else replace(identifier, value=new_key())

    @property
    def only(self) -> PatientIdentifier:
        """By what they are looked up; nobody's where the proof names nobody."""
        return self.identifier or replace(_NOBODY, value=new_key())

    def these(self, identifiers: Sequence[PatientIdentifier]) -> tuple[PatientIdentifier, ...]:
        """Those that mean them; in the place of others such as mean nobody, of the same authorities."""
        answers = self.meant(identifiers)
        pairs = zip(identifiers, answers, strict=True)
        return tuple(item if mine else replace(item, value=new_key()) for item, mine in pairs)

    def asked(self, asked: Asked) -> Asked:
        """What is asked, of them alone: found by their number, so that it costs the same whomever it describes."""
        return replace(asked, identifiers=((self.only,), *asked.identifiers))

    def among(self, persons: tuple[Person, ...]) -> tuple[Person, ...]:
        """Them, if they are among the persons: told, and so noted for the audit trail."""
        answers = self.meant([person.regional for person in persons])
        told = tuple(person for person, mine in zip(persons, answers, strict=True) if mine)
        for person in told:
            self._context.touch("patient", person.regional.cx)
        return told


def _named(room: Handler, command: Any, context: Context, one: OnePerson) -> Any:
    return room(replace(command, identifier=one.named(command.identifier)), context)


def _numbers(room: Handler, command: FindNumbers, context: Context, one: OnePerson) -> Any:
    asked = replace(command.identifier, authority="", namespace="") if command.regional else command.identifier
    other = replace(command.identifier, value=new_key())
    return room(command if one.is_meant(asked) else replace(command, identifier=other), context)


def _described(room: Handler, command: FindPersons, context: Context, one: OnePerson) -> PersonPage:
    if command.identifier is not None:
        return PersonPage(one.among(_named(room, command, context, one).persons))
    if one.identifier is None:
        return PersonPage(())
    typed = command.identifier_value.strip()
    try:
        found: PersonPage = room(replace(command, identifier=one.identifier, identifier_value="", cursor=""), context)
    except UnknownDomain:
        if command.domains:
            raise
        return PersonPage(())
    persons = (item for item in found.persons if not typed or typed in {known.value for known in item.identifiers})
    return PersonPage(one.among(tuple(persons)))


def _searched(room: Handler, command: SearchPersons, context: Context, one: OnePerson) -> PersonPage:
    if one.identifier is None:
        return PersonPage((), total=0)
    me = (one.identifier,)  # twice: the first only selects
    ids = command.ids
    if ids is not None:
        meant = one.meant([PatientIdentifier(number, "") for number in ids])
        ids = tuple(number for number, mine in zip(ids, meant, strict=True) if mine) or (new_key(),)
    page: PersonPage = room(replace(command, ids=ids, identifiers=(me, me, *command.identifiers), cursor=""), context)
    persons = one.among(page.persons)
    return PersonPage(persons, total=page.total if command.limit <= 0 else len(persons))


def _matched(room: Handler, command: MatchPerson, context: Context, one: OnePerson) -> tuple[Matched, ...]:
    numbers = one.these(command.numbers)
    wide = replace(command, numbers=numbers, only=one.only, only_certain=False, limit=_MOST)
    found: tuple[Matched, ...] = room(wide, context)
    persons = one.among(tuple(item.person for item in found))
    mine = [item for item in found if item.person in persons]
    kept = [item for item in mine if not command.only_certain or item.grade.value == "certain"]
    return tuple(kept[: max(0, command.limit)])


def _portion(
    room: Handler, command: QueryDemographics | ContinueDemographics, context: Context, one: OnePerson
) -> DemographicsPage:
    if isinstance(command, QueryDemographics):
        command = replace(command, asked=one.asked(command.asked))
    found: DemographicsPage = room(replace(command, quantity=None), context)
    persons = one.among(found.persons)
    return replace(found, persons=persons, total=len(persons), remaining=0)


def _visits(room: Handler, command: FindVisits, context: Context, one: OnePerson) -> VisitPage:
    page: VisitPage = room(replace(command, asked=one.asked(command.asked), start=0, limit=_MOST), context)
    persons = one.among(tuple({person.regional: person for person, _ in page.found}.values()))
    every = [item for item in page.found if item[0] in persons]
    shown = tuple(every[command.start : command.start + command.limit])
    return VisitPage(shown, len(every), max(0, len(every) - command.start - len(shown)))


def _discovered(room: Handler, command: DiscoverPatient, context: Context, one: OnePerson) -> Discovered:
    asked = replace(command, identifiers=one.these(command.identifiers), only=one.only)
    nobody: Discovered = room(replace(command, traits=Traits(), identifiers=(_NOBODY,)), context)
    try:
        found: Discovered = room(asked, context)
    except SeveralMatches:
        found = nobody
    return found if one.among((found.person,) if found.person is not None else ()) else nobody


#: The questions that tell who somebody is.
QUESTIONS: Mapping[type[Command], _Asked] = {
    GetPerson: _named,
    CrossReference: _named,
    LocatePatient: _named,
    FindNumbers: _numbers,
    FindPersons: _described,
    SearchPersons: _searched,
    MatchPerson: _matched,
    QueryDemographics: _portion,
    ContinueDemographics: _portion,
    FindVisits: _visits,
    DiscoverPatient: _discovered,
}


class AboutOne(Dispatcher):
    """All use cases; identity questions ask first whether the caller's proof is about one person."""

    def __init__(self, services: list[object], rights: Rights) -> None:
        super().__init__(services)
        for kind, asked in QUESTIONS.items():
            self._handlers[kind] = _bound(self._handlers[kind], asked, rights)


def _bound(room: Handler, asked: _Asked, rights: Rights) -> Handler:
    def answer(command: Command, context: Context) -> Any:
        if not bound_to_one(context.principal):
            return room(command, context)
        looked_at = replace(context, touched={})  # who is looked at and not told is not noted as told
        outcome = asked(room, command, looked_at, OnePerson(rights, context))
        for item in looked_at.touched:
            if item.kind != "patient" or asked in (_named, _numbers):
                context.touch(item.kind, item.reference)
        return outcome

    return answer
