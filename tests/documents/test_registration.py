"""ITI-42 against both databases: what is stored, what is refused, and that a refusal leaves nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.context import Context
from hub.documents.errors import (
    DocumentError,
    DuplicateUniqueIdInRegistry,
    NonIdenticalHash,
    NonIdenticalSize,
    PatientIdDoesNotMatch,
    RegistryDeprecatedDocumentError,
    RegistryMetadataError,
    UnknownCommunity,
    UnknownPatientId,
    UnresolvedReference,
)
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    AssociationType,
    DocumentEntry,
    Folder,
    RegisterDocuments,
    Registered,
    Submission,
)
from hub.documents.service import DocumentService
from hub.documents.store import DocumentStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier, new_uuid
from tests.documents.builders import (
    ANNE,
    ANNE_ALIAS,
    BERT,
    DOMAIN,
    STRANGER,
    ask,
    code,
    entry,
    find,
    folder,
    kinds,
    member,
    register,
    relation,
    service_on,
    submission_set,
    submit,
)

STATUSES: dict[str, Any] = {
    "XDSDocumentEntryStatus": [APPROVED, DEPRECATED],
    "XDSSubmissionSetStatus": APPROVED,
    "XDSFolderStatus": APPROVED,
}


def everything(service: DocumentService, patient: PatientIdentifier = ANNE) -> dict[str, int]:
    return kinds(ask(service, "GetAll", patientId=patient.cx, **STATUSES))


def registered(service: DocumentService, *, patient: PatientIdentifier = ANNE) -> DocumentEntry:
    return register(service, submit(entry(patient))).submission.entries[0]


def status_of(service: DocumentService, item: DocumentEntry) -> str:
    return service.entry_by_id(item.id).status


def replacing(target: DocumentEntry, kind: AssociationType = AssociationType.REPLACE) -> Submission:
    new = entry(target.patient_id)
    return submit(new, also=[relation(kind, new.id, target.id)])


def test_a_submission_is_found_again_as_it_was(service: DocumentService) -> None:
    given = entry(extra={"urn:example:x": ("1", "2")}, comments="é")
    context = Context(message_id="message-1")
    stored = service.register(RegisterDocuments(submit(given)), context).submission.entries[0]
    found = service.entry(given.unique_id)
    assert found == replace(given, id=stored.id, logical_id=stored.id, home=service.home)
    assert found.status == APPROVED
    assert {item.kind for item in context.touched} == {"patient", "document", "submission set"}
    assert {item.kind for item in context.effects} == {"document", "submission set"}


def test_the_message_is_kept_with_the_submission_set(service: DocumentService, database: Database) -> None:
    outcome = service.register(RegisterDocuments(submit(entry())), Context(message_id="message-1"))
    with database.reading() as work:
        assert DocumentStore(work).message_of(outcome.submission.submission_set.id) == "message-1"


def test_an_unknown_patient_is_refused(service: DocumentService) -> None:
    with pytest.raises(UnknownPatientId):
        register(service, submit(entry(STRANGER)))
    with pytest.raises(UnknownPatientId):
        register(service, submit(entry(PatientIdentifier("R1", "1.2.3"))))


def test_an_alias_is_accepted_and_answers_carry_the_survivor(service: DocumentService) -> None:
    register(service, submit(given := entry(ANNE_ALIAS)))
    assert service.entry(given.unique_id).patient_id == ANNE
    assert find(service, ANNE) == find(service, ANNE_ALIAS) == [given.unique_id]


def test_another_community_is_refused(service: DocumentService) -> None:
    with pytest.raises(UnknownCommunity):
        register(service, replace(submit(entry()), home="urn:oid:1.2.3"))


def test_the_same_document_may_be_registered_again(service: DocumentService) -> None:
    register(service, submit(given := entry()))
    register(service, submit(replace(given, id="again")))
    assert find(service) == [given.unique_id] * 2


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"hash": "0" * 40}, NonIdenticalHash), ({"size": 1}, NonIdenticalSize)],
)
def test_another_document_with_the_uniqueid_is_refused(
    service: DocumentService, changes: dict[str, str | int], error: type[DocumentError]
) -> None:
    register(service, submit(given := entry()))
    before = everything(service)
    other = replace(given, **changes)  # type: ignore[arg-type]
    with pytest.raises(error) as caught:
        register(service, submit(entry(), other, entry()))
    assert caught.value.location == given.unique_id
    assert everything(service) == before


def test_uniqueids_of_sets_and_folders_are_used_once(service: DocumentService) -> None:
    first = submit(entry(), folders=[folder()])
    register(service, first)
    before = everything(service)
    for again in (
        submit(entry(), unique_id=first.submission_set.unique_id),
        submit(folders=[folder(unique_id=first.folders[0].unique_id)]),
        submit(entry(unique_id=first.folders[0].unique_id)),
    ):
        with pytest.raises(DuplicateUniqueIdInRegistry):
            register(service, again)
    assert everything(service) == before


def test_ids_are_used_once(service: DocumentService) -> None:
    first = registered(service)
    with pytest.raises(RegistryMetadataError) as caught:
        register(service, submit(entry(id=first.id)))
    assert caught.value.location == first.id


@pytest.mark.parametrize("kind", [AssociationType.REPLACE, AssociationType.TRANSFORM_REPLACE])
def test_a_replacement_deprecates_its_target_and_what_hangs_on_it(
    service: DocumentService, kind: AssociationType
) -> None:
    target = registered(service)
    addendum = register(service, replacing(target, AssociationType.APPEND)).submission.entries[0]
    rendering = register(service, replacing(addendum, AssociationType.TRANSFORM)).submission.entries[0]
    signature = register(service, replacing(target, AssociationType.SIGNS)).submission.entries[0]
    assert {status_of(service, item) for item in (target, addendum, rendering)} == {APPROVED}
    new = register(service, replacing(target, kind)).submission.entries[0]
    assert {status_of(service, item) for item in (target, addendum, rendering)} == {DEPRECATED}
    assert {status_of(service, item) for item in (signature, new)} == {APPROVED}
    assert sorted(find(service)) == sorted([signature.unique_id, new.unique_id])


@pytest.mark.parametrize(
    "kind",
    [
        AssociationType.REPLACE,
        AssociationType.APPEND,
        AssociationType.TRANSFORM,
        AssociationType.TRANSFORM_REPLACE,
    ],
)
def test_nothing_new_hangs_on_a_deprecated_document(service: DocumentService, kind: AssociationType) -> None:
    target = registered(service)
    register(service, replacing(target))
    before = everything(service)
    with pytest.raises(RegistryDeprecatedDocumentError) as caught:
        register(service, replacing(target, kind))
    assert caught.value.location == target.id
    assert everything(service) == before


def test_relationships_stay_with_one_patient(service: DocumentService) -> None:
    target = registered(service, patient=BERT)
    new = entry(ANNE)
    with pytest.raises(PatientIdDoesNotMatch):
        register(service, submit(new, also=[relation(AssociationType.REPLACE, new.id, target.id)]))
    assert status_of(service, target) == APPROVED


def test_an_alias_is_the_same_patient(service: DocumentService) -> None:
    target = registered(service, patient=ANNE_ALIAS)
    new = entry(ANNE)
    register(service, submit(new, also=[relation(AssociationType.REPLACE, new.id, target.id)]))
    assert status_of(service, target) == DEPRECATED


def test_targets_must_be_in_the_registry(service: DocumentService) -> None:
    new, nowhere = entry(), new_uuid()
    for association in (
        relation(AssociationType.REPLACE, new.id, nowhere),
        member("SubmissionSet01", nowhere, "Reference"),
    ):
        with pytest.raises(UnresolvedReference) as caught:
            register(service, submit(new, also=[association]))
        assert caught.value.location == nowhere


def test_a_set_may_refer_to_a_document_of_another_patient(service: DocumentService) -> None:
    theirs = registered(service, patient=BERT)
    outcome = register(service, submit(entry(), also=[member("SubmissionSet01", theirs.id, "Reference")]))
    contents = ask(
        service,
        "GetSubmissionSetAndContents",
        leaf_class=False,
        XDSSubmissionSetUniqueId=outcome.submission.submission_set.unique_id,
    )
    assert kinds(contents) == {"SubmissionSet": 1, "DocumentEntry": 2, "Association": 2}


def test_folders_hold_documents_and_know_when_they_changed(service: DocumentService) -> None:
    document, group = entry(), folder()
    outcome = register(service, submit(document, folders=[group], in_folders=[member(group.id, document.id)]))
    stored = outcome.submission.folders[0]
    assert len(stored.last_update_time) == 14
    late = entry()
    later = register(service, submit(late, in_folders=[member(stored.id, late.id)]))
    contents = ask(service, "GetFolderAndContents", XDSFolderEntryUUID=stored.id)
    assert kinds(contents) == {"Folder": 1, "DocumentEntry": 2, "Association": 2}
    (updated,) = (item for item in contents if isinstance(item, Folder))
    assert updated.last_update_time >= stored.last_update_time
    assert later.submission.folders == ()


def test_a_replacement_goes_where_the_replaced_is(service: DocumentService) -> None:
    document, group = entry(), folder()
    outcome = register(service, submit(document, folders=[group], in_folders=[member(group.id, document.id)]))
    new = register(service, replacing(outcome.submission.entries[0])).submission.entries[0]
    found = ask(service, "GetFoldersForDocument", XDSDocumentEntryEntryUUID=new.id)
    assert [item.id for item in found] == [outcome.submission.folders[0].id]


def test_a_folder_of_another_patient_is_refused(service: DocumentService) -> None:
    theirs = register(service, submit(folders=[folder(BERT)])).submission.folders[0]
    document = entry(ANNE)
    with pytest.raises(PatientIdDoesNotMatch):
        register(service, submit(document, in_folders=[member(theirs.id, document.id)]))


def test_codes_are_checked_where_there_is_a_vocabulary(database: Database, tmp_path: Path) -> None:
    service = service_on(database, tmp_path, vocabulary={"typeCode": {("CT", "1.2.3.4")}})
    register(service, submit(entry()))
    with pytest.raises(RegistryMetadataError) as caught:
        register(service, submit(entry(type_code=code("MR"))))
    assert caught.value.location == "typeCode"


def test_a_set_without_documents_is_a_submission_too(service: DocumentService) -> None:
    register(service, Submission(submission_set()))
    assert everything(service) == {"SubmissionSet": 1}


def _race(service: DocumentService, submissions: list[Submission]) -> list[Registered | DocumentError]:
    def attempt(submission: Submission) -> Registered | DocumentError:
        try:
            return register(service, submission)
        except DocumentError as error:
            return error

    with ThreadPoolExecutor(len(submissions)) as threads:
        return list(threads.map(attempt, submissions))


def _same_document(target: DocumentEntry) -> list[Submission]:
    return [submit(entry(unique_id="1.2.3.4.5")) for _ in range(6)]


def _same_set(target: DocumentEntry) -> list[Submission]:
    return [submit(entry(), unique_id="1.2.3.4.6") for _ in range(6)]


def _same_target(target: DocumentEntry) -> list[Submission]:
    return [replacing(target) for _ in range(6)]


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (_same_document, NonIdenticalHash),
        (_same_set, DuplicateUniqueIdInRegistry),
        (_same_target, RegistryDeprecatedDocumentError),
    ],
)
def test_of_several_at_once_one_wins(
    service: DocumentService, make: Callable[[DocumentEntry], list[Submission]], error: type[DocumentError]
) -> None:
    target = registered(service)
    outcomes = _race(service, make(target))
    assert sum(isinstance(item, Registered) for item in outcomes) == 1
    assert sum(type(item) is error for item in outcomes) == 5
    assert everything(service)["SubmissionSet"] == 2


def test_many_at_once_all_arrive(service: DocumentService) -> None:
    target = registered(service)
    shared = submit(folders=[folder()])
    group = register(service, shared).submission.folders[0]

    def addition() -> Submission:
        new = entry()
        appended = relation(AssociationType.APPEND, new.id, target.id)
        return submit(new, in_folders=[member(group.id, new.id)], also=[appended])

    outcomes = _race(service, [addition() for _ in range(8)])
    assert all(isinstance(item, Registered) for item in outcomes), outcomes
    assert len(find(service)) == 9
    assert target.patient_id.authority == DOMAIN
