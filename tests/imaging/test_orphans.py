"""Studies that nobody knows the patient of, for the stewards' worklist."""

from hub.context import Context
from hub.imaging.model import FeedReport, FindOrphans, Study, StudyState
from hub.imaging.orphans import OrphanService
from hub.imaging.publication import OTHER_ACCESSION, UNKNOWN_PATIENT
from hub.imaging.store import ImagingStore
from hub.storage.engine import Database
from hub.values import Uid
from tests.imaging.archive import STUDY, A, study_files
from tests.imaging.conftest import Room
from tests.imaging.test_publication import PATIENT, REPORT


def test_a_study_waits_until_its_patient_is_known(room: Room) -> None:
    orphans, context = OrphanService(room.database), Context()
    assert orphans.count() == 0
    room.a.datasets = study_files()
    room.service.feed_report(FeedReport(REPORT), Context())
    room.work()
    page = orphans.find(FindOrphans(), context)
    [held] = page.studies
    assert (held.study.study_instance_uid, held.held_because, held.person) == (STUDY, UNKNOWN_PATIENT, None)
    assert page.total == orphans.count() == 1
    assert [one.reference for one in context.touched] == [STUDY]
    person = room.patients.add("R1", PATIENT)
    with room.database.transaction():
        room.service.person_changed(person.regional, [PATIENT], Context())
    room.work()
    assert orphans.find(FindOrphans(), Context()).studies == ()


def test_they_come_in_pages_the_oldest_first(database: Database) -> None:
    with database.transaction() as work:
        store = ImagingStore(work)
        for number in range(5):
            study = Study(Uid(f"1.2.{number}"), "PACS_A", patient_id="A-1")
            store.index(study, A.authority_oid, None)
            because = OTHER_ACCESSION if number == 3 else UNKNOWN_PATIENT
            store.change(study.source, study.study_instance_uid, state=StudyState.HELD.value, held_because=because)
    orphans = OrphanService(database)
    first = orphans.find(FindOrphans(limit=3), Context())
    rest = orphans.find(FindOrphans(limit=3, offset=3), Context())
    assert first.total == rest.total == 4, "one waits for another thing"
    uids = [one.study.study_instance_uid for one in (*first.studies, *rest.studies)]
    assert uids == ["1.2.0", "1.2.1", "1.2.2", "1.2.4"]
