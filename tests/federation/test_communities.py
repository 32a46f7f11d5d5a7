"""Both gateways over a real documents room: whom they ask, what they refuse, what they say of each community."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import pytest

from hub.access.model import Principal
from hub.access.rights_model import Everything
from hub.context import Context
from hub.documents.errors import (
    DocumentUniqueIdError,
    MissingHomeCommunityId,
    RegistryError,
    StoredQueryMissingParam,
    UnavailableCommunity,
    UnknownCommunity,
    UnknownPatientId,
)
from hub.documents.model import (
    APPROVED,
    Association,
    DocumentRequest,
    ProvideDocuments,
    RetrievedDocument,
    StoredQuery,
)
from hub.documents.service import DocumentService
from hub.errors import HubError, InternalError
from hub.federation.communities import CommunityService
from hub.federation.errors import CommunityError
from hub.federation.model import (
    Community,
    CommunityAnswer,
    CommunityDocuments,
    CommunityInstances,
    CrossGatewayQuery,
    CrossGatewayRetrieve,
    CrossGatewayRetrieveInstances,
    Discovery,
    QueryCommunities,
    Reference,
    RetrieveFromCommunities,
    RetrieveInstancesFromCommunities,
)
from hub.federation.responding import RespondingGateway
from hub.imaging.errors import UnknownInstance
from hub.imaging.model import (
    FailedInstance,
    InstanceRequest,
    InstanceStream,
    RetrievedInstance,
    RetrieveInstances,
    SourceState,
)
from hub.imaging.readers import Disguise
from hub.patients.model import IdentityStatus, Person, Traits
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from hub.wire.soap.client import SoapFault
from tests.documents.builders import ANNE, HOME, REPOSITORY, STRANGER, Region, content, entry, service_on, submit

NORTH, EAST = "urn:oid:1.2.3.1", "urn:oid:1.2.3.2"
NORTHERN = PatientIdentifier("N1", "1.2.3.1.9")
FIND, GET = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
FAR = replace(entry(), id="urn:uuid:9b0c1a52-0000-4000-8000-000000000001", home=NORTH)
LINK = Association("urn:uuid:9b0c1a52-0000-4000-8000-000000000002", "urn:x", FAR.id, FAR.id)


class Persons(Region):
    """The patients room: Anne has numbers elsewhere."""

    def person(self, identifier: PatientIdentifier) -> Person | None:
        if identifier != ANNE:
            return None
        return Person(ANNE, Traits(), IdentityStatus.VALIDATED, aliases=(NORTHERN,))


@dataclass
class Images:
    """The imaging room: every instance of an archive that it knows is there."""

    asked: list[RetrieveInstances] = field(default_factory=list)

    def disguise(self, requests: Sequence[InstanceRequest], context: Context) -> Disguise:  # noqa: ARG002
        return Disguise(tuple(requests))

    def retrieve(self, command: RetrieveInstances, context: Context) -> InstanceStream:  # noqa: ARG002
        self.asked.append(command)
        return (instance(request.sop_instance_uid) for request in command.requests)


@dataclass
class Peer:
    """Another community's gateway, with everything that one may do."""

    answer: CommunityAnswer = field(default_factory=CommunityAnswer)
    documents: CommunityDocuments = field(default_factory=CommunityDocuments)
    instances: CommunityInstances = field(default_factory=CommunityInstances)
    discovery: Discovery = field(default_factory=Discovery)
    error: Exception | None = None
    hang: threading.Event | None = None
    queries: list[StoredQuery] = field(default_factory=list)
    requests: list[Sequence[object]] = field(default_factory=list)
    discoveries: list[tuple[Traits, tuple[PatientIdentifier, ...]]] = field(default_factory=list)

    def _called(self) -> None:
        if self.hang is not None:
            self.hang.wait(30)
        if self.error is not None:
            raise self.error

    def on_behalf(self, principal: Principal) -> Self:  # noqa: ARG002
        return self

    def discover(self, traits: Traits, identifiers: Sequence[PatientIdentifier]) -> Discovery:
        self.discoveries.append((traits, tuple(identifiers)))
        self._called()
        return self.discovery

    def query(self, query: StoredQuery) -> CommunityAnswer:
        self.queries.append(query)
        self._called()
        return self.answer

    def retrieve(self, requests: Sequence[DocumentRequest]) -> CommunityDocuments:
        self.requests.append(requests)
        self._called()
        return self.documents

    def retrieve_instances(
        self, requests: Sequence[InstanceRequest], transfer_syntaxes: Sequence[str]
    ) -> CommunityInstances:
        assert transfer_syntaxes
        self.requests.append(requests)
        self._called()
        return self.instances


