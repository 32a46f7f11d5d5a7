"""On-demand documents: registered (ITI-61), found, made when retrieved (ITI-43), kept as snapshots."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hub.app.sharing.communities import FileLease
from hub.context import Context
from hub.documents.errors import (
    DocumentError,
    DocumentUniqueIdError,
    NonIdenticalHash,
    RegistryDeprecatedDocumentError,
    RegistryMetadataError,
    UnknownRepositoryId,
    UnresolvedReference,
)
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    ON_DEMAND,
    STABLE,
    Association,
    AssociationType,
    DocumentEntry,
    DocumentRequest,
    RegisterOnDemand,
    RetrieveDocuments,
    Submission,
)
from hub.documents.ondemand import OFFER, OnDemandDocuments, Rendered
from hub.documents.service import DocumentService
from hub.values import Code, PatientIdentifier
from tests.documents.builders import ANNE, BERT, REPOSITORY, ask, entry, find, register, relation, submit

ELSEWHERE = "1.2.250.1.999.1.77"


def on_demand(**changes: Any) -> DocumentEntry:
    base = entry(object_type=ON_DEMAND, hash="", size=None, creation_time="", repository_unique_id=ELSEWHERE)
    return replace(base, **changes)


def announce(service: DocumentService, submission: Submission) -> Submission:
    return service.register_on_demand(RegisterOnDemand(submission), Context()).submission


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"hash": "0" * 40}, "hash"),
        ({"size": 5}, "size"),
        ({"creation_time": "2024"}, "creationTime"),
        ({"legal_authenticators": ("1^Curie",)}, "legalAuthenticator"),
        ({"repository_unique_id": ""}, "repositoryUniqueId"),
        ({"object_type": STABLE, "hash": "0" * 40, "size": 5, "creation_time": "2024"}, "objectType"),
    ],
)
def test_what_an_on_demand_entry_can_not_have(
    service: DocumentService, changes: Mapping[str, Any], location: str
) -> None:
    with pytest.raises(RegistryMetadataError) as caught:
        announce(service, submit(on_demand(**changes)))
    assert caught.value.location == location


def test_iti_42_takes_stable_entries_only(service: DocumentService) -> None:
    with pytest.raises(RegistryMetadataError) as caught:
        register(service, submit(on_demand()))
    assert caught.value.location == "objectType"


def test_entries_of_other_repositories_are_stored_and_found(service: DocumentService) -> None:
    given = on_demand(service_start_time="", service_stop_time="")
    announce(service, submit(given))
    register(service, submit(stable := entry()))
    assert find(service) == [stable.unique_id]
    assert find(service, Type=[ON_DEMAND]) == [given.unique_id]
    assert set(find(service, Type=[ON_DEMAND, STABLE])) == {given.unique_id, stable.unique_id}
    (found,) = ask(service, "GetDocuments", XDSDocumentEntryUniqueId=[given.unique_id])
    assert isinstance(found, DocumentEntry)
    assert (found.object_type, found.hash, found.size, found.creation_time) == (ON_DEMAND, "", None, "")
    assert found.repository_unique_id == ELSEWHERE
    with pytest.raises(NonIdenticalHash):
        register(service, submit(entry(unique_id=given.unique_id)))


def test_an_on_demand_entry_is_replaced(service: DocumentService) -> None:
    first = announce(service, submit(on_demand())).entries[0]
    second = on_demand()
    announce(service, submit(second, also=[relation(AssociationType.REPLACE, second.id, first.id)]))
    assert find(service, Type=[ON_DEMAND]) == [second.unique_id]
    assert find(service, Type=[ON_DEMAND], Status=DEPRECATED) == [first.unique_id]


def test_a_snapshot_is_of_an_approved_on_demand_entry(service: DocumentService) -> None:
    announced = announce(service, submit(on_demand())).entries[0]
    stable = register(service, submit(entry())).submission.entries[0]

    def snapshot(target: str, **changes: Any) -> None:
        taken = entry(**changes)
        register(service, submit(taken, also=[relation(AssociationType.IS_SNAPSHOT_OF, taken.id, target)]))

    snapshot(announced.id)
    related = ask(
        service,
        "GetRelatedDocuments",
        XDSDocumentEntryEntryUUID=announced.id,
        AssociationTypes=[AssociationType.IS_SNAPSHOT_OF.value],
        XDSDocumentEntryType=[STABLE, ON_DEMAND],
    )
    assert [item.type for item in related if isinstance(item, Association)] == [AssociationType.IS_SNAPSHOT_OF]
    assert {item.object_type for item in related if isinstance(item, DocumentEntry)} == {STABLE, ON_DEMAND}
    newer = on_demand()
    announce(service, submit(newer, also=[relation(AssociationType.REPLACE, newer.id, announced.id)]))
    for target, error in (
        (stable.id, RegistryMetadataError),
        (announced.id, RegistryDeprecatedDocumentError),
        ("urn:uuid:00000000-0000-4000-8000-000000000001", UnresolvedReference),
    ):
        with pytest.raises(DocumentError) as caught:
            snapshot(target)
        assert type(caught.value) is error


class Diary:
    """A provider: what is written in it now."""

    def __init__(self) -> None:
        self.text = "one"

    def offered(self, item: DocumentEntry) -> PatientIdentifier | None:
        return item.patient_id if item.mime_type == "application/dicom" else None

    def entry(self, patient: PatientIdentifier) -> DocumentEntry:
        return on_demand(patient_id=patient, mime_type="text/plain", source_patient_id=patient.cx)

    def render(self, entry: DocumentEntry, context: Context | None) -> Rendered:  # noqa: ARG002
        assert entry.object_type == ON_DEMAND
        return Rendered("text/plain", self.text.encode(), self.text, "20240301")


class Outbox:
    """What is enqueued is carried out by ``work``."""

    def __init__(self) -> None:
        self.waiting: dict[str, Mapping[str, Any]] = {}

    def enqueue(
        self,
        destination: str,
        kind: str,
        payload: Mapping[str, Any],
        context: Context,
        *,
        key: str = "",
        due_at: datetime | None = None,
    ) -> str:
        assert due_at is None
        assert (destination, kind, "R1" in key) == ("registry", OFFER, False)
        assert isinstance(context, Context)
        self.waiting[key] = payload
        return key


class Task:
    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.payload = payload


def made(service: DocumentService, diary: Diary, *, persist: bool) -> OnDemandDocuments:
    offering = OnDemandDocuments(
        documents=service,
        content=service.content,  # type: ignore[arg-type]
        lease=FileLease,
        outbox=Outbox(),
        providers={REPOSITORY: diary, ELSEWHERE: diary},
        source_id="1.2.250.1.999.1.4",
        content_type=Code("IMAGING", "1.2.3.4"),
        persist=persist,
    )
    service.on_demand = offering
    return offering


def read(service: DocumentService, unique_id: str, repository: str = REPOSITORY) -> tuple[str, bytes, str]:
    outcome = service.retrieve(RetrieveDocuments((DocumentRequest(repository, unique_id),)), Context())
    for _, error in outcome.failures:
        raise error
    (document,) = outcome.documents
    data = document.path.read_bytes()
    assert len(data) == document.size
    if document.lease is not None:
        document.lease.release()
        assert not document.path.exists()
    return document.new_document_unique_id, data, document.new_repository_unique_id


def test_made_when_it_is_asked_for(service: DocumentService) -> None:
    diary = Diary()
    offering = made(service, diary, persist=False)
    unique_id = offering.offer(REPOSITORY, ANNE, Context())
    assert offering.offer(REPOSITORY, ANNE, Context()) == unique_id
    assert find(service, Type=[ON_DEMAND]) == [unique_id]
    first = read(service, unique_id)
    assert (first[1], first[2]) == (b"one", "")
    assert first[0] not in ("", unique_id)
    assert read(service, unique_id) == first
    diary.text = "two"
    second = read(service, unique_id)
    assert second[1] == b"two"
    assert second[0] != first[0]
    assert find(service, Type=[STABLE]) == []
    with pytest.raises(DocumentUniqueIdError):
        read(service, first[0])
    elsewhere = offering.offer(ELSEWHERE, ANNE, Context())
    assert read(service, elsewhere, ELSEWHERE)[1] == b"two"
    with pytest.raises(DocumentUniqueIdError):
        read(service, elsewhere)
    with pytest.raises(UnknownRepositoryId):
        read(service, unique_id, ELSEWHERE)
    with pytest.raises(UnknownRepositoryId):
        read(service, unique_id, "1.2.3")


def test_what_was_made_is_kept(service: DocumentService) -> None:
    diary = Diary()
    offering = made(service, diary, persist=True)
    unique_id = offering.offer(REPOSITORY, ANNE, Context())
    first = read(service, unique_id)
    assert first[1:] == (b"one", REPOSITORY)
    assert read(service, unique_id) == first
    assert read(service, first[0]) == ("", b"one", "")
    assert find(service) == [first[0]]
    diary.text = "two"
    second = read(service, unique_id)
    assert second[1] == b"two"
    assert (find(service), find(service, Status=DEPRECATED)) == ([second[0]], [first[0]])
    assert read(service, first[0])[1] == b"one"
    (kept,) = ask(service, "GetDocuments", XDSDocumentEntryUniqueId=[second[0]])
    assert isinstance(kept, DocumentEntry)
    assert (kept.object_type, kept.size, kept.creation_time, kept.status) == (STABLE, 3, "20240301", APPROVED)
    links = ask(service, "GetAssociations", uuid=[kept.id])
    assert {item.type for item in links if isinstance(item, Association)} == {
        AssociationType.HAS_MEMBER,
        AssociationType.IS_SNAPSHOT_OF,
        AssociationType.REPLACE,
    }


def test_many_ask_for_it_at_once(service: DocumentService) -> None:
    offering = made(service, Diary(), persist=True)
    unique_id = offering.offer(REPOSITORY, ANNE, Context())
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: read(service, unique_id), range(6)))
    assert len(set(found)) == 1
    assert find(service) == [found[0][0]]
    assert find(service, Status=DEPRECATED) == []


def test_offered_to_whom_it_is_of_use(service: DocumentService) -> None:
    offering = made(service, Diary(), persist=False)
    outbox = offering.outbox
    assert isinstance(outbox, Outbox)
    service.listeners.append(offering.registered)
    register(service, submit(entry(ANNE), entry(ANNE)))
    register(service, submit(entry(BERT, mime_type="text/plain")))
    assert len(outbox.waiting) == 2  # one for each repository
    for payload in outbox.waiting.values():
        offering.deliver(Task(payload), Context())
    assert len(find(service, ANNE, Type=[ON_DEMAND])) == 2
    assert find(service, BERT, Type=[ON_DEMAND]) == []


def test_a_broken_provider_spoils_no_other_document(service: DocumentService, tmp_path: Path) -> None:
    diary = Diary()
    offering = made(service, diary, persist=False)
    unique_id = offering.offer(REPOSITORY, ANNE, Context())

    def refuse(entry: DocumentEntry, context: Context | None) -> Rendered:
        raise DocumentUniqueIdError(location=entry.unique_id)

    diary.render = refuse  # type: ignore[method-assign]
    requests = (DocumentRequest(REPOSITORY, unique_id), DocumentRequest(REPOSITORY, "1.2.3"))
    outcome = service.retrieve(RetrieveDocuments(requests), Context())
    assert [type(error) for _, error in outcome.failures] == [DocumentUniqueIdError] * 2
    assert tmp_path
