"""Removal of metadata (ITI-62) and of documents (ITI-86)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hub.context import Context
from hub.documents.administration import RemovalService
from hub.documents.errors import (
    DocumentError,
    DocumentUniqueIdError,
    NonIdenticalHash,
    NothingRemoved,
    ReferencesExist,
    RegistryError,
    RemoveDocumentsError,
    RepositoryError,
    UnknownCommunity,
    UnknownRepositoryId,
    UnreferencedObject,
    UnresolvedReference,
)
from hub.documents.model import (
    ON_DEMAND,
    AssociationType,
    DocumentRequest,
    ProvideDocuments,
    Registered,
    RegisterOnDemand,
    RemovedDocuments,
    RemoveDocuments,
    RemoveMetadata,
    RetrieveDocuments,
    Submission,
)
from hub.documents.removal import MOST_IDS
from hub.documents.structure import objects
from hub.storage.content import ContentStore
from hub.storage.engine import Database
from hub.values import new_uuid
from tests.documents.builders import (
    ANNE,
    HOME,
    REPOSITORY,
    ask,
    content,
    entry,
    find,
    folder,
    member,
    register,
    relation,
    service_on,
    submit,
)
from tests.documents.updates import carry_out, revision, update


class Archive:
    """A registry and repository with what removes from them."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.content = ContentStore(directory)
        self.service = service_on(database, directory)
        self.removal = RemovalService(documents=self.service, content=self.content, in_use=self.service.refers_to)

    def provide(self, data: bytes = b"a report", **changes: str) -> Registered:
        given = replace(entry(), hash="", size=None, repository_unique_id="", **changes)  # type: ignore[arg-type]
        spooled = content(self.content, given.id, data)
        return self.service.provide(ProvideDocuments(submit(given), (spooled,)), Context())

    def forget(self, *ids: str) -> Context:
        context = Context()
        self.removal.remove_metadata(RemoveMetadata(ids), context)
        return context

    def remove(self, *unique_ids: str, repository: str = REPOSITORY, home: str = "") -> RemovedDocuments:
        wanted = tuple(DocumentRequest(repository, item, home) for item in unique_ids)
        return self.removal.remove_documents(RemoveDocuments(wanted), Context())

    def read(self, unique_id: str) -> bytes:
        request = DocumentRequest(REPOSITORY, unique_id)
        outcome = self.service.retrieve(RetrieveDocuments((request,)), Context())
        for _, error in outcome.failures:
            raise error
        return outcome.documents[0].path.read_bytes()


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Archive:
    return Archive(database, tmp_path / "content")


def ids_of(submission: Submission) -> list[str]:
    return [item.id for item in objects(submission)]


# ITI-62


def test_a_submission_goes_as_a_whole(archive: Archive) -> None:
    stored = archive.provide().submission
    context = archive.forget(*ids_of(stored))
    assert find(archive.service) == []
    assert ask(archive.service, "GetSubmissionSets", uuid=[stored.entries[0].id]) == ()
    assert ask(archive.service, "GetAssociations", uuid=[stored.entries[0].id]) == ()
    noted = {(item.kind, item.reference) for item in context.touched}
    assert noted == {("patient", ANNE.cx), *(("registry object", item) for item in ids_of(stored))}


def test_a_document_goes_and_its_submission_stays(archive: Archive) -> None:
    first, second = entry(), entry()
    stored = register(archive.service, submit(first, second)).submission
    gone = stored.entries[0]
    (link,) = [item.id for item in stored.associations if item.target == gone.id]
    archive.forget(gone.id, link)
    assert find(archive.service) == [second.unique_id]
    assert register(archive.service, submit(entry(unique_id=gone.unique_id))).submission  # the uniqueId is free again


def test_every_version_goes(archive: Archive) -> None:
    first = archive.provide().submission
    second = carry_out(archive.service, update(revision(first.entries[0]))).submission
    archive.forget(*ids_of(second))
    assert archive.read(first.entries[0].unique_id) == b"a report"
    with pytest.raises(UnresolvedReference):
        archive.forget(*ids_of(second))
    archive.forget(*ids_of(first))


