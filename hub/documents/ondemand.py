"""Documents that are made when they are asked for (On-Demand Documents option: ITI TF-1: 10.2.4, ITI TF-2: 3.43, 3.61).

A provider stands for a repositoryUniqueId. What it makes is handed out under a uniqueId of its own, which is the same
as long as the content is; where it is to persist, it is also kept and registered as a snapshot.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from hub.access.model import HUB
from hub.context import Context
from hub.documents.criteria import Clause, Operator
from hub.documents.formats import is_unique_id
from hub.documents.model import (
    APPROVED,
    ON_DEMAND,
    STABLE,
    Association,
    AssociationType,
    Content,
    DocumentEntry,
    DocumentRequest,
    Folder,
    Lease,
    ProvideDocuments,
    RegisterOnDemand,
    RetrievedDocument,
    Submission,
    SubmissionSet,
)
from hub.documents.ports import Spool
from hub.documents.service import DocumentService
from hub.documents.showing import ReadersStore
from hub.documents.store import DocumentStore
from hub.documents.store_moving import MovingStore
from hub.documents.survivors import Survivors
from hub.errors import NotFound
from hub.outbox import Outbox
from hub.values import Code, PatientIdentifier, new_uid, now

#: Kind of the deliveries that register an entry, once its person has something to be asked for.
OFFER = "offer-on-demand"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a provider made. ``key``: the same as long as the content is; the bytes follow from it and the entry."""

    mime_type: str
    data: bytes
    key: str
    created: str  #: DTM of the newest thing in it


class Provider(Protocol):
    """Makes the documents of one repository."""

    def offered(self, item: DocumentEntry) -> PatientIdentifier | None:
        """The person for whom a newly registered entry gives something to ask for; None: nobody."""
        ...

    def entry(self, patient: PatientIdentifier) -> DocumentEntry:
        """What to register for a person, without an id and a uniqueId."""
        ...

    def render(self, entry: DocumentEntry, context: Context | None) -> Rendered:
        """The document as of now, made of what the caller may read; None: of what is marked as normal, for whoever
        comes. Raises DocumentError."""
        ...


class Leasing(Protocol):
    """Makes a lease of a passing file."""

    def __call__(self, path: Path) -> Lease:
        """Keep the file until the lease is released or forgotten."""
        ...


