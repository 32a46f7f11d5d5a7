"""Withdrawal: what the hub published itself and no longer stands for is deprecated, with all that was made of it."""

from collections.abc import Iterable

from hub.context import Context
from hub.documents.model import APPROVED, DocumentEntry
from hub.documents.store import DocumentStore
from hub.documents.structure import FOLLOWING
from hub.storage.engine import Database


class WithdrawalService:
    """Deprecates entries without a replacement (ITI TF-3: 4.2.2.2 says what falls with a document)."""

    def __init__(self, *, database: Database) -> None:
        self.database = database

    def withdraw(self, entry_ids: Iterable[str], context: Context) -> tuple[str, ...]:
        """Entries become Deprecated, and so do their transforms and addenda. Returns the uniqueIds of what was
        Approved until now; what is unknown or deprecated already is left as it is."""
        with self.database.transaction() as work:
            store = DocumentStore(work)
            fallen = self._with_followers(store, set(entry_ids))
            standing = [item for item in store.get(DocumentEntry, "id", fallen, lock=True) if item.status == APPROVED]
            store.deprecate(item.id for item in standing)
        for entry in standing:
            context.touch("document", entry.unique_id)
            context.led_to("document-withdrawn", entry.unique_id)
        return tuple(entry.unique_id for entry in standing)

    def approved(self, entry_ids: Iterable[str]) -> tuple[DocumentEntry, ...]:
        """Which of the entries are Approved."""
        with self.database.reading() as work:
            found = DocumentStore(work).get(DocumentEntry, "id", entry_ids)
        return tuple(entry for entry in found if entry.status == APPROVED)

    @staticmethod
    def _with_followers(store: DocumentStore, ids: set[str]) -> set[str]:
        fallen: set[str] = set()
        following = ids
        while following:
            fallen |= following
            found = store.associations(target=following, types=sorted(FOLLOWING))
            following = {item.source for item in found} - fallen
        return fallen
