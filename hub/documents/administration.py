"""Metadata update and removal: what a Document Administrator asks for (ITI-57, ITI-92, ITI-62, ITI-86)."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from hub.context import Context
from hub.documents.changes import Change
from hub.documents.errors import (
    DocumentUniqueIdError,
    NothingRemoved,
    RemoveDocumentsError,
    RepositoryError,
    UnknownCommunity,
    UnknownRepositoryId,
)
from hub.documents.formats import is_unique_id
from hub.documents.model import (
    DocumentRequest,
    Registered,
    RemovedDocuments,
    RemovedMetadata,
    RemoveDocuments,
    RemoveMetadata,
    RestrictedUpdateDocuments,
    Submission,
    UpdateDocuments,
)
from hub.documents.moving import note_strangers
from hub.documents.registration import Registration
from hub.documents.removal import MOST_IDS, MetadataRemoval
from hub.documents.rules import printable
from hub.documents.service import DocumentService
from hub.documents.store import DocumentStore
from hub.documents.store_moving import MovingStore
from hub.documents.store_removal import RemovalStore
from hub.documents.structure import Plan
from hub.documents.survivors import Survivors
from hub.documents.update_plan import RESTRICTED, UPDATE, Manner, arrange_update
from hub.documents.updating import Updating
from hub.errors import HubError
from hub.usecase import use_case
from hub.values import now

log = logging.getLogger(__name__)


class UpdateService:
    """ITI-57 and ITI-92, on the registry of ``documents``."""

    def __init__(self, *, documents: DocumentService) -> None:
        self.documents = documents

    @use_case
    def update(self, command: UpdateDocuments, context: Context) -> Registered:
        """New versions, status changes, new associations: all or nothing (ITI TF-2: 3.57).

        Raises the specific DocumentError."""
        return self._update(command.submission, UPDATE, context)

    @use_case
    def update_restricted(self, command: RestrictedUpdateDocuments, context: Context) -> Registered:
        """New versions of entries that stay where they are: all or nothing (RMU: 3.92). Raises the specific
        DocumentError."""
        return self._update(command.submission, RESTRICTED, context)

    def _update(self, submission: Submission, manner: Manner, context: Context) -> Registered:
        documents = self.documents
        for home in (submission.home, submission.submission_set.home):
            _check_home(home, documents.home)
        plan = arrange_update(submission, manner)
        documents.vocabulary.check(submission)
        with documents.database.transaction() as work:
            moving = MovingStore(work)
            moving.hold()
            survivors = Survivors(documents.patients)
            store = DocumentStore(work, patient=survivors.of_key)
            at = now()
            # The set itself is a registration like any other: its patient, its uniqueId, the ids that it brings.
            registration = Registration(
                store=store,
                plan=Plan(Submission(plan.submission_set), kept=plan.kept),
                patients=documents.patients,
                survivor=survivors,
                at=at,
                domains=documents.affinity_domains,
            )
            registration.check()
            updating = Updating(store=store, plan=plan, survivor=survivors, at=at)
            stored = updating.run(context.message_id)
            note_strangers(moving, stored.entries, documents.patients, survivors)
            also = updating.beside(stored)
            documents.tell(store, stored, registration.survivor, context, also=also, made=Change.UPDATED)
        _note(stored, registration.survivor.cx, context)
        for change in plan.changes:
            context.touch("registry object", change.target)
        return Registered(stored)


def _note(stored: Submission, patient: str, context: Context) -> None:
    context.touch("patient", patient)
    context.touch("submission set", stored.submission_set.unique_id)
    context.led_to("submission set", stored.submission_set.unique_id)
    for entry in stored.entries:
        context.touch("document", entry.unique_id)
        context.led_to("document", entry.unique_id)
    for folder in stored.folders:
        context.touch("folder", folder.unique_id)


class Discard(Protocol):
    """The content store, as the removal sees it."""

    def delete(self, address: str) -> None:
        """Remove content that nobody refers to; silent when it is not there."""
        ...


class RemovalService:
    """ITI-62 on the registry and ITI-86 on the repository of ``documents``.

    ``in_use``: whether anybody of this hub refers to the content at an address."""

    def __init__(self, *, documents: DocumentService, content: Discard, in_use: Callable[[str], bool]) -> None:
        self.documents = documents
        self.database = documents.database
        self.content = content
        self.in_use = in_use

    @use_case
    def remove_metadata(self, command: RemoveMetadata, context: Context) -> RemovedMetadata:
        """Objects leave the registry, all or nothing; documents stay in their repository (ITI TF-2: 3.62).

        Raises UnresolvedReference, ReferencesExist, UnreferencedObject, RegistryError."""
        with self.database.transaction() as work:
            survivors = Survivors(self.documents.patients)
            removal = MetadataRemoval(DocumentStore(work, patient=survivors.of_key), RemovalStore(work))
            patients = removal.run(command.ids)
            self.documents.happened(removal.changed, context)
        for patient in patients:
            context.touch("patient", patient.cx)
        for item in command.ids:
            context.touch("registry object", item)
            context.led_to("registry object removed", item)
        return RemovedMetadata(command.ids)

    @use_case
    def remove_documents(self, command: RemoveDocuments, context: Context) -> RemovedDocuments:
        """Documents leave the repository, all of them or none; their metadata stays (RMD: 3.86).

        A partial success is defined for queries and retrievals only (ITI TF-3: 4.2.4.2).
        The bytes go once the commit has said that nothing refers to them any more. Raises NothingRemoved."""
        if len(command.requests) > MOST_IDS:
            raise RepositoryError(f"At most {MOST_IDS} documents may be removed at once.", location="DocumentRequest")
        removed: list[DocumentRequest] = []
        failures: list[tuple[DocumentRequest, HubError]] = []
        with self.database.transaction() as work:
            store = RemovalStore(work)
            # In one order for everybody, so that two removals never wait for each other crosswise.
            for request in sorted(set(command.requests), key=lambda item: item.document_unique_id):
                try:
                    self._remove(store, request, context)
                except HubError as error:
                    failures.append((request, error))
                else:
                    removed.append(request)
            if failures:
                raise _nothing(failures)
            work.on_commit(partial(self._discard, store.released))
        for request in removed:
            context.led_to("document removed", printable(request.document_unique_id))
        return RemovedDocuments(tuple(removed))

    def _remove(self, store: RemovalStore, request: DocumentRequest, context: Context) -> None:
        location = printable(request.document_unique_id)
        context.touch("document", location)
        _check_home(request.home, self.documents.home)
        if request.repository_unique_id != self.documents.repository_unique_id:
            raise UnknownRepositoryId(location=location)
        if not is_unique_id(request.document_unique_id):
            raise DocumentUniqueIdError(location=location)
        found = store.release(request.document_unique_id)
        for patient in found.patients:
            context.touch("patient", (self.documents.patients.resolve(patient) or patient).cx)
        if found.kept:
            return
        if found.on_demand:
            raise RemoveDocumentsError(
                "The document is made when it is retrieved: nothing of it is kept here.", location=location
            )
        raise DocumentUniqueIdError(location=location)

    def _discard(self, contents: set[str]) -> None:
        """Delete bytes that nobody refers to. Whoever is just registering the same ones has told so or waits."""
        for address in sorted(contents):
            try:
                with self.database.transaction() as work:
                    RemovalStore(work).guard([address], alone=True)
                    if not self.in_use(address):
                        self.content.delete(address)
            except (HubError, OSError):
                log.exception("the bytes of a removed document could not be deleted; the next sweep tries again")


def _nothing(failures: list[tuple[DocumentRequest, HubError]]) -> NothingRemoved:
    error = NothingRemoved()
    error.failures = tuple((request.document_unique_id, reason) for request, reason in failures)
    return error


def _check_home(home: str, own: str) -> None:
    if home and home != own:
        raise UnknownCommunity(location=printable(home))