class Task(Protocol):
    """A delivery of the exchange room, as this module sees it."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """What ``registered`` enqueued."""
        ...


class OnDemandDocuments:
    """Offers and makes them. ``persist``: what was made is kept and registered (Persistence of Retrieved Documents)."""

    def __init__(
        self,
        *,
        documents: DocumentService,
        content: Spool,
        lease: Leasing,
        outbox: Outbox,
        providers: Mapping[str, Provider],
        source_id: str,
        content_type: Code,
        persist: bool = False,
    ) -> None:
        self.documents = documents
        self.content = content
        self.lease = lease
        self.outbox = outbox
        self.providers = dict(providers)
        self.source_id = source_id
        self.content_type = content_type
        self.persist = persist

    # Retrieval

    def retrieve(self, request: DocumentRequest, context: Context) -> RetrievedDocument | None:
        """The document, made now (ITI TF-2: 3.43.4.1.3); None when it is none of ours."""
        provider = self.providers.get(request.repository_unique_id)
        entry = self._entry(request, context) if provider is not None else None
        if provider is None or entry is None:
            return None
        context.touch("patient", entry.patient_id.cx)
        made = provider.render(entry, None if self.persist else context)  # what is kept is read by others as well
        unique_id = _uid(entry.unique_id, made.key)
        if self.persist:
            path, repository = self._kept(entry, made, unique_id, context), self.documents.repository_unique_id
            return RetrievedDocument(request, made.mime_type, path, len(made.data), None, unique_id, repository)
        file = self.content.receive([made.data])
        return RetrievedDocument(request, made.mime_type, file.path, file.size, self.lease(file.path), unique_id)

    def _entry(self, request: DocumentRequest, context: Context | None = None) -> DocumentEntry | None:
        """What may be asked for, by the caller of a context or by the hub itself."""
        if not is_unique_id(request.document_unique_id):
            return None
        clauses = [
            Clause("unique_id", Operator.IN, (request.document_unique_id,)),
            Clause("repository_unique_id", Operator.IN, (request.repository_unique_id,)),
            Clause("object_type", Operator.IN, (ON_DEMAND,)),
        ]
        with self.documents.database.reading() as work:
            survivors, rights = Survivors(self.documents.patients), self.documents.rights
            store = ReadersStore(work, rights, context or Context(principal=HUB), survivors=survivors)
            found = store.find(DocumentEntry, clauses)
            aside = MovingStore(work).aside(item.id for item in found if item.status != APPROVED)
        # Who knows the one that was set aside when persons were joined may still ask for it.
        standing = [item for item in found if item.status == APPROVED or item.id in aside]
        return min(standing, key=lambda item: item.status != APPROVED, default=None)

    def _kept(self, entry: DocumentEntry, made: Rendered, unique_id: str, context: Context) -> Path:
        found = self._content(unique_id)
        if found is None:
            self._snapshot(entry, made, unique_id, context)
            found = self._content(unique_id)
        if found is None:
            raise NotFound("What was just kept is gone.")
        return found

    def _content(self, unique_id: str) -> Path | None:
        with self.documents.database.reading() as work:
            kept = next(DocumentStore(work).contents([unique_id]), None)
        return self.content.path(kept[1]) if kept is not None else None

    def _snapshot(self, entry: DocumentEntry, made: Rendered, unique_id: str, context: Context) -> None:
        """Register what was made, in the place of the snapshot before it (ITI TF-2: 3.43.4.1.3.1)."""
        with self.documents.database.transaction() as work:
            store = DocumentStore(work)
            store.get(DocumentEntry, "id", [entry.id], lock=True)
            if next(store.contents([unique_id]), None) is not None:
                return  # somebody else asked for it meanwhile
            links = store.associations(target=[entry.id], types=[AssociationType.IS_SNAPSHOT_OF])
            former = store.get(DocumentEntry, "id", [item.source for item in links], lock=True)
            file = self.content.receive([made.data])
            snapshot = replace(
                entry,
                id="snapshot",
                unique_id=unique_id,
                object_type=STABLE,
                mime_type=made.mime_type,
                creation_time=made.created,
                repository_unique_id="",
                home="",
                logical_id="",
                version=1,
            )
            also = [Association("of", AssociationType.IS_SNAPSHOT_OF, snapshot.id, entry.id)]
            also += [
                Association(f"instead{number}", AssociationType.REPLACE, snapshot.id, item.id)
                for number, item in enumerate(item for item in former if item.status == APPROVED)
            ]
            content = Content(snapshot.id, file.path, file.size, file.sha1)
            self.documents.provide(ProvideDocuments(self._submission(snapshot, also), (content,)), context)

    # Offering

    def registered(self, items: Iterable[DocumentEntry | SubmissionSet | Folder], context: Context) -> None:
        """Listener of the documents room: who now has something to be asked for gets an entry, after this commit."""
        for repository, provider in self.providers.items():
            people = {
                provider.offered(item): None
                for item in items
                if isinstance(item, DocumentEntry) and item.object_type == STABLE
            }
            for patient in people:
                if patient is not None:
                    self.enqueue(repository, patient, context)

    def enqueue(self, repository: str, patient: PatientIdentifier, context: Context) -> None:
        """Offer the person something once the open unit of work is committed."""
        payload = {"repository": repository, "patient": patient.cx}
        self.outbox.enqueue("registry", OFFER, payload, context, key=offer_uid(repository, patient))

    def deliver(self, delivery: Task, context: Context) -> None:
        """Handler of the deliveries that ``registered`` made."""
        self.offer(delivery.payload["repository"], PatientIdentifier.from_cx(delivery.payload["patient"]), context)

    def offer(self, repository_unique_id: str, patient: PatientIdentifier, context: Context) -> str:
        """Register the person's entry unless there is one, also from before persons were joined; its uniqueId.

        Raises DocumentError."""
        known = self.documents.patients.equivalents(patient) or (patient,)
        for item in known:
            unique_id = offer_uid(repository_unique_id, item)
            if self._entry(DocumentRequest(repository_unique_id, unique_id)) is not None:
                return unique_id
        unique_id = offer_uid(repository_unique_id, known[0])
        entry = replace(
            self.providers[repository_unique_id].entry(known[0]),
            id="offered",
            unique_id=unique_id,
            object_type=ON_DEMAND,
            repository_unique_id=repository_unique_id,
        )
        self.documents.register_on_demand(RegisterOnDemand(self._submission(entry, ())), context)
        return unique_id

    def _submission(self, entry: DocumentEntry, also: Iterable[Association]) -> Submission:
        owner = SubmissionSet(
            id="submission",
            unique_id=new_uid(),
            source_id=self.source_id,
            patient_id=entry.patient_id,
            submission_time=now().strftime("%Y%m%d%H%M%S"),
            content_type_code=self.content_type,
            authors=entry.authors,
            title=entry.title,
        )
        member = Association("member", AssociationType.HAS_MEMBER, owner.id, entry.id, submission_set_status="Original")
        return Submission(owner, (entry,), (), (member, *also))


def offer_uid(repository_unique_id: str, patient: PatientIdentifier) -> str:
    """The uniqueId of what a repository offers for a person's regional number."""
    return _uid(repository_unique_id, patient.cx)


def _uid(*parts: str) -> str:
    """A UID that follows from the parts and tells nothing of them (PS3.5: B.2)."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
