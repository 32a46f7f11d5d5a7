"""Metadata update (ITI-57) and restricted metadata update (ITI-92): what becomes of what."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hub.context import Context
from hub.documents.administration import UpdateService
from hub.documents.errors import (
    DocumentError,
    MetadataUpdateError,
    MetadataVersionError,
    PatientIdReconciliationError,
    RegistryDeprecatedDocumentError,
    RegistryMetadataError,
)
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    Association,
    AssociationType,
    DocumentEntry,
    DocumentRequest,
    Folder,
    ProvideDocuments,
    Registered,
    RetrieveDocuments,
    UpdateDocuments,
)
from hub.documents.service import DocumentService
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from tests.documents.builders import (
    ANNE,
    BERT,
    REPOSITORY,
    ask,
    code,
    content,
    entry,
    find,
    folder,
    kinds,
    register,
    relation,
    service_on,
    submit,
)
from tests.documents.updates import (
    added,
    carry_out,
    change,
    links,
    registered_entry,
    registered_folder,
    revision,
    update,
    versions,
)

RPLC, XFRM, APND = AssociationType.REPLACE, AssociationType.TRANSFORM, AssociationType.APPEND
MEMBER = AssociationType.HAS_MEMBER


def everything(service: DocumentService) -> dict[str, int]:
    both = [APPROVED, DEPRECATED]
    found = ask(
        service,
        "GetAll",
        leaf_class=False,
        patientId=ANNE.cx,
        XDSDocumentEntryStatus=both,
        XDSSubmissionSetStatus=both,
        XDSFolderStatus=both,
        MetadataLevel="2",
    )
    return kinds(found)


def current(service: DocumentService, item_id: str) -> Any:
    (found,) = (
        *ask(service, "GetDocuments", XDSDocumentEntryEntryUUID=[item_id]),
        *ask(service, "GetFolders", XDSFolderEntryUUID=[item_id]),
    )
    return found


def test_a_new_version_takes_the_place_of_the_former(service: DocumentService) -> None:
    first = registered_entry(service)
    second = carry_out(service, update(revision(first, title="Autre titre", class_code=code("OTHER")))).submission
    (made,) = second.entries
    assert (made.version, made.logical_id, made.status) == (2, first.id, APPROVED)
    assert made.id not in ("", first.id)
    assert versions(service, first) == [(1, "Deprecated"), (2, "Approved")]
    assert current(service, made.id).title == "Autre titre"
    assert current(service, first.id).title == first.title
    assert find(service, ClassCode=["OTHER^^1.2.3.4"]) == [first.unique_id]
    third = carry_out(service, update(revision(made, title="Encore"), previous=2)).submission
    assert third.entries[0].version == 3
    assert versions(service, first) == [(1, "Deprecated"), (2, "Deprecated"), (3, "Approved")]


def test_the_submission_set_tells_what_was_done(service: DocumentService) -> None:
    first = registered_entry(service)
    stored = carry_out(service, update(revision(first))).submission
    found = ask(service, "GetSubmissionSetAndContents", XDSSubmissionSetUniqueId=stored.submission_set.unique_id)
    assert kinds(found) == {"SubmissionSet": 1, "DocumentEntry": 1, "Association": 1}
    (link,) = [item for item in found if isinstance(item, Association)]
    assert (link.previous_version, link.submission_set_status) == (1, "Original")


def test_the_bytes_follow_the_new_version(database: Database, tmp_path: Path) -> None:
    service, store = service_on(database, tmp_path), ContentStore(tmp_path)
    given = entry(hash="", size=None, repository_unique_id="")
    spooled = content(store, given.id, b"a report")
    first = service.provide(ProvideDocuments(submit(given), (spooled,)), Context()).submission.entries[0]
    carry_out(service, update(revision(first, mime_type="text/plain")))
    request = DocumentRequest(REPOSITORY, first.unique_id)
    (document,) = service.retrieve(RetrieveDocuments((request,)), Context()).documents
    assert document.path.read_bytes() == b"a report"
    assert service.refers_to(spooled.sha1)


def test_a_folder_gets_a_new_version_with_its_members(service: DocumentService) -> None:
    held, dropped = registered_entry(service), registered_entry(service)
    first = registered_folder(service, held, dropped)
    carry_out(service, update(also=[change(dropped.id)]))
    (made,) = carry_out(service, update(revision(first, title="Autre dossier"))).submission.folders
    assert versions(service, first) == [(1, "Deprecated"), (2, "Approved")]
    assert current(service, made.id).title == "Autre dossier"
    assert links(service, made.id) == {("HasMember", made.id, held.id)}


def test_folders_and_relationships_are_carried_over(service: DocumentService) -> None:
    target = registered_entry(service)
    first = entry()
    first = register(service, submit(first, also=[relation(XFRM, first.id, target.id)])).submission.entries[0]
    group = registered_folder(service, first)
    addendum = entry()
    addendum = register(service, submit(addendum, also=[relation(APND, addendum.id, first.id)])).submission.entries[0]
    (made,) = carry_out(service, update(revision(first))).submission.entries
    assert links(service, made.id) == {
        ("XFRM", made.id, target.id),
        ("APND", addendum.id, made.id),
        ("HasMember", group.id, made.id),
    }
    (again,) = carry_out(service, update(revision(target))).submission.entries
    # The former version of the transform stays with the former version of its source.
    assert links(service, again.id) == {("XFRM", made.id, again.id)}
    replacement = entry()
    register(service, submit(replacement, also=[relation(RPLC, replacement.id, again.id)]))
    assert set(find(service)) == {replacement.unique_id}  # transforms and addenda fall with what they are about


def test_associations_stay_behind_when_asked(service: DocumentService) -> None:
    first = registered_entry(service)
    registered_folder(service, first)
    (made,) = carry_out(service, update(revision(first), propagation="no")).submission.entries
    assert links(service, made.id) == set()
    assert len(links(service, first.id)) == 1


def test_several_at_once_with_what_joins_them(service: DocumentService) -> None:
    first = registered_entry(service)
    group = registered_folder(service, first)
    stored = carry_out(service, update(revision(first), revision(group))).submission
    (made,), (into,) = stored.entries, stored.folders
    assert links(service, made.id) == {("HasMember", into.id, made.id)}


def test_the_status_of_an_entry_a_folder_and_an_association(service: DocumentService) -> None:
    document = registered_entry(service)
    group = registered_folder(service, document)
    (link,) = [item for item in ask(service, "GetAssociations", uuid=[group.id]) if item.source == group.id]  # type: ignore[union-attr]
    carry_out(service, update(also=[change(document.id), change(group.id), change(link.id)]))
    assert find(service) == []
    assert current(service, group.id).status == DEPRECATED
    assert links(service, document.id) == set()
    back = [change(item, DEPRECATED, APPROVED) for item in (document.id, group.id, link.id)]
    carry_out(service, update(also=back))
    assert find(service) == [document.unique_id]
    assert links(service, document.id) == {("HasMember", group.id, document.id)}
    assert versions(service, document) == [(1, "Approved")]


@pytest.mark.parametrize("former", [True, False])
def test_version_and_status_in_one_update(service: DocumentService, former: bool) -> None:
    first = registered_entry(service)
    new = revision(first)
    carry_out(service, update(new, also=[change(first.id if former else new.id)]))
    assert versions(service, first) == [(1, "Deprecated"), (2, "Deprecated")]


def test_new_associations(service: DocumentService) -> None:
    document, other = registered_entry(service), registered_entry(service)
    group = registered_folder(service)
    before = current(service, group.id).last_update_time
    carry_out(
        service,
        update(also=[*added(MEMBER, group.id, document.id), *added(APND, other.id, document.id)]),
    )
    assert links(service, document.id) == {("HasMember", group.id, document.id), ("APND", other.id, document.id)}
    assert current(service, group.id).last_update_time >= before
    carry_out(service, update(also=added(RPLC, other.id, document.id)))
    # What is replaced falls, and with it what was appended to it: here the very replacement.
    assert current(service, document.id).status == DEPRECATED


def test_to_another_patient_and_back(service: DocumentService) -> None:
    first = registered_entry(service)
    (made,) = carry_out(service, update(revision(first, patient_id=BERT))).submission.entries
    assert (find(service, ANNE), find(service, BERT)) == ([], [first.unique_id])
    carry_out(service, update(revision(made, patient_id=ANNE), previous=2))
    assert (find(service, ANNE), find(service, BERT)) == ([first.unique_id], [])


def test_not_to_another_patient_with_what_joins_it_to_the_first(service: DocumentService) -> None:
    first = registered_entry(service)
    group = registered_folder(service, first)
    before = everything(service)
    with pytest.raises(PatientIdReconciliationError):
        carry_out(service, update(revision(first, patient_id=BERT)))
    assert everything(service) == before
    carry_out(service, update(revision(first, patient_id=BERT), propagation="no"))
    assert find(service, BERT) == [first.unique_id]
    (moved,) = ask(service, "FindDocuments", **_of(BERT))
    with pytest.raises(PatientIdReconciliationError):
        carry_out(service, update(also=added(MEMBER, group.id, moved.id)))


def _of(patient: Any) -> dict[str, str]:
    return {"XDSDocumentEntryPatientId": patient.cx, "XDSDocumentEntryStatus": APPROVED}


def test_codes_are_checked_where_there_is_a_vocabulary(database: Database, tmp_path: Path) -> None:
    service = service_on(database, tmp_path, vocabulary={"typeCode": {("CT", "1.2.3.4")}})
    first = registered_entry(service)
    with pytest.raises(RegistryMetadataError) as caught:
        carry_out(service, update(revision(first, type_code=code("MR"))))
    assert caught.value.location == "typeCode"


def test_an_update_is_no_registration(service: DocumentService) -> None:
    first = registered_entry(service)
    for submission in (
        update(revision(first, unique_id="1.2.3")),
        submit(entry(logical_id=first.id)),
        submit(entry(), also=[change(first.id)]),
    ):
        with pytest.raises(RegistryMetadataError):
            register(service, submission)


def test_what_is_noted_for_the_audit(service: DocumentService) -> None:
    first, other = registered_entry(service), registered_entry(service)
    context = Context()
    submission = update(revision(first), also=[change(other.id)])
    UpdateService(documents=service).update(UpdateDocuments(submission), context)
    noted = {(item.kind, item.reference) for item in context.touched}
    assert noted == {
        ("patient", ANNE.cx),
        ("submission set", submission.submission_set.unique_id),
        ("document", first.unique_id),
        ("registry object", other.id),
    }


# Many at once


def _race(service: DocumentService, acts: list[Callable[[], Registered]]) -> list[Registered | DocumentError]:
    def attempt(act: Callable[[], Registered]) -> Registered | DocumentError:
        try:
            return act()
        except DocumentError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(attempt, acts))


def test_of_several_updates_at_once_one_wins(service: DocumentService) -> None:
    first = registered_entry(service)
    outcomes = _race(
        service,
        [lambda n=number: carry_out(service, update(revision(first, title=f"{n}"))) for number in range(6)],  # type: ignore[misc]
    )
    assert sum(isinstance(item, Registered) for item in outcomes) == 1
    assert sum(type(item) is MetadataVersionError for item in outcomes) == 5
    assert versions(service, first) == [(1, "Deprecated"), (2, "Approved")]


def test_an_update_and_a_replacement_at_once(service: DocumentService) -> None:
    first = registered_entry(service)

    def replacing() -> Registered:
        new = entry()
        return register(service, submit(new, also=[relation(RPLC, new.id, first.id)]))

    outcomes = _race(service, [replacing, lambda: carry_out(service, update(revision(first)))] * 3)
    won = [item for item in outcomes if isinstance(item, Registered)]
    lost = [type(item) for item in outcomes if not isinstance(item, Registered)]
    assert len(won) == 1
    assert set(lost) <= {RegistryDeprecatedDocumentError, MetadataUpdateError, MetadataVersionError}
    assert len(find(service)) == 1


def test_updates_of_what_is_joined_at_once(service: DocumentService) -> None:
    left = registered_entry(service)
    right = entry()
    right = register(service, submit(right, also=[relation(XFRM, right.id, left.id)])).submission.entries[0]
    group = registered_folder(service, left, right)
    outcomes = _race(
        service,
        [lambda i=item: carry_out(service, update(revision(i))) for item in (left, right, group)],  # type: ignore[misc]
    )
    assert all(isinstance(item, Registered) for item in outcomes), outcomes
    made = {type(i).__name__ + i.logical_id: i for o in outcomes if isinstance(o, Registered) for i in _new(o)}
    new_left, new_right = made[f"DocumentEntry{left.id}"], made[f"DocumentEntry{right.id}"]
    new_group = made[f"Folder{group.id}"]
    assert ("XFRM", new_right.id, new_left.id) in links(service, new_right.id)
    assert {("HasMember", new_group.id, item.id) for item in (new_left, new_right)} <= links(service, new_group.id)


def _new(outcome: Registered) -> tuple[DocumentEntry | Folder, ...]:
    return (*outcome.submission.entries, *outcome.submission.folders)


def test_a_folder_stays_where_its_members_are_replaced(service: DocumentService) -> None:
    first = registered_entry(service)
    group = registered_folder(service, first)
    (made,) = carry_out(service, update(revision(group))).submission.folders
    new = entry()
    register(service, submit(new, also=[relation(RPLC, new.id, first.id)]))
    found = ask(service, "GetFolderAndContents", XDSFolderEntryUUID=made.id)
    assert {item.unique_id for item in found if isinstance(item, DocumentEntry)} == {first.unique_id, new.unique_id}
    assert folder().id != group.id
