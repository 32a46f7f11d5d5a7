"""The regional patient index: takes in hospitals' identities, answers who is who."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from hub.context import Context
from hub.errors import HubError
from hub.patients import golden, matching, search
from hub.patients.asking import fingerprint
from hub.patients.authorities import AuthorityDirectory
from hub.patients.errors import (
    AmbiguousIdentifier,
    AuthorityNotOwned,
    IdentifierInUse,
    InsConflict,
    InvalidLink,
    InvalidMerge,
    SearchTooBroad,
    UnknownDomain,
    UnknownIdentifier,
)
from hub.patients.ins import qualify
from hub.patients.linking import Placed
from hub.patients.model import (
    INS_AUTHORITIES,
    CrossReference,
    Fed,
    FeedIdentity,
    FindPersons,
    GetPerson,
    Identity,
    IdentityStatus,
    Link,
    MergeIdentities,
    Person,
    PersonPage,
    Task,
    TaskKind,
)
from hub.patients.owners import OwnersWord
from hub.patients.steward_model import ChangeIdentifier, OwnerLink, OwnerUnlink, WithdrawIdentity
from hub.patients.store import BATCH, Member, PatientStore, PersonRecord
from hub.patients.store_batch import BatchStore
from hub.patients.store_search import Criteria, PatientReader, StoredPerson, matching_keys
from hub.patients.store_tasks import Question, TaskReader
from hub.patients.weighing import Weighing
from hub.storage.engine import Database, UnitOfWork
from hub.usecase import Command, use_case
from hub.values import PatientIdentifier, now

Listener = Callable[[PatientIdentifier, Iterable[PatientIdentifier], Context], None]
Weigh = Callable[[UnitOfWork, PatientStore], Weighing]
Regrouped = Callable[[Sequence[PatientIdentifier], Context], None]
_MOST_BATCHES = 10
_MOST_PERSONS = 200


class PatientService:
    """The patients room.

    ``affinity_domain``: OID of the regional identifiers; ``other_affinity_domains``: further OIDs that mean persons.
    ``external_index``: a feed whose PID-3 holds an identifier of an affinity domain says itself which person it is.
    ``listeners`` are called inside the unit of work, for every person that a feed made, changed, linked or
    merged: with its surviving regional identifier and the numbers that others may know it by. ``regrouped`` are called
    before them, once, where identities went from one person to another or persons were joined: with those persons."""

    def __init__(
        self,
        *,
        database: Database,
        directory: AuthorityDirectory,
        affinity_domain: str,
        other_affinity_domains: Sequence[str] = (),
        external_index: bool = False,
    ) -> None:
        self.database = database
        self.directory = directory
        self.affinity_domain = affinity_domain
        self.affinity_domains = (affinity_domain, *other_affinity_domains)
        self.external_index = external_index
        directory.reserved = self.affinity_domains
        self.listeners: list[Listener] = []
        self.regrouped: list[Regrouped] = []
        self.weigh: Weigh | None = None  #: the score, where there is one

    # Feeds

    @use_case
    def feed(self, command: FeedIdentity, context: Context) -> Fed:
        """Take in an identity. Raises UnknownAuthority, AuthorityNotOwned."""
        with self._changing(context) as work:
            identity = work.notes.pop(id(command), None) or self._received(
                command.identity, context, stated=command.stated
            )
            store, linker = self._linker(work, context)
            store.lock(*self._locks(identity, linker))
            before = store.identity(identity.identifier)
            if before is not None and before.survivor is not None:
                placed = Placed(before, reason="merged")  # a straggler: its number is no longer in use
            else:
                placed = self._place(linker, identity, before)
            return self._fed(store, placed, context)

    def ahead(self, commands: Sequence[tuple[Command, Context]]) -> None:
        """Several feeds come in the open unit of work: take their locks and look for what is known, all at once."""
        with self.database.transaction() as work:
            expected = {}
            for command, context in commands:
                if isinstance(command, FeedIdentity):
                    with contextlib.suppress(HubError):  # its own use case says what is wrong
                        expected[id(command)] = self._received(command.identity, context, stated=command.stated)
            BatchStore(work, self.affinity_domain)
            store, linker = self._linker(work, Context())
            store.lock(*(name for identity in expected.values() for name in self._locks(identity, linker)))
            store.gather([(identity, matching.strict_key(identity)) for identity in expected.values()])
            work.notes.update(expected)

    @use_case
    def merge(self, command: MergeIdentities, context: Context) -> Fed:
        """The owner merges two of its numbers (A40). Raises UnknownAuthority, AuthorityNotOwned, InvalidMerge."""
        with self._changing(context) as work:
            identity = self._received(command.survivor, context, stated=command.stated)
            lost_id = self._authority(command.lost, context)
            if lost_id == identity.identifier or lost_id.authority != identity.identifier.authority:
                raise InvalidMerge()
            store, linker = self._linker(work, context)
            store.lock(f"identity:{lost_id.value}^{lost_id.authority}", *self._locks(identity, linker))
            store.lock_links()
            external = self._external(identity.identifier)
            if external:
                self._register(store, lost_id)
            lost, before = store.identity(lost_id), store.identity(identity.identifier)
            self._not_renumbered(linker, before, lost)
            revisit = linker.retire(lost) if lost is not None and lost.identity.active else set()
            placed = self._place(linker, _not_worse(before, identity), before)
            if before is not None and not external:
                linker.join(placed)
            linker.check_merge(placed.member, lost)
            linker.merge(lost, lost_id, placed, external=external)
            linker.revisit(revisit, placed)
            if external and placed.lost is None:
                alias = store.person_of(lost_id)
                if alias is not None and placed.member.person not in (alias.id, alias.survivor):
                    store.absorb(alias.id, placed.member.person)
                    placed.lost = alias
            return self._fed(store, placed, context)

    @use_case
    def owner_link(self, command: OwnerLink, context: Context) -> Fed:
        """The owner says that two of its numbers are one person (A24). Raises InvalidLink, InsConflict and as feed."""
        with self._changing(context) as work:
            one, other = (self._received(item, context) for item in (command.one, command.other))
            if one.identifier == other.identifier or one.identifier.authority != other.identifier.authority:
                raise InvalidLink()
            store, linker = self._linker(work, context)
            store.lock(*self._locks(one, linker), *self._locks(other, linker))
            store.lock_links()
            placed = [self._described(linker, item) for item in (one, other)]
            if placed[0].member.id == placed[1].member.id:  # merged: more than linked
                return self._fed(store, placed[0], context)
            return self._fed(store, linker.link(*placed), context)

    @use_case
    def owner_unlink(self, command: OwnerUnlink, context: Context) -> Fed:
        """The owner takes its A24 back (A37). Raises UnknownIdentifier, InvalidLink."""
        with self._changing(context) as work:
            one, other = (self._authority(item, context) for item in (command.one, command.other))
            if one == other or one.authority != other.authority:
                raise InvalidLink()
            store, linker = self._linker(work, context)
            store.lock(*(f"identity:{item.value}^{item.authority}" for item in (one, other)))
            store.lock_links()
            first, second = (self._in_use(store, item) for item in (one, other))
            return self._fed(store, linker.unlink(first, second), context)

    @use_case
    def change_identifier(self, command: ChangeIdentifier, context: Context) -> Fed:
        """The owner gives an identity another number (A47). Raises IdentifierInUse, InvalidLink and as feed."""
        with self._changing(context) as work:
            identity, old = self._received(command.identity, context), self._authority(command.old, context)
            number = identity.identifier
            if number == old or number.authority != old.authority:
                raise InvalidLink()
            store, linker = self._linker(work, context)
            store.lock(f"identity:{old.value}^{old.authority}", *self._locks(identity, linker))
            store.lock_links()
            known, new = store.identity(old), store.identity(number)
            linker.renumber(known, new, number, old)
            before = store.identity(number)
            placed = self._place(linker, _not_worse(before, identity), before)
            if known is None:
                linker.alias(placed, old)
            placed.reason = "change-id"
            return self._fed(store, placed, context)

    @use_case
    def withdraw(self, command: WithdrawIdentity, context: Context) -> Fed:
        """The owner takes an identity back (A29). Raises UnknownIdentifier."""
        with self._changing(context) as work:
            identifier = self._authority(command.identifier, context)
            store, linker = self._linker(work, context)
            store.lock(f"identity:{identifier.value}^{identifier.authority}")
            store.lock_links()
            return self._fed(store, linker.withdraw(self._in_use(store, identifier)), context)

    @contextlib.contextmanager
    def _changing(self, context: Context) -> Iterator[UnitOfWork]:
        """A unit of work; what it refuses for different INS becomes a steward's task although nothing else is kept."""
        with self.database.transaction() as work:
            try:
                yield work
            except InsConflict as error:
                if BATCH not in work.notes:  # else it is carried out again, alone
                    work.on_rollback(functools.partial(self.keep_conflict, error, context))
                raise

    def keep_conflict(self, conflict: InsConflict, context: Context) -> None:
        """Ask a steward about identities with different INS, in a unit of work of its own."""
        with self.database.transaction() as work:
            store = PatientStore(work)
            known = [found for item in conflict.about if (found := store.identity(item)) is not None]
            if known:
                store.tasks.ask(
                    Question(
                        TaskKind.INS_CONFLICT,
                        known[0].id,
                        tuple(item.id for item in known[1:]),
                        f"refused: {context.transaction} would join different INS",
                        fingerprint(known),
                    )
                )

    def _linker(self, work: UnitOfWork, context: Context) -> tuple[PatientStore, OwnersWord]:
        store = BatchStore.of(work)
        return store, OwnersWord(store, self.affinity_domain, context, self._weighing(work, store))

    def _weighing(self, work: UnitOfWork, store: PatientStore) -> Weighing | None:
        return self.weigh(work, store) if self.weigh is not None else None

    def _described(self, linker: OwnersWord, identity: Identity) -> Placed:
        """An identity as a message names it that is about its number; one that was merged away: its survivor."""
        before = linker.store.identity(identity.identifier)
        if before is not None and before.survivor is not None:
            return Placed(_survivor(linker.store, before))
        return self._place(linker, _not_worse(before, identity), before)

    @staticmethod
    def _in_use(store: PatientStore, identifier: PatientIdentifier) -> Member:
        found = store.identity(identifier)
        if found is None or not found.identity.active:
            raise UnknownIdentifier("The patient number is not in use.")
        return found

    @staticmethod
    def _not_renumbered(linker: OwnersWord, *members: Member | None) -> None:
        """A number that an A47 took away is never given again. Raises IdentifierInUse."""
        if any(item is not None and linker.renumbered(item) for item in members):
            raise IdentifierInUse("The number was changed into another one: it is an alias for good.")

    def _place(self, linker: OwnersWord, identity: Identity, before: Member | None) -> Placed:
        asserted = self._asserted(linker.store, identity)
        if before is None:
            return linker.add(identity, asserted)
        placed = linker.change(before, identity)
        if asserted is not None:
            linker.assert_person(placed, asserted)
        return placed

    def _asserted(self, store: PatientStore, identity: Identity) -> PersonRecord | None:
        """The person that the feed itself names, where an external index is trusted."""
        if not self.external_index:
            return None
        named = (item for item in (identity.identifier, *identity.others) if self._external(item))
        identifier = next(named, None)
        return self._register(store, identifier) if identifier is not None else None

    @staticmethod
    def _register(store: PatientStore, identifier: PatientIdentifier) -> PersonRecord:
        """The live person with this regional identifier, made when it is new."""
        store.lock_links()
        record = store.person_of(identifier)
        if record is None:
            store.add_person(identifier, external=True)
            record = store.person_of(identifier)
        if record is None:
            raise UnknownIdentifier()
        return store.person(record.survivor) if record.survivor is not None else record

    def _received(self, identity: Identity, context: Context, *, stated: bool = True) -> Identity:
        """The identity with resolved authorities, and an INS only where it is qualified.

        Where its source said no status (``stated`` False) its authority's setting does."""
        number = self._authority(identity.identifier, context)
        status, ins = qualify(identity.status if stated else self._unstated(number), identity.ins)
        others = tuple(self.directory.named(item) for item in identity.others if item.authority)
        return replace(
            identity,
            identifier=number,
            status=status,
            ins=ins,
            others=others,
            updated_at=identity.updated_at or now(),
        )

    def _unstated(self, identifier: PatientIdentifier) -> IdentityStatus:
        authority = self.directory.by_oid(identifier.authority)
        return authority.unstated if authority is not None else IdentityStatus.PROVISIONAL

    def _authority(self, identifier: PatientIdentifier, context: Context) -> PatientIdentifier:
        if identifier.authority in self.affinity_domains:
            if not self.external_index:
                raise AuthorityNotOwned(
                    "Regional identifiers are given by this hub: a feed may not announce them.", location="PID-3.4"
                )
            return identifier
        resolved = self.directory.resolve(identifier, context)
        self.directory.check_owner(resolved, context)
        return resolved

    def _external(self, identifier: PatientIdentifier) -> bool:
        return self.external_index and identifier.authority in self.affinity_domains

    def _locks(self, identity: Identity, linker: OwnersWord) -> list[str]:
        """What two simultaneous first contacts of one person have in common."""
        if self.database.sqlite:
            return []
        key = matching.strict_key(identity)
        names = [f"identity:{identity.identifier.value}^{identity.identifier.authority}"]
        names += [f"ins:{identity.ins.value}"] if identity.ins else []
        names += [f"strict:{key}"] if key is not None else []
        return names + (linker.weighing.locks(identity) if linker.weighing is not None else [])

    def _fed(self, store: PatientStore, placed: Placed, context: Context) -> Fed:
        record = placed.person or store.person(placed.member.person)
        persons = {} if not placed.persons else self.survivors(store, placed.persons)
        persons.pop(record.id, None)
        touched = [record.identifier, *persons.values()]
        self.tell(touched, placed, context)
        context.led_to("person", record.identifier.cx)
        lost = placed.lost.identifier if placed.lost else None
        return Fed(record.identifier, placed.created, placed.linked, placed.split, placed.reason, lost)

    @staticmethod
    def survivors(store: PatientStore, persons: Iterable[int]) -> dict[int, PatientIdentifier]:
        """The persons that these are now, each once."""
        found = {}
        for key in sorted(persons):
            record = store.person(key)
            record = store.person(record.survivor) if record.survivor is not None else record
            found[record.id] = record.identifier
        return found

    def tell(self, touched: Sequence[PatientIdentifier], placed: Placed, context: Context) -> None:
        """Others hear of changed persons, first of all who is now in which."""
        if placed.persons or placed.lost is not None:
            for regroup in self.regrouped:
                regroup(touched, context)
        for identifier in touched:
            context.touch("patient", identifier.cx)
            for listener in self.listeners:
                listener(identifier, self._numbers(identifier, placed), context)

    def _numbers(self, regional: PatientIdentifier, placed: Placed) -> tuple[PatientIdentifier, ...]:
        """What others may know a changed person by; nobody can know a regional identifier that was made just now."""
        if placed.reason == "new":  # a merge may have made the survivor: it has more numbers
            identity = placed.member.identity
            return (identity.identifier, *identity.others, *([identity.ins] if identity.ins else []))
        person = self.person(regional)
        return person.identifiers if person is not None else ()

    # Questions

    @use_case
    def cross_reference(self, command: CrossReference, context: Context) -> tuple[PatientIdentifier, ...]:
        """The other identifiers of the same person in the given domains; () when there are none.

        Raises UnknownIdentifier, UnknownDomain, AmbiguousIdentifier."""
        self.check_domains(command.domains)
        asked = self.resolved(command.identifier)
        person = self._get(asked)
        context.touch("patient", person.regional.cx)
        every = [person.regional, *([person.ins] if person.ins else [])]
        every += [identity.identifier for identity in person.identities]
        return tuple(
            item
            for item in dict.fromkeys(every)
            if item != asked and (not command.domains or item.authority in command.domains)
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
        self.check_domains(command.domains)
        criteria = search.criteria(command)
        if command.identifier is not None or command.identifier_value:
            page = PersonPage(self._by_number(command, criteria))
        elif len(criteria.birth_date) == 8 or len(criteria.name) >= 2:
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
            return reader.identifier(found[0]) if len(found) == 1 else None

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
        with self.database.reading() as work:
            reader = PatientReader(work)
            keys = self._persons_of(reader, self._lenient(identifier))
            return self.directory.named(reader.identifier(keys[0])) if len(keys) == 1 else None

    def registered(self, identifier: PatientIdentifier) -> bool:
        """Whether the registry may take it as a patientId: a regional identifier that was given, or its alias.

        One that an external index merged into another may not be used any more (ITI TF-2: 3.8.4.2.4)."""
        if identifier.authority not in self.affinity_domains:
            return False
        with self.database.reading() as work:
            return PatientReader(work).in_use(identifier)

    def equivalents(self, identifier: PatientIdentifier) -> tuple[PatientIdentifier, ...]:
        """All identifiers in affinity domains that mean the same person: the survivor, then aliases."""
        with self.database.reading() as work:
            reader = PatientReader(work)
            keys = self._persons_of(reader, self._lenient(identifier))
            return (reader.identifier(keys[0]), *reader.aliases(keys[0])) if len(keys) == 1 else ()

    def person(self, identifier: PatientIdentifier) -> Person | None:
        """The person whom any identifier means; None when nobody, or not one person."""
        with self.database.reading() as work:
            reader = PatientReader(work)
            keys = self._persons_of(reader, self._lenient(identifier))
            return self._person(reader.persons(keys)[keys[0]]) if len(keys) == 1 else None

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
            reader = PatientReader(work)
            keys = self._persons_of(reader, identifier, withdrawn=False)
            if not keys:
                raise UnknownIdentifier()
            if len(keys) > 1:
                raise AmbiguousIdentifier()
            return self._person(reader.persons(keys)[keys[0]])

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

    def _lenient(self, identifier: PatientIdentifier) -> PatientIdentifier:
        known = self.directory.by_namespace(identifier.namespace) if not identifier.authority else None
        return replace(identifier, authority=known.oid) if known is not None else identifier

    def check_domains(self, domains: Iterable[str]) -> None:
        """Raises UnknownDomain for those that are none of this region's: ``domain`` the first, ``domains`` all."""
        unknown = [domain for domain in domains if not self._known_domain(domain)]
        if unknown:
            raise UnknownDomain(domain=unknown[0], domains=" ".join(unknown))

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


def _not_worse(before: Member | None, identity: Identity) -> Identity:
    """A merge message often says little of the survivor: what is known better is kept."""
    if before is None:
        return identity
    known = before.identity
    unchecked = identity.status is IdentityStatus.PROVISIONAL and matching.validated(known)
    if not identity.traits.birth_name or unchecked:
        return replace(known, active=True, updated_at=identity.updated_at)
    return identity


def _survivor(store: PatientStore, member: Member) -> Member:
    """Whom a number that was merged away means now."""
    while member.survivor is not None:
        member = store.by_ids([member.survivor])[0]
    return member
