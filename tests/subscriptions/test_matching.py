"""What a filter finds among new objects is what the registry finds by the same stored query."""

from dataclasses import replace
from typing import Any

import pytest

from hub.documents.model import STABLE, DocumentEntry, ReferenceId, Submission
from hub.subscriptions.errors import InvalidFilter
from hub.subscriptions.filters import FILTERS, matches, read_filter
from hub.subscriptions.model import Filter, Topic
from tests.documents.builders import ANNE, ANNE_ALIAS, BERT, code, entry, find, folder, member, submission_set, submit
from tests.subscriptions.room import Room, about, wanted

#: As parameters of FindDocuments, each of which some entries of the registry fulfil and some not.
QUESTIONS: list[dict[str, Any]] = [
    {},
    {"ClassCode": ["IMAGING^^1.2.3.4"]},
    {"ClassCode": ["REPORT^^1.2.3.4", "IMAGING^^1.2.3.4"]},
    {"ClassCode": ["imaging^^1.2.3.4"]},
    {"TypeCode": ["MR^^1.2.3.4"]},
    {"PracticeSettingCode": ["RADIOLOGY^^1.2.3.4"], "HealthcareFacilityTypeCode": ["HOSPITAL^^1.2.3.4"]},
    {"FormatCode": ["KOS^^1.2.3.5"]},
    {"EventCodeList": [["CHEST^^1.2.3.4"], ["CT^^1.2.3.4", "MR^^1.2.3.4"]]},
    {"EventCodeList": ["CHE^^1.2.3.4"]},
    {"ConfidentialityCode": ["R^^1.2.3.4"]},
    {"CreationTimeFrom": "20240302"},
    {"CreationTimeFrom": "2024", "CreationTimeTo": "20240301101501"},
    {"ServiceStartTimeTo": "20250101"},
    {"AuthorPerson": ["%Curie%"]},
    {"AuthorPerson": ["8_1234^Curie^%"]},
    {"AuthorPerson": ["%curie%"]},
    {"Type": [STABLE]},
]


def stock() -> tuple[DocumentEntry, ...]:
    return (
        entry(),
        entry(class_code=code("REPORT"), type_code=code("MR"), event_codes=(code("CHEST"), code("MR"))),
        entry(confidentiality_codes=(code("R"), code("N")), service_start_time="", authors=()),
        entry(creation_time="20240401", format_code=code("KOS", "1.2.3.5"), event_codes=()),
    )


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda item: "-".join(item) or "all")
def test_as_the_registry_would_answer(room: Room, question: dict[str, Any]) -> None:
    registered = room.register(submit(*stock())).entries
    expected = set(find(room.documents, **question))
    assert {item.unique_id for item in registered if matches(about(**question), item)} == expected


def test_reference_ids() -> None:
    found = entry(reference_ids=(ReferenceId("A1", "1.2.3", "urn:ihe:iti:xds:2013:accession"),))
    key = "A1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:accession"
    assert matches(about(ReferenceIdList=[key]), found)
    assert not matches(about(ReferenceIdList=[key.replace("A1", "A2")]), found)


def test_submission_sets_and_folders() -> None:
    owner = replace(submission_set(), intended_recipients=("Some Hospital^^^^^^^^^1.2.3.9.1|Welby",))
    for value, expected in (("Some Hospital%", True), ("%|Welby%", True), ("Other%", False)):
        asked = wanted("PatientIndependentSubmissionSet", XDSSubmissionSetIntendedRecipient=[value])
        assert matches(asked, owner) is expected
    by_author = wanted("SubmissionSet", XDSSubmissionSetPatientId=ANNE.cx, XDSSubmissionSetAuthorPerson=["%Curie%"])
    assert matches(by_author, owner)
    one = folder()
    by_code = wanted("Folder", XDSFolderPatientId=ANNE.cx, XDSFolderCodeList=["STROKE^^1.2.3.4"])
    assert matches(by_code, one)
    assert not matches(by_code, replace(one, codes=(code("OTHER"),)))
    assert not matches(by_code, owner), "a folder's filter is about folders"
    by_id = wanted("Folder", XDSFolderPatientId=ANNE.cx, XDSFolderUniqueId=[one.unique_id])
    assert matches(by_id, one)


