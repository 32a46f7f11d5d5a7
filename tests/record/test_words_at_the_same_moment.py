"""A publication, or a letter, that is being held for an opposition while the patient takes it back goes all the same:
by the portal or a Consent, which hold no message of the person's."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub.access.consents import ConsentService
from hub.access.rights import RightsService
from hub.access.rights_model import Choice, Consent, Matter, RecordConsent
from hub.context import Context
from hub.patients.known import KnownPersons
from hub.patients.model import FeedIdentity, Identity, IdentityStatus
from hub.storage.engine import Database
from hub.testing.dmp.pki import make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.values import PatientIdentifier, now
from tests.access.rights_world import SYSTEM
from tests.connectors.dmp_site import INS
from tests.imaging.living import TRAITS
from tests.mail.place import DOCTOR, DOCTOR_ONLY, Place, place
from tests.meanwhile import meanwhile
from tests.record.national import LOCAL, Nation, nation
from tests.record.test_at_the_same_moment import Taken


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("dmp-pki"))


@dataclass
class Held:
    """Somebody who opposes, with a report."""

    region: Nation | Place
    consents: ConsentService

    def say(self, choice: Choice, identity: PatientIdentifier | None = None) -> None:
        identity = identity or self.region.rooms.patients.resolve(LOCAL)
        assert identity is not None
        word = Consent("", identity, Matter.FEEDING, choice, now())
        self.consents.record(RecordConsent(word), Context(principal=SYSTEM))

    def outcome(self) -> str:
        self.region.worker.run_pending()
        return self.region.states()["report" if isinstance(self.region, Nation) else "professional"]


@dataclass
class Words:
    """The access room; so often was it asked what the patient said, the patient takes it back right after."""

    rights: RightsService
    act: Callable[[], object]
    looks: int
    running: list[threading.Thread] = field(default_factory=list)

    def _looked(self) -> None:
        self.looks -= 1
        if not self.looks:
            self.running.append(meanwhile(self.rights.database, self.act))

    def feeding(self, patient: PatientIdentifier) -> bool:
        found = self.rights.feeding(patient)
        self._looked()
        return found

    def said(self, patient: PatientIdentifier, matter: Matter) -> Choice:
        found = self.rights.said(patient, matter)
        if matter is Matter.FEEDING:
            self._looked()
        return found


@pytest.fixture(params=["record", "mail"])
def held(request: pytest.FixtureRequest, database: Database, tmp_path: Path, pki: Path) -> Iterator[Held]:
    known = FeedIdentity(Identity(LOCAL, TRAITS, IdentityStatus.VALIDATED, ins=INS))
    if request.param == "mail":
        letters = place(database, tmp_path, None)
        letters.hub.service.post = Taken()
        letters.rooms.patients.feed(known, Context())
        made = Held(letters, letters.consents)
        made.say(Choice.OPPOSITION)
        letters.oru(DOCTOR_ONLY, DOCTOR)
        yield made
        letters.close()
        return
    with DmpSimulator(pki) as simulator:
        region = nation(database, tmp_path, simulator)
        rights = RightsService(database=database, people=KnownPersons(region.rooms.patients))
        made = Held(region, ConsentService(rights, region.rooms.patients.settled))
        made.consents.listeners.append(region.service.said)
        region.service.feeding = rights
        region.rooms.patients.feed(known, Context())
        made.say(Choice.OPPOSITION)
        region.report()
        yield made
        region.rooms.imaging.close()
        region.connector.close()


def test_who_opposes_waits(held: Held) -> None:
    assert held.outcome().endswith("opposition")
    held.say(Choice.CONSENT)
    assert held.outcome() == "sent"


@pytest.mark.parametrize("regional", [False, True], ids=["its own number", "the regional one"])
@pytest.mark.parametrize("looks", [1, 2])
def test_who_takes_it_back_as_soon_as_it_was_looked_at(held: Held, looks: int, regional: bool) -> None:
    """The second look is the one within the unit of work that holds it."""
    rights = held.consents.rights
    words = Words(rights, lambda: held.say(Choice.CONSENT, None if regional else LOCAL), looks)
    if isinstance(held.region, Nation):
        held.region.service.feeding = words
    else:
        held.region.hub.service.words = words
    held.region.worker.run_pending()
    (other,) = words.running
    other.join()
    assert held.outcome() == "sent"


def test_who_takes_it_back_while_it_is_looked_at(held: Held) -> None:
    run: Callable[[], object] = held.region.worker.run_pending
    with held.consents.database.transaction():
        held.say(Choice.CONSENT)
        other = meanwhile(held.consents.database, run)
    other.join()
    assert held.outcome() == "sent"
