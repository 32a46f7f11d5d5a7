"""Searches with many criteria over what the index can find: one criterion selects, the others are looked at."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hub.context import Context
from hub.patients.errors import InvalidCursor, SearchTooBroad, UnknownDomain, UnknownIdentifier
from hub.patients.lookup_model import Criterion, FindNumbers, Numbers, SearchPersons, Trait
from hub.patients.model import INS_AUTHORITIES, FindPersons, GetPerson, Person, PersonPage, Traits
from hub.patients.normalise import given_names, mother_key, name_keys, phone_key, place_key, selects, words
from hub.patients.service import PatientService
from hub.usecase import use_case
from hub.values import PatientIdentifier

_MOST_QUESTIONS = 20  #: to the index, for one page: a short page with a cursor comes rather than a long scan
_MOST_BRANCHES = 20  #: alternatives of the criterion that selects
_MOST_PERSONS = 200
_MOST_PAGES = 5  #: of people who are only counted


@dataclass(frozen=True, slots=True)
class _Branch:
    """What the index is asked, and how to know a person that this finds."""

    question: FindPersons
    finds: Callable[[Person], bool]


class PatientLookup:
    """PDQm and PIXm on the patients room. What is looked at and not told is not audited as told."""

    def __init__(self, *, patients: PatientService) -> None:
        self.patients = patients

    @use_case
    def search(self, command: SearchPersons, context: Context) -> PersonPage:
        """A page of persons. Raises SearchTooBroad, UnknownDomain, InvalidCursor."""
        limit = max(0, min(command.limit, _MOST_PERSONS))
        if command.active is False:
            return PersonPage((), total=0)  # a number that is no longer in use leads to the person who has it now
        branches = self._branches(command)
        if len(branches) > _MOST_BRANCHES:
            raise SearchTooBroad(f"At most {_MOST_BRANCHES} alternatives can be searched at once.")
        page = self._page(command, branches, limit) if limit else self._counted(command, branches)
        if command.counted and page.total is None:
            with contextlib.suppress(SearchTooBroad):
                page = replace(page, total=self._counted(command, branches).total)
        for person in page.persons:
            context.touch("patient", person.regional.cx)
        return replace(page, persons=self.patients.with_details(page.persons))

    @use_case
    def numbers(self, command: FindNumbers, context: Context) -> Numbers:
        """Every number of the person. Raises UnknownIdentifier, UnknownDomain, AmbiguousIdentifier."""
        patients = self.patients
        wanted = tuple(self._domain(item) for item in command.domains)
        if command.regional:
            number = command.identifier.value
            person = next(
                (found for domain in patients.affinity_domains
                 if (found := patients.person(PatientIdentifier(number, domain))) is not None), None,
            )  # fmt: skip
            if person is None:
                raise UnknownIdentifier()
            asked = person.regional
        else:
            asked = command.identifier
            if asked.namespace and not asked.authority:
                asked = replace(asked, authority=self._domain(asked, source=True))
            person = patients.get(GetPerson(asked), Context())
        context.touch("patient", person.regional.cx)
        every = [person.regional, *([person.ins] if person.ins else [])]
        every += [item.identifier for item in person.identities]
        told = (item for item in dict.fromkeys(every) if item != asked and (not wanted or item.authority in wanted))
        return Numbers(person.regional, tuple(told))

    def _domain(self, authority: PatientIdentifier, *, source: bool = False) -> str:
        """The OID of an authority that may be known by its URL only. Raises UnknownDomain."""
        known = authority.authority
        if not known:
            found = self.patients.directory.by_namespace(authority.namespace)
            known = found.oid if found is not None else ""
        if known and self._known(known):
            return known
        raise UnknownDomain() if source else UnknownDomain(domain=authority.authority or authority.namespace)

    def _known(self, oid: str) -> bool:
        """Whether it is a domain of this region."""
        if oid in self.patients.affinity_domains or oid in INS_AUTHORITIES:
            return True
        return bool(oid) and self.patients.directory.by_oid(oid) is not None

    # Searching

    def _page(self, command: SearchPersons, branches: Sequence[_Branch], limit: int) -> PersonPage:
        number, inner = _from_cursor(command.cursor, len(branches))
        persons: list[Person] = []
        for _ in range(_MOST_QUESTIONS):
            if number == len(branches):
                return PersonPage(tuple(persons), total=None if command.cursor else len(persons))
            if len(persons) == limit:
                break
            wanted = replace(branches[number].question, limit=limit - len(persons), cursor=inner)
            page = self._found(wanted)
            earlier = branches[:number]
            persons += (
                person
                for person in page.persons
                if person not in persons
                and not any(branch.finds(person) for branch in earlier)
                and self._fulfils(person, command)
            )
            number, inner = (number, page.cursor) if page.cursor else (number + 1, "")
        if number == len(branches) and not command.cursor:
            return PersonPage(tuple(persons), total=len(persons))
        return PersonPage(tuple(persons), f"{number}-{inner}" if number < len(branches) else "")

    def _counted(self, command: SearchPersons, branches: Sequence[_Branch]) -> PersonPage:
        """How many there are, and nobody. Raises SearchTooBroad."""
        total, cursor = 0, ""
        for _ in range(_MOST_PAGES):
            page = self._page(replace(command, cursor=cursor), branches, _MOST_PERSONS)
            total, cursor = total + len(page.persons), page.cursor
            if not cursor:
                return PersonPage((), total=total)
        raise SearchTooBroad("Too many people answer this description to be counted: say more about the one you mean.")

    def _found(self, question: FindPersons) -> PersonPage:
        try:
            return self.patients.find(question, Context())
        except UnknownDomain:  # a number of an authority that nobody knows is nobody's
            return PersonPage(())

    def _branches(self, command: SearchPersons) -> list[_Branch]:
        if command.ids is not None:
            return [_Branch(FindPersons(identifier_value=number), _has_id(number)) for number in command.ids]
        if command.identifiers:
            return [_Branch(_numbered(item), _has(item)) for item in command.identifiers[0]]
        start, end = command.born
        day = _only_day(command.born)
        given, sex = _pushed(command.criteria)
        common = FindPersons(
            birth_date=day or _common(start, end) or _year(command.maybe_born),
            domains=self._domains(command),
            given=given,
            sex=sex,
        )
        family = next((item for item in command.criteria if item.trait is Trait.FAMILY), None)
        if family is not None and all(map(selects, family.values)):
            return [
                _Branch(replace(common, name=value), _fulfils_one(Criterion(Trait.FAMILY, (value,), family.exact)))
                for value in family.values
            ]
        day = day or _only_day(command.maybe_born)
        if day:
            return [_Branch(replace(common, birth_date=day), lambda _person: True)]
        days = next(filter(None, (_days(item) for item in command.criteria if item.trait is Trait.BORN)), None)
        if days:
            return [
                _Branch(replace(common, birth_date=day), _fulfils_one(Criterion(Trait.BORN, (f"{day}-{day}",))))
                for day in days
            ]
        return [
            _Branch(replace(common, key=key), _fulfils_one(Criterion(trait, (value,), exact)))
            for trait, value, exact, key in _keyed(command.criteria)
        ]

    def _means(self, item: PatientIdentifier, person: Person) -> bool:
        if _has(item)(person):
            return True
        return bool(item.authority or item.namespace) and self.patients.resolve(item) == person.regional

    def _domains(self, command: SearchPersons) -> tuple[str, ...]:
        for domain in command.domains:
            if not self._known(domain):
                raise UnknownDomain(domain=domain)
        return command.domains

    def _fulfils(self, person: Person, command: SearchPersons) -> bool:
        if command.active and not person.identities:
            return False
        if command.ids is not None and not any(_has_id(number)(person) for number in command.ids):
            return False
        # By the first group the index found the person, also by numbers that were merged away.
        if not all(any(self._means(item, person) for item in group) for group in command.identifiers[1:]):
            return False
        domains = self._domains(command)
        if domains and not any(item.authority in domains for item in person.identifiers):
            return False
        return any(_described(traits, command) for traits in _every(person)) or not (
            command.criteria or any((*command.born, *command.maybe_born))
        )


def _every(person: Person) -> Iterator[Traits]:
    """The person as a whole, then as each hospital has it: one of these must fulfil all criteria."""
    yield person.traits
    for identity in person.identities:
        yield identity.traits


def _described(traits: Traits, command: SearchPersons) -> bool:
    start, end = command.born
    if (start or end) and not _within(traits.birth_date, start, end):
        return False
    if any(command.maybe_born) and not _touches(traits.birth_date, *command.maybe_born):
        return False
    return all(_fulfils(traits, item) for item in command.criteria)


def _fulfils_one(criterion: Criterion) -> Callable[[Person], bool]:
    return lambda person: any(_fulfils(traits, criterion) for traits in _every(person))


def _fulfils(traits: Traits, criterion: Criterion) -> bool:
    return any(_CHECKS[criterion.trait](traits, value, criterion.exact) for value in criterion.values)


def _family(traits: Traits, value: str, exact: bool) -> bool:
    if exact:
        return value in (traits.birth_name, traits.used_name)
    wanted = words(value)
    keys = name_keys(traits) if wanted else ()
    return any(key.startswith(wanted) for key in keys) or _begins((traits.birth_name, traits.used_name), value)


def _given(traits: Traits, value: str, exact: bool) -> bool:
    if exact:
        return value in (traits.birth_given, traits.used_given, *traits.given_names.split())
    wanted = words(value)
    names = given_names(traits) if wanted else ()
    return any(name.startswith(wanted) for name in names) or _begins((traits.birth_given, traits.used_given), value)


def _sex(traits: Traits, value: str, _exact: bool) -> bool:
    return (traits.sex or "U") == value


def _phone(traits: Traits, value: str, _exact: bool) -> bool:
    digits = _digits(value)
    return bool(digits) and _digits(traits.phone) == digits


def _born(traits: Traits, value: str, _exact: bool) -> bool:
    start, _, end = value.partition("-")
    return _within(traits.birth_date, start, end)


def _digits(number: str) -> str:
    """A number as it is dialled within the country: +33 1 23 45 67 89 and 01.23.45.67.89 are one."""
    found = "".join(character for character in number if character.isascii() and character.isdigit())
    for prefix in ("0033", "33"):
        if found.startswith(prefix) and len(found) == len(prefix) + 9:
            return f"0{found.removeprefix(prefix)}"
    return found


def _text(*names: str) -> Callable[[Traits, str, bool], bool]:
    def check(traits: Traits, value: str, exact: bool) -> bool:
        texts = tuple(getattr(traits, name) for name in names)
        return value in texts if exact else _begins(texts, value)

    return check


def _begins(texts: Sequence[str], value: str) -> bool:
    wanted = words(value)
    if wanted:
        return any(words(text).startswith(wanted) for text in texts if text)
    return bool(value) and any(text.casefold().startswith(value.casefold()) for text in texts)


_CHECKS: Mapping[Trait, Callable[[Traits, str, bool], bool]] = {
    Trait.FAMILY: _family,
    Trait.GIVEN: _given,
    Trait.SEX: _sex,
    Trait.ADDRESS: _text("address", "city", "postal_code", "country"),
    Trait.CITY: _text("city"),
    Trait.POSTAL_CODE: _text("postal_code"),
    Trait.STATE: lambda _traits, _value, _exact: False,
    Trait.COUNTRY: _text("country"),
    Trait.PHONE: _phone,
    Trait.MOTHER: _text("mother_name"),
    Trait.BORN: _born,
}


#: Trait -> under which key the index finds it, the best first.
_KEYS: Mapping[Trait, Callable[[str], str]] = {
    Trait.PHONE: phone_key,
    Trait.MOTHER: mother_key,
    Trait.POSTAL_CODE: place_key,
    Trait.ADDRESS: place_key,
    Trait.CITY: place_key,
}


def _keyed(criteria: Sequence[Criterion]) -> list[tuple[Trait, str, bool, str]]:
    """A criterion that selects by itself: each of its values with its key. Raises SearchTooBroad."""
    for trait, key_of in _KEYS.items():
        for item in criteria:
            found = [(trait, value, item.exact, key_of(value)) for value in item.values]
            if item.trait is trait and all(key for *_, key in found):
                return found
    raise SearchTooBroad()


def _pushed(criteria: Sequence[Criterion]) -> tuple[str, str]:
    """What the index itself can look at: a single given name, a single sex."""
    alone = [item for item in criteria if len(item.values) == 1]
    given = (item.values[0] for item in alone if item.trait is Trait.GIVEN and words(item.values[0]))
    sex = (item.values[0] for item in alone if item.trait is Trait.SEX and item.values[0] in ("M", "F"))
    return next(given, ""), next(sex, "")


def _within(birth_date: str, start: str, end: str) -> bool:
    """Whether the whole of a birth date, incomplete perhaps, lies in the period (FHIR R4: 3.1.1.5.6)."""
    first, last = _period(birth_date)
    return bool(first) and first >= _opened(start) and last <= (_closed(end) or "99999999")


def _touches(birth_date: str, start: str, end: str) -> bool:
    """Whether it may be a day of the period."""
    first, last = _period(birth_date)
    return bool(first) and last >= start and first <= (end or "99999999")


def _period(birth_date: str) -> tuple[str, str]:
    """The first and the last day that it may be, 00 and 99 for what is not known; "" where not even the year is."""
    known = birth_date[:4]
    for part in (birth_date[4:6], birth_date[6:8]):
        if not part or part == "00":
            break
        known += part
    return (known.ljust(8, "0"), known.ljust(8, "9")) if len(known) >= 4 else ("", "")


def _only_day(period: tuple[str, str]) -> str:
    """The day that a period is, if it is one."""
    return period[0] if period[0] == period[1] else ""


def _days(criterion: Criterion) -> tuple[str, ...]:
    """The days that a birth date may be, where each of its alternatives is one."""
    periods = [value.split("-") for value in criterion.values]
    return tuple(dict.fromkeys(start for start, _ in periods)) if all(a == b for a, b in periods) else ()


def _year(period: tuple[str, str]) -> str:
    """The year that a period lies in."""
    start, end = period
    return start[:4] if start and start[:4] == end[:4] else ""


def _opened(start: str) -> str:
    """The first day of a month or year counts from its beginning, also for dates without a day."""
    if start.endswith("0101"):
        return f"{start[:4]}0000"
    return f"{start[:6]}00" if start.endswith("01") else start


def _closed(end: str) -> str:
    if end.endswith("1231"):
        return f"{end[:4]}9999"
    return f"{end[:6]}99" if end[6:] in _LAST_DAYS.get(end[4:6], ()) else end


_LAST_DAYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("01", "03", "05", "07", "08", "10", "12"), ("31",)),
    **dict.fromkeys(("04", "06", "09", "11"), ("30",)),
    "02": ("28", "29"),
}


def _common(start: str, end: str) -> str:
    """The year, or year and month, that a period lies in: what the index narrows by."""
    if not (start and end):
        return ""
    if start[:6] == end[:6]:
        return start[:6]
    return start[:4] if start[:4] == end[:4] else ""


def _numbered(item: PatientIdentifier) -> FindPersons:
    if item.authority or item.namespace:
        return FindPersons(identifier=item)
    return FindPersons(identifier_value=item.value)


def _has(item: PatientIdentifier) -> Callable[[Person], bool]:
    def has(person: Person) -> bool:
        return any(
            found.value == item.value
            and (
                (not item.authority and not item.namespace)
                or (found.authority == item.authority if item.authority else found.namespace == item.namespace)
            )
            for found in person.identifiers
        )

    return has


def _has_id(number: str) -> Callable[[Person], bool]:
    return lambda person: number in (person.regional.value, *(item.value for item in person.aliases))


def _from_cursor(cursor: str, branches: int) -> tuple[int, str]:
    if not cursor:
        return 0, ""
    number, dash, inner = cursor.partition("-")
    if not dash or not (number.isascii() and number.isdecimal()) or len(number) > 3 or int(number) >= branches:
        raise InvalidCursor()
    return int(number), inner
