"""Who is known where (XCPD): this community's answers to others, and what others answered this one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from hub.context import Context
from hub.federation.errors import DiscoveryContradicted
from hub.federation.model import (
    Community,
    Correlation,
    Discovered,
    DiscoverPatient,
    Discovery,
    LocatePatient,
    PatientLocation,
)
from hub.federation.responding import Patients
from hub.federation.store import CorrelationStore
from hub.patients.discovery import Match, agrees
from hub.patients.errors import UnknownIdentifier
from hub.patients.model import IdentityStatus, Person, Traits
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import Oid, PatientIdentifier, now

_CHECKED = (IdentityStatus.VALIDATED, IdentityStatus.QUALIFIED)


class Finder(Protocol):
    """Who decides whether a stranger is one of us."""

    def match(
        self, traits: Traits, identifiers: Sequence[PatientIdentifier], only: PatientIdentifier | None = None
    ) -> Match:
        """One person or none; ``only``: nobody but whom this means."""
        ...


class DiscoveryService:
    """``time_to_live``: how long others may rely on an answer of this community, and the most that it relies on theirs.

    Correlations are a person's numbers at other communities. They end when the other community said that they do, and
    when anything about the person changes here."""

    def __init__(
        self,
        *,
        database: Database,
        patients: Patients,
        matcher: Finder,
        home_community_id: str,
        time_to_live: timedelta,
    ) -> None:
        self.database = database
        self.patients = patients
        self.matcher = matcher
        self.home = Oid.from_urn(home_community_id).urn
        self.time_to_live = time_to_live

    @use_case
    def discover(self, command: DiscoverPatient, context: Context) -> Discovered:
        """ITI-55 (ITI TF-2: 3.55.4.2.3): exactly one person, or none, perhaps with the traits that could decide.

        Raises DiscoveryIncomplete, SeveralMatches."""
        match = self.matcher.match(command.traits, command.identifiers, command.only)
        if match.person is not None:
            context.touch("patient", match.person.regional.cx)
        if command.community:
            context.touch("community", command.community)
        return Discovered(match.person, match.lacking, self.home, self.time_to_live)

    @use_case
    def locate(self, command: LocatePatient, context: Context) -> tuple[PatientLocation, ...]:
        """ITI-56 (ITI TF-2: 3.56): this community, and those where the person was found. Raises UnknownIdentifier."""
        person = self.patients.person(command.identifier)
        if person is None:
            raise UnknownIdentifier()
        context.touch("patient", person.regional.cx)
        elsewhere = [PatientLocation(item.community, item.identifier) for item in self.correlations(person.regional)]
        return (PatientLocation(self.home, person.regional), *elsewhere)

    # For the initiating gateway

    def correlations(self, person: PatientIdentifier) -> tuple[Correlation, ...]:
        """What still holds of a person's numbers elsewhere. ``person``: the regional identifier."""
        with self.database.reading() as work:
            return CorrelationStore(work).of(person, now())

    def owners(
        self, community: str, numbers: Iterable[PatientIdentifier]
    ) -> Mapping[PatientIdentifier, tuple[PatientIdentifier, ...]]:
        """The persons (regional identifiers) of whom it holds that a community knows them by one of its numbers."""
        found: dict[PatientIdentifier, tuple[PatientIdentifier, ...]] = {}
        with self.database.reading() as work:
            for number, person in CorrelationStore(work).owners(community, numbers, now()):
                found[number] = (*found.get(number, ()), person)
        return found

    def recognised(self, community: Community, found: Discovery) -> tuple[PatientIdentifier, ...]:
        """Who they are here whom a community described when it was asked by its own number. Nothing is kept: it may
        know the same person by other numbers as well. Raises SeveralMatches."""
        described = [item for item in found.candidates if item.community == community.home]
        persons = [self.matcher.match(item.traits, item.identifiers).person for item in described]
        return tuple({person.regional: None for person in persons if person is not None})

    def may_ask(self, person: Person) -> bool:
        """Whether other communities may be asked about the person: an identity that nobody checked matches nobody."""
        return person.status in _CHECKED and bool(person.traits.birth_name and person.traits.birth_date)

    def accepted(self, person: Person, community: Community, found: Discovery) -> tuple[PatientIdentifier, ...]:
        """The person's numbers at the community, kept as long as both sides allow. Raises DiscoveryContradicted when
        it names somebody else."""
        candidates = [item for item in found.candidates if item.community == community.home]
        if not all(agrees(person, item.traits, item.identifiers) for item in candidates):
            raise DiscoveryContradicted(location=community.home)
        numbers = tuple(dict.fromkeys(item.identifiers[0] for item in candidates))
        lasts = min(found.time_to_live or timedelta(0), self.time_to_live)
        if numbers and lasts > timedelta(0):
            with self.database.transaction() as work:
                store = CorrelationStore(work)
                store.sweep(now())
                store.replace(person.regional, community.home, numbers, now() + lasts)
        return numbers

    def forget(self, person: PatientIdentifier, community: str = "") -> None:
        """Ask anew next time, at one community or at all."""
        with self.database.transaction() as work:
            CorrelationStore(work).forget(person, community)

    def changed(self, person: PatientIdentifier, numbers: Iterable[PatientIdentifier], context: Context) -> None:  # noqa: ARG002
        """A person was made, changed, linked or merged here: a listener of the patients room, in its unit of work."""
        self.forget(person)


def identifiers_for(person: Person) -> tuple[PatientIdentifier, ...]:
    """What another community is told: the regional identifier, and the INS of a qualified identity."""
    return (person.regional, *([person.ins] if person.ins is not None else []))