@pytest.mark.parametrize(
    ("given", "location"),
    [
        (Filter("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", {}), "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"),
        (wanted("DocumentEntry"), "$XDSDocumentEntryPatientId"),
        (wanted("DocumentEntry", XDSDocumentEntryPatientId="R1"), "$XDSDocumentEntryPatientId"),
        (about(ClassCode=["IMAGING"]), "$XDSDocumentEntryClassCode"),
        (about(Title=["x"]), "$XDSDocumentEntryTitle"),
        (wanted("PatientIndependentDocumentEntry", XDSDocumentEntryFormatCode=["a^^b"]), "$XDSDocumentEntryClassCode"),
        (wanted("PatientIndependentSubmissionSet"), "$XDSSubmissionSetSourceId"),
        (wanted("PatientIndependentDocumentEntry", XDSDocumentEntryPatientId=ANNE.cx), "$XDSDocumentEntryPatientId"),
        (wanted("Folder", XDSFolderCodeList=["a^^b"]), "$XDSFolderPatientId"),
        (about(CreationTimeFrom="yesterday"), "$XDSDocumentEntryCreationTimeFrom"),
        (about(ClassCode=[]), "$XDSDocumentEntryClassCode"),
    ],
)
def test_filters_that_are_none(given: Filter, location: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        read_filter(given)
    assert caught.value.location == location


def test_every_kind_of_filter_has_its_topics() -> None:
    assert len(FILTERS) == 5
    assert set().union(*(kind.topics for kind in FILTERS.values())) == set(Topic)
    assert [kind.any_patient for kind in FILTERS.values()] == [False, True, False, True, False]


def test_a_hostile_pattern_costs_no_time() -> None:
    long = entry(authors=(replace(entry().authors[0], person="a" * 5000),))
    assert not matches(about(AuthorPerson=["%a" * 60 + "%b"]), long)


def names(submission: Submission) -> set[str]:
    return {item.id for item in submission.entries}


def test_only_the_person_who_was_asked_for(room: Room) -> None:
    room.subscribe(about(ANNE))
    room.subscribe(about(ANNE_ALIAS))
    kept = room.register(submit(entry(ANNE)))
    room.register(submit(entry(BERT)))
    told = room.told()
    assert [{item.id for item in one.objects} for one in told] == [names(kept)] * 2, "an alias means the same person"
    assert {item.patient_id for one in told for item in one.objects} == {ANNE}


def test_what_is_registered_under_the_alias_is_told_to_who_asked_for_the_survivor(room: Room) -> None:
    room.subscribe(about(ANNE))
    room.register(submit(entry(ANNE_ALIAS)))
    (one,) = room.told()
    assert one.objects[0].patient_id == ANNE


def test_a_merge_after_the_subscription(room: Room) -> None:
    room.subscribe(about(BERT))
    room.patients.persons[:] = [(ANNE, ANNE_ALIAS, BERT)]  # A40: Bert's number was one of Anne's
    room.register(submit(entry(ANNE)))
    (one,) = room.told()
    assert one.objects[0].patient_id == ANNE


def test_a_parting_after_the_subscription(room: Room) -> None:
    room.patients.persons[:] = [(ANNE, ANNE_ALIAS, BERT)]
    room.subscribe(about(BERT))
    room.patients.persons[:] = [(ANNE, ANNE_ALIAS), (BERT,)]
    room.register(submit(entry(ANNE)))
    kept = room.register(submit(entry(BERT)))
    (one,) = room.told()
    assert {item.id for item in one.objects} == names(kept)


def test_folders_are_told_when_they_are_made_and_when_they_are_filled(room: Room) -> None:
    room.subscribe(wanted("Folder", XDSFolderPatientId=ANNE.cx), Topic.FOLDER)
    first, second = folder(), folder()
    made = room.register(submit(folders=[first, second]))
    assert [len(item.objects) for item in room.told()] == [1, 1], "one notification for each folder"
    room.register(submit(one := entry(), in_folders=[member(made.folders[0].id, one.id)]))
    *_, last = room.told()
    (filled,) = last.objects
    assert (len(room.told()), filled.unique_id) == (3, first.unique_id)


def test_a_submission_set_is_told_once_with_its_recipients(room: Room) -> None:
    room.subscribe(wanted("SubmissionSet", XDSSubmissionSetPatientId=ANNE.cx), Topic.SUBMISSION_SET)
    kept = room.register(submit(entry(), entry(), intended_recipients=("|Welby",)))
    (one,) = room.told()
    (found,) = one.objects
    assert (found.id, found.home) == (kept.submission_set.id, room.documents.home)


def test_references_only(room: Room) -> None:
    room.subscribe(topic=Topic.MINIMAL_DOCUMENT_ENTRY)
    kept = room.register(submit(entry(), entry()))
    (one,) = room.told()
    assert (one.objects, {pair[0] for pair in one.references}) == ((), names(kept))
