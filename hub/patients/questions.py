"""The regional patient index answers who is who: PIX, PDQ, and the other rooms' questions."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hub.context import Context
from hub.patients import golden, search
from hub.patients.authorities import AuthorityDirectory
from hub.patients.errors import (
    AmbiguousIdentifier,
    SearchTooBroad,
    UnknownDomain,
    UnknownIdentifier,
)
from hub.patients.ins_model import NAMESPACES
from hub.patients.model import (
    INS_AUTHORITIES,
    CrossReference,
    FindPersons,
    GetPerson,
    Link,
    Person,
    PersonPage,
    Task,
)
from hub.patients.normalise import selects
from hub.patients.store_details import DetailsStore
from hub.patients.store_numbers import Among, NumberReader, noted
from hub.patients.store_search import Criteria, PatientReader, StoredPerson, matching_keys
from hub.patients.store_tasks import TaskReader
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import PatientIdentifier

_MOST_BATCHES = 10
_MOST_PERSONS = 200
_NOBODY = 0  #: key of no person


class Questions:
    """What is asked of the index.

    ``affinity_domain``: OID of the regional identifiers; ``other_affinity_domains``: further OIDs that mean persons."""

    def __init__(
        self,
        *,
        database: Database,
        directory: AuthorityDirectory,
        affinity_domain: str,
        other_affinity_domains: Sequence[str] = (),
    ) -> None:
        self.database = database
        self.directory = directory
        self.affinity_domain = affinity_domain
        self.affinity_domains = (affinity_domain, *other_affinity_domains)
        directory.reserved = self.affinity_domains

    @use_case
    def cross_reference(self, command: CrossReference, context: Context) -> tuple[PatientIdentifier, ...]:
        """The other identifiers of the same person in the given domains; () when there are none.

        Raises UnknownIdentifier, UnknownDomain, AmbiguousIdentifier."""
        wanted = self.check_domains(command.domains)
        asked = self.resolved(command.identifier)
        person = self._get(asked)
        context.touch("patient", person.regional.cx)
        every = [person.regional, *([person.ins] if person.ins else [])]
        every += [identity.identifier for identity in person.identities]
        return tuple(
            item for item in dict.fromkeys(every) if item != asked and (not wanted or item.authority in wanted)
        )

    @use_case
    def get(self, command: GetPerson, context: Context) -> Person:
        """The person whom any identifier means. Raises UnknownIdentifier, UnknownDomain, AmbiguousIdentifier."""
        person = self._get(self.resolved(command.identifier))
        context.touch("patient", person.regional.cx)
        return person

    @use_case
    def find(self, command: FindPersons, context: Context) -> PersonPage:
        """Persons that answer a description. Raises SearchTooBroad, UnknownDomain, InvalidCursor."""
        command = replace(command, domains=self.check_domains(command.domains))
        criteria = search.criteria(command)
        if command.identifier is not None or command.identifier_value:
            page = PersonPage(self._by_number(command, criteria))
        elif len(criteria.birth_date) == 8 or selects(criteria.name):
            page = self._by_description(command, criteria)
        else:
            raise SearchTooBroad()
        for person in page.persons:
            context.touch("patient", person.regional.cx)
        return page

    def meant_by(self, number: str) -> PatientIdentifier | None:
        """The regional identifier of the one person who has this number, in whatever domain; None if none or several.

        Viewers ask with a number alone: it means somebody only where it can mean nobody else."""
        with self.database.reading() as work:
            reader = PatientReader(work)
            found = reader.any_value(number.strip(), 2)
            return reader.identifiers(found[0])[0] if len(found) == 1 else None

    def _by_number(self, command: FindPersons, criteria: Criteria) -> tuple[Person, ...]:
        with self.database.reading() as work:
            reader = PatientReader(work)
            if command.identifier is not None:
                keys = self._persons_of(reader, self.resolved(command.identifier), withdrawn=False)
            else:
                keys = reader.any_value(command.identifier_value.strip(), _MOST_PERSONS)
            found = reader.persons(keys)
        anything = criteria == Criteria()
        return tuple(
            self._person(stored)
            for stored in found.values()
            if (anything or any(matching_keys(member.identity, criteria) for member in stored.members))
            and self._in_domains(stored, command.domains)
        )[: command.limit]

    def _by_description(self, command: FindPersons, criteria: Criteria) -> PersonPage:
        """Pages by key: a person appears where its first identity does, once."""
        limit = max(1, min(command.limit, _MOST_PERSONS))
        persons: list[Person] = []
        with self.database.reading() as work:
            reader = PatientReader(work)
            last = search.from_cursor(reader, criteria, command.cursor) if command.cursor else None
            for _ in range(_MOST_BATCHES):
                hits = reader.search(criteria, last, limit + 1)
                found = reader.persons([hit.person for hit in hits])
                for hit in hits:
                    if len(persons) == limit:
                        return PersonPage(tuple(persons), search.cursor(reader, criteria, last))
                    stored = found[hit.person]
                    if search.first(stored, criteria) == (hit.key, hit.identity) and self._in_domains(
                        stored, command.domains
                    ):
                        persons.append(self._person(stored))
                    last = hit
                if len(hits) <= limit:
                    return PersonPage(tuple(persons))
            return PersonPage(tuple(persons), search.cursor(reader, criteria, last))

    def _in_domains(self, stored: StoredPerson, domains: tuple[str, ...]) -> bool:
        if not domains or stored.regional.authority in domains:
            return True
        every = [item for member in stored.members for item in (member.identity.identifier, member.identity.ins)]
        return any(item is not None and item.authority in domains for item in every)

    # For the other rooms

    def resolve(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        """The surviving regional identifier of whom any identifier means; None when nobody, or not one person."""
        same = self._same(identifier)
        return self.directory.named(same[0]) if same else None

    def registered(self, identifier: PatientIdentifier) -> bool:
        """Whether the registry may take it as a patientId: a regional identifier that was given, or its alias.

        One that an external index merged into another may not be used any more (ITI TF-2: 3.8.4.2.4)."""
        if identifier.authority not in self.affinity_domains:
            return False
        with self.database.reading() as work:
            return PatientReader(work).in_use(identifier)

    def equivalents(self, identifier: PatientIdentifier, *, wholly: bool = False) -> tuple[PatientIdentifier, ...]:
        """All identifiers in affinity domains that mean the same person: the survivor, then aliases. ``wholly``: what
        rights are looked up by (``KnownPersons``) is found out with the same statement, where a regional number is
        asked about."""
        return self._same_wholly(identifier) if wholly else tuple(self._same(identifier))

    def _same_wholly(self, identifier: PatientIdentifier) -> tuple[PatientIdentifier, ...]:
        given = self.lenient(identifier)
        with self.database.reading() as work:
            if work.writing or given.authority not in self.affinity_domains or given.authority in INS_AUTHORITIES:
                return tuple(self._same(identifier))
            (person,) = NumberReader(work).persons([(Among.REGIONAL, given)])
            same = (person.regional, *person.former) if person is not None else ()
            noted(work).update(dict.fromkeys((identifier, *same), person))
        return same

    def _same(self, identifier: PatientIdentifier) -> list[PatientIdentifier]:
        """Nobody costs as many statements as somebody: it can't be told by the time."""
        given = self.lenient(identifier)
        with self.database.reading() as work:
            reader = PatientReader(work)
            regional = not given.authority or given.authority in self.affinity_domains  # without one: nobody's
            if regional and given.authority not in INS_AUTHORITIES:
                return reader.same(given)
            keys = self._persons_of(reader, given)
            return reader.identifiers(keys[0] if len(keys) == 1 else _NOBODY)

    def person(self, identifier: PatientIdentifier) -> Person | None:
        """The person whom any identifier means; None when nobody, or not one person."""
        with self.database.reading() as work:
            reader = PatientReader(work)
            keys = self._persons_of(reader, self.lenient(identifier))
            return self._person(reader.persons(keys)[keys[0]]) if len(keys) == 1 else None

    def with_details(self, persons: Iterable[Person]) -> tuple[Person, ...]:
        """With how the identity that each is called by was checked."""
        persons = tuple(persons)
        numbers = [person.called_by for person in persons if person.called_by is not None]
        if not numbers:
            return persons
        with self.database.reading() as work:
            found = DetailsStore(work).of(numbers)
        if not found:
            return persons
        return tuple(replace(item, details=found.get(item.called_by)) if item.called_by else item for item in persons)

    def links(self, identifier: PatientIdentifier) -> tuple[Link, ...]:
        """Why a person's identities are together, and were: for stewards. Raises as ``get``."""
        with self.database.reading() as work:
            reader = PatientReader(work)
            keys = self._persons_of(reader, self.resolved(identifier))
            members = [member for stored in reader.persons(keys).values() for member in stored.members]
            return tuple(reader.links(member.id for member in members))

    def tasks(self, limit: int = 100, *, closed: bool = False) -> tuple[Task, ...]:
        """What stewards should look at, the newest first."""
        with self.database.reading() as work:
            return tuple(TaskReader(work).newest(limit, closed=closed))

    def _get(self, identifier: PatientIdentifier) -> Person:
        with self.database.reading() as work:
            found = PatientReader(work).whom(identifier, regional=identifier.authority in self.affinity_domains)
        if not found:
            raise UnknownIdentifier()
        if len(found) > 1:
            raise AmbiguousIdentifier()
        return self._person(found[0])

    def _persons_of(self, reader: PatientReader, identifier: PatientIdentifier, *, withdrawn: bool = True) -> list[int]:
        if identifier.authority in INS_AUTHORITIES:
            return reader.ins(identifier)
        regional = identifier.authority in self.affinity_domains
        found = reader.regional(identifier) if regional else reader.local(identifier, withdrawn=withdrawn)
        return [found] if found is not None else []

    def resolved(self, identifier: PatientIdentifier) -> PatientIdentifier:
        """With its OID. Raises UnknownAuthority (a question teaches nothing)."""
        if self._known_domain(identifier.authority):
            return identifier
        known = self.directory.by_namespace(identifier.namespace) if not identifier.authority else None
        if known is None:
            raise UnknownDomain("The identifier's assigning authority is not known.")
        return replace(identifier, authority=known.oid)

    def lenient(self, identifier: PatientIdentifier) -> PatientIdentifier:
        """With its OID where the namespace tells it; as it is otherwise."""
        known = self.directory.by_namespace(identifier.namespace) if not identifier.authority else None
        return replace(identifier, authority=known.oid) if known is not None else identifier

    def check_domains(self, domains: Iterable[str]) -> tuple[str, ...]:
        """Their OIDs; HL7 v2 may name a domain by its namespace alone (ITI TF-2: Appendix E.1).

        Raises UnknownDomain for those that are none of this region's: ``domain`` the first, ``domains`` all."""
        found = {domain: self._oids(domain) for domain in domains}
        unknown = [domain for domain, oids in found.items() if not oids]
        if unknown:
            raise UnknownDomain(domain=unknown[0], domains=" ".join(unknown))
        return tuple(oid for oids in found.values() for oid in oids)

    def _oids(self, domain: str) -> tuple[str, ...]:
        if self._known_domain(domain):
            return (domain,)
        named = self.directory.by_namespace(domain)
        if named is not None:
            return (named.oid,)
        return tuple(oid for oid, namespace in NAMESPACES.items() if namespace == domain)  # one for several of the INS

    def _known_domain(self, oid: str) -> bool:
        known = oid in self.affinity_domains or oid in INS_AUTHORITIES
        return known or (bool(oid) and self.directory.by_oid(oid) is not None)

    def _person(self, stored: StoredPerson) -> Person:
        named = self.directory.named
        identities = [
            replace(
                member.identity,
                identifier=named(member.identity.identifier),
                ins=named(member.identity.ins) if member.identity.ins else None,
            )
            for member in stored.members
        ]
        return golden.person(named(stored.regional), identities, stored.aliases, self.directory.trust)
