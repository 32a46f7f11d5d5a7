"""A publication, or a letter, that is being held while its person is qualified goes all the same."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.context import Context
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, Person
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.testing.dmp.pki import make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.values import PatientIdentifier
from tests.connectors.dmp_site import INS
from tests.imaging.archive import B
from tests.imaging.living import TRAITS
from tests.mail.place import PATIENT_ONLY, Place, place
from tests.meanwhile import meanwhile
from tests.record.national import LOCAL, Nation, nation

ELSEWHERE = PatientIdentifier("B-1", B.authority_oid)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("dmp-pki"))


class Taken:
    def send(self, letter: Any) -> None:
        """Everything is taken."""


def feed(number: PatientIdentifier, ins: PatientIdentifier | None) -> FeedIdentity:
    return FeedIdentity(Identity(number, TRAITS, IdentityStatus.VALIDATED, ins=ins))


def report(region: Nation | Place) -> None:
    """Somebody is known, without an INS, and has a report."""
    region.rooms.patients.feed(feed(LOCAL, None), Context())
    if isinstance(region, Nation):
        region.report()
    else:
        region.oru(PATIENT_ONLY)


def outcome(region: Nation | Place) -> str:
    region.worker.run_pending()
    return region.states()["report" if isinstance(region, Nation) else "patient"]


@pytest.fixture(params=["record", "mail"])
def held(request: pytest.FixtureRequest, database: Database, tmp_path: Path, pki: Path) -> Iterator[Nation | Place]:
    if request.param == "mail":
        letters = place(database, tmp_path, None)
        letters.hub.service.post = Taken()
        report(letters)
        yield letters
        letters.close()
        return
    with DmpSimulator(pki) as simulator:
        region = nation(database, tmp_path, simulator)
        report(region)
        yield region
        region.rooms.imaging.close()
        region.connector.close()


@pytest.mark.parametrize("number", [LOCAL, ELSEWHERE], ids=["its own", "another"])
@pytest.mark.parametrize("together", [False, True])
def test_who_is_qualified_meanwhile(held: Nation | Place, number: PatientIdentifier, together: bool) -> None:
    """By the number that the report names, or by another hospital's that joins it."""
    patients, command = held.rooms.patients, feed(number, INS)
    run: Callable[[], object] = held.worker.run_pending
    with patients.database.transaction():
        if together:
            patients.ahead([(command, Context())])
        patients.feed(command, Context())
        other = meanwhile(patients.database, run)
    other.join()
    assert outcome(held) == "sent"


class Looked:
    """The patients room; who is looked for is qualified right after so many looks."""

    def __init__(self, patients: PatientService, looks: int) -> None:
        self.patients = patients
        self.settled = patients.settled
        self.looks = looks

    def person(self, number: PatientIdentifier) -> Person | None:
        found = self.patients.person(number)
        self.looks -= 1
        if not self.looks:
            self.patients.feed(feed(LOCAL, INS), Context())
        return found

    def resolve(self, number: PatientIdentifier) -> PatientIdentifier | None:
        return self.patients.resolve(number)


@pytest.mark.parametrize("looks", [1, 2])
def test_who_is_qualified_as_soon_as_it_was_looked_at(held: Nation | Place, looks: int) -> None:
    service = held.service if isinstance(held, Nation) else held.hub.service
    service.patients = Looked(held.rooms.patients, looks)
    assert outcome(held) == "sent"


def test_who_is_not_qualified_waits(held: Nation | Place) -> None:
    assert outcome(held).endswith("ins-not-qualified")
