"""Persons: what live edges connect. Regional identifiers go with them, and come back."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from hub.patients.numbering import new_regional_value
from hub.patients.store import Member, PatientStore, PersonRecord
from hub.patients.store_links import Edge
from hub.values import PatientIdentifier


class Grouping:
    """Makes, joins and parts persons. ``affinity_domain``: authority of the regional identifiers that are made here."""

    def __init__(self, store: PatientStore, affinity_domain: str) -> None:
        self.store = store
        self.affinity_domain = affinity_domain

    def new_person(self) -> PersonRecord:
        """A person of its own."""
        while True:
            value = self.store.spare_number() or new_regional_value()
            identifier = PatientIdentifier(value, self.affinity_domain)
            person = self.store.add_person(identifier)
            if person is not None:  # else the number is taken
                return PersonRecord(person, identifier, survivor=None, external=False)

    def order(self, one: int, other: int) -> tuple[PersonRecord, PersonRecord]:
        """(kept, lost): what an external index gave is kept, else the older."""
        first, second = (self.store.person(key) for key in sorted((one, other)))
        return (second, first) if second.external and not first.external else (first, second)

    def settle(self, person: int, changed: int) -> set[int]:
        """Part a person whose identities are no longer all connected; the persons that others went to.

        A part that has a person of its own to go back to goes there, with the aliases that are its own. Of those that
        have none the largest stays, of equal ones that without ``changed``, then that with the oldest identity."""
        everyone = self.store.everyone(person)
        parts = _parts(everyone, self.store.links.within(person)) if len(everyone) > 1 else []
        if len(parts) < 2:
            return set()
        aliases = {alias.id for alias in self.store.aliases(person)}
        parts.sort(key=lambda part: _rank(part, person, aliases, changed))
        gone = {self._leave(part, person, aliases) for part in parts[1:]}
        self._keep_home(parts[0], person)
        return gone

    def _leave(self, part: Sequence[Member], person: int, aliases: set[int]) -> int:
        own = _homes(part, aliases)
        if own:
            home = own[0]
            self.store.revive(home)
            self.store.subordinate(own[1:], home)
            aliases.difference_update(own)
        else:
            home = self.new_person().id
            first = next((item for item in part if item.home in (None, person)), part[0])
            self.store.at_home(first, home)
        self.store.move([member.id for member in part], home)
        return home

    def _keep_home(self, part: Sequence[Member], person: int) -> None:
        """Somebody who stays is at home here now, so that the next parting finds the way back."""
        if all(member.home != person for member in part):
            homeless = next((member for member in part if member.home is None), None)
            if homeless is not None:
                self.store.at_home(homeless, person)


def group(identity: int, edges: Iterable[Edge], without: frozenset[int] = frozenset()) -> frozenset[int]:
    """The identities that the edges connect with one, none of ``without`` in between."""
    near: Mapping[int, set[int]] = _neighbours(edges)
    found, waiting = {identity}, [identity]
    while waiting:
        for other in near.get(waiting.pop(), set()) - found - without:
            found.add(other)
            waiting.append(other)
    return frozenset(found)


def _neighbours(edges: Iterable[Edge]) -> dict[int, set[int]]:
    near: defaultdict[int, set[int]] = defaultdict(set)
    for edge in edges:
        near[edge.one].add(edge.other)
        near[edge.other].add(edge.one)
    return near


def _parts(members: Sequence[Member], edges: Sequence[Edge]) -> list[list[Member]]:
    left = {member.id: member for member in members}
    parts = []
    for member in members:
        if member.id in left:
            connected = group(member.id, edges)
            parts.append([left.pop(key) for key in sorted(connected) if key in left])
    return parts


def _homes(part: Sequence[Member], aliases: set[int]) -> list[int]:
    """The part's own persons among the aliases, the one to go back to first: of an identity in use, then the oldest."""
    found = sorted((not member.identity.active, member.home) for member in part if member.home in aliases)
    return list(dict.fromkeys(home for _, home in found if home is not None))


def _rank(part: Sequence[Member], person: int, aliases: set[int], changed: int) -> tuple[object, ...]:
    founded = any(member.home == person for member in part)
    active = sum(member.identity.active for member in part)
    elsewhere = bool(_homes(part, aliases)) and not founded
    return (elsewhere, not active, -active, any(member.id == changed for member in part), not founded, part[0].id)
