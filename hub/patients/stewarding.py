"""A steward's word about any two identities: one person, or two. It beats every rule of the hub."""

from collections.abc import Sequence
from dataclasses import replace

from hub.patients.errors import LinkRefused
from hub.patients.grouping import group
from hub.patients.linking import OWNERS, STEWARD, Linker, Placed
from hub.patients.store import Member
from hub.patients.store_links import NO_MATCH, Edge, Word

AUTHORITY, INS, INDEX, OWNER = "one-authority", "ins", "external-index", "owner"


class StewardsWord(Linker):
    """Links and no-matches that a person decided. ``word``: who, and why."""

    def link_two(self, one: Member, other: Member, word: Word) -> Placed:
        """One person from now on. Raises LinkRefused, InsConflict."""
        if one.identity.identifier.authority == other.identity.identifier.authority:
            raise LinkRefused("Only their owner merges two identities of one authority.", why=AUTHORITY)
        mine, theirs = self.store.members(one.person), self.store.members(other.person)
        for item in mine:
            self._refuse_other_ins(item.identity, theirs, item)
        if one.person != other.person:
            self._check_persons(one, other, mine, theirs)
        self._forgive(one, other, word)
        placed = Placed(one, reason=STEWARD, persons={one.person})
        if not any(edge.rule == STEWARD and edge.far(one.id) == other.id for edge in self.links.edges([one.id])):
            self.links.add(one.id, other.id, STEWARD, word)
            placed.linked = True
        if one.person != other.person:
            kept, lost = self.grouping.order(one.person, other.person)
            self.store.absorb(lost.id, kept.id)
            placed.lost, placed.persons = lost, {kept.id}
            placed.member = replace(one, person=kept.id)
        self.asking.settled(one, other)
        self._look_again([*mine, *theirs], placed)
        return placed

    def part_two(self, one: Member, other: Member, word: Word) -> Placed:
        """Two persons from now on, whatever the rules and scores say. Raises LinkRefused."""
        placed = Placed(one, reason=NO_MATCH)
        if one.person == other.person:
            edges = self.links.within(one.person)
            if other.id in group(one.id, [edge for edge in edges if edge.rule in OWNERS]):
                raise LinkRefused("Their owner said that they are one person: only it can part them.", why=OWNER)
            leaver, stayer = self._leaver(one, other, edges)
            gone = Placed(leaver)
            self.cut(gone, [stayer], NO_MATCH, word.author)
            placed.split, placed.persons = gone.split, gone.persons | {one.person}
        if other.id not in self.links.barred(one.id):
            self.links.add(one.id, other.id, NO_MATCH, word)
            placed.split = True
            placed.persons |= {one.person, other.person}
        self.asking.settled(one, other)
        self._look_again([one, other], placed)
        placed.member = self.store.by_ids([one.id])[0]
        return placed

    def _check_persons(self, one: Member, other: Member, mine: Sequence[Member], theirs: Sequence[Member]) -> None:
        authorities = {item.identity.identifier.authority for item in mine}
        if any(item.identity.identifier.authority in authorities for item in theirs):
            raise LinkRefused("It would bring two identities of one authority together.", why=AUTHORITY)
        if self.store.person(one.person).external and self.store.person(other.person).external:
            raise LinkRefused("The external index says that they are two persons.", why=INDEX)

    def _forgive(self, one: Member, other: Member, word: Word) -> None:
        """The later word of a steward holds: no-matches between those that it brings together end."""
        barring = self.links.apart(one.person, other.person)
        if one.person == other.person:
            barring = [edge for edge in barring if {edge.one, edge.other} == {one.id, other.id}]
        self.links.end([edge.id for edge in barring], STEWARD, word.author)

    @staticmethod
    def _leaver(one: Member, other: Member, edges: Sequence[Edge]) -> tuple[Member, Member]:
        """(who leaves, who stays): whoever has more links stays, of equals the older."""

        def ties(member: Member) -> int:
            return sum(member.id in (edge.one, edge.other) for edge in edges)

        first, second = sorted((one, other), key=lambda item: (-ties(item), item.id))
        return second, first

    def _look_again(self, members: Sequence[Member], placed: Placed) -> None:
        """What else was asked about them may be answered now, or stand differently."""
        subjects = {task.identity for item in members for task in self.store.tasks.about(item.id)}
        self.revisit(sorted({*subjects, *(item.id for item in members if placed.reason == NO_MATCH)}), placed)
