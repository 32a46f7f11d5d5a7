"""Questions by demographics, answered whole or in portions (ITI TF-2: 3.47)."""

import hashlib
from dataclasses import replace
from datetime import timedelta

from hub.context import Context
from hub.patients.errors import SearchTooBroad, UnknownQuery
from hub.patients.model import FindPersons, Identity, Person, Traits
from hub.patients.normalise import glued, mother_key, name_keys, phone_key, place_key, selects, words
from hub.patients.portions_model import (
    Asked,
    AskedName,
    CancelDemographics,
    ContinueDemographics,
    DemographicsPage,
    QueryDemographics,
)
from hub.patients.service import PatientService
from hub.patients.store_portions import PortionStore, Waiting
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import PatientIdentifier, now

MOST = 500  #: persons of one answer, portions together
KEPT = timedelta(hours=1)
_PAGE, _PAGES = 200, 25
_DIGITS = 9  #: of a phone number that count, from its end
_WHOLE = len("YYYYMMDD")


class PortionService:
    """Finds with the room's search, which never reads the whole index, and then compares all that was asked."""

    def __init__(self, database: Database, patients: PatientService) -> None:
        self.database = database
        self.patients = patients

    @use_case
    def query(self, command: QueryDemographics, context: Context) -> DemographicsPage:
        """Who answers the description. Raises SearchTooBroad, UnknownDomain."""
        self.patients.check_domains(command.domains)
        found = self.matching(command.asked, context)
        count = len(found) if command.quantity is None else min(command.quantity, len(found))
        if command.quantity is not None:  # else there is nothing to go on with
            numbers = tuple((person.regional.value, person.regional.authority) for person in found)
            at = now()
            with self.database.transaction() as work:
                store = PortionStore(work)
                store.sweep(at)
                key = _key(command.query, context)
                store.forget(key)  # of another question that was called the same: nobody goes on with that
                if count < len(found):
                    store.add(key, Waiting(numbers, command.domains, count), at + KEPT)
        return _told(found[:count], len(found), len(found) - count, command.domains, context)

    @use_case
    def go_on(self, command: ContinueDemographics, context: Context) -> DemographicsPage:
        """The next portion; what was told may be asked for again for an hour. Raises UnknownQuery."""
        key, at = _key(command.query, context), now()
        with self.database.transaction() as work:
            store = PortionStore(work)
            waiting = store.get(key, at)
            if waiting is None:
                raise UnknownQuery()
            total = len(waiting.persons)
            first = min(waiting.told if command.start is None else max(command.start - 1, 0), total)
            last = total if command.quantity is None else min(first + command.quantity, total)
            store.told(key, last, at + KEPT)
        every = (self.patients.person(PatientIdentifier(*item)) for item in waiting.persons[first:last])
        persons = {person.regional: person for person in every if person is not None}  # some may be one by now
        return _told(list(persons.values()), total, total - last, waiting.domains, context)

    @use_case
    def cancel(self, command: CancelDemographics, context: Context) -> None:
        """Forget what is left of an answer."""
        with self.database.transaction() as work:
            PortionStore(work).forget(_key(command.query, context))

    def matching(self, asked: Asked, context: Context) -> list[Person]:
        """Everybody who answers, each once, in the order of the search. Raises SearchTooBroad."""
        found: dict[PatientIdentifier, Person] = {}
        looking = Context(principal=context.principal)  # who is looked at and not told is not audited as told
        for search in _searches(asked):
            cursor = ""
            for _ in range(_PAGES):
                page = self.patients.find(replace(search, cursor=cursor), looking)
                found |= {person.regional: person for person in page.persons if self._answers(person, asked)}
                cursor = page.cursor
                if not cursor or len(found) > MOST:
                    break
            if cursor or len(found) > MOST:
                raise SearchTooBroad("Too many people answer this description: say more about the one you mean.")
        return list(found.values())

    def _answers(self, person: Person, asked: Asked) -> bool:
        """By the first group of numbers the index found the person, as by one that was merged away."""
        if not all(self._numbered(person, group) for group in asked.identifiers[1:]):
            return False
        return any(_fits(identity.traits, asked) for identity in _active(person))

    def _numbered(self, person: Person, group: tuple[PatientIdentifier, ...]) -> bool:
        known = set(person.identifiers)
        return any(item in known or self.patients.resolve(item) == person.regional for item in group)