@dataclass
class House:
    documents: DocumentService
    responding: RespondingGateway
    initiating: CommunityService
    images: Images
    north: Peer
    east: Peer
    uid: str  #: of a document of Anne
    data: bytes = b"a report"

    def ask(self, query: StoredQuery) -> CommunityAnswer:
        return self.initiating.query(QueryCommunities(query), Context())


def instance(uid: str) -> RetrievedInstance:
    return RetrievedInstance("1.2", "1.2.3", uid, "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", iter((b"DICM",)))


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    patients, images, north, east = Persons((ANNE,)), Images(), Peer(), Peer()
    documents = service_on(database, tmp_path / "content", patients=patients)
    item = entry(hash="", size=None, repository_unique_id="")
    given = content(ContentStore(tmp_path / "content"), item.id, House.data)
    documents.provide(ProvideDocuments(submit(item), (given,)), Context())
    others = [(Community("NORTH", NORTH, deadline=1.0), north), (Community("EAST", EAST, deadline=1.0), east)]
    return House(
        documents,
        RespondingGateway(documents=documents, images=images, patients=patients, home_community_id=HOME),
        CommunityService(
            communities=others,
            documents=documents,
            images=images,
            studies=images,
            patients=patients,
            home_community_id=HOME,
            rights=Everything(),
        ),
        images,
        north,
        east,
        item.unique_id,
    )


def find(patient: PatientIdentifier = ANNE, **options: object) -> StoredQuery:
    parameters = {"$XDSDocumentEntryPatientId": ((patient.cx,),), "$XDSDocumentEntryStatus": ((APPROVED,),)}
    return StoredQuery(FIND, parameters, **options)  # type: ignore[arg-type]


def get(uid: str, home: str = "") -> StoredQuery:
    return StoredQuery(GET, {"$XDSDocumentEntryUniqueId": ((uid,),)}, home=home)


def states(answer: CommunityAnswer) -> dict[str, SourceState]:
    return {status.source: status.state for status in answer.statuses}


def kinds(errors: Sequence[HubError]) -> list[type[HubError]]:
    return [type(error) for error in errors]


# The responding gateway


def test_this_community_answers_for_itself(house: House) -> None:
    for query in (find(), find(home=HOME), get(house.uid, HOME)):
        found = house.responding.query(CrossGatewayQuery(query), Context())
        assert {item.home for item in found.objects} == {HOME}
    assert not house.north.queries


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (find(STRANGER), UnknownPatientId),
        (find(home=NORTH), UnknownCommunity),
        (get("1.2.3"), MissingHomeCommunityId),
        (get("1.2.3", NORTH), UnknownCommunity),
        (get("1.2.3", HOME.removeprefix("urn:oid:")), UnknownCommunity),
        (StoredQuery(FIND, {}), StoredQueryMissingParam),
    ],
)
def test_what_another_community_may_not_ask(house: House, query: StoredQuery, error: type[HubError]) -> None:
    with pytest.raises(error):
        house.responding.query(CrossGatewayQuery(query), Context())


def test_each_document_names_its_community(house: House) -> None:
    requests = tuple(DocumentRequest(REPOSITORY, house.uid, home) for home in (HOME, "", NORTH))
    found = house.responding.retrieve(CrossGatewayRetrieve(requests), Context())
    assert [(item.request, item.path.read_bytes()) for item in found.documents] == [(requests[0], house.data)]
    assert {request: type(error) for request, error in found.failures} == {
        requests[1]: MissingHomeCommunityId,
        requests[2]: UnknownCommunity,
    }


def test_each_instance_names_its_community(house: House) -> None:
    homes = (HOME, "", NORTH)
    requests = tuple(InstanceRequest("1.2", "1.2.3", f"1.2.3.{n}", home=home) for n, home in enumerate(homes))
    stream = list(house.responding.retrieve_instances(CrossGatewayRetrieveInstances(requests, ("*",)), Context()))
    failed = {item.request: type(item.error) for item in stream if isinstance(item, FailedInstance)}
    assert failed == {requests[1]: MissingHomeCommunityId, requests[2]: UnknownCommunity}
    assert [item.sop_instance_uid for item in stream if isinstance(item, RetrievedInstance)] == ["1.2.3.0"]
    assert house.images.asked == [RetrieveInstances(requests[:1], ("*",))]


# The initiating gateway: queries


def test_all_answer(house: House) -> None:
    house.north.answer = CommunityAnswer((FAR, LINK))
    context = Context()
    answer = house.initiating.query(QueryCommunities(find()), context)
    assert {item.home for item in answer.objects} == {HOME, NORTH}
    assert [item for item in answer.objects if item.id == LINK.id] == [replace(LINK, home=NORTH)]
    assert (answer.answered, answer.problems) == (True, ())
    assert states(answer) == dict.fromkeys((HOME, "NORTH", "EAST"), SourceState.ANSWERED)
    assert [query.home for query in (*house.north.queries, *house.east.queries)] == [NORTH, EAST]
    assert {item.reference for item in context.touched if item.kind == "community"} == {NORTH, EAST}


