"""A study whose patient is being announced: neither side sees what the other has not committed yet."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hub.access.rights_model import Everything
from hub.context import Context
from hub.documents.service import DocumentService
from hub.documents.withdrawal import WithdrawalService
from hub.exchange.service import ExchangeService
from hub.exchange.worker import Worker
from hub.imaging.archive import HubArchive
from hub.imaging.kept import KeptObjects
from hub.imaging.model import FeedOrder, Order, PublishStudy, Study, StudyArrived, StudyState
from hub.imaging.service import ImagingService
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import Authority, FeedIdentity, Identity, IdentityStatus, Traits
from hub.patients.service import PatientService
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier, Uid
from tests.imaging.archive import AFFINITY, STUDY, A, B, FakeSources, WebArchive, study_files
from tests.meanwhile import meanwhile

PATIENT = PatientIdentifier("A-1", A.authority_oid)
OTHER = PatientIdentifier("B-1", B.authority_oid)
ELODIE = Traits("DURAND", "ELODIE", "ELODIE", birth_date="19790327", sex="F", birth_place="75112")
FEED = FeedIdentity(Identity(PATIENT, ELODIE, IdentityStatus.VALIDATED))


class Rooms:
    def __init__(self, database: Database, tmp_path: Path) -> None:
        content = ContentStore(tmp_path / "content")
        authorities = [Authority(info.authority_oid, info.namespace) for info in (A, B)]
        directory = AuthorityDirectory(database=database, configured=authorities)
        self.database = database
        self.patients = PatientService(database=database, directory=directory, affinity_domain=AFFINITY)
        documents = DocumentService(
            database=database,
            content=content,
            patients=self.patients,
            repository_unique_id="1.2.250.1.999.1.2",
            affinity_domains=(AFFINITY,),
            rights=Everything(),
        )
        archive = HubArchive(
            "HUB",
            database=database,
            objects=KeptObjects(tmp_path / "objects"),
            patients=self.patients,
            authority_of=lambda _calling, _source: A.authority_oid,
        )
        exchange = ExchangeService(database=database)
        self.imaging = ImagingService(
            database=database,
            sources=FakeSources(WebArchive("PACS_A", study_files()), WebArchive("PACS_B")),
            infos=(A, B),
            patients=self.patients,
            documents=documents,
            withdrawals=WithdrawalService(database=database),
            exchange=exchange,
            content=content,
            cache=tmp_path / "cache",
            source_id="1.2.250.1.999.1.4",
            rights=Everything(),
            archive=archive,
        )
        self.imaging.listen(self.patients)
        self.worker = Worker(exchange, self.imaging.handlers())

    def meanwhile(self, act: Callable[[], object]) -> threading.Thread:
        return meanwhile(self.database, act)


@pytest.fixture
def rooms(database: Database, tmp_path: Path) -> Rooms:
    return Rooms(database, tmp_path)


def order(rooms: Rooms) -> None:
    rooms.imaging.feed_order(FeedOrder(Order(PATIENT, "P1", study_instance_uid=STUDY, source="RIS_A")), Context())


def publish(rooms: Rooms) -> None:
    rooms.imaging.publish_study(PublishStudy(study_instance_uid=STUDY, source="PACS_A"), Context())


@pytest.mark.parametrize("act", [order, publish])
@pytest.mark.parametrize("together", [False, True])
def test_who_is_announced_meanwhile_is_whose_study_it_is(
    rooms: Rooms, act: Callable[[Rooms], None], together: bool
) -> None:
    with rooms.database.transaction():
        if together:
            rooms.patients.ahead([(FEED, Context())])
            other = rooms.meanwhile(lambda: act(rooms))
        fed = rooms.patients.feed(FEED, Context())
        if not together:
            other = rooms.meanwhile(lambda: act(rooms))
    other.join()
    found = rooms.imaging.indexed(STUDY)
    assert found.person == fed.regional
    assert found.state is not StudyState.HELD


def test_whose_person_is_joined_meanwhile_is_followed(rooms: Rooms) -> None:
    """Nobody had a study of the batch's persons when it looked, and the batch is not about this number."""
    renamed = Identity(OTHER, replace(ELODIE, birth_name="PETIT"), IdentityStatus.VALIDATED)
    first = rooms.patients.feed(FeedIdentity(renamed), Context())
    joins = FeedIdentity(replace(renamed, traits=ELODIE))
    rooms.patients.feed(FEED, Context())
    with rooms.database.transaction():
        rooms.patients.ahead([(joins, Context())])
        other = rooms.meanwhile(lambda: publish(rooms))
        rooms.patients.feed(joins, Context())
    other.join()
    assert rooms.patients.resolve(PATIENT) == first.regional == rooms.imaging.indexed(STUDY).person


def test_what_arrives_at_the_hub_meanwhile(rooms: Rooms) -> None:
    study = Study(Uid(STUDY), "", patient_id=PATIENT.value)
    with rooms.database.transaction():
        fed = rooms.patients.feed(FEED, Context())
        arrived = StudyArrived(STUDY, calling="MODALITY", studies=(study,))
        other = rooms.meanwhile(lambda: rooms.imaging.study_arrived(arrived, Context()))
    other.join()
    assert rooms.imaging.indexed(STUDY).person == fed.regional
