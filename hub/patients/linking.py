"""Puts identities into persons: applies the rules of ``matching`` to what is stored, inside one unit of work."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hub.context import Context
from hub.patients import matching
from hub.patients.asking import Asking, looked_at
from hub.patients.errors import InsConflict
from hub.patients.grouping import Grouping, group
from hub.patients.model import Identity, TaskKind
from hub.patients.store import Member, PatientStore, PersonRecord
from hub.patients.store_links import Edge, Word
from hub.patients.weighing import SCORE, Basis, Found, Weighing

EXTERNAL, MERGE, OWNER, RENUMBERED, STEWARD = "external", "merge", "owner", "change-id", "steward"
#: What the hub decides by itself, and takes back by itself.
AUTOMATIC = frozenset({matching.SAME_INS, matching.STRICT_TRAITS, SCORE})
#: An owner's word about its own numbers: nobody else's to take back.
OWNERS = frozenset({MERGE, OWNER, RENUMBERED})


@dataclass(slots=True)
class Placed:
    """Where an identity is now, and what that changed."""

    member: Member
    created: bool = False
    linked: bool = False
    split: bool = False
    reason: str = "known"
    lost: PersonRecord | None = None
    person: PersonRecord | None = None  #: its person, where that is known anyhow
    persons: set[int] = field(default_factory=set)  #: other persons that changed


class Linker:
    """The rules at work. ``affinity_domain``: authority of the regional identifiers that are made here; ``weighing``:
    the score, where the rules find nothing."""

    def __init__(
        self, store: PatientStore, affinity_domain: str, context: Context, weighing: Weighing | None = None
    ) -> None:
        self.store = store
        self.links = store.links
        self.grouping = Grouping(store, affinity_domain)
        self.asking = Asking(store, context)
        self.context = context
        self.weighing = weighing

    # One identity

    def add(self, identity: Identity, asserted: PersonRecord | None = None) -> Placed:
        """A first contact. ``asserted``: the person that an external index says it is. Raises InsConflict."""
        key = matching.strict_key(identity)
        if asserted is not None:
            self._refuse_other_ins(identity, self.store.members(asserted.id))
            placed = Placed(self._stored(self.store.add_identity(identity, asserted.id, key, home=False)))
            placed.reason = EXTERNAL
            self._assert_links(placed.member)
            return placed
        found = self._look(identity, key)
        if found and self.store.lock_links():
            found = self._look(identity, key)
        target = self._target(identity, found.allies)
        if target is None:
            person = self.grouping.new_person()
            member = self._stored(self.store.add_identity(identity, person.id, key, home=True))
            if found:
                self._ask(member, found, found.allies)
            return Placed(member, created=True, reason="new", person=person)
        member = self._stored(self.store.add_identity(identity, target, key, home=False))
        self._link(member, found.allies)
        return Placed(member, linked=True, reason=_best(found.allies))

    def change(self, before: Member, identity: Identity) -> Placed:
        """An identity that is known, as its owner now describes it. Raises InsConflict."""
        identity = replace(identity, active=True)
        if before.identity.active and not self._material(before.identity, identity):
            if replace(before.identity, updated_at=identity.updated_at) == identity:
                self.store.touch_identity(before)
                return Placed(replace(before, identity=identity))
            return Placed(self.store.change_identity(before, identity, matching.strict_key(identity)))
        if self.store.lock_links():
            before = self.store.by_ids([before.id])[0]
        edges = self.links.edges([before.id])
        self._refuse_owners_ins(before, identity, edges)
        placed = Placed(self._stored(self.store.change_identity(before, identity, matching.strict_key(identity))))
        revisit = self.asking.reconsider(placed.member)
        if before.identity.active:
            self._leave(placed, edges)
        else:  # merged away once, and now alive again: not in the person of its former survivor
            self.links.end([edge.id for edge in edges if _lost_by(edge, before.id)], "alive-again")
            self._part(placed, "alive-again")
        self._separate_ins(placed)
        if before.identity.active and matching.somebody_else(before.identity, identity):
            self._reused(placed)
        self.join(placed)
        self._ask_about_change(placed, before, edges)
        self.revisit(revisit, placed)
        return placed

    def revisit(self, identities: Iterable[int], placed: Placed) -> None:
        """What was asked about other identities may have changed with this one."""
        others = [item for item in self.store.by_ids(identities) if item.identity.active]
        for other in others:
            again = Placed(self.store.by_ids([other.id])[0])
            self.asking.doubt(again.member)
            self.join(again)
            self._ask_wrong_join(again.member)
            self.asking.drop_doubted()
            placed.persons |= again.persons | ({again.member.person} if again.linked else set())
        if others:
            placed.member = self.store.by_ids([placed.member.id])[0]

    def assert_person(self, placed: Placed, asserted: PersonRecord) -> None:
        """An external index says that a known identity is this person. Raises InsConflict."""
        member = placed.member
        if member.person == asserted.id:
            return
        self._refuse_other_ins(member.identity, self.store.members(asserted.id), member)
        old = member.person
        self.links.end([edge.id for edge in self.links.edges([member.id]) if edge.rule not in OWNERS], EXTERNAL)
        if [other for other in self.store.members(old) if other.id != member.id] or self.store.person(old).external:
            self.store.move([member.id], asserted.id)
            placed.persons |= self.grouping.settle(old, member.id) | {old}
        else:
            placed.lost = self.store.person(old)
            self.store.absorb(old, asserted.id)
        placed.member = replace(member, person=asserted.id)
        placed.linked, placed.reason = True, EXTERNAL
        self._assert_links(placed.member)

    def _assert_links(self, member: Member) -> None:
        for other in self.store.members(member.person):
            if other.id != member.id:
                self.links.add(member.id, other.id, EXTERNAL, self._word())

    # Leaving and joining

    def _leave(self, placed: Placed, edges: Sequence[Edge]) -> None:
        """End the automatic links whose reason is gone; who is left without one goes to a person of its own."""
        member = placed.member
        edges = [edge for edge in edges if edge.rule in AUTOMATIC]
        others = {other.id: other for other in self.store.by_ids({edge.far(member.id) for edge in edges})}
        ended = [edge for edge in edges if not self._holds(edge, member, others)]
        if ended:
            self.links.end([edge.id for edge in ended], "basis-gone")
            self._link(member, self._weighed_again(member, [others[edge.far(member.id)] for edge in ended]))
            self._part(placed, "basis-gone")
            member = placed.member
        if not edges:
            return
        together = [other for other in self.store.members(member.person) if other.id != member.id]
        if any(self._contradicts(member.identity, other.identity) for other in together):
            # Somebody in between agrees with both: not a reason for two who contradict each other to stay one person.
            left = [edge for edge in self.links.edges([member.id]) if edge.rule in AUTOMATIC]
            self.links.end([edge.id for edge in left], "contradiction")
            self._part(placed, "contradiction")

    def _holds(self, edge: Edge, member: Member, others: dict[int, Member]) -> bool:
        other = others.get(edge.far(member.id))
        if other is None:
            return False
        if edge.rule == SCORE and self.weighing is not None:
            return self.weighing.holds(member.identity, other.identity)
        return matching.basis(member.identity, other.identity) is not None

    def _weighed_again(self, member: Member, others: Sequence[Member]) -> dict[Member, Basis]:
        """Whom a rule joins no more may still be the same by the score, if nobody of its person speaks against it."""
        if self.weighing is None:
            return {}
        found = self.weighing.decided(member, others)
        together = [other for other in self.store.members(member.person) if other.id != member.id]
        return found if self.weighing.bears(member.identity, together, found) else {}

    def _part(self, placed: Placed, reason: str) -> None:
        member = placed.member
        moved = self.grouping.settle(member.person, member.id)
        if moved:
            placed.split, placed.reason = True, reason
            placed.persons |= moved | {member.person}
            placed.member = self.store.by_ids([member.id])[0]

    def _separate_ins(self, placed: Placed) -> None:
        """A steward linked it once, and now another INS says that it is somebody else: apart, and a steward is told."""
        member = placed.member
        if member.identity.ins is None or not placed.member.identity.active:
            return
        others = [other for other in self.store.members(member.person) if _other_ins(member.identity, other.identity)]
        if others:
            placed.persons.add(member.person)
            self.cut(placed, others, "ins-conflict")
            self.asking.ask(TaskKind.INS_CONFLICT, placed.member, others, "linked once, and now different INS")

    def _reused(self, placed: Placed) -> None:
        """Its owner seems to have given the number to somebody else: nobody's word about the first holds for them."""
        member = placed.member
        others = [other for other in self.store.members(member.person) if other.id != member.id]
        if others and not any(edge.rule == EXTERNAL for edge in self.links.edges([member.id])):
            placed.persons.add(member.person)
            self.cut(placed, others, "number-reused")

    def cut(self, placed: Placed, others: Sequence[Member], why: str, by: str = "") -> None:
        """End what connects an identity, and its owner's other numbers of it, with others of its person."""
        member = placed.member
        edges = self.links.within(member.person)
        own = group(member.id, [edge for edge in edges if edge.rule in OWNERS])
        rest: frozenset[int] = frozenset().union(*(group(other.id, edges, own) for other in others)) - own
        ended = [
            edge.id for edge in edges if (edge.one in own) != (edge.other in own) and {edge.one, edge.other} & rest
        ]
        self.links.end(ended, why, by)
        self._part(placed, why)

    def join(self, placed: Placed) -> None:
        """Link a known identity to those that the rules now say it is."""
        member = placed.member
        found = self._look(member.identity, matching.strict_key(member.identity), member)
        if not found:
            return
        barred = self.links.barred(member.id)
        found = found.without(barred)
        here = {ally: basis for ally, basis in found.allies.items() if ally.person == member.person}
        if here:
            linked = {edge.far(member.id) for edge in self.links.edges([member.id])}
            self._link(member, {ally: basis for ally, basis in here.items() if ally.id not in linked})
        away = {ally: basis for ally, basis in found.allies.items() if ally.person != member.person}
        target = self._target_of(member, away)
        if target is None:
            self._ask(member, found, away)
            return
        kept, lost = self.grouping.order(member.person, target)
        if kept.external and lost.external:  # an external index says that they are two
            self._ask(member, found, away)
            return
        self.store.absorb(lost.id, kept.id)
        self._link(member, away)
        placed.member = replace(member, person=kept.id)
        placed.linked, placed.reason, placed.lost = True, _best(away), lost

    def _look(self, identity: Identity, key: int | None, known: Member | None = None) -> Found:
        """Who may be the same person: by the rules, and by the score where the rules find nobody else."""
        not_id, person = (known.id, known.person) if known is not None else (0, 0)
        candidates = self.store.candidates(identity, key, not_id)
        bases = ((candidate, matching.basis(identity, candidate.identity)) for candidate in candidates)
        found = Found(candidates, {candidate: Basis(rule) for candidate, rule in bases if rule is not None})
        if self.weighing is not None and all(ally.person == person for ally in found.allies):
            self.weighing.look(identity, not_id, found)
        return found

    def _target_of(self, member: Member, away: dict[Member, Basis]) -> int | None:
        """As ``_target``, for an identity that has a person: nobody is barred, and not both persons are of several
        hospitals."""
        if not away:
            return None
        target = self._target(member.identity, away)
        if target is None or self.links.apart(member.person, target):
            return None
        own, others = self.store.members(member.person), self.store.members(target)
        if _several_hospitals(own) and _several_hospitals(others):
            return None
        if any(self._vetoes(one.identity, other.identity) for one in own for other in others):
            return None
        rest = [item for item in own if item.id != member.id]
        if self.weighing is not None and all(basis.rule == SCORE for basis in away.values()):
            return target if all(self.weighing.bears(item.identity, others, {}) for item in rest) else None
        return target

    def _target(self, identity: Identity, allies: dict[Member, Basis]) -> int | None:
        """The one person to join: where all allies are, and nobody contradicts."""
        persons = {ally.person for ally in allies}
        if len(persons) != 1:
            return None
        person = persons.pop()
        members = self.store.members(person)
        if any(self._vetoes(identity, other.identity) for other in members):
            return None
        if self.weighing is not None and not self.weighing.bears(identity, members, allies):
            return None
        return person

    def _vetoes(self, identity: Identity, other: Identity) -> bool:
        return bool(matching.vetoes(identity, other)) or self._contradicts(identity, other)

    def _contradicts(self, one: Identity, other: Identity) -> bool:
        """Whether two can't be one person: a strict trait differs, and no score takes it for an error."""
        if not matching.contradiction(one, other):
            return False
        return bool(matching.vetoes(one, other)) or self.weighing is None or not self.weighing.holds(one, other)

    def _link(self, member: Member, allies: dict[Member, Basis]) -> None:
        for ally, basis in allies.items():
            self.links.add(member.id, ally.id, basis.rule, self._word(evidence=basis.evidence, version=basis.version))

    def _word(self, *, evidence: str = "", version: str = "", reason: str = "") -> Word:
        return Word(self.context.source, self.context.message_id, reason, evidence, version)

    def _stored(self, member: Member) -> Member:
        if self.weighing is not None:
            self.weighing.remember(member)
        return member

    def _material(self, before: Identity, after: Identity) -> bool:
        """Whether what the rules look at changed; the score looks at everything."""
        if self.weighing is not None and before.traits != after.traits:
            return True
        return looked_at(before) != looked_at(after)

    # What the rules may not decide

    def _ask(self, member: Member, found: Found, allies: dict[Member, Basis]) -> None:
        own = member.identity
        elsewhere = [item for item in found.candidates if item.person != member.person]
        same_authority = [item for item in elsewhere if item.identity.identifier.authority == own.identifier.authority]
        collisions = [
            item
            for item in elsewhere
            if own.ins and own.ins == item.identity.ins and matching.contradiction(own, item.identity)
        ]
        others = [item for item in elsewhere if item not in same_authority and _other_ins(own, item.identity)]
        ask = self.asking.ask
        ask(TaskKind.DUPLICATE, member, same_authority, "same INS or strict traits within one authority")
        ask(TaskKind.COLLISION, member, collisions, "same INS, contradicting strict traits")
        ask(TaskKind.INS_CONFLICT, member, others, "same strict traits, different INS")
        ask(TaskKind.BRIDGE, member, allies, "matches an identity whose person it may not join")
        duplicates, possible = (
            {item: score for item, score in scores.items() if item.person != member.person}
            for scores in (found.duplicates, found.possible)
        )
        self.asking.ask_each(TaskKind.DUPLICATE, member, duplicates, "the score says yes, within one authority")
        self.asking.ask_each(TaskKind.POSSIBLE, member, possible, "the score does not decide")

    def _ask_about_change(self, placed: Placed, before: Member, edges: Sequence[Edge]) -> None:
        """Strict traits of a linked identity changed, or it contradicts those that it is still with."""
        member = placed.member
        self.asking.agreed(member, self._contradicts)
        wrong = self._ask_wrong_join(member)
        changed = matching.contradiction(replace(before.identity, ins=None), replace(member.identity, ins=None))
        if not changed or not before.identity.active:
            return
        linked = {edge.far(member.id) for edge in edges if edge.rule not in (MERGE, RENUMBERED)} - wrong
        others = [item for item in self.store.by_ids(linked) if matching.contradiction(member.identity, item.identity)]
        others = [item for item in others if item.identity.active]
        self.asking.ask(TaskKind.STRICT_TRAITS, member, others, f"strict trait changed: {changed}")
        alone = not others and len(self.store.members(member.person)) == 1
        if alone and matching.somebody_else(before.identity, member.identity):
            self.asking.ask_alone(TaskKind.STRICT_TRAITS, member, "the number seems to be somebody else's now")

    def _ask_wrong_join(self, member: Member) -> set[int]:
        """Of one person, and yet different: the others' rows."""
        together = [other for other in self.store.members(member.person) if other.id != member.id]
        wrong = [other for other in together if self._contradicts(member.identity, other.identity)]
        self.asking.ask(TaskKind.WRONG_JOIN, member, wrong, "of one person, with contradicting strict traits")
        if self.weighing is not None:
            doubtful = self.weighing.doubtful(member, [item for item in together if item not in wrong], self.links)
            self.asking.ask_each(TaskKind.WRONG_JOIN, member, doubtful, "linked by a score that is lower now")
            wrong += doubtful
        return {item.id for item in wrong}

    # Different INS

    def _refuse_owners_ins(self, before: Member, identity: Identity, edges: Sequence[Edge]) -> None:
        """What its owner said to be one person can't have two qualified INS."""
        if identity.ins is None or identity.ins == before.identity.ins or not any(e.rule == OWNER for e in edges):
            return
        own = group(before.id, [edge for edge in self.links.within(before.person) if edge.rule == OWNER])
        self._refuse_other_ins(identity, self.store.by_ids(own - {before.id}), before)

    def _refuse_other_ins(self, identity: Identity, others: Iterable[Member], known: Member | None = None) -> None:
        """Raises InsConflict, about what is known of the two sides."""
        conflicting = [other for other in others if other.identity.active and _other_ins(identity, other.identity)]
        if conflicting:
            about = [known.identity.identifier if known is not None else identity.identifier]
            raise InsConflict().concerning([*about, *(other.identity.identifier for other in conflicting)])


def _best(allies: dict[Member, Basis]) -> str:
    rules = {basis.rule for basis in allies.values()}
    return next(rule for rule in (matching.SAME_INS, matching.STRICT_TRAITS, SCORE) if rule in rules)


def _several_hospitals(members: Sequence[Member]) -> bool:
    return len({member.identity.identifier.authority for member in members}) > 1


def _other_ins(one: Identity, other: Identity) -> bool:
    return one.ins is not None and other.ins is not None and one.ins != other.ins


def _lost_by(edge: Edge, identity: int) -> bool:
    """Whether the edge says that the identity's number is used no more."""
    return edge.rule in (MERGE, RENUMBERED) and edge.other == identity