def test_what_is_refused_leaves_all_there(archive: Archive) -> None:
    first = register(archive.service, submit(entry(), folders=[folder()])).submission
    document, group = first.entries[0], first.folders[0]
    addendum = entry()
    addition = member(group.id, document.id)
    second = register(
        archive.service,
        submit(
            addendum,
            in_folders=[addition],
            also=[relation(AssociationType.APPEND, addendum.id, document.id)],
        ),
    ).submission
    everything = [*ids_of(first), *ids_of(second)]
    own = {item.target: item.id for item in first.associations}
    (held,) = [item.id for item in second.associations if item.source == group.id]
    cases: list[tuple[list[str], type[DocumentError], str]] = [
        ([new_uuid()], UnresolvedReference, ""),
        (["Document01"], UnresolvedReference, "Document01"),
        ([document.id], ReferencesExist, document.id),
        ([group.id], ReferencesExist, group.id),
        ([first.submission_set.id], ReferencesExist, first.submission_set.id),
        ([document.id, own[document.id]], ReferencesExist, document.id),
        ([held], ReferencesExist, held),
        ([*ids_of(second)][:1] + [item.id for item in second.associations], UnreferencedObject, ""),
        ([], RegistryError, "ObjectRefList"),
    ]
    for ids, error, location in cases:
        with pytest.raises(error) as caught:
            archive.forget(*ids)
        assert type(caught.value) is error, ids
        assert not location or caught.value.location == location
    assert len(find(archive.service)) == 2
    archive.forget(*everything)
    assert find(archive.service) == []


def test_an_object_is_not_left_alone(archive: Archive) -> None:
    stored = register(archive.service, submit(entry())).submission
    with pytest.raises(UnreferencedObject):
        archive.forget(*(item.id for item in stored.associations))
    assert len(find(archive.service)) == 1


# ITI-86


def test_the_bytes_go_and_the_metadata_stays(archive: Archive) -> None:
    document = archive.provide().submission.entries[0]
    outcome = archive.remove(document.unique_id)
    assert [item.document_unique_id for item in outcome.removed] == [document.unique_id]
    assert list(archive.content) == []
    assert find(archive.service) == [document.unique_id]
    with pytest.raises(DocumentUniqueIdError):
        archive.read(document.unique_id)


def test_bytes_that_another_document_has_stay(archive: Archive) -> None:
    first, second = archive.provide().submission.entries[0], archive.provide().submission.entries[0]
    archive.remove(first.unique_id)
    assert archive.read(second.unique_id) == b"a report"
    archive.remove(second.unique_id)
    assert list(archive.content) == []


@pytest.mark.parametrize("metadata_first", [True, False])
def test_metadata_and_document_in_any_order(archive: Archive, metadata_first: bool) -> None:
    stored = archive.provide().submission
    document = stored.entries[0]
    if metadata_first:
        archive.forget(*ids_of(stored))
        assert archive.read(document.unique_id) == b"a report"  # the repository still has it
        assert archive.service.refers_to(next(iter(archive.content)))
        with pytest.raises(NonIdenticalHash):
            archive.provide(b"something else", unique_id=document.unique_id)
        archive.remove(document.unique_id)
    else:
        archive.remove(document.unique_id)
        archive.forget(*ids_of(stored))
    assert list(archive.content) == []
    again = archive.provide(b"something else", unique_id=document.unique_id).submission.entries[0]
    assert archive.read(again.unique_id) == b"something else"


def test_one_that_can_t_go_keeps_the_others(archive: Archive) -> None:
    documents = [archive.provide().submission.entries[0] for _ in range(2)]
    context = Context()
    wanted = tuple(
        DocumentRequest(REPOSITORY, uid) for uid in (documents[0].unique_id, "1.2.3", documents[1].unique_id)
    )
    with pytest.raises(NothingRemoved) as caught:
        archive.removal.remove_documents(RemoveDocuments(wanted), context)
    assert [(uid, type(error), error.location) for uid, error in caught.value.failures] == [
        ("1.2.3", DocumentUniqueIdError, "1.2.3")
    ]
    assert [archive.read(item.unique_id) for item in documents] == [b"a report"] * 2
    assert not [effect for effect in context.effects if effect.kind == "document removed"]


