"""Puts identities into persons: applies the rules of ``matching`` to what is stored, inside one unit of work."""

import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hub.context import Context
from hub.patients import matching
from hub.patients.model import Identity, TaskKind
from hub.patients.store import Edge, Member, PatientStore, PersonRecord
from hub.values import PatientIdentifier, now

EXTERNAL, MERGE = "external", "merge"
_AUTOMATIC = frozenset({matching.SAME_INS, matching.STRICT_TRAITS})


def new_regional_value() -> str:
    """A regional number that says nothing: R, ten random digits, a check digit (ISO 7064 MOD 11,10)."""
    digits = f"{secrets.randbelow(10**10):010d}"
    return f"R{digits}{check_digit(digits)}"


def check_digit(digits: str) -> str:
    """ISO 7064 MOD 11,10: finds every single wrong digit and most swapped ones."""
    product = 10
    for digit in digits:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


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
    """The rules at work. ``affinity_domain``: authority of the regional identifiers that are made here."""

    def __init__(self, store: PatientStore, affinity_domain: str, context: Context) -> None:
        self.store = store
        self.affinity_domain = affinity_domain
        self.context = context

    # One identity

    def add(self, identity: Identity, asserted: PersonRecord | None = None) -> Placed:
        """A first contact. ``asserted``: the person that an external index says it is."""
        key = matching.strict_key(identity)
        if asserted is not None:
            placed = Placed(self.store.add_identity(identity, asserted.id, key, home=False), reason=EXTERNAL)
            self._assert_links(placed.member)
            return placed
        candidates = self.store.candidates(identity, key, 0)
        if candidates and self.store.lock_links():
            candidates = self.store.candidates(identity, key, 0)
        allies = _allies(identity, candidates)
        target = self._target(identity, allies)
        if target is None:
            person = self.new_person()
            member = self.store.add_identity(identity, person.id, key, home=True)
            if candidates:
                self._ask(member, candidates, allies)
            return Placed(member, created=True, reason="new", person=person)
        member = self.store.add_identity(identity, target, key, home=False)
        self._link(member, allies)
        return Placed(member, linked=True, reason=_best(allies))

    def change(self, before: Member, identity: Identity) -> Placed:
        """An identity that is known, as its owner now describes it."""
        identity = replace(identity, active=True)
        if before.identity.active and not _material(before.identity, identity):
            if replace(before.identity, updated_at=identity.updated_at) == identity:
                self.store.touch_identity(before)
                return Placed(replace(before, identity=identity))
            return Placed(self.store.change_identity(before, identity, matching.strict_key(identity)))
        if self.store.lock_links():
            before = self.store.by_ids([before.id])[0]
        placed = Placed(self.store.change_identity(before, identity, matching.strict_key(identity)))
        self.store.close_tasks(before.id)
        if before.identity.active:
            self._leave(placed)
        else:  # merged away once, and now alive again: not in the person of its former survivor
            self.store.end([edge.id for edge in self.store.edges([before.id])], "alive-again")
            self._part(placed, "alive-again")
        self.join(placed)
        return placed

    def assert_person(self, placed: Placed, asserted: PersonRecord) -> None:
        """An external index says that a known identity is this person."""
        member = placed.member
        if member.person == asserted.id:
            return
        old = member.person
        self.store.end([edge.id for edge in self.store.edges([member.id])], EXTERNAL)
        if [other for other in self.store.members(old) if other.id != member.id] or self.store.person(old).external:
            self.store.move([member.id], asserted.id)
            placed.persons |= self.settle(old, member.id) | {old}
        else:
            placed.lost = self.store.person(old)
            self.store.absorb(old, asserted.id)
        placed.member = replace(member, person=asserted.id)
        placed.linked, placed.reason = True, EXTERNAL
        self._assert_links(placed.member)

    def _assert_links(self, member: Member) -> None:
        for other in self.store.members(member.person):
            if other.id != member.id:
                self.store.link(member.id, other.id, EXTERNAL, self.context.message_id)

    # Leaving and joining

    def _leave(self, placed: Placed) -> None:
        """End the automatic links whose reason is gone; who is left without one goes to a person of its own."""
        member = placed.member
        edges = [edge for edge in self.store.edges([member.id]) if edge.rule in _AUTOMATIC]
        others = {other.id: other for other in self.store.by_ids({_far(edge, member.id) for edge in edges})}
        ended = [edge for edge in edges if _ended(edge, member, others)]
        if not ended:
            return
        self.store.end([edge.id for edge in ended], "basis-gone")
        self._part(placed, "basis-gone")
        member = placed.member
        together = [other for other in self.store.members(member.person) if other.id != member.id]
        if any(matching.contradiction(member.identity, other.identity) for other in together):
            # Somebody in between agrees with both: not a reason for two who contradict each other to stay one person.
            left = [edge for edge in self.store.edges([member.id]) if edge.rule in _AUTOMATIC]
            self.store.end([edge.id for edge in left], "contradiction")
            self._part(placed, "contradiction")

    def _part(self, placed: Placed, reason: str) -> None:
        member = placed.member
        moved = self.settle(member.person, member.id)
        if moved:
            placed.split, placed.reason = True, reason
            placed.persons |= moved | {member.person}
            placed.member = self.store.by_ids([member.id])[0]

    def join(self, placed: Placed) -> None:
        """Link a known identity to those that the rules now say it is."""
        member = placed.member
        candidates = self.store.candidates(member.identity, matching.strict_key(member.identity), member.id)
        allies = _allies(member.identity, candidates)
        here = {ally: rule for ally, rule in allies.items() if ally.person == member.person}
        if here:
            linked = {_far(edge, member.id) for edge in self.store.edges([member.id])}
            self._link(member, {ally: rule for ally, rule in here.items() if ally.id not in linked})
        away = {ally: rule for ally, rule in allies.items() if ally.person != member.person}
        target = self._target(member.identity, away)
        alone = all(other.id == member.id for other in self.store.members(member.person)) if away else False
        if target is None or not alone:
            self._ask(member, candidates, away)
            return
        kept, lost = self._order(member.person, target)
        if kept.external and lost.external:  # an external index says that they are two
            self._ask(member, candidates, away)
            return
        self.store.absorb(lost.id, kept.id)
        self._link(member, away)
        placed.member = replace(member, person=kept.id)
        placed.linked, placed.reason, placed.lost = True, _best(away), lost

    def _target(self, identity: Identity, allies: dict[Member, str]) -> int | None:
        """The one person to join: where all allies are, and nobody contradicts."""
        persons = {ally.person for ally in allies}
        if len(persons) != 1:
            return None
        person = persons.pop()
        return None if any(_vetoes(identity, other.identity) for other in self.store.members(person)) else person

    def _order(self, one: int, other: int) -> tuple[PersonRecord, PersonRecord]:
        """(kept, lost): what an external index gave is kept, else the older."""
        first, second = (self.store.person(key) for key in sorted((one, other)))
        return (second, first) if second.external and not first.external else (first, second)

    def _link(self, member: Member, allies: dict[Member, str]) -> None:
        for ally, rule in allies.items():
            self.store.link(member.id, ally.id, rule, self.context.message_id)

    def _ask(self, member: Member, candidates: Iterable[Member], allies: dict[Member, str]) -> None:
        """What the rules may not decide goes to a steward."""
        own = member.identity
        same_authority = [c.id for c in candidates if c.identity.identifier.authority == own.identifier.authority]
        collisions = [
            c.id
            for c in candidates
            if own.ins and own.ins == c.identity.ins and matching.contradiction(own, c.identity)
        ]
        questions = (
            (TaskKind.DUPLICATE, same_authority, "same INS or strict traits within one authority"),
            (TaskKind.COLLISION, collisions, "same INS, contradicting strict traits"),
            (TaskKind.BRIDGE, [ally.id for ally in allies], "matches an identity whose person it may not join"),
        )
        for kind, others, reason in questions:
            if others and self.store.task(kind, member.id, others, reason, self.context.message_id):
                self.context.led_to("task", kind.value)

    # Persons

    def new_person(self) -> PersonRecord:
        """A person of its own."""
        while True:
            value = self.store.spare_number() or new_regional_value()
            identifier = PatientIdentifier(value, self.affinity_domain)
            person = self.store.add_person(identifier)
            if person is not None:  # else the number is taken
                return PersonRecord(person, identifier, survivor=None, external=False)

    def settle(self, person: int, changed: int) -> set[int]:
        """Part a person whose identities are no longer all connected; the persons that others went to.

        The largest part stays, of equal ones that without ``changed``, then that with the oldest identity. A part
        goes back to the person that was once made for one of its identities, if that is an alias of this one; a person
        that is made now is there for the next time."""
        members = self.store.members(person)
        parts = _parts(members, self.store.edges([member.id for member in members]) if members else [])
        if len(parts) < 2:
            return set()
        parts.sort(key=lambda part: (-len(part), any(m.id == changed for m in part), min(m.id for m in part)))
        aliases = {alias.id for alias in self.store.aliases(person)}
        gone = set()
        for part in parts[1:]:
            home = next((member.home for member in part if member.home in aliases), None)
            if home is None:
                home = self.new_person().id
                self.store.at_home(part[0], home)
            else:
                aliases.discard(home)
                self.store.revive(home)
            self.store.move([member.id for member in part], home)
            gone.add(home)
        return gone

    # The owner's merge

    def retire(self, lost: Member) -> None:
        """The identity is used no more, and is no longer a reason for anything."""
        self.store.end([edge.id for edge in self.store.edges([lost.id])], MERGE)
        self.store.close_tasks(lost.id)
        self.store.retire(lost)

    def merge(self, lost: Member | None, lost_id: PatientIdentifier, survivor: Placed, *, external: bool) -> None:
        """Point ``lost`` (retired, or never seen) at the survivor; its person follows when nobody else is in it."""
        placed = survivor
        kept = placed.member
        if lost is None:
            ghost = replace(kept.identity, identifier=lost_id, active=False, ins=None, others=(), updated_at=now())
            lost = self.store.add_identity(ghost, kept.person, None, home=False, survivor=kept.id)
        else:
            lost = self.store.by_ids([lost.id])[0]  # its person may have joined the survivor's meanwhile
        old = lost.person
        self.store.point(lost, kept)
        self.store.link(kept.id, lost.id, MERGE, self.context.message_id)
        if old != kept.person:
            left = self.store.members(old)
            if left and not external:
                placed.persons |= self.settle(old, lost.id) | {old}
            else:
                placed.lost = self.store.person(old)
                self.store.absorb(old, kept.person)
        else:
            placed.persons |= self.settle(old, lost.id)
            placed.member = self.store.by_ids([kept.id])[0]
        placed.reason = MERGE