def _told(
    persons: list[Person], total: int, remaining: int, domains: tuple[str, ...], context: Context
) -> DemographicsPage:
    for person in persons:
        context.touch("patient", person.regional.cx)
    return DemographicsPage(tuple(persons), total, remaining, domains)


def _key(query: str, context: Context) -> str:
    """One asker's question: nobody goes on with another's."""
    asker = f"{context.principal.id}\n{context.source}\n{query}"
    return hashlib.sha256(asker.encode()).hexdigest()


def _searches(asked: Asked) -> list[FindPersons]:
    """The searches whose results together hold everybody who may answer."""
    if asked.identifiers:
        return [FindPersons(identifier=identifier, limit=_PAGE) for identifier in asked.identifiers[0]]
    first, last = asked.born
    day = first if first == last else ""
    names = asked.names or (AskedName(),)
    searches = [
        FindPersons(name=name.family, given="".join(name.given[:1]), birth_date=day, sex=asked.sex, limit=_PAGE)
        for name in names
    ]
    if len(day) == _WHOLE or all(selects(name.family) for name in names):
        return searches
    key = _key_of(asked.traits)
    return [replace(search, key=key) for search in searches] if key else searches


def _key_of(traits: Traits) -> str:
    """What selects where neither a name nor a birth date does."""
    keys = (phone_key(traits.phone), mother_key(traits.mother_name))
    places = (place_key(text) for text in (traits.address, traits.postal_code, traits.city))
    return next((key for key in (*keys, *places) if key), "")


def _active(person: Person) -> list[Identity]:
    return [identity for identity in person.identities if identity.active]


def _fits(traits: Traits, asked: Asked) -> bool:
    return (
        (not asked.names or any(_named(traits, name) for name in asked.names))
        and (not asked.sex or traits.sex == asked.sex)
        and _born(traits.birth_date, asked.born)
        and _described(traits, asked.traits)
    )


def _named(traits: Traits, asked: AskedName) -> bool:
    families = {traits.birth_name, traits.used_name}
    if asked.loose:
        families |= set(name_keys(traits))  # a part of a compound name, or without its particle
    first = {traits.birth_given, traits.used_given, traits.given_names}
    given = first | {word for name in first for word in words(name).split()}
    return _among(asked.family, families, loose=asked.loose) and all(
        _among(name, given, loose=asked.loose) for name in asked.given
    )


def _among(asked: str, known: set[str], *, loose: bool) -> bool:
    wanted = glued(asked)
    if not wanted:
        return not asked.strip()
    return any(name == wanted or (loose and name.startswith(wanted)) for name in map(glued, known))


def _born(known: str, asked: tuple[str, str]) -> bool:
    """Whether the days that a birth date may be, and those asked for, have one in common."""
    first, last = asked
    if not first and not last:
        return True
    if not known:
        return False
    return known.ljust(8, "0") <= (last or "9").ljust(8, "9") and known.ljust(8, "9") >= first.ljust(8, "0")


def _described(known: Traits, asked: Traits) -> bool:
    exact = ((known.birth_place, asked.birth_place), (known.country, asked.country))
    begun = ((known.city, asked.city), (known.postal_code, asked.postal_code), (known.address, asked.address))
    return (
        all(not wanted or words(value) == words(wanted) for value, wanted in exact)
        and all(not wanted or words(value).startswith(words(wanted)) for value, wanted in begun)
        and (not asked.mother_name or _among(asked.mother_name, {known.mother_name}, loose=False))
        and (not asked.phone or _digits(known.phone) == _digits(asked.phone))
    )


def _digits(phone: str) -> str:
    return "".join(character for character in phone if character.isdecimal())[-_DIGITS:]