def test_why_nothing_was_removed(archive: Archive) -> None:
    document = archive.provide().submission.entries[0]
    elsewhere = register(archive.service, submit(entry())).submission.entries[0]
    cases: list[tuple[Callable[[], RemovedDocuments], type[DocumentError]]] = [
        (lambda: archive.remove(document.unique_id, repository="1.2.3"), UnknownRepositoryId),
        (lambda: archive.remove(document.unique_id, home="urn:oid:1.2.3"), UnknownCommunity),
        (lambda: archive.remove("not\nan id"), DocumentUniqueIdError),
        (lambda: archive.remove(elsewhere.unique_id), DocumentUniqueIdError),
    ]
    for ask_for, error in cases:
        with pytest.raises(NothingRemoved) as caught:
            ask_for()
        assert [type(reason) for _, reason in caught.value.failures] == [error]
    assert archive.read(document.unique_id) == b"a report"
    assert isinstance(caught.value, RemoveDocumentsError)
    assert archive.remove(document.unique_id, home=HOME).removed


def test_requests_have_an_end(archive: Archive) -> None:
    with pytest.raises(RegistryError):
        archive.forget(*(new_uuid() for _ in range(MOST_IDS + 1)))
    with pytest.raises(RepositoryError):
        archive.remove(*(str(number) for number in range(MOST_IDS + 1)))


def test_what_is_made_when_it_is_asked_for_is_not_removed(archive: Archive) -> None:
    given = entry(object_type=ON_DEMAND, hash="", size=None, creation_time="", legal_authenticators=())
    made = archive.service.register_on_demand(RegisterOnDemand(submit(given)), Context()).submission.entries[0]
    with pytest.raises(NothingRemoved) as caught:
        archive.remove(made.unique_id)
    assert [type(reason) for _, reason in caught.value.failures] == [RemoveDocumentsError]
    (second,) = carry_out(archive.service, update(revision(made, title="Autre titre"))).submission.entries
    assert (second.object_type, second.version) == (ON_DEMAND, 2)


# Many at once


def test_a_removal_and_a_replacement_at_once(archive: Archive) -> None:
    stored = register(archive.service, submit(entry())).submission
    target = stored.entries[0]

    def replacing() -> object:
        new = entry()
        return register(archive.service, submit(new, also=[relation(AssociationType.REPLACE, new.id, target.id)]))

    outcomes = _race([replacing, lambda: archive.forget(*ids_of(stored))])
    failed = [type(item) for item in outcomes if isinstance(item, DocumentError)]
    assert failed in ([UnresolvedReference], [ReferencesExist])
    assert len(find(archive.service)) == (failed == [ReferencesExist])


def test_the_same_bytes_removed_and_provided_at_once(archive: Archive) -> None:
    documents = [archive.provide().submission.entries[0] for _ in range(4)]
    acts: list[Callable[[], object]] = [lambda d=item: archive.remove(d.unique_id) for item in documents]  # type: ignore[misc]
    outcomes = _race([*acts, *[archive.provide] * 4])
    kept = [item.submission.entries[0] for item in outcomes if isinstance(item, Registered)]
    assert len(kept) == 4
    assert [archive.read(item.unique_id) for item in kept] == [b"a report"] * 4


def test_the_same_document_removed_and_registered_at_once(archive: Archive) -> None:
    for _ in range(3):
        stored = archive.provide().submission
        document = stored.entries[0]
        archive.remove(document.unique_id)

        def again(unique_id: str = document.unique_id) -> Registered:
            return archive.provide(unique_id=unique_id)

        def gone(stored: Submission = stored) -> Context:
            return archive.forget(*ids_of(stored))

        outcomes = _race([gone, again, again])
        assert not [item for item in outcomes if isinstance(item, DocumentError)], outcomes
        assert archive.read(document.unique_id) == b"a report"
        with pytest.raises(NonIdenticalHash):
            archive.provide(b"something else", unique_id=document.unique_id)


def _race(acts: list[Callable[[], object]]) -> list[object]:
    def attempt(act: Callable[[], object]) -> object:
        try:
            return act()
        except DocumentError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(attempt, acts))
