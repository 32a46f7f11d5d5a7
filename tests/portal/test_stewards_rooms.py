"""The stewards' pages over the rooms themselves, on both databases: what is decided here is so in the index."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.app.patients import matching
from hub.app.settings.model import Matching
from hub.context import Context
from hub.imaging.orphans import OrphanService
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import Authority, Fed, FeedIdentity, Identity, TaskKind
from hub.patients.service import PatientService
from hub.patients.stewardship import Stewardship
from hub.storage.engine import Database
from hub.usecase import Dispatcher
from hub.values import PatientIdentifier
from tests.portal.conftest import Server, field, sign_in
from tests.portal.fake import Documents, Hub, Imaging
from tests.portal.made_up import REGION, A, B
from tests.portal.stewarding import PEOPLE, C
from tests.portal.test_stewards import ROOT, decide, open_person, task

LE_GOFF = PEOPLE[4][1]
#: with the other's INS, and no trait that a steward could call a typing error
YVON = replace(PEOPLE[5][1], traits=replace(PEOPLE[5][1].traits, birth_given="YVON", given_names="YVON"))
SignedIn = Callable[[str], httpx.Client]


class Rooms(Hub):
    """The small region with a real patient index."""

    def __init__(self, database: Database, directory: Path) -> None:
        super().__init__(directory)
        names = [Authority(A, "CHA"), Authority(B, "CSR"), Authority(C, "CHD")]
        authorities = AuthorityDirectory(database=database, configured=names)
        room = PatientService(database=database, directory=authorities, affinity_domain=REGION)
        room.weigh = matching.weigh(Matching(enabled=True))
        self.room = room
        self.stewards, orphans = Stewardship(patients=room), OrphanService(database)
        changed: Any = self
        changed.patients, changed.stewardship, changed.orphans = room, self.stewards, orphans
        services = [room, self.stewards, orphans, Imaging(), Documents(directory), self.exchange]
        self.pipeline.dispatch = Dispatcher(services)

    def feed(self, identity: Identity) -> Fed:
        return self.room.feed(FeedIdentity(identity), Context(source="HIS"))

    def waiting(self) -> dict[TaskKind, int]:
        return {kind: count for kind, count in self.stewards.waiting().items() if count}


@pytest.fixture
def rooms(database: Database, tmp_path: Path) -> Rooms:
    """A collision of INS, twins, two numbers of one hospital."""
    rooms = Rooms(database, tmp_path)
    for _, identity in (*PEOPLE[:5], ("", YVON)):
        rooms.feed(identity)
    return rooms


@pytest.fixture
def server(rooms: Rooms) -> Iterator[Server]:
    server = Server(rooms)
    yield server
    server.stop()


def collision(rooms: Rooms) -> int:
    return next(one.id for one in rooms.room.tasks() if one.kind is TaskKind.COLLISION)


def test_same_person_and_back_again(rooms: Rooms, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    assert rooms.waiting()[TaskKind.COLLISION] == 1
    number = collision(rooms)
    page = client.get(task(number)).text
    for text in ("LE GOFF", "LEGOFF", "147082901900110", "même INS, traits stricts qui se contredisent", "Poids"):
        assert text in page
    assert "Êtes-vous sûr" in decide(client, number, "same").text
    decide(client, number, "same", "Pièce vue", confirmed="yes")
    one, other = LE_GOFF.identifier, YVON.identifier
    person = rooms.room.person(one)
    assert person == rooms.room.person(other)
    assert TaskKind.COLLISION not in rooms.waiting()
    page = open_person(client, one.value).text
    assert "Pièce vue" in page
    assert "Sylvie Arnaud" in page
    [pair, *_] = re.findall(r'action="(/portal/steward/pair/[^"]+)"', page)
    data = {"csrf": field(page, "csrf"), "verdict": "different", "reason": "Deux frères"}
    after = client.post(pair, data=data, follow_redirects=True)
    assert after.status_code == 200
    assert "Deux frères" in after.text
    assert rooms.room.person(one) != rooms.room.person(other)
    rooms.feed(YVON)
    assert rooms.room.person(one) != rooms.room.person(other), "a no-match holds against what comes later"


def test_what_changes_while_a_steward_looks(rooms: Rooms, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    number = collision(rooms)
    page = client.get(task(number)).text
    rooms.feed(replace(YVON, traits=LE_GOFF.traits))
    data = {"csrf": field(page, "csrf"), "asked": field(page, "asked"), "verdict": "different", "reason": "Autre"}
    answer = client.post(task(number), data=data, follow_redirects=True)
    assert "Votre réponse n&#39;a pas été prise" in answer.text
    one, other = LE_GOFF.identifier, YVON.identifier
    assert rooms.room.person(one) == rooms.room.person(other), "the hospital's correction joined them"


def test_four_eyes_of_the_index(rooms: Rooms, server: Server, signed_in: SignedIn) -> None:
    rooms.stewards.four_eyes = True
    number = collision(rooms)
    client = signed_in("sylvie")
    assert "seconde personne" in decide(client, number, "different", "Date vérifiée").text
    assert rooms.waiting()[TaskKind.COLLISION] == 1
    assert "Vous avez proposé" in client.get(task(number)).text
    with httpx.Client(base_url=server.url, headers={"Accept-Language": "fr"}) as second:
        sign_in(second, "marc")
        page = second.get(task(number)).text
        assert "Sylvie Arnaud propose" in page
        assert "Date vérifiée" in page
        decide(second, number, "different", "D'accord")
    assert TaskKind.COLLISION not in rooms.waiting()


def test_a_proposal_is_taken_back(rooms: Rooms, server: Server, signed_in: SignedIn) -> None:
    rooms.stewards.four_eyes = True
    number = collision(rooms)
    client = signed_in("sylvie")
    decide(client, number, "different", "Date vérifiée")
    page = client.get(task(number)).text
    assert "Retirer ma proposition" in page
    data = {"csrf": field(page, "csrf"), "asked": field(page, "asked")}
    with httpx.Client(base_url=server.url, headers={"Accept-Language": "fr"}) as second:
        sign_in(second, "marc")
        others = second.get(task(number)).text
        assert "Retirer" not in others
        sealed = {"csrf": field(others, "csrf"), "asked": field(others, "asked")}
        refused = second.post(f"{task(number)}/withdraw", data=sealed, follow_redirects=True).text
        assert "Sylvie Arnaud propose" in refused
    assert client.post(f"{task(number)}/withdraw", data=data | {"csrf": "0" * 64}).status_code == 403
    after = client.post(f"{task(number)}/withdraw", data=data, follow_redirects=True).text
    assert "Votre proposition est retirée" in after
    assert 'name="verdict"' in after
    assert "Sylvie Arnaud propose" not in after
    assert rooms.waiting()[TaskKind.COLLISION] == 1


def test_every_open_question_has_its_page(rooms: Rooms, signed_in: SignedIn) -> None:
    client = signed_in("sylvie")
    assert rooms.waiting()
    assert client.get(ROOT).status_code == 200
    for one in rooms.room.tasks():
        page = client.get(task(one.id))
        assert page.status_code == 200
        assert 'name="verdict"' in page.text
    assert client.get(f"{ROOT}?cursor=x").status_code == 400
    assert client.get("/portal/operator").status_code == 403


def test_searched_by_birth_date_and_first_letters(rooms: Rooms, signed_in: SignedIn) -> None:
    """RNIV's antecedence search: the birth date, then at most three letters of a name or a given name."""
    client = signed_in("sylvie")
    csrf = field(client.get("/portal/search").text, "csrf")
    for criteria, found in (
        ({"birth_date": "29/08/1947"}, 1),
        ({"birth_date": "03/04/2019"}, 2),
        ({"birth_date": "03/04/2019", "name": "D"}, 2),
        ({"birth_date": "03/04/2019", "name": "dup", "given": "mar"}, 1),
        ({"birth_date": "03/04/2019", "given": "MAN"}, 1),
        ({"birth_date": "28/09/1947", "name": "le g"}, 1),
        ({"birth_date": "14/07/1983", "name": "lef"}, 1),
        ({"birth_date": "14/07/1983", "name": "xyz"}, 0),
    ):
        page = client.post("/portal/search", data={"csrf": csrf, **criteria}, follow_redirects=True).text
        assert page.count('<h3><a href="/portal/person/') == found, criteria


def test_a_number_that_went_to_somebody_else_says_what_hangs_on_it(rooms: Rooms, signed_in: SignedIn) -> None:
    nobody_else = replace(PEOPLE[0][1], identifier=PatientIdentifier("N-1", C), ins=None)
    rooms.feed(replace(nobody_else, traits=replace(nobody_else.traits, birth_name="SEULE", birth_date="19010203")))
    before = {one.id for one in rooms.room.tasks()}
    other = replace(
        nobody_else.traits, birth_name="AUTRE", birth_given="PAUL", given_names="PAUL", birth_date="20010101"
    )
    other = replace(other, given_names="PAUL")
    rooms.feed(replace(nobody_else, traits=replace(other, sex="M" if other.sex == "F" else "F")))
    (asked,) = [one for one in rooms.room.tasks() if one.id not in before]
    page = signed_in("sylvie").get(task(asked.id)).text
    assert "donné ce numéro à quelqu" in page
    assert "Examens\u00a0: " in page
    assert "renvoyer les images sous le bon numéro" in page
