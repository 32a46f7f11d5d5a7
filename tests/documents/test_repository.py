"""ITI-41 and ITI-43: bytes and metadata together, or neither."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.context import Context
from hub.documents.errors import (
    DocumentError,
    DocumentUniqueIdError,
    MissingDocument,
    MissingDocumentMetadata,
    NonIdenticalHash,
    RepositoryDuplicateUniqueIdInMessage,
    RepositoryMetadataError,
    UnknownCommunity,
    UnknownPatientId,
    UnknownRepositoryId,
)
from hub.documents.model import DocumentEntry, DocumentRequest, ProvideDocuments, RetrieveDocuments, Submission
from hub.documents.service import DocumentService
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from tests import collision
from tests.documents.builders import REPOSITORY, STRANGER, content, entry, register, submit

DATA = b"\x00DICOM" * 1000
UNSAID: dict[str, Any] = {"hash": "", "size": None, "repository_unique_id": ""}


@pytest.fixture
def store(service: DocumentService) -> ContentStore:
    assert isinstance(service.content, ContentStore)
    return service.content


def provide(service: DocumentService, submission: Submission, *datas: tuple[str, bytes]) -> DocumentEntry:
    assert isinstance(service.content, ContentStore)
    contents = tuple(content(service.content, entry_id, data) for entry_id, data in datas)
    return service.provide(ProvideDocuments(submission, contents), Context()).submission.entries[0]


def spooled(store: ContentStore) -> list[Path]:
    return list(store.incoming().iterdir())


def test_a_document_comes_back_byte_for_byte(service: DocumentService, store: ContentStore) -> None:
    given = entry(**UNSAID)
    stored = provide(service, submit(given), (given.id, DATA))
    assert stored.hash == hashlib.sha1(DATA).hexdigest()
    assert stored.size == len(DATA)
    assert stored.repository_unique_id == REPOSITORY
    found = service.open_content(given.unique_id)
    assert found.path.read_bytes() == DATA
    assert (found.mime_type, found.size) == (given.mime_type, len(DATA))
    assert spooled(store) == []
    assert service.refers_to(hashlib.sha1(DATA).hexdigest())


def test_a_hash_and_size_that_fit_are_accepted(service: DocumentService) -> None:
    given = entry(hash=hashlib.sha1(DATA).hexdigest().upper(), size=len(DATA))
    assert provide(service, submit(given), (given.id, DATA)).hash == hashlib.sha1(DATA).hexdigest()


@pytest.mark.parametrize("changes", [{"hash": "0" * 40, "size": None}, {"hash": "", "size": 1}])
def test_a_hash_or_size_that_does_not_fit_is_refused(
    service: DocumentService, store: ContentStore, changes: dict[str, Any]
) -> None:
    given = entry(**changes)
    with pytest.raises(RepositoryMetadataError):
        provide(service, submit(given), (given.id, DATA))
    assert (spooled(store), list(store)) == ([], [])


def test_documents_and_entries_come_in_pairs(service: DocumentService, store: ContentStore) -> None:
    one, two = entry(**UNSAID), entry(**UNSAID)
    with pytest.raises(MissingDocument) as caught:
        provide(service, submit(one, two), (one.id, DATA))
    assert caught.value.location == two.id
    with pytest.raises(MissingDocumentMetadata) as other:
        provide(service, submit(one), (one.id, DATA), ("other", DATA))
    assert other.value.location == "other"
    with pytest.raises(MissingDocumentMetadata):
        provide(service, submit(one), (one.id, DATA), (one.id, b"twice"))
    with pytest.raises(RepositoryDuplicateUniqueIdInMessage):
        provide(service, submit(one, replace(two, unique_id=one.unique_id)), (one.id, DATA), (two.id, DATA))
    assert (spooled(store), list(store)) == ([], [])


def test_a_refused_submission_leaves_no_bytes(service: DocumentService, store: ContentStore) -> None:
    given = entry(STRANGER, **UNSAID)
    with pytest.raises(UnknownPatientId):
        provide(service, submit(given), (given.id, DATA))
    assert (spooled(store), list(store)) == ([], [])
    with pytest.raises(DocumentUniqueIdError):
        service.open_content(given.unique_id)


def test_another_content_for_a_known_uniqueid_is_refused(service: DocumentService, store: ContentStore) -> None:
    given = entry(**UNSAID)
    provide(service, submit(given), (given.id, DATA))
    again = replace(given, id="again")
    with pytest.raises(NonIdenticalHash):
        provide(service, submit(again), (again.id, b"other"))
    assert service.open_content(given.unique_id).path.read_bytes() == DATA
    assert len(list(store)) == 1


def test_the_same_bytes_are_kept_once(service: DocumentService, store: ContentStore) -> None:
    one, two = entry(**UNSAID), entry(**UNSAID)
    provide(service, submit(one, two), (one.id, DATA), (two.id, DATA))
    provide(service, submit(replace(one, id="again")), ("again", DATA))
    assert len(list(store)) == 1
    assert service.open_content(two.unique_id).path.read_bytes() == DATA


def test_two_documents_with_one_hash_come_back_each_as_itself(service: DocumentService, store: ContentStore) -> None:
    one, two = entry(**UNSAID), entry(**UNSAID)
    first = provide(service, submit(one), (one.id, collision.ONE))
    assert provide(service, submit(two), (two.id, collision.OTHER)).hash == first.hash
    assert service.open_content(one.unique_id).path.read_bytes() == collision.ONE
    assert service.open_content(two.unique_id).path.read_bytes() == collision.OTHER
    assert store.sweep(service.refers_to, older_than=-1) == 0


def test_a_rolled_back_unit_of_work_leaves_nothing_in_the_registry(
    service: DocumentService, database: Database, store: ContentStore
) -> None:
    given = entry(**UNSAID)

    def provide_and_fail() -> None:
        with database.transaction():
            provide(service, submit(given), (given.id, DATA))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        provide_and_fail()
    with pytest.raises(DocumentUniqueIdError):
        service.entry(given.unique_id)
    assert store.sweep(service.refers_to, older_than=-1) == 1


def test_the_sweep_keeps_what_is_registered(service: DocumentService, store: ContentStore) -> None:
    given = entry(**UNSAID)
    provide(service, submit(given), (given.id, DATA))
    assert store.sweep(service.refers_to, older_than=-1) == 0


def test_each_wanted_document_has_its_own_answer(service: DocumentService, store: ContentStore) -> None:
    good, lost, elsewhere = entry(**UNSAID), entry(**UNSAID), entry()
    provide(service, submit(good), (good.id, DATA))
    provide(service, submit(lost), (lost.id, b"lost"))
    register(service, submit(elsewhere))
    store.delete(hashlib.sha1(b"lost").hexdigest())
    wanted = (
        DocumentRequest(REPOSITORY, good.unique_id),
        DocumentRequest(REPOSITORY, lost.unique_id),
        DocumentRequest(REPOSITORY, elsewhere.unique_id),
        DocumentRequest(REPOSITORY, "1.2.3"),
        DocumentRequest(REPOSITORY, "bad \x00 id"),
        DocumentRequest("1.2.3", good.unique_id),
        DocumentRequest(REPOSITORY, good.unique_id, home="urn:oid:1.2.3"),
        DocumentRequest(REPOSITORY, good.unique_id, home=service.home),
    )
    context = Context()
    outcome = service.retrieve(RetrieveDocuments(wanted), context)
    assert [item.request for item in outcome.documents] == [wanted[0], wanted[7]]
    expected: list[type[DocumentError]] = [
        *[DocumentUniqueIdError] * 4,
        UnknownRepositoryId,
        UnknownCommunity,
    ]
    assert [type(error) for _, error in outcome.failures] == expected
    assert {item.kind for item in context.touched} == {"patient", "document"}
