"""What notifications may tell when they are delivered: their reader's rights then, not those of before."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hub.access.rights_model import Rights
from hub.context import Context
from hub.documents.model import DocumentEntry, Folder, SubmissionSet
from hub.documents.showing import ReadersStore
from hub.documents.survivors import Survivors
from hub.storage.engine import UnitOfWork
from hub.subscriptions.model import Notification
from hub.subscriptions.ports import Patients


class Readers:
    """The registry as the reader of notifications may see it, within one unit of work."""

    def __init__(self, work: UnitOfWork, rights: Rights, context: Context, patients: Patients) -> None:
        self.store = ReadersStore(work, rights, context, survivors=Survivors(patients))

    def shown(self, item: Notification) -> Notification | None:
        """The notification without what may not be read; None when nothing is left.

        What another registry published is judged as it was told; references to what is not here are left."""
        hidden: set[str] = set()
        for kind in (DocumentEntry, SubmissionSet, Folder):
            hidden |= self._hidden([one for one in item.objects if isinstance(one, kind)], kind)
        references = [reference for reference, _ in item.references]
        if references:
            known = self.store.store.get(DocumentEntry, "id", references)
            hidden |= {one.id for one in known} - {one.id for one in self.store.shown(known, DocumentEntry)}
        if not hidden:
            return item
        objects = tuple(one for one in item.objects if one.id not in hidden)
        left = tuple(reference for reference in item.references if reference[0] not in hidden)
        return replace(item, objects=objects, references=left) if objects or left else None

    def _hidden(self, told: Sequence[Any], kind: Any) -> set[str]:
        """Of the objects those that may not be read: as they are now, where they are here."""
        if not told:
            return set()
        now = {one.id: one for one in self.store.store.get(kind, "id", [one.id for one in told])}
        current = [now.get(one.id, one) for one in told]
        return {one.id for one in current} - {one.id for one in self.store.shown(current, kind)}
