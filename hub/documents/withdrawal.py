"""Withdrawal: what the hub published itself and no longer stands for is deprecated, with all that was made of it."""

from collections.abc import Callable, Iterable, Sequence

from hub.context import Context
from hub.documents.model import APPROVED, DocumentEntry
from hub.documents.registration import fallen_with
from hub.documents.store import DocumentStore
from hub.storage.engine import Database


class WithdrawalService:
    """Deprecates entries without a replacement (ITI TF-3: 4.2.2.2 says what falls with a document).

    An entry is named by any of its entryUUIDs: a metadata update (ITI-57) may have given it a new version since."""

    def __init__(self, *, database: Database) -> None:
        self.database = database
        #: Hear of what was withdrawn, in its unit of work.
        self.listeners: list[Callable[[Sequence[DocumentEntry], Context], object]] = []

    def withdraw(self, entry_ids: Iterable[str], context: Context) -> tuple[str, ...]:
        """Entries become Deprecated, and so do their transforms and addenda. Returns the uniqueIds of what was
        Approved until now; what is unknown or deprecated already is left as it is."""
        with self.database.transaction() as work:
            store = DocumentStore(work)
            named = set(entry_ids)
            fallen = fallen_with(store, named | {item.id for item in _standing(store, named)})
            standing = [item for item in store.get(DocumentEntry, "id", fallen, lock=True) if item.status == APPROVED]
            store.deprecate(item.id for item in standing)
            for listener in self.listeners if standing else ():
                listener(standing, context)
        for entry in standing:
            context.touch("document", entry.unique_id)
            context.led_to("document-withdrawn", entry.unique_id)
        return tuple(entry.unique_id for entry in standing)

    def approved(self, entry_ids: Iterable[str]) -> tuple[DocumentEntry, ...]:
        """The entries that are Approved, as their last versions."""
        with self.database.reading() as work:
            return tuple(_standing(DocumentStore(work), entry_ids))


def _standing(store: DocumentStore, entry_ids: Iterable[str]) -> list[DocumentEntry]:
    known = store.get(DocumentEntry, "id", entry_ids)
    versions = store.get(DocumentEntry, "logical_id", {item.logical_id for item in known})
    return [item for item in versions if item.status == APPROVED]
