"""Persons looked for in other communities before those are queried; what they answer is checked and remembered."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.access.rights_model import Everything
from hub.context import Context
from hub.documents.model import APPROVED, StoredQuery
from hub.federation.communities import CommunityService
from hub.federation.discovery import DiscoveryService
from hub.federation.errors import CommunityError, DiscoveryContradicted
from hub.federation.inquiry import MORE_WANTED, NOT_CHECKED, NOT_KNOWN
from hub.federation.model import (
    Candidate,
    Community,
    CommunityAnswer,
    Discovered,
    DiscoverPatient,
    Discovery,
    LocatePatient,
    PatientLocation,
    QueryCommunities,
)
from hub.federation.store import CorrelationStore
from hub.imaging.model import SourceState
from hub.patients.authorities import AuthorityDirectory
from hub.patients.discovery import Matcher
from hub.patients.errors import UnknownIdentifier
from hub.patients.model import Authority, FeedIdentity, IdentityStatus
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.values import PatientIdentifier, now
from hub.wire.soap.client import SoapFault
from tests.documents.builders import HOME, service_on
from tests.federation.test_communities import FIND, NORTH, Images, Peer
from tests.patients.conftest import DOMAIN, MARIE, A, identity, ins

THERE = PatientIdentifier("N-7", "1.2.3.1.9")
NORTHERN = Community("NORTH", NORTH, deadline=5.0, discovers=True)
HOME_OID = HOME.removeprefix("urn:oid:")


@dataclass
class World:
    patients: PatientService
    discovery: DiscoveryService
    gateway: CommunityService
    north: Peer
    marie: PatientIdentifier = field(default=PatientIdentifier("", ""))

    def ask(self) -> CommunityAnswer:
        parameters = {"$XDSDocumentEntryPatientId": ((self.marie.cx,),), "$XDSDocumentEntryStatus": ((APPROVED,),)}
        return self.gateway.query(QueryCommunities(StoredQuery(FIND, parameters, home=NORTH)), Context())

    def asked_for(self) -> list[str]:
        return [query.parameters["$XDSDocumentEntryPatientId"][0][0] for query in self.north.queries]

    def feed(self, value: str = "1", **changes: Any) -> PatientIdentifier:
        return self.patients.feed(FeedIdentity(identity(value, **changes)), Context()).regional


def answered(**changes: Any) -> Discovery:
    candidate = Candidate((THERE,), replace(MARIE, **changes), NORTH)
    return Discovery((candidate,), time_to_live=timedelta(days=1))


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    directory = AuthorityDirectory(database=database, configured=[Authority(A, "HOSP_A")])
    patients = PatientService(database=database, directory=directory, affinity_domain=DOMAIN)
    documents = service_on(database, tmp_path, patients=patients)
    discovery = DiscoveryService(
        database=database,
        patients=patients,
        matcher=Matcher(patients),
        home_community_id=HOME_OID,
        time_to_live=timedelta(days=7),
    )
    patients.listeners.append(discovery.changed)
    north = Peer(discovery=answered())
    gateway = CommunityService(
        communities=[(NORTHERN, north)],
        documents=documents,
        images=Images(),
        studies=Images(),
        patients=patients,
        home_community_id=HOME_OID,
        discovery=discovery,
        rights=Everything(),
    )
    world = World(patients, discovery, gateway, north)
    world.marie = world.feed(status=IdentityStatus.QUALIFIED, ins=ins())
    return world


# This community asks others


def test_a_person_is_discovered_once_and_asked_about_by_the_number_there(world: World) -> None:
    for _ in range(3):
        answer = world.ask()
        assert (answer.problems, answer.statuses[0].state) == ((), SourceState.ANSWERED)
    ((traits, identifiers),) = world.north.discoveries
    assert (traits.birth_name, identifiers) == (MARIE.birth_name, (world.marie, ins()))
    assert world.asked_for() == [THERE.cx] * 3


def test_what_the_community_wants_forgotten_is_looked_for_again(world: World) -> None:
    for lasts in (None, timedelta(0)):
        world.north.discovery = replace(answered(), time_to_live=lasts)
        world.ask()
    world.ask()
    assert len(world.north.discoveries) == 3
    assert world.discovery.correlations(world.marie) == ()


def test_a_correlation_ends(world: World, database: Database) -> None:
    world.ask()
    (known,) = world.discovery.correlations(world.marie)
    assert timedelta(hours=23) < known.expires_at - now() < timedelta(hours=25), "the shorter of both sides' times"
    with database.transaction() as work:
        CorrelationStore(work).replace(world.marie, NORTH, [THERE], now() - timedelta(seconds=1))
    assert world.discovery.correlations(world.marie) == ()
    world.ask()
    assert len(world.north.discoveries) == 2


def test_a_person_that_changes_here_is_looked_for_again(world: World) -> None:
    world.ask()
    world.feed(status=IdentityStatus.QUALIFIED, ins=ins(), city="Quimper")
    world.ask()
    assert len(world.north.discoveries) == 2


def test_a_number_that_is_given_up_there_is_looked_for_again(world: World) -> None:
    world.ask()
    world.north.answer = CommunityAnswer(problems=(CommunityError.said("XDSUnknownPatientId", ""),), answered=False)
    world.ask()
    world.north.answer = CommunityAnswer()
    world.ask()
    assert len(world.north.discoveries) == 2


@pytest.mark.parametrize(
    ("discovery", "reason"),
    [
        (Discovery(), NOT_KNOWN),
        (Discovery(lacking=("LivingSubjectAdministrativeGenderRequested",)), MORE_WANTED),
        (Discovery((Candidate((THERE,), MARIE, "urn:oid:1.2.3.99"),)), NOT_KNOWN),
    ],
)
def test_a_community_that_does_not_know_the_person(world: World, discovery: Discovery, reason: str) -> None:
    world.north.discovery = discovery
    answer = world.ask()
    assert (answer.problems, answer.objects, answer.statuses[0].reason) == ((), (), reason)
    assert not world.north.queries


@pytest.mark.parametrize("changes", [{"birth_date": "19790316"}, {"sex": "M"}, {"birth_name": "Le Gall"}])
def test_an_answer_about_somebody_else_is_not_used(world: World, changes: dict[str, str]) -> None:
    world.north.discovery = answered(**changes)
    answer = world.ask()
    assert not world.north.queries
    (problem,) = answer.problems
    assert (problem.location, answer.answered) == (NORTH, False)
    assert DiscoveryContradicted.title in problem.message
    assert world.discovery.correlations(world.marie) == ()


def test_nobody_is_asked_about_an_unchecked_identity(world: World) -> None:
    world.feed(status=IdentityStatus.PROVISIONAL)
    answer = world.ask()
    assert (answer.statuses[0].reason, world.north.discoveries) == (NOT_CHECKED, [])


def test_a_community_that_fails_is_named(world: World) -> None:
    world.north.error = SoapFault()
    answer = world.ask()
    assert (answer.statuses[0].state, len(answer.problems)) == (SourceState.FAILED, 1)


def test_many_ask_about_one_person_at_once(world: World) -> None:
    person = world.patients.person(world.marie)
    assert person is not None
    numbers = [PatientIdentifier(f"N-{number}", THERE.authority) for number in range(5)]
    start = threading.Barrier(8)

    def accept(turn: int) -> tuple[PatientIdentifier, ...]:
        turned = numbers[turn % 5 :] + numbers[: turn % 5]
        start.wait(30)
        found = tuple(Candidate((number,), MARIE, NORTH) for number in turned)
        return world.discovery.accepted(person, NORTHERN, Discovery(found, time_to_live=timedelta(days=1)))

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(accept, range(8)))
    assert {frozenset(item) for item in accepted} == {frozenset(numbers)}
    assert [item.identifier for item in world.discovery.correlations(world.marie)] == numbers


# Others ask this community


def test_another_community_finds_a_person(world: World) -> None:
    context = Context()
    found = world.discovery.discover(DiscoverPatient(MARIE, (THERE,), NORTH), context)
    assert found.person is not None
    assert found.person.regional == world.marie
    assert (found.community, found.time_to_live) == (HOME, timedelta(days=7))
    assert {(item.kind, item.reference) for item in context.touched} >= {
        ("patient", world.marie.cx),
        ("community", NORTH),
    }
    nobody = world.discovery.discover(DiscoverPatient(replace(MARIE, sex="M"), (THERE,), NORTH), Context())
    assert nobody == Discovered(None, (), HOME, timedelta(days=7))


def test_where_a_person_is_known(world: World) -> None:
    here = PatientLocation(HOME, world.marie)
    assert world.discovery.locate(LocatePatient(ins()), Context()) == (here,)
    world.ask()
    assert world.discovery.locate(LocatePatient(world.marie), Context()) == (here, PatientLocation(NORTH, THERE))
    with pytest.raises(UnknownIdentifier):
        world.discovery.locate(LocatePatient(THERE), Context())
