from dataclasses import replace
from typing import Any

import pytest

from hub.context import Context
from hub.documents.model import AssociationType
from hub.documents.structure import arrange
from hub.imaging.errors import ImagesMissing, ReportIncomplete, SeveralStudies
from hub.imaging.manifest import read_manifest
from hub.imaging.model import FeedOrder, FeedReport, Order, PublishStudy, Report, StudyState
from hub.imaging.publication import OTHER_ACCESSION, OTHER_PATIENT, UNKNOWN_PATIENT
from hub.imaging.store import ImagingStore
from hub.values import PatientIdentifier
from tests.imaging.archive import STUDY, A, B, study_files
from tests.imaging.conftest import Room

PATIENT = PatientIdentifier("A-1", A.authority_oid)
REPORT = Report(
    PATIENT,
    "F",
    b"<ClinicalDocument/>",
    document_id="1.2.250.1.999.7.1",
    set_id="set-1",
    placer_number="P1",
    accession_number="ACC-1",
    study_instance_uid=STUDY,
    title="Scanner thoracique",
    author="899700000001^MARTIN^PAUL^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS",
    created="20260301113000+0100",
)


def test_a_final_report_publishes_manifest_and_report_in_one_submission(room: Room) -> None:
    person = room.patients.add("R1", PATIENT)
    room.a.datasets = study_files()
    assert room.service.feed_report(FeedReport(REPORT), Context())
    [(destination, kind, _, key)] = room.exchange.queued
    assert (destination, kind, key) == ("source:PACS_A", "publish-study", STUDY)
    room.work()

    [command] = room.documents.commands
    manifest, report = command.submission.entries
    assert {entry.patient_id for entry in (manifest, report)} == {person.regional}
    assert [item.text for item in manifest.reference_ids] == [item.text for item in report.reference_ids]
    assert f"{STUDY}^^^^urn:ihe:iti:xds:2016:studyInstanceUID" in [item.text for item in manifest.reference_ids]
    assert f"ACC-1^^^&{A.authority_oid}&ISO^urn:ihe:iti:xds:2013:accession" in [
        item.text for item in report.reference_ids
    ]
    assert manifest.mime_type == "application/dicom"
    assert manifest.service_start_time == "20260301091500"
    assert report.unique_id == REPORT.document_id
    assert room.documents.contents[report.unique_id] == REPORT.content
    read = read_manifest(room.documents.contents[manifest.unique_id])
    assert read.study_instance_uid == STUDY
    assert [len(series.instances) for series in read.series] == [1] * 5

    indexed = room.service.indexed(STUDY)
    assert (indexed.state, indexed.person, indexed.manifest_id) == (
        StudyState.PUBLISHED,
        person.regional,
        manifest.unique_id,
    )
    assert indexed.report_ids == (report.unique_id,)
    assert not list(room.content.incoming().iterdir())