def test_only_the_communities_of_the_list_are_asked(house: House) -> None:
    def asking(*homes: str) -> StoredQuery:
        query = find()
        return replace(query, parameters={**query.parameters, "$targetCommunityIdList": (homes,)})

    answer = house.ask(asking(NORTH))
    assert (list(states(answer)), len(house.north.queries), house.east.queries) == (["NORTH"], 1, [])
    assert "$targetCommunityIdList" not in house.north.queries[0].parameters
    assert sorted(states(house.ask(asking(NORTH, HOME)))) == sorted(["NORTH", HOME])
    answer = house.ask(asking(HOME, "urn:oid:1.2.3.99"))
    assert (list(states(answer)), kinds(answer.problems)) == ([HOME], [UnknownCommunity])
    assert not house.east.queries


def test_references_only(house: House) -> None:
    house.north.answer = CommunityAnswer((Reference("urn:uuid:1", NORTH),))
    answer = house.ask(find(leaf_class=False))
    assert {type(item) for item in answer.objects} == {Reference}
    assert {item.home for item in answer.objects} == {HOME, NORTH}


@pytest.mark.parametrize(
    "error", [UnavailableCommunity(), SoapFault(), RegistryError("secret^^^&1.2&ISO"), RuntimeError("secret")]
)
def test_a_community_that_fails_is_named(house: House, error: Exception) -> None:
    house.north.error = error
    answer = house.ask(find())
    (problem,) = answer.problems
    assert isinstance(problem, UnavailableCommunity)
    assert (problem.location, "NORTH" in problem.message, "secret" in problem.message) == (NORTH, True, False)
    assert (answer.answered, states(answer)["NORTH"]) == (True, SourceState.FAILED)
    assert {item.home for item in answer.objects} == {HOME}


def test_a_community_that_is_late_is_named(house: House) -> None:
    house.north.hang = threading.Event()
    try:
        answer = house.ask(find())
    finally:
        house.north.hang.set()
    assert kinds(answer.problems) == [UnavailableCommunity]
    assert (states(answer)["NORTH"], states(answer)["EAST"]) == (SourceState.LATE, SourceState.ANSWERED)


def test_nobody_answers(house: House) -> None:
    house.north.error = UnavailableCommunity()
    answer = house.ask(find(home=NORTH))
    assert (answer.objects, answer.answered) == ((), False)
    assert house.east.queries == []


def unknown(code: str = "XDSUnknownPatientId") -> CommunityAnswer:
    return CommunityAnswer(problems=(CommunityError.said(code, "who?"),), answered=False)


def test_a_patient_whom_one_community_does_not_know(house: House) -> None:
    house.north.answer = unknown()
    assert house.ask(find()).problems == ()
    (problem,) = house.ask(find(home=NORTH)).problems
    assert isinstance(problem, CommunityError)
    assert (problem.error_code, problem.location) == ("XDSUnknownPatientId", NORTH)
    house.north.answer = unknown("XDSTooManyResults")
    (problem,) = house.ask(find()).problems
    assert isinstance(problem, CommunityError)
    assert (problem.error_code, problem.text, problem.location) == ("XDSTooManyResults", "who?", NORTH)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (get("1.2.3"), MissingHomeCommunityId),
        (get("1.2.3", "urn:oid:1.2.9"), UnknownCommunity),
        (StoredQuery(FIND, {}), StoredQueryMissingParam),
    ],
)
def test_nobody_is_asked(house: House, query: StoredQuery, error: type[HubError]) -> None:
    with pytest.raises(error):
        house.ask(query)
    assert not house.north.queries


def test_objects_without_a_home_are_not_passed_on(house: House) -> None:
    house.north.answer = CommunityAnswer((replace(FAR, home=""), FAR))
    answer = house.ask(find(home=NORTH))
    assert answer.objects == (FAR,)
    (problem,) = answer.problems
    assert isinstance(problem, MissingHomeCommunityId)
    assert ("NORTH" in problem.message, problem.location) == (True, NORTH)


def test_the_patient_identifier_is_translated(house: House) -> None:
    community, north = Community("NORTH", NORTH, authority=NORTHERN.authority), house.north
    house.initiating.others = {NORTH: (community, north)}
    house.ask(find())
    (query,) = north.queries
    assert query.parameters["$XDSDocumentEntryPatientId"] == ((NORTHERN.cx,),)
    assert query.parameters["$XDSDocumentEntryStatus"] == ((APPROVED,),)
    answer = house.ask(find(STRANGER))
    assert (len(north.queries), answer.problems, answer.answered) == (1, (), True)
    assert states(answer)["NORTH"] is SourceState.ANSWERED
    house.ask(find(NORTHERN))
    house.ask(get("1.2.3", NORTH))
    assert len(north.queries) == 3


