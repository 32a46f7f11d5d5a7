"""What the registry does when objects are to leave it, inside one unit of work (ITI TF-2: 3.62.4.1.3)."""

from collections.abc import Iterator, Sequence
from typing import Any

from hub.documents.changes import Change, Changed
from hub.documents.errors import ReferencesExist, RegistryError, UnreferencedObject, UnresolvedReference
from hub.documents.formats import is_uuid
from hub.documents.model import Association, AssociationType, DocumentEntry, Folder, RegistryObject, SubmissionSet
from hub.documents.rules import label, printable
from hub.documents.store import DocumentStore
from hub.documents.store_removal import RemovalStore
from hub.values import PatientIdentifier

#: The order in which rows are locked: as registrations and updates lock them.
_KINDS: tuple[Any, ...] = (DocumentEntry, Folder, SubmissionSet, Association)
#: All ids of a request together; well below what a transaction should hold.
MOST_IDS = 10_000


class MetadataRemoval:
    """Checks that a removal leaves no loose end, then carries it out."""

    def __init__(self, store: DocumentStore, removal: RemovalStore) -> None:
        self.store = store
        self.removal = removal
        self.changed: tuple[Changed, ...] = ()  #: what was done, once it is

    def run(self, ids: Sequence[str]) -> tuple[PatientIdentifier, ...]:
        """Remove the objects; returns whose they were.

        Raises UnresolvedReference, ReferencesExist, UnreferencedObject; ``location`` is the object's id."""
        if not ids:
            raise RegistryError("The request names no object (ITI TF-2: 3.62.4.1.2).", location="ObjectRefList")
        if len(ids) > MOST_IDS:
            raise RegistryError(f"At most {MOST_IDS} objects may be removed at once.", location="ObjectRefList")
        objects = self._look_up(ids)
        self._check_references(objects)
        self._check_rest(objects)
        self.changed = tuple(self._changed(objects))
        self.removal.remove(list(objects.values()))
        patients = {item.patient_id for item in objects.values() if not isinstance(item, Association)}
        return tuple(sorted(patients, key=lambda item: item.cx))

    def _look_up(self, ids: Sequence[str]) -> dict[str, RegistryObject]:
        found: dict[str, RegistryObject] = {}
        wanted = [item for item in ids if is_uuid(item)]
        named = [item for kind in _KINDS for item in self.store.get(kind, "id", wanted)]
        self.removal.lock_unique_ids(item.unique_id for item in named if not isinstance(item, Association))
        for kind in _KINDS:
            found.update((item.id, item) for item in self.store.get(kind, "id", wanted, lock=True))
        for item_id in ids:
            if item_id not in found:
                shown = item_id if is_uuid(item_id) else "ObjectRef"  # anything else may be a patient's name
                raise UnresolvedReference(
                    f"{shown} is not in the registry (ITI TF-2: 3.62.4.1.3).", location=printable(item_id)
                )
        return found

    def _changed(self, objects: dict[str, RegistryObject]) -> Iterator[Changed]:
        """Entries and folders that go with their last version, and folders that lose a member."""
        for kind in (DocumentEntry, Folder):
            gone = [item for item in objects.values() if isinstance(item, kind)]
            last = self.store.last_versions(kind, {item.logical_id for item in gone}) if gone else {}
            yield from (Changed(Change.REMOVED, item) for item in gone if item.version >= last[item.logical_id])
        links = [item for item in objects.values() if isinstance(item, Association)]
        sources = {item.source for item in links if item.type == AssociationType.HAS_MEMBER} - set(objects)
        yield from (Changed(Change.EMPTIED, item) for item in self.store.get(Folder, "id", sources))

    def _check_references(self, objects: dict[str, RegistryObject]) -> None:
        for association in self.store.associations(source=objects, target=objects):
            if association.id not in objects:
                end = association.target if association.target in objects else association.source
                raise ReferencesExist(
                    f"{label(objects[end])}: Association {association.id} refers to it (ITI TF-2: 3.62.4.1.3).",
                    location=end,
                )

    def _check_rest(self, objects: dict[str, RegistryObject]) -> None:
        links = [item for item in objects.values() if isinstance(item, Association)]
        ends = {end for item in links for end in (item.source, item.target)} - set(objects)
        left = [item for item in self.store.associations(source=ends, target=ends) if item.id not in objects]
        held = {end for item in left for end in (item.source, item.target)}
        for end in sorted(ends - held):
            raise UnreferencedObject(f"{end} would be left without associations (ITI TF-2: 3.62.4.1.3).", location=end)
