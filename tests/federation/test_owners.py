"""Whom the documents of another community are about that are asked for by their numbers, and what is done where nobody
can tell. The other community is a double that may do everything."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hub.access.consents import ConsentService
from hub.access.model import Principal
from hub.access.rights import RightsService
from hub.access.rights_model import Choice, RecordConsent
from hub.context import Context
from hub.documents.errors import DocumentUniqueIdError, UnavailableCommunity
from hub.documents.model import DocumentRequest, RetrievedDocuments, StoredQuery
from hub.errors import HubError
from hub.federation.errors import CommunityError, DiscoveryRefused
from hub.federation.model import (
    CommunityAnswer,
    CommunityDocuments,
    Discovery,
    QueryCommunities,
    RetrieveFromCommunities,
)
from hub.patients.known import KnownPersons
from hub.patients.model import Traits
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now
from tests.access.rights_world import DOCTOR, SYSTEM, consent
from tests.documents.builders import entry
from tests.federation import test_discovery
from tests.federation.test_communities import FIND, NORTH, Peer, find, get, got
from tests.federation.test_discovery import NORTHERN, THERE, World
from tests.patients.conftest import A, ins

world = test_discovery.world
FAR = replace(entry(THERE), home=NORTH)
WANTED = DocumentRequest(FAR.repository_unique_id, FAR.unique_id, NORTH)


class Asked(Peer):
    """A community that may know more of the numbers of its documents than of persons."""

    by_number = CommunityAnswer((FAR,))
    refuses: HubError | None = None

    def query(self, query: StoredQuery) -> CommunityAnswer:
        found = super().query(query)
        return found if query.query_id == FIND else self.by_number

    def discover(self, traits: Traits, identifiers: Sequence[PatientIdentifier]) -> Discovery:
        found = super().discover(traits, identifiers)
        if self.refuses is not None:
            raise self.refuses
        return found


class Site:
    """The hub and the other community; ``marie`` is known here, and there by the number of the document."""

    def __init__(self, world: World, database: Database, directory: Path) -> None:
        self.world = world
        self.rights = RightsService(database=database, people=KnownPersons(world.patients))
        self.consents = ConsentService(self.rights)
        self.north = Asked(answer=CommunityAnswer((FAR,)), discovery=test_discovery.answered())
        self.north.documents = CommunityDocuments((got(WANTED, directory / "far"),))
        self.gateway = world.gateway
        self.gateway.rights = self.rights
        self.knows(discovers=True)
        world.feed("2", birth_name="Autre", birth_date="19600101")  # who opposes: rights are looked at from now on
        self.opposes(PatientIdentifier("2", A))

    def knows(self, *, discovers: bool) -> None:
        self.gateway.others = {NORTH: (replace(NORTHERN, discovers=discovers), self.north)}

    def opposes(self, number: PatientIdentifier, choice: Choice = Choice.OPPOSITION) -> None:
        said = replace(consent(choice, identity=number), at=now())
        self.consents.record(RecordConsent(said), Context(principal=SYSTEM))

    def query(self) -> CommunityAnswer:
        query = QueryCommunities(find(self.world.marie, home=NORTH))
        found: CommunityAnswer = self.gateway.query(query, Context(principal=SYSTEM))
        return found

    def read(self, *requests: DocumentRequest, principal: Principal = SYSTEM) -> RetrievedDocuments:
        command = RetrieveFromCommunities(requests or (WANTED,))
        found: RetrievedDocuments = self.gateway.retrieve(command, Context(principal=principal))
        return found

    def refusals(self, *requests: DocumentRequest, principal: Principal = SYSTEM) -> list[type[HubError]]:
        return [type(error) for _, error in self.read(*requests, principal=principal).failures]


@pytest.fixture
def site(world: World, database: Database, tmp_path: Path) -> Site:
    return Site(world, database, tmp_path)


MARIE_HERE = PatientIdentifier("1", A)


def test_who_is_not_remembered_is_asked_for_by_the_number_there(site: Site) -> None:
    assert [item.request for item in site.read().documents] == [WANTED]
    assert [identifiers for _, identifiers in site.north.discoveries] == [(THERE,)]
    site.opposes(MARIE_HERE)
    assert site.refusals() == [DocumentUniqueIdError]
    assert len(site.north.requests) == 1, "the second time no document was asked for"
    assert site.gateway.query(QueryCommunities(get(FAR.unique_id, NORTH)), Context(principal=SYSTEM)).objects == ()


def test_who_is_remembered_is_not_asked_for(site: Site) -> None:
    site.query()
    before = len(site.north.discoveries)
    site.read()
    site.opposes(MARIE_HERE)
    assert site.refusals() == [DocumentUniqueIdError]
    assert len(site.north.discoveries) == before == 1


def test_one_of_two_persons_here_who_are_one_there(site: Site) -> None:
    other = site.world.feed("3", ins=ins("1810329019124"), birth_name="Autre", birth_date="19700101")
    site.query()
    store = site.world.discovery
    (known,) = store.correlations(site.world.marie)
    person = site.world.patients.person(other)
    assert person is not None
    store.accepted(person, NORTHERN, test_discovery.answered(birth_name="Autre", birth_date="19700101"))
    assert set(store.owners(NORTH, [known.identifier])[known.identifier]) == {site.world.marie, other}
    assert not site.refusals()
    site.opposes(PatientIdentifier("3", A))
    assert site.refusals() == [DocumentUniqueIdError]


@pytest.mark.parametrize("discovery", [Discovery(), test_discovery.answered(birth_date="19010101"), None])
def test_a_stranger_is_read_as_queries_find_a_stranger(site: Site, discovery: Discovery | None) -> None:
    site.opposes(MARIE_HERE)
    site.north.discovery = discovery or Discovery()
    site.north.refuses = DiscoveryRefused() if discovery is None else None
    assert [item.request for item in site.read().documents] == [WANTED]
    query = QueryCommunities(get(FAR.unique_id, NORTH))
    assert site.gateway.query(query, Context(principal=SYSTEM)).objects == (FAR,)


def test_a_community_that_does_not_say_gives_nothing(site: Site) -> None:
    said = CommunityError.said("XDSUnknownStoredQuery", "what?")
    for answer, error in (
        (CommunityAnswer(problems=(said,), answered=False), CommunityError),
        (CommunityAnswer(answered=False), UnavailableCommunity),
        (CommunityAnswer(), DocumentUniqueIdError),
    ):
        site.north.by_number = answer
        assert site.refusals() == [error]
    site.north.by_number = CommunityAnswer((FAR,))
    site.north.refuses = UnavailableCommunity("down")
    assert site.refusals() == [UnavailableCommunity]
    site.north.error = UnavailableCommunity("down")
    assert site.refusals() == [UnavailableCommunity]
    assert not site.north.requests


def test_one_question_for_all_documents(site: Site, tmp_path: Path) -> None:
    others = [replace(FAR, id=f"{FAR.id[:-2]}{number}", unique_id=f"1.2.8.{number}") for number in range(10, 15)]
    requests = [DocumentRequest(item.repository_unique_id, item.unique_id, NORTH) for item in others]
    site.north.by_number = CommunityAnswer((*others[1:], replace(others[1], id=FAR.id)))
    site.north.documents = CommunityDocuments(tuple(got(item, tmp_path / item.document_unique_id) for item in requests))
    assert len(site.read(*requests).documents) == 4
    assert [dict(query.parameters) for query in site.north.queries] == [
        {"$XDSDocumentEntryUniqueId": (tuple(item.unique_id for item in others),)}
    ]
    assert site.north.requests == [requests[1:]]


def test_nobody_is_asked_where_nobody_opposes(world: World, tmp_path: Path) -> None:
    north = Asked(documents=CommunityDocuments((got(WANTED, tmp_path / "far"),)))
    world.gateway.others = {NORTH: (NORTHERN, north)}
    command = RetrieveFromCommunities((WANTED,))
    assert len(world.gateway.retrieve(command, Context(principal=SYSTEM)).documents) == 1
    assert (north.queries, north.discoveries) == ([], [])


def test_a_proof_about_somebody_whom_the_community_knows_by_another_number(site: Site) -> None:
    """It does not say who that is, and finds the document when it is asked about the person."""
    site.knows(discovers=False)
    doctor = replace(DOCTOR, about=site.world.marie.cx)
    assert [item.request for item in site.read(principal=doctor).documents] == [WANTED]
    site.north.answer = CommunityAnswer()
    assert site.refusals(principal=doctor) == [DocumentUniqueIdError]
    site.north.answer = CommunityAnswer((FAR,))
    site.opposes(MARIE_HERE)
    assert site.refusals(principal=doctor) == [DocumentUniqueIdError]


def test_a_source_number_that_means_somebody_here(site: Site) -> None:
    site.knows(discovers=False)
    known = replace(FAR, source_patient_id=MARIE_HERE.cx)
    for source in ("", "x", "7^^^&1.2.9&ISO"):
        site.north.by_number = CommunityAnswer((replace(FAR, source_patient_id=source),))
        assert not site.refusals()
    site.opposes(MARIE_HERE)
    assert not site.refusals()
    site.north.by_number = CommunityAnswer((known,))
    assert site.refusals() == [DocumentUniqueIdError]


def test_many_numbers_at_once(site: Site) -> None:
    site.query()
    many = [PatientIdentifier(f"M{number}", THERE.authority) for number in range(3000)]
    assert site.world.discovery.owners(NORTH, [*many, THERE]) == {THERE: (site.world.marie,)}
    assert site.world.discovery.owners(NORTH, []) == {}
