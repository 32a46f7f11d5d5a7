"""What stored queries say of objects with several versions ($MetadataLevel, logicalID)."""

from typing import Any

import pytest

from hub.documents.model import APPROVED, DEPRECATED, DocumentEntry, Folder
from hub.documents.service import DocumentService
from tests.documents.builders import ANNE, ask, find
from tests.documents.updates import carry_out, registered_entry, registered_folder, revision, update

BOTH = [APPROVED, DEPRECATED]


def numbers(found: Any, kind: Any) -> list[int]:
    return sorted(item.version for item in found if isinstance(item, kind))


@pytest.fixture
def entries(service: DocumentService) -> tuple[DocumentEntry, DocumentEntry, Folder, Folder]:
    """An entry and the folder that holds it, in two versions each."""
    first = registered_entry(service)
    group = registered_folder(service, first)
    stored = carry_out(service, update(revision(first), revision(group))).submission
    return first, stored.entries[0], group, stored.folders[0]


@pytest.mark.parametrize(
    ("level", "expected"), [({}, [2]), ({"MetadataLevel": "1"}, [2]), ({"MetadataLevel": "2"}, [1, 2])]
)
def test_who_knows_no_versions_sees_the_last(
    service: DocumentService, entries: Any, level: dict[str, str], expected: list[int]
) -> None:
    first, _, group, _ = entries
    asked = {"XDSDocumentEntryPatientId": ANNE.cx, "XDSDocumentEntryStatus": BOTH}
    assert numbers(ask(service, "FindDocuments", **asked, **level), DocumentEntry) == expected
    asked = {"XDSFolderPatientId": ANNE.cx, "XDSFolderStatus": BOTH}
    assert numbers(ask(service, "FindFolders", **asked, **level), Folder) == expected
    found = ask(service, "GetDocuments", XDSDocumentEntryUniqueId=[first.unique_id], **level)
    assert numbers(found, DocumentEntry) == expected
    found = ask(service, "GetDocumentsAndAssociations", XDSDocumentEntryUniqueId=[first.unique_id], **level)
    assert numbers(found, DocumentEntry) == expected
    found = ask(service, "GetFolders", XDSFolderUniqueId=[group.unique_id], **level)
    assert numbers(found, Folder) == expected


def test_named_versions_are_answered(service: DocumentService, entries: Any) -> None:
    first, second, group, _ = entries
    found = ask(service, "GetDocuments", XDSDocumentEntryLogicalID=[first.id])
    assert numbers(found, DocumentEntry) == [1, 2]
    assert {item.logical_id for item in found if isinstance(item, DocumentEntry)} == {first.id}
    assert numbers(ask(service, "GetFolders", XDSFolderLogicalID=[group.id]), Folder) == [1, 2]
    for one in (first, second):
        found = ask(service, "GetDocuments", XDSDocumentEntryEntryUUID=[one.id])
        assert [item.id for item in found] == [one.id]
    assert find(service, LogicalID=[first.id], Status=BOTH) == [first.unique_id] * 2
    assert find(service) == [first.unique_id]


def test_a_submission_keeps_what_it_brought(service: DocumentService, entries: Any) -> None:
    first, _, _, _ = entries
    (owner,) = [item for item in ask(service, "GetSubmissionSets", uuid=[first.id]) if hasattr(item, "source_id")]
    found = ask(service, "GetSubmissionSetAndContents", XDSSubmissionSetEntryUUID=owner.id)
    assert [item.id for item in found if isinstance(item, DocumentEntry)] == [first.id]


def test_a_folder_holds_the_last_versions(service: DocumentService, entries: Any) -> None:
    _, second, _, group = entries
    found = ask(service, "GetFolderAndContents", XDSFolderEntryUUID=group.id)
    assert [item.id for item in found if isinstance(item, DocumentEntry)] == [second.id]
    found = ask(service, "GetFoldersForDocument", XDSDocumentEntryUniqueId=second.unique_id)
    assert [item.id for item in found] == [group.id]
