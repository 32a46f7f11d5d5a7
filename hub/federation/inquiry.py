"""One query about one person, put to other communities in their own terms: by the number that each knows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from hub.documents.errors import UnknownPatientId
from hub.documents.model import StoredQuery
from hub.documents.queries import Question, Value
from hub.errors import HubError
from hub.federation.discovery import DiscoveryService, identifiers_for
from hub.federation.model import Community, CommunityAnswer, Discovery
from hub.federation.responding import Patients
from hub.imaging.model import SourceState, SourceStatus
from hub.patients.model import Person, Traits
from hub.values import PatientIdentifier

UNKNOWN_PATIENT = "XDSUnknownPatientId"
NO_NUMBER = "The person has no number there."
NOT_KNOWN = "The community does not know the person."
MORE_WANTED = "The community would have to know more about the person."
NOT_CHECKED = "The person's identity is not validated: nobody else is asked about it."


class Queried(Protocol):
    """Another community's gateway, as a query needs it."""

    def discover(self, traits: Traits, identifiers: Sequence[PatientIdentifier]) -> Discovery:
        """ITI-55."""
        ...

    def query(self, query: StoredQuery) -> CommunityAnswer:
        """ITI-38."""
        ...


class Inquiry:
    """A stored query and the person that it is about. The person is looked up once, and only when it must be."""

    def __init__(
        self, query: StoredQuery, question: Question, patients: Patients, discovery: DiscoveryService | None
    ) -> None:
        self.query = query
        self.question = question
        self.discovery = discovery
        self._patients = patients
        self._person: tuple[Person | None] | None = None

    def ask(self, community: Community, client: Queried) -> Callable[[], CommunityAnswer] | None:
        """What asks the community; None where the person has no number that it knows."""
        patient = self.question.patient
        if patient is None:
            return self._plain(client, [self._at(community)])
        if self.discovery is not None and community.discovers:
            return self._discovered(self.discovery, community, client)
        if community.authority in ("", patient.authority):
            return self._plain(client, [self._at(community)])
        known = self.person.identifiers if self.person is not None else ()
        numbers = [item for item in known if item.authority == community.authority]
        return self._plain(client, self._about(community, numbers)) if numbers else None

    @property
    def person(self) -> Person | None:
        """Whom the query is about."""
        if self._person is None:
            patient = self.question.patient
            self._person = (self._patients.person(patient) if patient is not None else None,)
        return self._person[0]

    def _discovered(
        self, discovery: DiscoveryService, community: Community, client: Queried
    ) -> Callable[[], CommunityAnswer] | None:
        person = self.person
        if person is None:
            return None
        known = [
            item.identifier for item in discovery.correlations(person.regional) if item.community == community.home
        ]
        if known:
            return self._remembered(discovery, person, community, self._plain(client, self._about(community, known)))
        if not discovery.may_ask(person):
            return lambda: silent(community.name, NOT_CHECKED)

        def ask() -> CommunityAnswer:
            found = client.discover(person.traits, identifiers_for(person))
            numbers = discovery.accepted(person, community, found)
            if not numbers:
                return silent(community.name, MORE_WANTED if found.lacking else NOT_KNOWN)
            return merged([client.query(query) for query in self._about(community, numbers)])

        return ask

    @staticmethod
    def _remembered(
        discovery: DiscoveryService, person: Person, community: Community, ask: Callable[[], CommunityAnswer]
    ) -> Callable[[], CommunityAnswer]:
        def again() -> CommunityAnswer:
            answer = ask()
            if any(map(_patient_unknown, answer.problems)):  # a number that it has given up: look for the next anew
                discovery.forget(person.regional, community.home)
            return answer

        return again

    @staticmethod
    def _plain(client: Queried, queries: Sequence[StoredQuery]) -> Callable[[], CommunityAnswer]:
        return lambda: merged([client.query(query) for query in queries])

    def _at(self, community: Community) -> StoredQuery:
        return replace(self.query, home=community.home)

    def _about(self, community: Community, numbers: Iterable[PatientIdentifier]) -> list[StoredQuery]:
        query, parameters = self._at(community), self.question.query.parameters
        name = next(item.name for item in parameters if item.value is Value.PATIENT)
        every = dict.fromkeys(item.cx for item in numbers)
        return [replace(query, parameters={**query.parameters, name: ((cx,),)}) for cx in every]


def merged(parts: Sequence[CommunityAnswer]) -> CommunityAnswer:
    """One answer. That one community does not know the patient is no problem when another answered."""
    answered = any(part.answered for part in parts)
    problems = [error for part in parts for error in part.problems if not (answered and _patient_unknown(error))]
    return CommunityAnswer(
        tuple(item for part in parts for item in part.objects),
        tuple(problems),
        answered,
        tuple(status for part in parts for status in part.statuses),
    )


def silent(name: str, reason: str) -> CommunityAnswer:
    """A community that has nothing, and why."""
    return CommunityAnswer(statuses=(SourceStatus(name, SourceState.ANSWERED, reason=reason),))


def _patient_unknown(error: HubError) -> bool:
    return isinstance(error, UnknownPatientId) or getattr(error, "error_code", "") == UNKNOWN_PATIENT
