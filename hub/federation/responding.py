"""The responding gateway (XCA, XCA-I): what other communities may ask of this one."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from hub.context import Context
from hub.documents.errors import MissingHomeCommunityId, UnknownCommunity, UnknownPatientId
from hub.documents.model import (
    DocumentRequest,
    ProvideDocuments,
    QueryResult,
    Registered,
    RetrievedDocuments,
    RetrieveDocuments,
    StoredQuery,
)
from hub.documents.queries import read
from hub.documents.rules import printable
from hub.errors import HubError
from hub.federation.model import (
    CrossGatewayProvide,
    CrossGatewayQuery,
    CrossGatewayRetrieve,
    CrossGatewayRetrieveInstances,
)
from hub.imaging.model import FailedInstance, InstanceRequest, InstanceStream, RetrieveInstances
from hub.patients.model import Person
from hub.usecase import use_case
from hub.values import Oid, PatientIdentifier

Wanted = TypeVar("Wanted", DocumentRequest, InstanceRequest)


class Documents(Protocol):
    """The documents room, as the gateways see it."""

    def query(self, command: StoredQuery, context: Context) -> QueryResult:
        """ITI-18."""
        ...

    def retrieve(self, command: RetrieveDocuments, context: Context) -> RetrievedDocuments:
        """ITI-43."""
        ...

    def provide(self, command: ProvideDocuments, context: Context) -> Registered:
        """ITI-41."""
        ...


class Images(Protocol):
    """The imaging room, as the gateways see it."""

    def retrieve(self, command: RetrieveInstances, context: Context) -> InstanceStream:
        """RAD-69."""
        ...


class Patients(Protocol):
    """The patients room, as the gateways see it."""

    def equivalents(self, identifier: PatientIdentifier) -> tuple[PatientIdentifier, ...]:
        """Every regional identifier of the same person; empty: nobody is known by it."""
        ...

    def person(self, identifier: PatientIdentifier) -> Person | None:
        """Whom the identifier means."""
        ...


class RespondingGateway:
    """Answers for this community alone: it never asks others. ``home_community_id``: an OID, with or without urn."""

    def __init__(self, *, documents: Documents, images: Images, patients: Patients, home_community_id: str) -> None:
        self.documents = documents
        self.images = images
        self.patients = patients
        self.home = Oid.from_urn(home_community_id).urn

    @use_case
    def query(self, command: CrossGatewayQuery, context: Context) -> QueryResult:
        """ITI-38 (ITI TF-2: 3.38.4.1.3). Raises MissingHomeCommunityId, UnknownCommunity, UnknownPatientId."""
        query = command.query
        question = read(query.query_id, query.parameters, query.lists)
        if query.home:
            check_home(query.home, (self.home,))
        elif question.patient is None:
            raise MissingHomeCommunityId(location="home")
        if question.patient is not None and not self.patients.equivalents(question.patient):
            raise UnknownPatientId()
        return self.documents.query(query, context)

    @use_case
    def retrieve(self, command: CrossGatewayRetrieve, context: Context) -> RetrievedDocuments:
        """ITI-39 (ITI TF-2: 3.39.4.1.3): each request must name this community."""
        wanted, failures = admitted(command.requests, self._check)
        found = self.documents.retrieve(RetrieveDocuments(tuple(wanted)), context)
        return RetrievedDocuments(found.documents, (*failures, *found.failures))

    @use_case
    def provide(self, command: CrossGatewayProvide, context: Context) -> Registered:
        """ITI-80 (ITI TF-2: 3.80.4.1.3): kept and registered here as an ITI-41 is, when it is meant for this community.

        Raises MissingHomeCommunityId, UnknownCommunity, and what the documents room raises."""
        self._check(command.home)
        return self.documents.provide(ProvideDocuments(command.submission, command.contents), context)

    @use_case
    def retrieve_instances(self, command: CrossGatewayRetrieveInstances, context: Context) -> InstanceStream:
        """RAD-75 (RAD TF-3: 4.75): each request must name this community."""
        wanted, failures = admitted(command.requests, self._check)
        found = self.images.retrieve(RetrieveInstances(tuple(wanted), command.transfer_syntaxes), context)
        return self._stream(failures, found)

    def _check(self, home: str) -> None:
        check_home(home, (self.home,))

    @staticmethod
    def _stream(failures: Sequence[tuple[InstanceRequest, HubError]], found: InstanceStream) -> InstanceStream:
        yield from (FailedInstance(request, error) for request, error in failures)
        yield from found


def check_home(home: str, known: Sequence[str]) -> None:
    """Raises MissingHomeCommunityId, or UnknownCommunity when it is none of the known ones."""
    if not home:
        raise MissingHomeCommunityId(location="HomeCommunityId")
    if home not in known:
        raise UnknownCommunity(location=printable(home))


def admitted(
    requests: Sequence[Wanted], check: Callable[[str], None]
) -> tuple[list[Wanted], list[tuple[Wanted, HubError]]]:
    """The requests whose community is one that may be asked, and for each other the reason why not."""
    good: list[Wanted] = []
    failures: list[tuple[Wanted, HubError]] = []
    for request in requests:
        try:
            check(request.home)
        except HubError as error:
            failures.append((request, error))
        else:
            good.append(request)
    return good, failures
