"""What an owner says of its own numbers: merged (A40), one person (A24), not one (A37), another number (A47), gone."""

from dataclasses import replace

from hub.patients.errors import IdentifierInUse, UnknownIdentifier
from hub.patients.grouping import group
from hub.patients.linking import AUTOMATIC, EXTERNAL, MERGE, OWNER, OWNERS, RENUMBERED, STEWARD, Linker, Placed
from hub.patients.model import TaskKind
from hub.patients.store import Member, PersonRecord
from hub.patients.store_links import NO_MATCH
from hub.values import PatientIdentifier, now


class OwnersWord(Linker):
    """An owner's word holds within its own domain, against every link of the hub and of a steward there; what it means
    for other hospitals' identities is the rules' matter, and where they don't decide, a steward's."""

    # A40

    def check_merge(self, kept: Member, lost: Member | None) -> None:
        """Raises InsConflict where the lost number's identity, and who is with the survivor, have different INS."""
        if lost is not None and lost.identity.active and lost.identity.ins is not None:
            others = [item for item in self.store.members(kept.person) if item.id != lost.id]
            self._refuse_other_ins(lost.identity, others, lost)

    def check_absorbed(self, kept: Member, lost: PersonRecord | None) -> None:
        """An external index joins two persons as a whole. Raises InsConflict where they have different INS."""
        there = self.store.members(kept.person)
        for item in self.store.members(lost.survivor or lost.id) if lost is not None else ():
            self._refuse_other_ins(item.identity, there, item)

    def retire(self, lost: Member) -> set[int]:
        """The identity is used no more, and is no longer a reason for a link. Whose questions named it."""
        edges = [edge.id for edge in self.links.edges([lost.id]) if edge.rule in AUTOMATIC or edge.rule == EXTERNAL]
        self.links.end(edges, MERGE)
        revisit = self.asking.gone(lost)
        self.store.retire(lost)
        self._stored(replace(lost, identity=replace(lost.identity, active=False)))
        return revisit

    def merge(self, lost: Member | None, lost_id: PatientIdentifier, survivor: Placed, *, external: bool) -> None:
        """Point ``lost`` (retired, or never seen) at the survivor; who is with it by a steward's word follows."""
        placed = survivor
        kept = placed.member
        placed.reason = MERGE
        if lost is None:
            self._ghost(lost_id, kept, MERGE)
            return
        lost = self.store.by_ids([lost.id])[0]  # its person may have joined the survivor's meanwhile
        if lost.survivor != kept.id:
            self._end_earlier_merge(lost)
            self._follow(lost, kept)
            self.store.point(lost, kept)
            self.links.add(kept.id, lost.id, MERGE, self._word(reason="A40"))
        old = lost.person
        if old == kept.person:
            placed.persons |= self.grouping.settle(old, lost.id)
        elif self.store.members(old) and not external:
            placed.persons |= self.grouping.settle(old, lost.id) | {old}
        else:
            placed.lost = self.store.person(old)
            self.store.absorb(old, kept.person)
        placed.member = self.store.by_ids([kept.id])[0]
        self._keep_apart(placed)

    def _end_earlier_merge(self, lost: Member) -> None:
        edges = self.links.edges([lost.id])
        self.links.end([e.id for e in edges if e.rule in (MERGE, RENUMBERED) and e.other == lost.id], "merged-anew")

    def _follow(self, lost: Member, kept: Member) -> None:
        """What a steward linked to the lost number is with the survivor from now on, or asked about."""
        if lost.person == kept.person:
            return
        own = group(lost.id, self.links.within(lost.person))
        if self._may_not(own, lost.person, kept):
            edges = [edge for edge in self.links.edges([lost.id]) if edge.rule not in OWNERS]
            self.links.end([edge.id for edge in edges], "merge-conflict")
            others = self.store.by_ids({edge.far(lost.id) for edge in edges})
            self.asking.ask(TaskKind.BRIDGE, kept, others, "linked to a merged number, contradicts the survivor")
            own = group(lost.id, self.links.within(lost.person))
        self.store.move(own, kept.person)

    def _may_not(self, own: frozenset[int], person: int, kept: Member) -> bool:
        """Whether identities can't be brought into a person: a number of a hospital that has one there, another INS, a
        no-match."""
        there = self.store.members(kept.person)
        authorities = {item.identity.identifier.authority for item in there} - {kept.identity.identifier.authority}
        coming = [item for item in self.store.by_ids(own) if item.identity.active]
        if any(item.identity.identifier.authority in authorities for item in coming):
            return True
        if len({item.identity.ins for item in (*coming, *there) if item.identity.ins is not None}) > 1:
            return True
        return any(edge.one in own or edge.other in own for edge in self.links.apart(person, kept.person))

    def _keep_apart(self, placed: Placed) -> None:
        """A no-match stands also where an owner joins its numbers: what the hub had linked gives way."""
        member = placed.member
        barring = self.links.apart(member.person, member.person)
        if not barring:
            return
        members = {item.id: item for item in self.store.everyone(member.person)}
        own = group(member.id, [edge for edge in self.links.within(member.person) if edge.rule in OWNERS])
        others = [members[key] for edge in barring for key in (edge.one, edge.other) if key not in own]
        if not others:
            return
        placed.persons.add(member.person)
        edges = self.links.within(member.person)
        ended = [e.id for e in edges if e.rule in AUTOMATIC and (e.one in own) != (e.other in own)]
        self.links.end(ended, NO_MATCH)
        self._part(placed, NO_MATCH)
        still = [
            item for item in self.store.by_ids(other.id for other in others) if item.person == placed.member.person
        ]
        self.asking.ask(
            TaskKind.WRONG_JOIN, placed.member, still, "an owner's word and a no-match contradict each other"
        )

    def _ghost(self, number: PatientIdentifier, kept: Member, rule: str) -> Member:
        """A number that is in use no more, and answers as another one."""
        identity = replace(kept.identity, identifier=number, active=False, ins=None, others=(), updated_at=now())
        lost = self.store.add_identity(identity, kept.person, None, home=False, survivor=kept.id)
        self.links.add(kept.id, lost.id, rule, self._word(reason="A47" if rule == RENUMBERED else "A40"))
        return lost

    # A24, A37

    def link(self, one: Placed, other: Placed) -> Placed:
        """Two numbers of one owner, both in use, are one person. Raises InsConflict."""
        first, second = self._fresh(one.member, other.member)
        persons = [*self.store.members(first.person)]
        if second.person != first.person:
            persons += self.store.members(second.person)
        for item in persons:
            self._refuse_other_ins(item.identity, persons, item)
        barring = self.links.apart(first.person, second.person)
        pair = {first.id, second.id}
        self.links.end([e.id for e in barring if {e.one, e.other} == pair], OWNER, self.context.source)
        linked = any(e.rule == OWNER and e.far(first.id) == second.id for e in self.links.edges([first.id]))
        placed = replace(one, member=first, persons=one.persons | other.persons | {first.person})
        if not linked:
            self.links.add(first.id, second.id, OWNER, self._word(reason="A24"))
            self.asking.settled(first, second)
        if first.person != second.person:
            self._bring(second, placed)
        self._keep_apart(placed)
        placed.reason, placed.linked = OWNER, True
        return placed

    def _bring(self, guest: Member, placed: Placed) -> None:
        """The guest's person joins as a whole where it may, else without those that speak against it."""
        kept = placed.member
        own = self.links.within(guest.person)
        numbers = group(guest.id, [edge for edge in own if edge.rule in OWNERS])
        for rules in (AUTOMATIC, AUTOMATIC | {STEWARD, EXTERNAL}):
            everybody = frozenset(item.id for item in self.store.everyone(guest.person))
            if not self._may_not(everybody, guest.person, kept):
                break
            edges = [edge for edge in self.links.within(guest.person) if edge.rule in rules]
            ended = [edge for edge in edges if (edge.one in numbers) != (edge.other in numbers)]
            self.links.end([e.id for e in ended], OWNER)
            placed.persons |= self.grouping.settle(guest.person, guest.id)
            guest = self.store.by_ids([guest.id])[0]
            if any(e.rule not in AUTOMATIC for e in ended):
                far = {e.one if e.other in numbers else e.other for e in ended}
                reason = "linked to a number that its owner links to somebody else"
                self.asking.ask(TaskKind.BRIDGE, guest, self.store.by_ids(far), reason)
        if guest.person == kept.person:
            return
        first, last = self.grouping.order(kept.person, guest.person)
        self.store.absorb(last.id, first.id)
        placed.lost = last
        placed.member = self.store.by_ids([kept.id])[0]

    def unlink(self, one: Member, other: Member) -> Placed:
        """Two numbers of one owner are not one person (any more)."""
        placed = Placed(one, reason="unlinked")
        edges = self.links.edges([one.id])
        self.links.end(
            [e.id for e in edges if e.rule == OWNER and e.far(one.id) == other.id], OWNER, self.context.source
        )
        if other.id not in self.links.barred(one.id):
            self.links.add(one.id, other.id, NO_MATCH, self._word(reason="A37"))
        self.asking.settled(one, other)
        if one.person == other.person:
            placed.persons.add(one.person)
            self._part(placed, "unlinked")
            one, other = self._fresh(one, other)
            if one.person == other.person:  # somebody else is linked to both
                leaver = Placed(max(one, other, key=lambda item: item.id))
                self.cut(leaver, [min(one, other, key=lambda item: item.id)], "unlinked")
                placed.persons |= leaver.persons
            for member in self._fresh(one, other):
                again = Placed(member)
                self.join(again)
                placed.persons |= again.persons | {again.member.person}
        placed.member = self.store.by_ids([one.id])[0]
        return placed

    # A47

    def renumber(
        self, known: Member | None, new: Member | None, number: PatientIdentifier, old: PatientIdentifier
    ) -> None:
        """The identity is known by another number from now on; the old one is an alias, never given again.

        Raises IdentifierInUse, UnknownIdentifier."""
        if known is None:
            return  # the feed makes the identity, ``alias`` keeps its old number
        if known.survivor is not None:
            if new is not None and known.survivor == new.id:
                return  # said before
            raise UnknownIdentifier("The old number is in use no more.")
        if new is not None and not (new.survivor == known.id and self.renumbered(new)):
            raise IdentifierInUse()  # also where that other identity was merged into this one
        if new is not None:  # back to a number that it had
            self.store.renumber(new, f"\x1f{new.id}")
            self.store.renumber(known, number.value)
            self.store.renumber(new, old.value)
            return
        self.store.renumber(known, number.value)
        self._ghost(old, known, RENUMBERED)

    def alias(self, placed: Placed, old: PatientIdentifier) -> None:
        """A number that was never seen, and is an alias from now on."""
        self._ghost(old, placed.member, RENUMBERED)

    def renumbered(self, member: Member) -> bool:
        """Whether the number is an alias that an A47 left behind."""
        if member.survivor is None:
            return False
        return any(edge.rule == RENUMBERED and edge.other == member.id for edge in self.links.edges([member.id]))

    # A29

    def withdraw(self, member: Member) -> Placed:
        """The identity is gone; its number means nobody until it is announced again."""
        placed = Placed(member, reason="withdrawn")
        if not member.identity.active:
            return placed
        edges = self.links.edges([member.id])
        kept = (MERGE, RENUMBERED)
        self.links.end([edge.id for edge in edges if edge.rule not in kept], "withdrawn", self.context.source)
        revisit = self.asking.gone(member)
        self.store.retire(member)
        self._stored(replace(member, identity=replace(member.identity, active=False)))
        placed.persons.add(member.person)
        placed.persons |= self.grouping.settle(member.person, member.id)
        placed.member = self.store.by_ids([member.id])[0]
        self.revisit(revisit, placed)
        return placed

    def _fresh(self, one: Member, other: Member) -> tuple[Member, Member]:
        (first,), (second,) = self.store.by_ids([one.id]), self.store.by_ids([other.id])
        return first, second