# The initiating gateway: documents


def got(request: DocumentRequest, path: Path) -> RetrievedDocument:
    path.write_bytes(b"far")
    return RetrievedDocument(request, "text/plain", path, 3)


def test_documents_of_all(house: House, tmp_path: Path) -> None:
    near, far = DocumentRequest(REPOSITORY, house.uid, HOME), DocumentRequest("1.2.8", "1.2.8.1", NORTH)
    rest = [DocumentRequest("1.2.8", f"1.2.8.{uid}", NORTH) for uid in ("12", "2", "3")]
    nameless = DocumentRequest("1.2.8", "1.2.8.4", NORTH)
    lost = [DocumentRequest("1.2.9", "1.2.9.1", home) for home in (EAST, "", "urn:oid:1.2.9")]
    uninvited = DocumentRequest("1.2.8", "1.2.8.99", NORTH)
    house.east.error = UnavailableCommunity()
    given = [
        got(request, tmp_path / request.document_unique_id) for request in (far, uninvited, replace(nameless, home=""))
    ]
    problems = [
        CommunityError.said("XDSRepositoryError", "about 1.2.8.1 and no other", warning=True),
        CommunityError.said("XDSDocumentUniqueIdError", "[1.2.8.12]", location=NORTH),
        CommunityError.said("XDSRepositoryBusy", "x", location="1.2.8.2"),
    ]
    house.north.documents = CommunityDocuments(tuple(given), tuple(problems))
    command = RetrieveFromCommunities((near, far, *rest, nameless, *lost))
    found = house.initiating.retrieve(command, Context())
    assert {item.request: item.path.read_bytes() for item in found.documents} == {near: house.data, far: b"far"}
    failed = dict(found.failures)
    assert [failed[request] for request in rest] == [problems[1], problems[2], problems[1]]
    assert kinds([failed[request] for request in (nameless, *lost)]) == [
        MissingHomeCommunityId, UnavailableCommunity, MissingHomeCommunityId, UnknownCommunity,
    ]  # fmt: skip
    assert house.north.requests == [[far, *rest, nameless]]


def test_a_document_that_nobody_says_anything_about(house: House) -> None:
    request = DocumentRequest("1.2.8", "1.2.8.1", NORTH)
    found = house.initiating.retrieve(RetrieveFromCommunities((request,)), Context())
    assert [(one, type(error)) for one, error in found.failures] == [(request, DocumentUniqueIdError)]


# The initiating gateway: images


def test_images_of_all(house: House) -> None:
    near, far, missing = (
        InstanceRequest("1.2", "1.2.3", f"1.2.3.{n}", home=home) for n, home in enumerate((HOME, NORTH, NORTH))
    )
    down = InstanceRequest("1.2", "1.2.3", "1.2.3.8", home=EAST)
    house.east.error = InternalError()
    problem = CommunityError.said("XDSDocumentUniqueIdError", "", location="1.2.3.2")
    house.north.instances = CommunityInstances((instance("1.2.3.1"), instance("1.2.3.99")), (problem,))
    command = RetrieveInstancesFromCommunities((near, far, missing, down), ("1.2.840.10008.1.2.1",))
    stream = list(house.initiating.retrieve_instances(command, Context()))
    assert {item.sop_instance_uid for item in stream if isinstance(item, RetrievedInstance)} == {"1.2.3.0", "1.2.3.1"}
    failed = {item.request: item.error for item in stream if isinstance(item, FailedInstance)}
    assert failed[missing] is problem
    assert isinstance(failed[down], UnavailableCommunity)
    assert len(failed) == 2


def test_what_a_community_warns_of_goes_with_its_instance(house: House) -> None:
    given, lost = (InstanceRequest("1.2", "1.2.3", f"1.2.3.{number}", home=NORTH) for number in (1, 2))
    warning = CommunityError.said("XDSRepositoryError", "Lossy.", location="1.2.3.1", warning=True)
    house.north.instances = CommunityInstances((instance("1.2.3.1"),), (warning,))
    command = RetrieveInstancesFromCommunities((given, lost), ("1.2.840.10008.1.2.1",))
    first, *rest = house.initiating.retrieve_instances(command, Context())
    assert isinstance(first, RetrievedInstance)
    told = [(item.request, type(item.error)) for item in rest if isinstance(item, FailedInstance)]
    assert told == [(given, CommunityError), (lost, UnknownInstance)]
