"""DSUB's extended topics: updates, deprecations, removals and what happens to folders (DSUB extensions: 3.53.4.3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hub.context import Context
from hub.documents.administration import RemovalService
from hub.documents.model import DEPRECATED, AssociationType, DocumentEntry, Folder, RemoveMetadata
from hub.documents.withdrawal import WithdrawalService
from hub.subscriptions.errors import TopicNotSupported
from hub.subscriptions.events import EVENTS
from hub.subscriptions.model import Publish, Topic
from tests.documents.builders import ANNE, BERT, ask, entry, folder, member, relation, submit
from tests.documents.updates import carry_out, change, registered_entry, registered_folder, restricted, revision, update
from tests.subscriptions.room import Room, about, wanted

FULL, MINIMAL = "ihe:ExtendedFullDocumentEntry", "ihe:ExtendedMinimalDocumentEntry"


@dataclass
class Given:
    """What the registry holds when it happens."""

    room: Room
    document: DocumentEntry
    folder: Folder


def topics(room: Room) -> list[str]:
    return [item.topic for item in room.told()]


def replaced(given: Given) -> None:
    new = entry()
    given.room.register(submit(new, also=[relation(AssociationType.REPLACE, new.id, given.document.id)]))


def withdrawn(given: Given) -> None:
    withdrawals = WithdrawalService(database=given.room.database)
    withdrawals.listeners.append(given.room.documents.withdrawn)
    withdrawals.withdraw([given.document.id], Context())


def removed(given: Given) -> None:
    links = ask(given.room.documents, "GetAssociations", uuid=given.document.id, leaf_class=False)
    sets = ask(given.room.documents, "GetSubmissionSets", uuid=given.document.id, leaf_class=False)
    remove(given.room, given.document.id, *(item.id for item in (*links, *sets)))


def remove(room: Room, *ids: str) -> None:
    service = RemovalService(documents=room.documents, content=None, in_use=lambda _: True)  # type: ignore[arg-type]
    service.remove_metadata(RemoveMetadata(tuple(dict.fromkeys(ids))), Context())


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        (replaced, ["Deprecate", ""]),
        (withdrawn, ["Deprecate"]),
        (removed, ["Delete"]),
        (lambda g: carry_out(g.room.documents, update(revision(g.document, title="x"))), ["UpdateMetadata"]),
        (lambda g: restricted(g.room.documents, update(revision(g.document, title="x"))), ["UpdateMetadata"]),
        (lambda g: carry_out(g.room.documents, update(also=[change(g.document.id)])), ["Deprecate"]),
    ],
    ids=["replaced", "withdrawn", "removed", "updated", "restricted", "status"],
)
def test_what_happens_to_a_document_is_told_to_who_asked_for_it(
    room: Room, happens: Callable[[Given], Any], expected: list[str]
) -> None:
    document = registered_entry(room.documents)
    for topic in (FULL, MINIMAL, Topic.FULL_DOCUMENT_ENTRY):
        room.subscribe(topic=topic)
    room.subscribe(about(BERT), FULL)
    happens(Given(room, document, folder()))
    endings = [f"/{item}" if item else "" for item in expected]
    plain = [str(Topic.FULL_DOCUMENT_ENTRY)] * expected.count("")
    assert sorted(topics(room)) == sorted([*plain, *(f"{topic}{end}" for topic in (FULL, MINIMAL) for end in endings)])
    for item in room.told():
        if item.topic == f"{FULL}/Deprecate":
            assert [(one.id, one.status) for one in item.objects] == [(document.id, DEPRECATED)]
        if item.topic == f"{MINIMAL}/Delete":
            assert item.references == ((document.id, room.documents.home),)


def test_a_filter_counts_as_the_metadata_are_now(room: Room) -> None:
    document = registered_entry(room.documents, title="before")
    room.subscribe(about(TypeCode=["new^^1.2"]), FULL)
    carry_out(room.documents, update(revision(document, title="still another type")))
    assert topics(room) == []
    code = type(document.type_code)("new", "1.2", "New")  # type: ignore[misc]
    carry_out(room.documents, update(revision(document, type_code=code), previous=2))
    assert topics(room) == [f"{FULL}/UpdateMetadata"]


def test_what_happens_to_a_folder(room: Room) -> None:
    document = registered_entry(room.documents)
    for topic in (Topic.FOLDER, Topic.UPDATE_FOLDER, Topic.EXTENDED_FOLDER):
        room.subscribe(wanted("Folder", XDSFolderPatientId=ANNE.cx), topic)

    def since(before: int) -> list[str]:
        return sorted(topics(room)[before:])

    group = registered_folder(room.documents)
    assert since(0) == ["ihe:ExtendedFolder", "ihe:FolderMetadata", "ihe:UpdateFolder"]
    made = room.register(submit(in_folders=[link := member(group.id, document.id)]))
    assert since(3) == ["ihe:ExtendedFolder/UpdateContent", "ihe:FolderMetadata", "ihe:UpdateFolder/UpdateContent"]
    owner = made.submission_set.id
    links = ask(room.documents, "GetAssociations", uuid=group.id, leaf_class=False)
    held = next(item.id for item in links if getattr(item, "target", "") == document.id)
    outer = ask(room.documents, "GetAssociations", uuid=[owner, held], leaf_class=False)
    assert link
    remove(room, held, owner, *(item.id for item in outer))
    assert since(6) == ["ihe:ExtendedFolder/RemoveDocument", "ihe:UpdateFolder/RemoveDocument"]
    carry_out(room.documents, update(revision(group, title="other")))
    assert since(8) == ["ihe:ExtendedFolder/UpdateMetadata", "ihe:UpdateFolder/UpdateMetadata"]


def test_what_another_registry_says_has_happened(room: Room) -> None:
    room.subscribe(topic=FULL)
    room.subscribe()
    item = replace(entry(), id="urn:uuid:9b0c1a52-0000-4000-8000-000000000003", patient_id=ANNE)

    def publish(topic: str) -> int:
        return room.broker.publish(Publish((item,), "urn:oid:1.2.3", topic), room.context())

    assert publish(f"{FULL}/Deprecate") == 1
    assert publish(f"{MINIMAL}/Delete") == 1
    assert publish(FULL) == publish("") == 2
    plain = str(Topic.FULL_DOCUMENT_ENTRY)
    assert sorted(topics(room)) == sorted([f"{FULL}/Deprecate", f"{FULL}/Delete", *[FULL, plain] * 2])
    for topic in ("ihe:Elsewhere", f"{FULL}/Shredded", "x/Delete"):
        with pytest.raises(TopicNotSupported):
            publish(topic)


def test_every_topic_says_what_it_tells() -> None:
    assert set(EVENTS) == set(Topic)
