"""Value rules, structure rules, formats, patterns: what can be told from a submission alone."""

from dataclasses import replace
from typing import Any

import pytest

from hub.documents import formats
from hub.documents.codec import dump, load
from hub.documents.criteria import like
from hub.documents.errors import (
    DocumentError,
    PatientIdDoesNotMatch,
    RegistryDuplicateUniqueIdInMessage,
    RegistryError,
    RegistryMetadataError,
    UnresolvedReference,
)
from hub.documents.model import ON_DEMAND, Association, AssociationType, Author, DocumentEntry, ReferenceId, Submission
from hub.documents.rules import check_values
from hub.documents.structure import arrange, objects
from hub.documents.vocabulary import Vocabulary
from tests.documents.builders import BERT, code, entry, folder, member, relation, submission_set, submit

UUID = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"


@pytest.mark.parametrize(
    ("attribute", "changes"),
    [
        ("classCode", {"class_code": None}),
        ("classCode", {"class_code": code("X", "")}),
        ("typeCode", {"type_code": None}),
        ("formatCode", {"format_code": None}),
        ("healthcareFacilityTypeCode", {"healthcare_facility_type_code": None}),
        ("practiceSettingCode", {"practice_setting_code": None}),
        ("confidentialityCode", {"confidentiality_codes": ()}),
        ("eventCodeList", {"event_codes": (code("", "1.2"),)}),
        ("creationTime", {"creation_time": ""}),
        ("creationTime", {"creation_time": "20240230"}),
        ("creationTime", {"creation_time": "2024030110150"}),
        ("serviceStopTime", {"service_stop_time": "20240229"}),
        ("languageCode", {"language_code": ""}),
        ("languageCode", {"language_code": "fr_FR"}),
        ("sourcePatientId", {"source_patient_id": ""}),
        ("sourcePatientId", {"source_patient_id": "4711"}),
        ("sourcePatientInfo", {"source_patient_info": ("Dupont",)}),
        ("hash", {"hash": ""}),
        ("hash", {"hash": "abc"}),
        ("size", {"size": None}),
        ("size", {"size": -1}),
        ("repositoryUniqueId", {"repository_unique_id": ""}),
        ("repositoryUniqueId", {"repository_unique_id": "here"}),
        ("mimeType", {"mime_type": "dicom"}),
        ("uniqueId", {"unique_id": "1.2 3"}),
        ("uniqueId", {"unique_id": "1" * 129}),
        ("author", {"authors": (Author(roles=("PS",)),)}),
        ("legalAuthenticator", {"legal_authenticators": ("1^A", "2^B")}),
        ("referenceIdList", {"reference_ids": (ReferenceId("A1"),)}),
        ("documentAvailability", {"availability": "Online"}),
        ("title", {"title": "x" * 129}),
        ("objectType", {"object_type": "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465249"}),
        ("homeCommunityId", {"home": "1.2.3"}),
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused_by_name(attribute: str, changes: dict[str, Any]) -> None:
    broken = entry(**changes)
    with pytest.raises(RegistryMetadataError) as caught:
        check_values(broken)
    assert caught.value.location == attribute
    assert broken.id in caught.value.message
    assert "ITI TF-3" in caught.value.message or "ITI TF-2" in caught.value.message


@pytest.mark.parametrize(
    ("attribute", "changes"),
    [
        ("uniqueId", {"unique_id": "not-an-oid"}),
        ("sourceId", {"source_id": ""}),
        ("submissionTime", {"submission_time": ""}),
        ("contentTypeCode", {"content_type_code": None}),
        ("intendedRecipient", {"intended_recipients": ("|",)}),
    ],
)
def test_a_submission_set_that_breaks_a_rule_is_refused_by_name(attribute: str, changes: dict[str, Any]) -> None:
    with pytest.raises(RegistryMetadataError) as caught:
        check_values(submission_set(**changes))
    assert caught.value.location == attribute


@pytest.mark.parametrize(("attribute", "changes"), [("codeList", {"codes": ()}), ("title", {"title": ""})])
def test_a_folder_that_breaks_a_rule_is_refused_by_name(attribute: str, changes: dict[str, Any]) -> None:
    with pytest.raises(RegistryMetadataError) as caught:
        check_values(folder(**changes))
    assert caught.value.location == attribute


def test_limited_metadata_may_leave_codes_out() -> None:
    check_values(
        entry(
            limited=True,
            class_code=None,
            type_code=None,
            format_code=None,
            healthcare_facility_type_code=None,
            practice_setting_code=None,
            confidentiality_codes=(),
            creation_time="",
            language_code="",
            source_patient_id="",
        )
    )
    check_values(submission_set(limited=True, content_type_code=None))
    check_values(folder(limited=True, codes=(), title=""))


def test_a_slot_of_ones_own_starts_with_urn() -> None:
    check_values(entry(extra={"urn:example:colour": ("red",)}))
    with pytest.raises(RegistryError) as caught:
        check_values(entry(extra={"colour": ("red",)}))
    assert caught.value.location == "colour"


def test_messages_never_hold_values() -> None:
    with pytest.raises(RegistryMetadataError) as caught:
        check_values(entry(source_patient_id="SECRET", source_patient_info=("SECRET",)))
    assert "SECRET" not in str(caught.value)


def test_symbolic_ids_become_uuids_and_references_follow() -> None:
    document, group = entry(), folder()
    submission = submit(document, folders=[group], in_folders=[member(group.id, document.id)])
    plan = arrange(submission)
    arranged = plan.submission
    assert all(formats.is_uuid(item.id) for item in objects(arranged))
    assert arranged.entries[0].logical_id == arranged.entries[0].id
    (addition,) = plan.additions
    assert (addition.source, addition.target) == (arranged.folders[0].id, arranged.entries[0].id)
    assert plan.kept == ()


def test_uuids_of_the_submitter_are_kept() -> None:
    plan = arrange(submit(entry(id=UUID)))
    assert plan.submission.entries[0].id == UUID
    assert plan.kept == (UUID,)


def _with(submission: Submission, *associations: Association) -> Submission:
    return replace(submission, associations=(*submission.associations, *associations))


def _broken_structures() -> dict[str, tuple[Submission, type[DocumentError]]]:
    one, two, group = entry(), entry(), folder()
    good = submit(one)
    owner = good.submission_set.id
    return {
        "entry without membership": (replace(good, associations=()), RegistryMetadataError),
        "member twice": (_with(good, member(owner, one.id, "Original")), RegistryMetadataError),
        "no submission set status": (replace(good, associations=(member(owner, one.id),)), RegistryMetadataError),
        "reference to a document of the message": (
            replace(good, associations=(member(owner, one.id, "Reference"),)),
            RegistryMetadataError,
        ),
        "original of the registry": (_with(good, member(owner, UUID, "Original")), RegistryMetadataError),
        "set as target": (_with(good, member(one.id, owner)), RegistryMetadataError),
        "self reference": (_with(good, relation(AssociationType.APPEND, one.id, one.id)), RegistryMetadataError),
        "member of a document": (
            replace(submit(one, two), associations=(*submit(one, two).associations, member(one.id, two.id))),
            RegistryMetadataError,
        ),
        "folder member that is not the set's": (
            _with(submit(one, folders=[group]), member(group.id, one.id)),
            RegistryMetadataError,
        ),
        "folder in a folder": (
            submit(folders=[group, second := folder()], in_folders=[member(group.id, second.id)]),
            RegistryMetadataError,
        ),
        "relation inside the message": (
            _with(submit(one, two), relation(AssociationType.REPLACE, one.id, two.id)),
            RegistryMetadataError,
        ),
        "relation from elsewhere": (_with(good, relation(AssociationType.REPLACE, UUID, one.id)), UnresolvedReference),
        "relation from the set": (_with(good, relation(AssociationType.REPLACE, owner, UUID)), RegistryMetadataError),
        "unknown symbolic target": (
            _with(good, relation(AssociationType.REPLACE, one.id, "nobody")),
            UnresolvedReference,
        ),
        "unknown type": (_with(good, replace(member(one.id, UUID), type="urn:other")), RegistryMetadataError),
        "snapshot of its own": (
            _with(submit(one, two), relation(AssociationType.IS_SNAPSHOT_OF, one.id, two.id)),
            RegistryMetadataError,
        ),
        "snapshot from elsewhere": (
            _with(good, relation(AssociationType.IS_SNAPSHOT_OF, UUID, UUID)),
            RegistryMetadataError,
        ),
        "on demand": (
            submit(replace(one, object_type=ON_DEMAND, hash="", size=None, creation_time="")),
            RegistryMetadataError,
        ),
        "documentation on a membership": (
            replace(good, associations=tuple(replace(item, documentation=code("X")) for item in good.associations)),
            RegistryMetadataError,
        ),
        "id twice": (submit(one, replace(two, id=one.id)), RegistryMetadataError),
        "upper case uuid": (submit(entry(id=UUID.upper().replace("URN:UUID", "urn:uuid"))), RegistryMetadataError),
        "two patients": (submit(one, replace(two, patient_id=BERT)), PatientIdDoesNotMatch),
        "uniqueId twice": (submit(one, replace(two, unique_id=one.unique_id)), RegistryDuplicateUniqueIdInMessage),
    }


@pytest.mark.parametrize("name", _broken_structures())
def test_a_broken_structure_is_refused(name: str) -> None:
    submission, error = _broken_structures()[name]
    with pytest.raises(DocumentError) as caught:
        arrange(submission)
    assert type(caught.value) is error, caught.value


def test_vocabulary_checks_only_the_attributes_that_have_a_list() -> None:
    Vocabulary().check(submit(entry()))
    Vocabulary({"classCode": {("IMAGING", "1.2.3.4")}, "mimeType": {("application/dicom", "")}}).check(submit(entry()))
    for attribute in ("classCode", "confidentialityCode", "mimeType", "contentTypeCode"):
        with pytest.raises(RegistryMetadataError) as caught:
            Vocabulary({attribute: {("other", "1.2")}}).check(submit(entry()))
        assert caught.value.location == attribute


def test_an_object_survives_its_row() -> None:
    kept = entry(extra={"urn:x": ("1", "2")}, home="urn:oid:1.2.3", comments="é")
    assert load(DocumentEntry, dump(kept), id=kept.id, patient_id=kept.patient_id, status=kept.status) == kept


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("%Curie%", "801234^Curie^Marie", True),
        ("%curie%", "801234^Curie^Marie", False),
        ("801%", "801234^Curie", True),
        ("%Marie", "801^Curie^Marie", True),
        ("%Marie", "801^Curie^Marie^A", False),
        ("8_1", "801", True),
        ("8_1", "8011", False),
        ("%", "", True),
        ("a%b%a", "aba", True),
        ("a%a", "a", False),
        ("%.%", "no dot", False),
        ("a%b%bc", "abxbc", True),
    ],
)
def test_like(pattern: str, text: str, matches: bool) -> None:
    assert like(pattern)(text) is matches


def test_like_does_not_explode() -> None:
    assert not like("%a" * 200 + "b")("a" * 1000)


@pytest.mark.parametrize(("text", "good"), [("2024", True), ("202413", False), ("20240229", True), ("20230229", False)])
def test_dtm(text: str, good: bool) -> None:
    assert formats.is_dtm(text) is good


def test_dtm_is_padded_to_its_first_second() -> None:
    assert formats.pad_dtm("2024") == "20240101000000"
    assert formats.pad_dtm("20240301") == "20240301000000"
    assert formats.pad_dtm("20240301101500") == "20240301101500"
