"""MHD's view of the registry, on both databases: pages, what stored queries can't ask, members and relations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.context import Context
from hub.documents.errors import (
    DocumentUniqueIdError,
    NonIdenticalHash,
    RegistryMetadataError,
    UnknownCommunity,
    UnknownPatientId,
)
from hub.documents.model import APPROVED, DEPRECATED, AssociationType, Author, DocumentEntry, Folder, SubmissionSet
from hub.documents.service import DocumentService
from hub.documents.sharing import GENERATED, SharingService
from hub.documents.sharing_model import (
    Asked,
    Custodian,
    DescribeDocument,
    FindShared,
    Matching,
    OpenDocument,
    ProvideBundle,
    PublishDocument,
    Published,
    SharedPage,
)
from hub.storage.content import ContentStore
from hub.values import Code, PatientIdentifier, new_uid, new_uuid
from hub.wire.fhir.document_search import lists_by_id
from tests.documents.builders import (
    ANNE,
    ANNE_ALIAS,
    BERT,
    DE,
    DOMAIN,
    REPOSITORY,
    STRANGER,
    Region,
    entry,
    folder,
    member,
    register,
    relation,
    submit,
)
from tests.documents.updates import carry_out, registered_entry, revision, update

DOCUMENTS = ((Asked("FindDocuments"),),)
LISTS = ((Asked("FindSubmissionSets"), Asked("FindFolders")),)


@pytest.fixture
def sharing(service: DocumentService, tmp_path: Path) -> SharingService:
    return SharingService(
        documents=service,
        content=ContentStore(tmp_path / "content"),
        patients=Region((ANNE, ANNE_ALIAS), (BERT,)),
        affinity_domains=("1.2.3", DOMAIN),
    )


def find(sharing: SharingService, patient: PatientIdentifier | None = ANNE, **more: Any) -> SharedPage:
    return sharing.find(FindShared(**{"asked": DOCUMENTS, "patient": patient, **more}), Context())


def ids(page: SharedPage) -> list[str]:
    return [item.unique_id for item in page.objects]


def test_pages_are_stable_and_the_newest_comes_first(service: DocumentService, sharing: SharingService) -> None:
    days = [entry(creation_time=f"2024030{day}") for day in range(1, 6)]
    register(service, submit(*days))
    pages = [find(sharing, limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [page.total for page in pages] == [5] * 4
    assert [item for page in pages for item in ids(page)] == [item.unique_id for item in reversed(days)]


@pytest.mark.parametrize("number", [ANNE, ANNE_ALIAS, PatientIdentifier("R1", ""), PatientIdentifier("R0", "")])
def test_any_number_of_the_person_finds_all(
    service: DocumentService, sharing: SharingService, number: PatientIdentifier
) -> None:
    register(service, submit(entry()))
    register(service, submit(entry(ANNE_ALIAS)))
    register(service, submit(entry(BERT)))
    assert find(sharing, number).total == 2
    assert find(sharing, STRANGER) == SharedPage()


@pytest.mark.parametrize(
    ("matching", "count"),
    [
        (Matching(names=(("family", ("cur",)),)), 1),
        (Matching(names=(("family", ("MULLER",)),)), 1),
        (Matching(names=(("given", ("mar",)), ("family", ("x", "c")))), 1),
        (Matching(names=(("given", ("curie",)),)), 0),
        (Matching(codes=((("class_code",), ("IMAGING",)),)), 2),
        (Matching(codes=((("class_code",), ("IMAGING^^9.9",)),)), 0),
        (Matching(codes=((("event_codes",), ("CT^^1.2.3.4", "x")),)), 1),
        (Matching(stop_from="20240301101000"), 2),
        (Matching(stop_from="20240301101001"), 1),
        (Matching(start_before="20240301100001"), 1),
        (Matching(start_from="20240302000000", stop_before="20240303000000"), 1),
        (Matching(statuses=(DEPRECATED,)), 0),
    ],
)
def test_what_is_decided_after_reading(
    service: DocumentService, sharing: SharingService, matching: Matching, count: int
) -> None:
    other = entry(
        authors=(Author("1^Müller^Jörg"),),
        event_codes=(),
        service_start_time="20240302",  # and no end
        service_stop_time="",
    )
    register(service, submit(entry(), other))
    assert find(sharing, matching=matching).total == count


def test_every_group_must_hold(service: DocumentService, sharing: SharingService) -> None:
    mine, other = entry(), entry(BERT)
    register(service, submit(mine))
    register(service, submit(other))

    def by_id(*unique_ids: str) -> tuple[Asked, ...]:
        return (Asked("GetDocuments", {f"{DE}UniqueId": (unique_ids,)}),)

    both = by_id(mine.unique_id, other.unique_id)
    assert sorted(ids(find(sharing, None, asked=(both,)))) == sorted([mine.unique_id, other.unique_id])
    assert ids(find(sharing, asked=(*DOCUMENTS, both))) == [mine.unique_id]
    assert find(sharing, None, asked=(by_id(mine.unique_id), by_id(other.unique_id))).total == 0


def test_lists_have_their_members(service: DocumentService, sharing: SharingService) -> None:
    document, group = entry(), folder()
    inside = member(group.id, document.id)
    register(service, submit(document, folders=[group], in_folders=[inside]))
    page = find(sharing, asked=LISTS, lists=True)
    assert sorted(type(item).__name__ for item in page.objects) == ["Folder", "SubmissionSet"]
    owner = next(item for item in page.objects if isinstance(item, SubmissionSet))
    shown = next(item for item in page.objects if isinstance(item, Folder))
    known = {item.id: item for item in page.members}
    held = {item.target for item in page.associations if item.source == owner.id and item.target in known}
    assert {known[item].unique_id for item in held} == {document.unique_id, group.unique_id}
    held = {item.target for item in page.associations if item.source == shown.id and item.target in known}
    assert {known[item].unique_id for item in held} == {document.unique_id}


def test_a_submission_set_is_itself_and_not_the_folder_that_it_made(
    service: DocumentService, sharing: SharingService
) -> None:
    report = entry()
    made = register(
        service, submit(report, folders=[group := folder()], in_folders=[member(group.id, report.id)])
    ).submission
    (own,) = made.folders
    by_unique_id = lists_by_id((made.submission_set.unique_id,), ())
    for asked in (lists_by_id((), (made.submission_set.id,)), by_unique_id):
        page = sharing.find(FindShared((asked,), lists=True, limit=1), Context())
        assert (ids(page), page.total) == ([made.submission_set.unique_id], 1)
    assert ids(sharing.find(FindShared((lists_by_id((), (own.id,)),), lists=True), Context())) == [own.unique_id]


def test_a_replacement_shows_what_it_replaces(service: DocumentService, sharing: SharingService) -> None:
    old = register(service, submit(entry())).submission.entries[0]
    new = entry()
    register(service, submit(new, also=[relation(AssociationType.REPLACE, new.id, old.id)]))
    current = find(sharing, matching=Matching(statuses=("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",)))
    assert ids(current) == [new.unique_id]
    (link,) = [item for item in current.associations if item.type == AssociationType.REPLACE]
    assert link.target == old.id
    assert ids(find(sharing, matching=Matching(statuses=(DEPRECATED,)))) == [old.unique_id]


def test_provided_documents_can_be_opened(sharing: SharingService, tmp_path: Path) -> None:
    number = PatientIdentifier("R0", "")
    document = entry(number, hash="", size=None, repository_unique_id="")
    submission = submit(document)
    outcome = sharing.provide(ProvideBundle(submission, ((document.id, b"a report"),)), Context())
    stored = outcome.submission.entries[0]
    assert (stored.size, stored.patient_id, stored.repository_unique_id) == (8, ANNE, REPOSITORY)
    opened = sharing.open(OpenDocument(stored.id), Context())
    assert opened.document.path.read_bytes() == b"a report"
    assert opened.entry.hash == stored.hash
    for unknown in (new_uuid(), "urn:uuid:x", "x" * 36):
        with pytest.raises(DocumentUniqueIdError):
            sharing.open(OpenDocument(unknown), Context())
    stranger = submit(entry(STRANGER))
    with pytest.raises(UnknownPatientId):
        sharing.provide(ProvideBundle(stranger, ()), Context())
    assert not list((tmp_path / "content" / "incoming").glob("*"))


def published(sharing: SharingService, **changes: Any) -> Published:
    made = entry(PatientIdentifier("R0", ""), hash="", size=None, repository_unique_id="", **changes)
    return sharing.publish(PublishDocument(made, b"a note"), Context())


def test_one_document_gets_a_submission_set(sharing: SharingService) -> None:
    sharing.source_id = "1.2.250.1.999.1.4"
    full, poor = published(sharing), published(sharing, class_code=None)
    assert (full.entry.limited, poor.entry.limited) == (False, True)
    assert full.entry.patient_id == ANNE
    owners = find(sharing, asked=LISTS, lists=True)
    assert owners.total == 2
    assert {item.source_id for item in owners.objects if isinstance(item, SubmissionSet)} == {sharing.source_id}
    assert not any(item.limited for item in owners.objects)
    with pytest.raises(UnknownPatientId):
        sharing.publish(PublishDocument(entry(STRANGER), b"x"), Context())


def test_what_a_document_does_not_tell_is_the_region_s(sharing: SharingService) -> None:
    sharing.source_id, sharing.language = "1.2.250.1.999.1.4", "fr-FR"
    told: dict[str, Any] = dict.fromkeys(
        ("class_code", "format_code", "practice_setting_code", "healthcare_facility_type_code")
    )
    plain: dict[str, Any] = {"confidentiality_codes": (), "language_code": "", "source_patient_id": ""}
    made = entry(hash="", size=None, repository_unique_id="", **told, **plain)
    command = DescribeDocument(made, b"a report", (STRANGER, ANNE_ALIAS))
    first = sharing.describe(command, Context())
    assert first.entry.limited
    assert first.entry.source_patient_id == ANNE_ALIAS.cx
    assert sharing.describe(command, Context()).entry.id == first.entry.id  # the very same document
    sharing.generated = {name: Code("X", "1.2.3.4", "X") for name in GENERATED}
    other = DescribeDocument(replace(made, unique_id=new_uid()), b"another", (ANNE,))
    second = sharing.describe(other, Context()).entry
    assert not second.limited
    assert second.class_code == second.confidentiality_codes[0] == Code("X", "1.2.3.4", "X")
    with pytest.raises(UnknownPatientId):
        sharing.describe(DescribeDocument(made, b"x", (STRANGER,)), Context())
    with pytest.raises(NonIdenticalHash):  # the same uniqueId, and another document
        sharing.describe(DescribeDocument(made, b"changed", (ANNE,)), Context())


def test_the_french_constraints_are_in_force_where_set(sharing: SharingService) -> None:
    sharing.source_id = "1.2.250.1.999.1.4"
    made = entry(hash="", size=None, repository_unique_id="")
    missing = ("DocumentReference.custodian",)
    sharing.publish(PublishDocument(made, b"a note", french=missing), Context())
    sharing.custodian = Custodian("Région", "1.2.3")
    with pytest.raises(RegistryMetadataError, match="custodian") as caught:
        sharing.publish(PublishDocument(made, b"a note", french=missing), Context())
    assert caught.value.location == "DocumentReference.custodian"
    with pytest.raises(RegistryMetadataError):
        sharing.provide(ProvideBundle(submit(made), (), missing), Context())
    page = find(sharing)
    assert (page.total, page.custodian) == (1, sharing.custodian)


def test_communities(sharing: SharingService, service: DocumentService) -> None:
    register(service, submit(entry()))
    page = find(sharing, communities=("urn:oid:1.2", service.home))
    assert (page.total, [(item.name, item.answered) for item in page.communities]) == (1, [("urn:oid:1.2", False)])
    with pytest.raises(UnknownCommunity):
        find(sharing, communities=("urn:oid:1.2",))
    with pytest.raises(UnknownCommunity):
        find(sharing, community="0")
    with pytest.raises(DocumentUniqueIdError):
        sharing.open(OpenDocument(new_uuid(), "0"), Context())


def test_updated_metadata_is_shown_as_the_registry_has_it(sharing: SharingService, service: DocumentService) -> None:
    first = registered_entry(service)
    carry_out(service, update(revision(first, title="New")))
    current = find(sharing, matching=Matching(statuses=(APPROVED,)))
    (shown,) = current.objects
    assert isinstance(shown, DocumentEntry)
    assert (shown.title, shown.version, shown.logical_id) == ("New", 2, first.id)
    assert find(sharing).total == 1  # a former version of the metadata is no document of its own