def _allies(identity: Identity, candidates: Iterable[Member]) -> dict[Member, str]:
    found = ((candidate, matching.basis(identity, candidate.identity)) for candidate in candidates)
    return {candidate: rule for candidate, rule in found if rule is not None}


def _best(allies: dict[Member, str]) -> str:
    return matching.SAME_INS if matching.SAME_INS in allies.values() else matching.STRICT_TRAITS


def _vetoes(identity: Identity, other: Identity) -> bool:
    same_authority = identity.identifier.authority == other.identifier.authority
    return same_authority or bool(matching.contradiction(identity, other))


def _far(edge: Edge, identity: int) -> int:
    return edge.other if edge.one == identity else edge.one


def _ended(edge: Edge, member: Member, others: dict[int, Member]) -> bool:
    other = others.get(_far(edge, member.id))
    return other is None or matching.basis(member.identity, other.identity) is None


def _material(before: Identity, after: Identity) -> bool:
    """Whether what the rules look at changed."""

    def looked_at(identity: Identity) -> tuple[object, ...]:
        strict = matching.strict(identity.traits)
        return (strict, identity.traits.given_names, identity.status, identity.ins, identity.attributes)

    return looked_at(before) != looked_at(after)


def _parts(members: list[Member], edges: list[Edge]) -> list[list[Member]]:
    """Connected identities together."""
    parent = {member.id: member.id for member in members}

    def root(key: int) -> int:
        while parent[key] != key:
            key = parent[key]
        return key

    for edge in edges:
        if edge.one in parent and edge.other in parent:
            parent[root(edge.one)] = root(edge.other)
    parts: defaultdict[int, list[Member]] = defaultdict(list)
    for member in members:
        parts[root(member.id)].append(member)
    return list(parts.values())
