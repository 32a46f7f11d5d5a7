"""What operators do with publications to the national record: they look, and try again."""

from typing import Any

from hub.context import Context
from hub.record.errors import PublicationNotFound, PublicationNotHeld
from hub.record.model import (
    ListPublications,
    Publication,
    PublicationPage,
    PublicationState,
    RetryHeld,
    RetryPublication,
)
from hub.record.service import RecordService
from hub.record.store import RecordStore, publication_of
from hub.usecase import use_case
from hub.values import now


class RecordDesk:
    """The use cases of the operator's page."""

    def __init__(self, record: RecordService) -> None:
        self.record = record
        self.database = record.database

    @use_case
    def publications(self, command: ListPublications, context: Context) -> PublicationPage:  # noqa: ARG002
        """Where documents stand on their way to the record."""
        with self.database.reading() as work:
            store = RecordStore(work)
            return PublicationPage(store.list(command, self.record.looks), store.counts())

    @use_case
    def retry(self, command: RetryPublication, context: Context) -> Publication:
        """Try a held one again. Raises PublicationNotFound, PublicationNotHeld."""
        with self.database.transaction() as work:
            store = RecordStore(work)
            row = store.get(command.publication_id, lock=True)
            if row is None:
                raise PublicationNotFound()
            if row.state != PublicationState.HELD.value:
                raise PublicationNotHeld()
            self._retried(store, row, context)
            after = store.get(row.id)
            assert after is not None
            return publication_of(after, self.record.looks)

    @use_case
    def retry_held(self, command: RetryHeld, context: Context) -> int:
        """Try everything again that is held for a reason; how many."""
        with self.database.transaction() as work:
            store = RecordStore(work)
            rows = store.held(command.reason)
            for row in rows:
                self._retried(store, row, context)
        return len(rows)

    def _retried(self, store: RecordStore, row: Any, context: Context) -> None:
        store.change(row.id, state=PublicationState.WAITING.value, attempts=0, changed_at=now())
        context.touch("document", row.unique_id)
        self.record.enqueue(row, context)
