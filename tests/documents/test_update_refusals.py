"""Metadata update (ITI-57) and restricted metadata update (ITI-92): what is refused, and how it is called."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hub.context import Context
from hub.documents.administration import UpdateService
from hub.documents.errors import (
    DocumentError,
    DuplicateUniqueIdInRegistry,
    InvalidRequest,
    MetadataAnnotationError,
    MetadataIdentifierError,
    MetadataUpdateError,
    MetadataUpdateOperationError,
    MetadataVersionError,
    MissingHomeCommunityId,
    NonIdenticalHash,
    NonIdenticalSize,
    ObjectTypeError,
    PatientIdReconciliationError,
    RegistryMetadataError,
    UnknownCommunity,
    UnknownPatientId,
    UnmodifiableMetadata,
    UnresolvedReference,
)
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    OFFLINE,
    ON_DEMAND,
    STABLE,
    AssociationType,
    DocumentEntry,
    Folder,
    Registered,
    RestrictedUpdateDocuments,
    Submission,
)
from hub.documents.service import DocumentService
from hub.values import new_uuid
from tests.documents.builders import (
    ANNE,
    BERT,
    STRANGER,
    ask,
    entry,
    kinds,
    member,
    register,
    relation,
    submit,
)
from tests.documents.updates import (
    added,
    carry_out,
    change,
    registered_entry,
    registered_folder,
    restricted,
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


@dataclass(frozen=True)
class Given:
    """What the registry holds."""

    service: DocumentService
    document: DocumentEntry
    folder: Folder


Make = Callable[[Given], Submission]
_WRONG: dict[str, tuple[Make, type[DocumentError], type[DocumentError] | None]] = {
    "another's status": (
        lambda g: update(also=[change(g.document.id)], patient=BERT),
        PatientIdReconciliationError,
        InvalidRequest,
    ),
    "another's folder": (
        lambda g: update(also=added(MEMBER, g.folder.id, g.document.id), patient=BERT),
        PatientIdReconciliationError,
        InvalidRequest,
    ),
    "no lid": (lambda g: update(revision(g.document, logical_id="")), MetadataUpdateError, InvalidRequest),
    "lid is id": (
        lambda g: update(replace(g.document, logical_id=g.document.id)),
        MetadataUpdateError,
        InvalidRequest,
    ),
    "symbolic lid": (lambda g: update(revision(g.document, logical_id="Doc")), MetadataUpdateError, InvalidRequest),
    "unknown lid": (
        lambda g: update(revision(g.document, logical_id=new_uuid())),
        MetadataVersionError,
        MetadataVersionError,
    ),
    "wrong version": (lambda g: update(revision(g.document), previous=2), MetadataVersionError, MetadataVersionError),
    "no version": (
        lambda g: update(revision(g.document), previous=None),
        MetadataVersionError,
        MetadataAnnotationError,
    ),
    "reference": (
        lambda g: update(revision(g.document), status="Reference"),
        MetadataUpdateError,
        MetadataAnnotationError,
    ),
    "no member": (
        lambda g: replace(update(revision(g.document)), associations=()),
        MetadataUpdateError,
        MetadataAnnotationError,
    ),
    "propagation": (
        lambda g: update(revision(g.document), propagation="perhaps"),
        MetadataUpdateError,
        MetadataAnnotationError,
    ),
    "twice": (lambda g: _twice(g.document), MetadataUpdateError, InvalidRequest),
    "uniqueId": (
        lambda g: update(revision(g.document, unique_id="1.2.3")),
        MetadataUpdateError,
        MetadataIdentifierError,
    ),
    "objectType": (
        lambda g: update(revision(g.document, object_type=ON_DEMAND, hash="", size=None, creation_time="")),
        MetadataUpdateError,
        ObjectTypeError,
    ),
    "hash": (lambda g: update(revision(g.document, hash="0" * 40)), NonIdenticalHash, NonIdenticalHash),
    "size": (lambda g: update(revision(g.document, size=1)), NonIdenticalSize, NonIdenticalSize),
    "bad value": (
        lambda g: update(revision(g.document, language_code="?")),
        RegistryMetadataError,
        RegistryMetadataError,
    ),
    "patients": (
        lambda g: update(revision(g.document), patient=BERT),
        PatientIdReconciliationError,
        PatientIdReconciliationError,
    ),
    "unknown patient": (
        lambda g: update(revision(g.document, patient_id=STRANGER)),
        UnknownPatientId,
        UnknownPatientId,
    ),
    "nothing": (lambda _: update(), MetadataUpdateOperationError, MetadataUpdateOperationError),
    "member of the registry": (
        lambda g: update(revision(g.document), also=[member("SubmissionSet01", g.folder.id)]),
        MetadataUpdateOperationError,
        InvalidRequest,
    ),
    "loose association": (
        lambda g: update(revision(g.document), also=[relation(XFRM, g.document.id, g.folder.id)]),
        MetadataUpdateOperationError,
        MetadataUpdateOperationError,
    ),
    "set as a target": (
        lambda g: update(revision(g.document), also=[relation(XFRM, g.document.id, "SubmissionSet01")]),
        MetadataUpdateOperationError,
        MetadataUpdateOperationError,
    ),
    "set of another": (
        lambda g: update(revision(g.document), unique_id=_used_set(g.service)),
        DuplicateUniqueIdInRegistry,
        None,
    ),
    "known id": (lambda g: update(replace(revision(g.document), id=g.folder.id)), RegistryMetadataError, None),
    "folder's uniqueId": (
        lambda g: update(revision(g.folder, unique_id="1.2.3")),
        MetadataUpdateError,
        ObjectTypeError,
    ),
    "folder's version": (lambda g: update(revision(g.folder), previous=7), MetadataVersionError, ObjectTypeError),
    "lid of a folder": (
        lambda g: update(revision(g.document, logical_id=g.folder.id)),
        MetadataVersionError,
        MetadataVersionError,
    ),
    "status of nothing": (lambda _: update(also=[change(new_uuid())]), MetadataUpdateError, InvalidRequest),
    "status of the set": (
        lambda g: update(also=[change(_a_set(g.service, g.document))]),
        MetadataUpdateError,
        InvalidRequest,
    ),
    "status of its member": (
        lambda g: update(also=[change(_a_membership(g.service, g.document))]),
        MetadataUpdateError,
        InvalidRequest,
    ),
    "another status": (
        lambda g: update(also=[change(g.document.id, DEPRECATED, APPROVED)]),
        MetadataUpdateError,
        InvalidRequest,
    ),
    "unknown status": (
        lambda g: update(also=[change(g.document.id, APPROVED, "Submitted")]),
        MetadataUpdateError,
        InvalidRequest,
    ),
    "symbol of nothing": (lambda _: update(also=[change("Doc")]), UnresolvedReference, UnresolvedReference),
    "association to nothing": (
        lambda g: update(also=added(MEMBER, g.folder.id, new_uuid())),
        MetadataUpdateError,
        InvalidRequest,
    ),
    "member of an entry": (
        lambda g: update(also=added(MEMBER, g.document.id, g.folder.id)),
        MetadataUpdateError,
        InvalidRequest,
    ),
    "folder transformed": (
        lambda g: update(also=added(XFRM, g.folder.id, g.document.id)),
        MetadataUpdateError,
        InvalidRequest,
    ),
    "twice the same": (
        lambda g: update(also=[*added(MEMBER, g.folder.id, g.document.id), *added(MEMBER, g.folder.id, g.document.id)]),
        MetadataUpdateError,
        InvalidRequest,
    ),
    "not submitted": (
        lambda g: update(also=[added(MEMBER, g.folder.id, g.document.id)[0]]),
        MetadataUpdateOperationError,
        MetadataUpdateOperationError,
    ),
    "nothing submitted": (
        lambda g: update(also=[relation(AssociationType.SUBMIT, "SubmissionSet01", g.document.id)]),
        MetadataUpdateError,
        InvalidRequest,
    ),
}


def _twice(document: DocumentEntry) -> Submission:
    return update(revision(document), revision(document, unique_id="1.2.3.4.5"))


def _a_set(service: DocumentService, document: DocumentEntry) -> str:
    return ask(service, "GetSubmissionSets", uuid=[document.id])[0].id


def _a_membership(service: DocumentService, document: DocumentEntry) -> str:
    return next(item.id for item in ask(service, "GetAssociations", uuid=[document.id]))


def _used_set(service: DocumentService) -> str:
    return register(service, submit(entry())).submission.submission_set.unique_id


@pytest.mark.parametrize("name", _WRONG)
@pytest.mark.parametrize("manner", [carry_out, restricted])
def test_what_is_refused_leaves_nothing(
    service: DocumentService, name: str, manner: Callable[[DocumentService, Submission], Registered]
) -> None:
    make, error, other = _WRONG[name]
    document, group = registered_entry(service), registered_folder(service)
    submission = make(Given(service, document, group))
    before = everything(service)
    expected = error if manner is carry_out else (other or error)
    with pytest.raises(expected) as caught:
        manner(service, submission)
    assert type(caught.value) is expected
    assert everything(service) == before
    assert versions(service, document) == [(1, "Approved")]
    assert caught.value.location


def test_the_error_names_the_object_as_it_was_submitted(service: DocumentService) -> None:
    new = revision(registered_entry(service))
    with pytest.raises(MetadataVersionError) as caught:
        carry_out(service, update(new, previous=9))
    assert caught.value.location == new.id


def test_what_is_deprecated_gets_no_new_version(service: DocumentService) -> None:
    first = registered_entry(service)
    carry_out(service, update(also=[change(first.id)]))
    with pytest.raises(MetadataUpdateError):
        carry_out(service, update(revision(first)))
    (made,) = restricted(service, update(revision(first, status=APPROVED))).submission.entries
    assert made.status == DEPRECATED  # a restricted update carries the status over
    with pytest.raises(MetadataUpdateError):
        carry_out(service, update(also=[change(first.id, DEPRECATED, APPROVED)]))  # no longer the last version


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"patient_id": BERT}, PatientIdReconciliationError),
        ({"source_patient_id": "4712^^^&1.2.250.1.71&ISO"}, UnmodifiableMetadata),
        ({"repository_unique_id": "1.2.3"}, UnmodifiableMetadata),
        ({"availability": OFFLINE}, UnmodifiableMetadata),
        ({"status": DEPRECATED}, UnmodifiableMetadata),
        ({"unique_id": "1.2.3"}, MetadataIdentifierError),
    ],
)
def test_a_restricted_update_leaves_the_document_where_it_is(
    service: DocumentService, changes: dict[str, Any], error: type[DocumentError]
) -> None:
    first = registered_entry(service)
    with pytest.raises(error):
        restricted(service, update(revision(first, **changes)))
    (made,) = restricted(service, update(revision(first, title="Autre", object_type=STABLE))).submission.entries
    assert (made.version, made.title) == (2, "Autre")


def test_a_restricted_update_names_its_community(service: DocumentService) -> None:
    new = update(revision(registered_entry(service)))
    with pytest.raises(MissingHomeCommunityId):
        UpdateService(documents=service).update_restricted(_restricted(new, ""), Context())
    with pytest.raises(UnknownCommunity):
        UpdateService(documents=service).update_restricted(_restricted(new, "urn:oid:1.2.3"), Context())
    with pytest.raises(MetadataAnnotationError):
        restricted(service, update(revision(registered_entry(service)), propagation="no"))


def _restricted(submission: Submission, home: str) -> RestrictedUpdateDocuments:
    return RestrictedUpdateDocuments(replace(submission, submission_set=replace(submission.submission_set, home=home)))