def test_the_submission_keeps_the_registrys_rules(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    room.a.datasets = study_files()
    room.service.feed_report(FeedReport(REPORT), Context())
    room.work()
    submission = room.documents.commands[0].submission
    known: dict[str, Any] = {"hash": "a" * 40, "size": 1, "repository_unique_id": "1.2.3"}
    arrange(replace(submission, entries=tuple(replace(entry, **known) for entry in submission.entries)))


def test_a_repeated_delivery_registers_nothing_new(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    room.a.datasets = study_files()
    room.service.feed_report(FeedReport(REPORT), Context())
    room.work()
    room.service.feed_report(FeedReport(REPORT), Context())
    room.work()
    assert len(room.documents.commands) == 1


def test_changed_images_replace_the_manifest(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    room.a.datasets = study_files()[:3]
    room.service.feed_report(FeedReport(REPORT), Context())
    room.work()
    before = room.service.indexed(STUDY).manifest_id
    room.a.datasets = study_files()
    after = room.service.publish_study(PublishStudy("PACS_A", STUDY), Context())
    replacements = [
        item for item in room.documents.commands[1].submission.associations if item.type == AssociationType.REPLACE
    ]
    assert len(replacements) == 1
    assert after.manifest_id != before
    assert len(room.documents.commands[1].submission.entries) == 1


def test_a_corrected_report_replaces_the_first(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    room.a.datasets = study_files()
    room.service.feed_report(FeedReport(REPORT), Context())
    room.work()
    corrected = replace(REPORT, status="C", content=b"<ClinicalDocument>2</ClinicalDocument>", document_id="1.2.3.9")
    room.service.feed_report(FeedReport(corrected), Context())
    room.work()
    [replacement] = [
        item for item in room.documents.commands[1].submission.associations if item.type == AssociationType.REPLACE
    ]
    assert replacement.target.startswith("urn:uuid:")
    assert room.service.indexed(STUDY).report_ids == ("1.2.3.9",)


def test_a_study_of_an_unknown_patient_is_held_and_published_when_the_identity_arrives(room: Room) -> None:
    room.a.datasets = study_files()
    room.service.feed_report(FeedReport(REPORT), Context())
    [context] = room.work()
    held = room.service.indexed(STUDY)
    assert (held.state, held.held_because) == (StudyState.HELD, UNKNOWN_PATIENT)
    assert [effect.kind for effect in context.effects] == ["study-held"]

    person = room.patients.add("R1", PATIENT)
    with room.database.transaction():
        for listener in room.patients.listeners:
            listener(person.regional, person.identifiers, Context())
    room.work()
    assert room.service.indexed(STUDY).state is StudyState.PUBLISHED
    assert len(room.documents.entries) == 2


def test_a_study_of_the_same_unit_of_work_is_found_although_nobody_had_one_before(room: Room) -> None:
    with room.database.transaction() as work:
        for expects in room.patients.expecting:
            expects([PATIENT])
        assert ImagingStore(work).of_identifiers([PATIENT]) == []
        order = Order(PATIENT, "P1", study_instance_uid=STUDY, source="RIS_A")
        room.service.feed_order(FeedOrder(order), Context())
        assert [row.patient_id for row in ImagingStore(work).of_identifiers([PATIENT])] == [PATIENT.value]


def test_a_report_about_another_patient_holds_the_study(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    other = PatientIdentifier("A-2", A.authority_oid)
    room.patients.add("R2", other)
    room.a.datasets = study_files()
    room.service.feed_report(FeedReport(replace(REPORT, patient=other)), Context())
    room.work()
    assert room.service.indexed(STUDY).held_because == OTHER_PATIENT
    assert not room.documents.commands


def test_a_report_with_another_accession_number_holds_the_study(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    room.a.datasets = study_files()
    room.service.feed_report(FeedReport(replace(REPORT, accession_number="ACC-9")), Context())
    room.work()
    assert room.service.indexed(STUDY).held_because == OTHER_ACCESSION


def test_a_report_finds_its_study_by_accession_number_or_order(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    room.a.datasets = study_files()
    room.service.feed_report(FeedReport(replace(REPORT, study_instance_uid="")), Context())
    room.work()
    assert room.service.indexed(STUDY).state is StudyState.PUBLISHED


def test_an_order_names_the_study_of_a_report(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    order = Order(
        PATIENT,
        "P1",
        accession_number="ACC-1",
        study_instance_uid=STUDY,
        procedure=("ZBQK002", "CCAM", "Radio"),
        source="RIS_A",
    )
    ordered = room.service.feed_order(FeedOrder(order), Context())
    assert ordered is not None
    assert ordered.state is StudyState.ORDERED
    room.a.datasets = study_files(accession="")
    room.service.feed_report(FeedReport(replace(REPORT, study_instance_uid="", accession_number="")), Context())
    room.work()
    assert room.service.indexed(STUDY).order_number == "P1"
    references = [item.text for item in room.documents.entries[0].reference_ids]
    assert f"P1^^^&{A.authority_oid}&ISO^urn:ihe:iti:xds:2013:order" in references
    read = read_manifest(room.documents.contents[room.documents.entries[0].unique_id])
    assert (read.placer_number, read.accession_number) == ("P1", "ACC-1")


def test_a_cancelled_order_leaves_no_study(room: Room) -> None:
    order = Order(PATIENT, "P1", study_instance_uid=STUDY, source="RIS_A")
    room.service.feed_order(FeedOrder(order), Context())
    assert room.service.feed_order(FeedOrder(replace(order, control="CA")), Context()) is None
    with room.database.reading() as work:
        assert not ImagingStore(work).studies([STUDY])


def test_images_that_are_not_there_yet_are_waited_for(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    room.service.feed_report(FeedReport(REPORT), Context())
    [context] = room.work()
    assert [effect.kind for effect in context.effects] == ["study-awaited"]
    room.a.datasets = study_files()
    room.exchange.queued.append(room.exchange.later.pop())
    room.work()
    assert room.service.indexed(STUDY).state is StudyState.PUBLISHED


def test_images_that_never_come_are_given_up(room: Room) -> None:
    room.service.feed_report(FeedReport(REPORT), Context())
    for _ in range(30):
        room.work()
        room.exchange.queued.append(room.exchange.later.pop())
    with pytest.raises(ImagesMissing):
        room.work()


def test_a_held_study_is_looked_at_once_more(room: Room) -> None:
    room.a.datasets = study_files()
    room.service.feed_report(FeedReport(REPORT), Context())
    room.work()
    assert len(room.exchange.later) == 1
    room.patients.add("R1", PATIENT)
    room.exchange.queued.append(room.exchange.later.pop())
    room.work()
    assert room.service.indexed(STUDY).state is StudyState.PUBLISHED


def test_two_studies_with_one_accession_number_need_an_operator(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    room.a.datasets = study_files() + study_files(study="1.2.3.4")
    room.service.feed_report(FeedReport(replace(REPORT, study_instance_uid="")), Context())
    with pytest.raises(SeveralStudies):
        room.work()


def test_a_study_that_is_gone_from_its_source_is_withdrawn(room: Room) -> None:
    room.patients.add("R1", PATIENT)
    room.a.datasets = study_files()
    room.service.publish_study(PublishStudy("PACS_A", STUDY), Context())
    room.a.datasets = []
    assert room.service.publish_study(PublishStudy("PACS_A", STUDY), Context()).state is StudyState.WITHDRAWN


def test_a_preliminary_report_is_kept_and_publishes_nothing(room: Room) -> None:
    assert room.service.feed_report(FeedReport(replace(REPORT, status="P")), Context()) == ""
    assert not room.exchange.queued


def test_a_report_that_names_nothing_is_refused(room: Room) -> None:
    nothing = replace(REPORT, study_instance_uid="", accession_number="", placer_number="")
    with pytest.raises(ReportIncomplete):
        room.service.feed_report(FeedReport(nothing), Context())


def test_the_manifest_bears_the_national_identifier_where_the_person_has_one(room: Room) -> None:
    ins = PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.8", "INS")
    room.patients.add("R1", PATIENT, ins=ins)
    room.a.datasets = study_files()
    room.service.publish_study(PublishStudy("PACS_A", STUDY), Context())
    read = read_manifest(room.documents.contents[room.documents.entries[0].unique_id])
    assert (read.patient_id, read.issuer) == (ins.value, ins.authority)


def test_a_report_from_elsewhere_asks_every_source(room: Room) -> None:
    theirs = PatientIdentifier("X-1", "1.2.250.1.999.2.9")
    room.patients.add("R1", PatientIdentifier("B-1", B.authority_oid), theirs)
    room.b.datasets = study_files(patient="B-1")
    room.service.feed_report(FeedReport(replace(REPORT, patient=theirs)), Context())
    assert room.exchange.queued[0][0] == "sources"
    room.work()
    assert room.service.indexed(STUDY).study.source == "PACS_B"
