"""The life of a manifest, as the registry shows it afterwards (ITI-18), on both databases."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hub.access.model import HUB
from hub.context import Context
from hub.documents.model import AssociationType
from hub.imaging.errors import OtherReport, UnknownInstance
from hub.imaging.manifest import Manifest
from hub.imaging.manifest_model import CheckManifests, Difference
from hub.imaging.model import (
    FailedInstance,
    FeedOrder,
    FeedReport,
    GetMetadata,
    InstanceRequest,
    Order,
    PublishStudy,
    Report,
    RetrievedInstance,
    RetrieveFrames,
    RetrieveInstances,
    StudyState,
)
from hub.patients.model import Identity, IdentityStatus, MergeIdentities
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.documents.updates import carry_out, revision, update
from tests.imaging.archive import STUDY, A, study_files
from tests.imaging.living import PATIENT, TRAITS, Living, instances, key_object, living

MOVED = "https://moved.example/dicom-web"
REPORT = Report(
    PATIENT,
    "F",
    b"<ClinicalDocument/>",
    document_id="1.2.250.1.999.7.1",
    set_id="set-1",
    placer_number="P1",
    accession_number="ACC-1",
    study_instance_uid=STUDY,
    source="RIS_A",
)


@pytest.fixture
def region(database: Database, tmp_path: Path) -> Iterator[Living]:
    made = living(database, tmp_path)
    yield made
    made.imaging.close()


@pytest.fixture
def person(region: Living) -> PatientIdentifier:
    """A person whose study of five series is published."""
    regional = region.identity()
    region.archive.datasets = study_files()
    look(region)
    assert [instances(item) for item in region.manifests(regional)] == [5]
    return regional


def look(region: Living) -> StudyState:
    return region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context()).state


def only(region: Living, person: PatientIdentifier) -> Manifest:
    [manifest] = region.manifests(person)
    return manifest


def test_nothing_changes_and_nothing_is_published(region: Living, person: PatientIdentifier) -> None:
    before = only(region, person)
    for _ in range(3):
        look(region)
    region.archive.datasets[1:] = reversed(region.archive.datasets[1:])  # the same, told in another order
    look(region)
    assert only(region, person) == before
    assert region.deprecated(person) == 0


def test_a_late_series_gives_a_manifest_that_replaces_the_old(region: Living, person: PatientIdentifier) -> None:
    late = study_files(names=["CT_small.dcm"])[0]
    late.SeriesInstanceUID, late.SOPInstanceUID = f"{STUDY}.50", f"{STUDY}.50.1"
    [old] = region.found(person)
    region.archive.datasets.append(late)
    look(region)
    assert instances(only(region, person)) == 6
    [new] = region.found(person)
    assert region.relations(new) == [(AssociationType.REPLACE, old.id)]
    assert region.deprecated(person) == 1


def test_purged_instances_leave_the_manifest(region: Living, person: PatientIdentifier) -> None:
    del region.archive.datasets[:2]
    look(region)
    assert instances(only(region, person)) == 3


def test_a_study_that_is_purged_is_withdrawn_and_comes_back(region: Living, person: PatientIdentifier) -> None:
    kept, region.archive.datasets = region.archive.datasets, []
    assert look(region) is StudyState.WITHDRAWN
    assert not region.found(person)
    assert region.deprecated(person) == 1
    assert look(region) is StudyState.WITHDRAWN  # again: nothing more happens
    region.archive.datasets = kept
    assert look(region) is StudyState.PUBLISHED
    assert instances(only(region, person)) == 5
    assert region.deprecated(person) == 1


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("113001", "Rejected for Quality Reasons"),
        ("113037", "Rejected for Patient Safety Reasons"),
        ("113038", "Incorrect Modality Worklist Entry"),
        ("113039", "Data Retention Policy Expired"),
    ],
)
def test_a_rejection_note_at_the_source_hides_what_it_rejects(
    region: Living, person: PatientIdentifier, code: str, meaning: str
) -> None:
    images = list(region.archive.datasets)
    region.archive.datasets.append(key_object(images[:2], code, meaning))
    look(region)
    manifest = only(region, person)
    named = {sop for series in manifest.series for _, sop in series.instances}
    assert named == {ds.SOPInstanceUID for ds in images[2:]}  # neither the rejected ones nor the note
    asked = region.archive.calls.count("retrieve")
    look(region)
    assert region.archive.calls.count("retrieve") == asked  # a note is read once
    region.archive.datasets = images  # the note is taken back
    look(region)
    assert instances(only(region, person)) == 5


def test_what_is_rejected_is_given_to_nobody(region: Living, person: PatientIdentifier) -> None:
    images = list(region.archive.datasets)
    gone = images[0]
    region.archive.datasets.append(key_object(images[:1]))
    look(region)
    by_name = InstanceRequest(STUDY, gone.SeriesInstanceUID, gone.SOPInstanceUID, "PACS_A")
    whole = InstanceRequest(STUDY, source="PACS_A")
    [failed] = list(region.imaging.retrieve(RetrieveInstances((by_name,)), Context()))
    assert isinstance(failed, FailedInstance)
    given = []
    for item in region.imaging.retrieve(RetrieveInstances((whole,)), Context()):
        assert isinstance(item, RetrievedInstance)
        assert b"".join(item.chunks)
        given.append(item.sop_instance_uid)
    assert gone.SOPInstanceUID not in given
    assert {ds.SOPInstanceUID for ds in images[1:]} <= set(given)
    told = [item["00080018"]["Value"][0] for item in region.imaging.metadata(GetMetadata(whole), Context())]
    assert gone.SOPInstanceUID not in told
    with pytest.raises(UnknownInstance):
        region.imaging.frames(RetrieveFrames(by_name, "frames/1"), Context())
    region.archive.datasets = images
    look(region)
    assert len(list(region.imaging.metadata(GetMetadata(whole), Context()))) == len(images)


def test_a_note_that_rejects_everything_withdraws_the_manifest(region: Living, person: PatientIdentifier) -> None:
    region.archive.datasets.append(key_object(region.archive.datasets, "113037", "Rejected for Patient Safety Reasons"))
    assert look(region) is StudyState.WITHDRAWN
    assert not region.found(person)


def test_another_key_object_is_an_object_like_any_other(region: Living, person: PatientIdentifier) -> None:
    region.archive.datasets.append(key_object(region.archive.datasets[:1], "113000", "Of Interest"))
    look(region)
    assert instances(only(region, person)) == 6


def test_an_unreadable_key_object_rejects_nothing(region: Living, person: PatientIdentifier) -> None:
    broken = key_object(region.archive.datasets[:1])
    del broken.ConceptNameCodeSequence
    region.archive.datasets.append(broken)
    look(region)
    assert instances(only(region, person)) == 6


def test_a_rejection_note_that_was_sent_holds_at_the_archive(
    region: Living, person: PatientIdentifier, tmp_path: Path
) -> None:
    note = key_object(region.archive.datasets[:1], "113038", "Incorrect Modality Worklist Entry")
    path = tmp_path / "note.dcm"
    note.save_as(path, enforce_file_format=True)
    garbage = tmp_path / "garbage.dcm"
    garbage.write_bytes(b"\0" * 200)
    studies = region.imaging.publisher.key_objects.received([garbage, path, tmp_path / "none"], ["PACS_A"])
    assert studies == (STUDY,)
    region.imaging.look_again(studies, Context())
    region.work()
    assert instances(only(region, person)) == 4


def test_a_note_of_another_archive_rejects_nothing_here(
    region: Living, person: PatientIdentifier, tmp_path: Path
) -> None:
    path = tmp_path / "note.dcm"
    key_object(region.archive.datasets[:1]).save_as(path, enforce_file_format=True)
    region.imaging.publisher.key_objects.received([path], ["PACS_B"])
    look(region)
    assert instances(only(region, person)) == 5
    gone = region.archive.datasets[0]
    wanted = InstanceRequest(STUDY, str(gone.SeriesInstanceUID), str(gone.SOPInstanceUID))
    given = list(region.imaging.retrieve(RetrieveInstances((wanted,)), Context(principal=HUB)))
    assert [type(item) for item in given] == [RetrievedInstance]  # what lies at PACS_A alone is not PACS_B's to take
    region.imaging.publisher.key_objects.received([path], ["PACS_A"])
    given = list(region.imaging.retrieve(RetrieveInstances((wanted,)), Context(principal=HUB)))
    assert [type(item) for item in given] == [FailedInstance]


def test_a_changed_accession_number_gives_a_new_manifest(region: Living, person: PatientIdentifier) -> None:
    for ds in region.archive.datasets:
        ds.AccessionNumber = "ACC-2"
    order = Order(PATIENT, "P1", accession_number="ACC-2", study_instance_uid=STUDY, control="XO", source="RIS_A")
    region.imaging.feed_order(FeedOrder(order), Context())  # the RIS tells; the hub looks
    region.work()
    manifest = only(region, person)
    assert (manifest.accession_number, manifest.placer_number) == ("ACC-2", "P1")
    [entry] = region.found(person)
    assert "ACC-2" in [item.value for item in entry.reference_ids]
    assert "ACC-1" not in [item.value for item in entry.reference_ids]


def test_merged_persons_have_their_manifests_replaced(region: Living, person: PatientIdentifier) -> None:
    survivor = Identity(PatientIdentifier("A-2", A.authority_oid), TRAITS, IdentityStatus.VALIDATED)
    merged = region.patients.merge(MergeIdentities(survivor, PATIENT), Context()).regional
    region.work()
    assert [item.patient_id for item in region.found(merged)] == [merged]
    assert len(region.manifests(merged)) == 1


def test_images_of_another_patient_move_the_manifest(region: Living, person: PatientIdentifier) -> None:
    other = region.identity("A-9", birth_name="MARTIN", birth_given="PAUL", given_names="PAUL", birth_date="19500101",
                            sex="M", birth_place="75112")  # fmt: skip
    assert other != person
    for ds in region.archive.datasets:
        ds.PatientID = "A-9"
    look(region)
    assert not region.found(person)
    assert region.deprecated(person) == 1
    assert only(region, other).patient_id == "A-9"
    [entry] = region.found(other)
    assert region.relations(entry) == []  # a document is replaced by one of the same patient only


def test_images_of_an_unknown_patient_are_no_longer_shown(region: Living, person: PatientIdentifier) -> None:
    for ds in region.archive.datasets:
        ds.PatientID = "A-7"
    assert look(region) is StudyState.HELD
    assert not region.found(person)


def test_a_corrected_name_has_the_archive_asked_again(region: Living, person: PatientIdentifier) -> None:
    for ds in region.archive.datasets:
        ds.PatientName = "DURANT^ELODIE"
    region.identity(birth_name="DURANT", birth_given="ELODIE", given_names="ELODIE", birth_date="19790327", sex="F",
                    birth_place="75112")  # fmt: skip
    region.work()
    [entry] = region.found(person)
    assert "PID-5|DURANT^ELODIE^^^^^L" in entry.source_patient_info


@pytest.mark.parametrize("status", ["D", "X", "W"])
@pytest.mark.parametrize(
    "taken_back",
    [
        lambda report: report,
        lambda report: replace(report, content=b"", document_id="", set_id=""),
        lambda report: replace(report, document_id="1.2.3.4.99", content=b"<other/>"),
    ],
    ids=["the same document", "no document", "another version"],
)
def test_a_report_that_is_taken_back_leaves_the_registry(
    region: Living, person: PatientIdentifier, status: str, taken_back: Callable[[Report], Report]
) -> None:
    region.imaging.feed_report(FeedReport(REPORT), Context())
    region.work()
    assert len(region.found(person, mime="text/xml")) == 1
    region.imaging.feed_report(FeedReport(replace(taken_back(REPORT), status=status)), Context())
    region.work()
    assert not region.found(person, mime="text/xml")
    assert region.imaging.indexed(STUDY).report_ids == ()
    assert len(region.manifests(person)) == 1
    region.imaging.feed_report(FeedReport(REPORT), Context())  # and it is final again
    region.work()
    assert [item.unique_id for item in region.found(person, mime="text/xml")] == [REPORT.document_id]


def test_another_sender_takes_no_report_back(region: Living, person: PatientIdentifier) -> None:
    region.imaging.feed_report(FeedReport(REPORT), Context())
    region.work()
    region.imaging.feed_report(FeedReport(replace(REPORT, status="D", source="RIS_B", content=b"x")), Context())
    assert len(region.found(person, mime="text/xml")) == 1


def test_a_corrected_report_follows(region: Living, person: PatientIdentifier) -> None:
    region.imaging.feed_report(FeedReport(REPORT), Context())
    region.work()
    corrected = replace(REPORT, status="C", document_id="1.2.250.1.999.7.2", content=b"<ClinicalDocument>2</C>")
    region.imaging.feed_report(FeedReport(corrected), Context())
    region.work()
    assert [item.unique_id for item in region.found(person, mime="text/xml")] == [corrected.document_id]


def test_other_bytes_under_a_reports_id_are_refused_and_stop_nothing(region: Living, person: PatientIdentifier) -> None:
    region.imaging.feed_report(FeedReport(REPORT), Context())
    region.work()
    for status in ("F", "C"):
        with pytest.raises(OtherReport):
            region.imaging.feed_report(FeedReport(replace(REPORT, content=b"<other/>", status=status)), Context())
    region.imaging.feed_report(FeedReport(REPORT), Context())  # the same once more
    second = replace(REPORT, document_id="1.2.250.1.999.7.2", set_id="1.2.250.1.999.7.20", content=b"<second/>")
    region.imaging.feed_report(FeedReport(second), Context())
    region.work()
    found = {item.unique_id for item in region.found(person, mime="text/xml")}
    assert found == {REPORT.document_id, second.document_id}


def test_of_a_report_sent_twice_before_its_images_the_last_is_published(
    region: Living, person: PatientIdentifier
) -> None:
    first = replace(REPORT, set_id="", content=b"<first/>")
    for report in (first, replace(first, content=b"<second/>")):
        region.imaging.feed_report(FeedReport(report), Context())
    region.work()
    [entry] = region.found(person, mime="text/xml")
    assert entry.size == len(b"<second/>")


def test_a_preliminary_report_that_becomes_final_is_published(region: Living, person: PatientIdentifier) -> None:
    region.imaging.feed_report(FeedReport(replace(REPORT, status="P")), Context())
    region.work()
    assert not region.found(person, mime="text/xml")
    region.imaging.feed_report(FeedReport(REPORT), Context())
    region.work()
    assert len(region.found(person, mime="text/xml")) == 1


def test_a_contradicting_report_holds_itself_not_the_images(region: Living, person: PatientIdentifier) -> None:
    region.imaging.feed_report(FeedReport(replace(REPORT, accession_number="ACC-9")), Context())
    del region.archive.datasets[0]
    region.work()
    assert region.imaging.indexed(STUDY).state is StudyState.HELD
    assert instances(only(region, person)) == 4
    assert not region.found(person, mime="text/xml")


# the nightly check


def test_the_check_proves_that_all_is_well(region: Living, person: PatientIdentifier) -> None:
    report = region.check()
    assert (report.checked, report.differing, report.unreachable, report.findings) == (1, 0, 0, ())
    assert region.life.last() == report
    assert len(region.manifests(person)) == 1


def test_the_check_finds_and_repairs_late_and_purged_instances(region: Living, person: PatientIdentifier) -> None:
    late = study_files(names=["CT_small.dcm"])[0]
    late.SeriesInstanceUID, late.SOPInstanceUID = f"{STUDY}.50", f"{STUDY}.50.1"
    region.archive.datasets = [*region.archive.datasets[2:], late]
    [finding] = region.check().findings
    assert (finding.difference, finding.missing, finding.surplus) == (Difference.CONTENT, 1, 2)
    region.work()
    assert instances(only(region, person)) == 5  # told, not repaired
    report = region.check(repair=True)
    assert report.repaired == 1
    region.work()
    assert instances(only(region, person)) == 4
    assert region.check().differing == 0


def test_the_check_withdraws_what_is_gone(region: Living, person: PatientIdentifier) -> None:
    region.archive.datasets = []
    [finding] = region.check(repair=True).findings
    assert (finding.difference, finding.surplus) == (Difference.GONE, 5)
    region.work()
    assert not region.found(person)
    assert region.check().checked == 0


def test_the_check_finds_changed_metadata(region: Living, person: PatientIdentifier) -> None:
    for ds in region.archive.datasets:
        ds.StudyDescription = "Autre"
    [finding] = region.check(repair=True).findings
    assert finding.difference is Difference.METADATA
    region.work()
    assert region.deprecated(person) == 1
    assert region.check().differing == 0


def test_the_check_puts_a_manifest_back_that_the_registry_lost(region: Living, person: PatientIdentifier) -> None:
    [entry] = region.found(person)
    region.life.withdrawals.withdraw([entry.id], Context())
    [finding] = region.check(repair=True).findings
    assert (finding.difference, finding.missing) == (Difference.REGISTRY, 5)
    region.work()
    assert instances(only(region, person)) == 5
    assert region.check().differing == 0


def test_the_check_repairs_bytes_that_are_gone(region: Living, person: PatientIdentifier) -> None:
    [entry] = region.found(person)
    region.documents.open_content(entry.unique_id).path.unlink()
    [finding] = region.check(repair=True).findings
    assert finding.difference is Difference.REGISTRY
    region.work()
    assert instances(only(region, person)) == 5


def test_the_check_renews_manifests_when_the_hub_moves(region: Living, person: PatientIdentifier) -> None:
    publisher = region.imaging.publisher
    publisher.settings = replace(publisher.settings, retrieve_url=lambda: MOVED)
    assert region.check().differing == 0  # an address that nobody configured is only believed
    publisher.settings = replace(publisher.settings, fixed_url=MOVED)
    [finding] = region.check(repair=True).findings
    assert finding.difference is Difference.METADATA
    region.work()
    [entry] = region.found(person)
    content = region.documents.open_content(entry.unique_id).path.read_bytes()
    assert MOVED.encode() in content
    assert b"https://hub.example" not in content
    assert region.check().differing == 0


def test_a_source_that_is_down_differs_from_nothing(region: Living, person: PatientIdentifier) -> None:
    region.archive.down = True
    region.archive.describe_study = _down  # type: ignore[method-assign]
    report = region.check(repair=True)
    assert (report.checked, report.differing, report.unreachable, report.repaired) == (1, 0, 1, 0)
    assert len(region.manifests(person)) == 1


def _down(*_: object, **__: object) -> None:
    from hub.connector.contract import SourceUnavailable

    raise SourceUnavailable


def test_one_night_one_check(region: Living) -> None:
    assert region.life.check(CheckManifests(slot="nightly-2026-11-22"), Context()) is not None
    assert region.life.check(CheckManifests(slot="nightly-2026-11-22"), Context()) is None


def test_a_manifest_that_an_administrator_corrected_is_replaced_as_its_last_version(
    region: Living, person: PatientIdentifier
) -> None:
    [before] = region.found(person, mime="application/dicom")
    carry_out(region.documents, update(revision(before, title="Corrigé")))
    [second] = region.found(person, mime="application/dicom")
    assert (second.title, second.id != before.id) == ("Corrigé", True)
    region.archive.datasets = region.archive.datasets[:-1]
    look(region)
    assert [instances(item) for item in region.manifests(person)] == [4]
    [third] = region.found(person, mime="application/dicom")
    assert region.relations(third) == [(AssociationType.REPLACE, second.id)]
    region.archive.datasets = []
    look(region)
    assert region.found(person, mime="application/dicom") == []
