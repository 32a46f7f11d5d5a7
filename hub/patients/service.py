"""The regional patient index takes in hospitals' identities; what is asked of it is in ``questions``."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from hub.access.rights_model import Said
from hub.context import CREATED, DELETED, Context
from hub.errors import HubError
from hub.patients import doubts_model as doubts
from hub.patients import matching
from hub.patients.asking import fingerprint
from hub.patients.authorities import AuthorityDirectory
from hub.patients.errors import (
    AuthorityNotOwned,
    IdentifierInUse,
    InsConflict,
    InvalidLink,
    InvalidMerge,
    UnknownIdentifier,
)
from hub.patients.ins_model import qualify
from hub.patients.linking import Placed
from hub.patients.model import Fed, FeedIdentity, Identity, IdentityStatus, MergeIdentities, Person, TaskKind
from hub.patients.owners import OwnersWord
from hub.patients.partial import completed, not_worse
from hub.patients.questions import Questions
from hub.patients.steward_model import ChangeIdentifier, OwnerLink, OwnerUnlink, WithdrawIdentity
from hub.patients.store import BATCH, Member, PatientStore, PersonRecord
from hub.patients.store_batch import BatchStore
from hub.patients.store_details import DetailsStore
from hub.patients.store_tasks import Question
from hub.patients.store_visits import VisitStore
from hub.patients.told import LookedForOnce
from hub.patients.weighing import Weighing
from hub.storage.engine import Database, UnitOfWork
from hub.usecase import Command, use_case
from hub.values import PatientIdentifier, now

Listener = Callable[[PatientIdentifier, Iterable[PatientIdentifier], Context], None]
Expecting = Callable[[Iterable[PatientIdentifier]], None]
Weigh = Callable[[UnitOfWork, PatientStore], Weighing]
Heard = Callable[[PatientIdentifier, Sequence[Said], Context], None]
Regrouped = Callable[[Sequence[PatientIdentifier], Context], None]
_WEIGHING = "patients:weighing"  #: note of a unit of work


class PatientService(Questions):
    """The patients room.

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
        super().__init__(
            database=database,
            directory=directory,
            affinity_domain=affinity_domain,
            other_affinity_domains=other_affinity_domains,
        )
        self.external_index = external_index
        self.listeners: list[Listener] = []
        self.expecting: list[Expecting] = []  #: called with the numbers of those whom feeds to come are about
        self.regrouped: list[Regrouped] = []
        self.heard: list[Heard] = []  #: called with what a patient said, and under which identity
        self.weigh: Weigh | None = None  #: the score, where there is one
        self._linking = False  # the last feeds that came together had somebody to link: the next will, too

    # Feeds

    @use_case
    def feed(self, command: FeedIdentity, context: Context) -> Fed:
        """Take in an identity. Raises UnknownAuthority, AuthorityNotOwned."""
        with self._changing(context) as work:
            ahead: Identity | None = work.notes.pop(id(command), None)  # then its locks are held
            identity = ahead or self.received(command.identity, context, stated=command.stated)
            store, linker = self._linker(work, context)
            if ahead is None:
                store.lock(*self._locks(identity, linker))
            before = store.identity(identity.identifier)
            if before is not None and before.survivor is not None:
                placed = Placed(before, reason="merged")  # a straggler: its number is no longer in use
                context.led_to(doubts.WARNING, doubts.NUMBER_MERGED)
            else:
                if before is None:
                    context.action = CREATED
                elif command.partial:
                    identity = self._completed(linker, before.identity, identity, command)
                placed = self._place(linker, identity, before)
            self.hear(identity.identifier, command.said, context)
            return self.fed(store, placed, context)

    def _completed(self, linker: OwnersWord, known: Identity, told: Identity, command: FeedIdentity) -> Identity:
        whole = completed(known, told, command)
        if whole.ins != told.ins or matching.strict_key(whole) != matching.strict_key(told):
            linker.store.lock(*self._locks(whole, linker))
        return whole

    def hear(self, identity: PatientIdentifier, said: Sequence[Said], context: Context) -> None:
        """Somebody keeps what the patient said, in this unit of work."""
        if said:
            for heard in self.heard:
                heard(identity, said, context)

    def ahead(self, commands: Sequence[tuple[Command, Context]]) -> None:
        """Several feeds come in the open unit of work: take their locks and look for what is known, all at once."""
        with self.database.transaction() as work:
            expected = {}
            for command, context in commands:
                if isinstance(command, FeedIdentity):
                    with contextlib.suppress(HubError):  # its own use case says what is wrong
                        expected[id(command)] = self.received(command.identity, context, stated=command.stated)
            store = BatchStore(work, self.affinity_domain)
            linker = OwnersWord(store, self.affinity_domain, Context(), self._weighing(work, store))
            self._linking = store.gather(
                [(identity, matching.strict_key(identity)) for identity in expected.values()],
                [name for identity in expected.values() for name in self._locks(identity, linker)],
                linking=self._linking,
            )
            if linker.weighing is not None:
                linker.weighing.gather(store)
            work.notes.update(expected)
            self.expect(store)

    def expect(self, store: BatchStore) -> None:
        """Tell others whom feeds that were gathered are about."""
        if self.expecting:
            numbers = store.coming()
            for expects in self.expecting:
                expects(numbers)

    def settle(self, *numbers: PatientIdentifier) -> None:
        """To the end of the open unit of work no feed is about these: who keeps whose they are misses nobody."""
        with self.database.transaction() as work:
            known = [self.lenient(number) for number in numbers]
            BatchStore.of(work).lock(*(f"identity:{number.value}^{number.authority}" for number in known))

    def settled(self, number: PatientIdentifier) -> Person | None:
        """Whom it means: to the end of the open unit of work no feed changes or joins them. Before all other locks."""
        with self.database.transaction() as work:
            store, linker = self._linker(work, Context())
            person, known = self.person(number), self.lenient(number)
            names = [name for item in (person.identities if person else ()) for name in self._locks(item, linker)]
            store.lock(f"identity:{known.value}^{known.authority}", *names)
            return self.person(number)

    @use_case
    def merge(self, command: MergeIdentities, context: Context) -> Fed:
        """The owner merges two of its numbers (A40). Raises UnknownAuthority, AuthorityNotOwned, InvalidMerge."""
        with self._changing(context) as work:
            identity = self.received(command.survivor, context, stated=command.stated)
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
            placed = self._place(linker, not_worse(before, identity), before)
            if command.details:
                DetailsStore(work).keep(identity.identifier, command.details)
            if before is not None and not external:
                linker.join(placed)
            linker.check_merge(placed.member, lost)
            if external:
                linker.check_absorbed(placed.member, store.person_of(lost_id))
            linker.merge(lost, lost_id, placed, external=external)
            linker.revisit(revisit, placed)
            if external and placed.lost is None:
                alias = store.person_of(lost_id)
                if alias is not None and placed.member.person not in (alias.id, alias.survivor):
                    store.absorb(alias.id, placed.member.person)
                    placed.lost = alias
            self.hear(identity.identifier, command.said, context)
            return self.fed(store, placed, context)

    @use_case
    def owner_link(self, command: OwnerLink, context: Context) -> Fed:
        """The owner says that two of its numbers are one person (A24). Raises InvalidLink, InsConflict and as feed."""
        with self._changing(context) as work:
            one, other = (self.received(item, context) for item in (command.one, command.other))
            if one.identifier == other.identifier or one.identifier.authority != other.identifier.authority:
                raise InvalidLink()
            store, linker = self._linker(work, context)
            store.lock(*self._locks(one, linker), *self._locks(other, linker))
            store.lock_links()
            placed = [self._described(linker, item) for item in (one, other)]
            for here, who, told, said in zip(placed, (one, other), command.details, command.said, strict=True):
                if told and here.member.identity.identifier == who.identifier:  # else it was merged away
                    DetailsStore(work).keep(who.identifier, told)
                self.hear(who.identifier, said, context)
            if placed[0].member.id == placed[1].member.id:  # merged: more than linked
                return self.fed(store, placed[0], context)
            return self.fed(store, linker.link(*placed), context)

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
            for number, said in zip((one, other), command.said, strict=True):
                self.hear(number, said, context)
            return self.fed(store, linker.unlink(first, second), context)

    @use_case
    def change_identifier(self, command: ChangeIdentifier, context: Context) -> Fed:
        """The owner gives an identity another number (A47). Raises IdentifierInUse, InvalidLink and as feed."""
        with self._changing(context) as work:
            identity, old = self.received(command.identity, context), self._authority(command.old, context)
            number = identity.identifier
            if number == old or number.authority != old.authority:
                raise InvalidLink()
            store, linker = self._linker(work, context)
            store.lock(f"identity:{old.value}^{old.authority}", *self._locks(identity, linker))
            store.lock_links()
            known, new = store.identity(old), store.identity(number)
            linker.renumber(known, new, number, old)
            DetailsStore(work).move(old, number)
            VisitStore(work).move(old, number)
            if command.details:
                DetailsStore(work).keep(number, command.details)
            before = store.identity(number)
            placed = self._place(linker, not_worse(before, identity), before)
            if known is None:
                linker.alias(placed, old)
            placed.reason = "change-id"
            self.hear(number, command.said, context)
            return self.fed(store, placed, context)

    @use_case
    def withdraw(self, command: WithdrawIdentity, context: Context) -> Fed:
        """The owner takes an identity back (A29). Raises UnknownIdentifier."""
        with self._changing(context) as work:
            identifier = self._authority(command.identifier, context)
            store, linker = self._linker(work, context)
            store.lock(f"identity:{identifier.value}^{identifier.authority}")
            store.lock_links()
            VisitStore(work).remove(identifier)
            context.action = DELETED
            return self.fed(store, linker.withdraw(self._in_use(store, identifier)), context)

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
        if self.weigh is None:
            return None
        known: Weighing | None = work.notes.get(_WEIGHING)
        if known is None or known.store is not store:  # feeds that share a unit of work share a store
            known = work.notes[_WEIGHING] = self.weigh(work, store)
        return known

    def _described(self, linker: OwnersWord, identity: Identity) -> Placed:
        """An identity as a message names it that is about its number; one that was merged away: its survivor."""
        before = linker.store.identity(identity.identifier)
        if before is not None and before.survivor is not None:
            return Placed(_survivor(linker.store, before))
        return self._place(linker, not_worse(before, identity), before)

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
        if asserted is not None:  # under the lock now
            before = linker.store.identity(identity.identifier) or before
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

    def received(self, identity: Identity, context: Context, *, stated: bool = True) -> Identity:
        """The identity with resolved authorities, and an INS only where it is qualified.

        Where its source said no status (``stated`` False) its authority's setting does."""
        number = self._authority(identity.identifier, context)
        said = identity.status if stated else self._unstated(number)
        status, ins = qualify(said, identity.ins, identity.attributes)
        if ins is None and identity.ins is not None:
            doubts.note_ins(identity, context)
        others = tuple([self.directory.named(item) for item in identity.others if item.authority])
        told = identity.updated_at or now()
        return replace(identity, identifier=number, status=status, ins=ins, others=others, updated_at=told)

    def _unstated(self, identifier: PatientIdentifier) -> IdentityStatus:
        authority = self.directory.by_oid(identifier.authority)
        return authority.unstated if authority is not None else IdentityStatus.PROVISIONAL

    def _authority(self, identifier: PatientIdentifier, context: Context) -> PatientIdentifier:
        if identifier.authority in self.affinity_domains:
            if not self.external_index:
                raise AuthorityNotOwned("Regional identifiers are given by this hub: a feed may not announce them.")
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

    def fed(self, store: PatientStore, placed: Placed, context: Context) -> Fed:
        """What became of an identity, once those who listen were told."""
        record = placed.person or store.person(placed.member.person)
        persons = {} if not placed.persons else self.survivors(store, placed.persons)
        persons.pop(record.id, None)
        self.tell(store, {record.id: record.identifier, **persons}, placed, context)
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

    def tell(
        self, store: PatientStore, touched: Mapping[int, PatientIdentifier], placed: Placed, context: Context
    ) -> None:
        """Others hear of changed persons, first of all who is now in which."""
        if placed.persons or placed.lost is not None:
            for regroup in self.regrouped:
                regroup([*touched.values()], context)
        for person, regional in touched.items():
            context.touch("patient", regional.cx)
            numbers = LookedForOnce(functools.partial(self._numbers, store, person, regional, placed))
            for listener in self.listeners:
                listener(regional, numbers, context)

    def _numbers(
        self, store: PatientStore, person: int, regional: PatientIdentifier, placed: Placed
    ) -> tuple[PatientIdentifier, ...]:
        """What others may know a changed person by; nobody can know a regional identifier that was made just now."""
        if placed.reason == "new":  # a merge may have made the survivor: it has more numbers
            return placed.member.identity.numbers
        known = store.numbers(person) if isinstance(store, BatchStore) else None
        if known is not None:
            return known
        found = self.person(regional)
        return found.identifiers if found is not None else ()


def _survivor(store: PatientStore, member: Member) -> Member:
    """Whom a number that was merged away means now."""
    while member.survivor is not None:
        member = store.by_ids([member.survivor])[0]
    return member
