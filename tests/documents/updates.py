"""Metadata updates for tests: valid by default."""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hub.context import Context
from hub.documents.administration import UpdateService
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    Registered,
    RestrictedUpdateDocuments,
    Submission,
    UpdateDocuments,
)
from hub.documents.service import DocumentService
from hub.values import PatientIdentifier
from tests.documents.builders import ANNE, HOME, ask, entry, folder, member, register, submission_set, submit

_NUMBER = itertools.count(1)


def registered_entry(service: DocumentService, **changes: Any) -> DocumentEntry:
    """An entry of the registry."""
    return register(service, submit(entry(**changes))).submission.entries[0]


def registered_folder(service: DocumentService, *members: DocumentEntry) -> Folder:
    """A folder of the registry that holds the entries."""
    new = folder()
    return register(
        service, submit(folders=[new], in_folders=[member(new.id, item.id) for item in members])
    ).submission.folders[0]


def revision(item: DocumentEntry | Folder, **changes: Any) -> Any:
    """The next version of an object, with a symbolic id."""
    return replace(item, id=f"Revision{next(_NUMBER):04}", **changes)


def change(target: str, original: str = APPROVED, new: str = DEPRECATED, **changes: Any) -> Association:
    """An UpdateAvailabilityStatus."""
    base = Association(f"us{next(_NUMBER):04}", AssociationType.UPDATE_STATUS, "SubmissionSet01", target)
    return replace(base, original_status=original, new_status=new, **changes)


def added(kind: AssociationType, source: str, target: str) -> tuple[Association, Association]:
    """A new association with the SubmitAssociation that brings it."""
    new = Association(f"na{next(_NUMBER):04}", kind, source, target)
    return new, Association(f"sa{next(_NUMBER):04}", AssociationType.SUBMIT, "SubmissionSet01", new.id)


def update(
    *items: DocumentEntry | Folder,
    previous: int | None = 1,
    also: Iterable[Association] = (),
    patient: PatientIdentifier | None = None,
    propagation: str = "",
    status: str = "Original",
    **set_changes: Any,
) -> Submission:
    """An update with new versions of the items. ``previous``: the version that they follow."""
    about = patient or next((item.patient_id for item in items), ANNE)
    owner = submission_set(about, **set_changes)
    members = (
        replace(member(owner.id, item.id, status), previous_version=previous, propagation=propagation) for item in items
    )
    return Submission(
        owner,
        tuple(item for item in items if isinstance(item, DocumentEntry)),
        tuple(item for item in items if isinstance(item, Folder)),
        (*members, *also),
    )


def carry_out(service: DocumentService, submission: Submission) -> Registered:
    """ITI-57."""
    return UpdateService(documents=service).update(UpdateDocuments(submission), Context())


def restricted(service: DocumentService, submission: Submission) -> Registered:
    """ITI-92."""
    submission = replace(submission, submission_set=replace(submission.submission_set, home=HOME))
    return UpdateService(documents=service).update_restricted(RestrictedUpdateDocuments(submission), Context())


def versions(service: DocumentService, item: DocumentEntry | Folder) -> list[tuple[int, str]]:
    """Version and status of everything with the object's logicalID, the oldest first."""
    kind = "Document" if isinstance(item, DocumentEntry) else "Folder"
    prefix = "XDSDocumentEntry" if isinstance(item, DocumentEntry) else "XDSFolder"
    found = ask(service, f"Get{kind}s", **{f"{prefix}LogicalID": [item.logical_id]}, MetadataLevel="2")
    return sorted((other.version, other.status.rpartition(":")[2]) for other in found)


def links(service: DocumentService, item_id: str) -> set[tuple[str, str, str]]:
    """The Approved associations of an object, without those of submission sets: (type, source, target)."""
    found = [item for item in ask(service, "GetAssociations", uuid=[item_id]) if isinstance(item, Association)]
    sets = {item.id for item in ask(service, "GetSubmissionSets", uuid=[item_id])}
    found = [item for item in found if item.type != AssociationType.UPDATE_STATUS]
    return {
        (item.type.rpartition(":")[2], item.source, item.target)
        for item in found
        if item.status == APPROVED and item.source not in sets
    }
