"""What the registry does with a metadata update, inside one unit of work (ITI TF-2: 3.57.4.1.3.3).

The rows of every object concerned are locked before they are read for the decision: of two updates of one object the
second sees what the first made of it, and is told that its PreviousVersion is not the current one.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from hub.documents.changes import Change, Happened
from hub.documents.errors import (
    DocumentError,
    MetadataUpdateError,
    MetadataVersionError,
    NonIdenticalHash,
    NonIdenticalSize,
    PatientIdReconciliationError,
    UnmodifiableMetadata,
)
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    ONLINE,
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    RegistryObject,
    Submission,
)
from hub.documents.registration import fallen_with
from hub.documents.rules import label, printable
from hub.documents.store import DocumentStore
from hub.documents.structure import REPLACING
from hub.documents.update_plan import Revision, StatusChange, UpdatePlan
from hub.values import PatientIdentifier, new_uuid

Versioned = DocumentEntry | Folder
_KINDS: tuple[Any, ...] = (DocumentEntry, Folder)
#: What a restricted update must leave as it is, as a reader of both versions sees it (RMU: 3.92.4.1.3).
UNMODIFIABLE: Mapping[str, Callable[[DocumentEntry], str]] = {
    "sourcePatientId": lambda item: item.source_patient_id,
    "repositoryUniqueId": lambda item: item.repository_unique_id,
    "documentAvailability": lambda item: item.availability or ONLINE,
}


class Updating:
    """One planned update: checked against the registry, then carried out."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        plan: UpdatePlan,
        survivor: Callable[[PatientIdentifier], PatientIdentifier],
        at: datetime,
    ) -> None:
        self.store = store
        self.plan = plan
        self.survivor = survivor
        self.at = at
        self.time = at.strftime("%Y%m%d%H%M%S")
        self.current: dict[str, Versioned] = {}  #: by id: every version of every object concerned, as it will be
        self.lasts: dict[tuple[type, str], Versioned] = {}  #: by kind and logicalID
        self.former: dict[str, str] = {}  #: id of a version that this update follows -> id of the new one
        self.statuses: dict[str, str] = {}  #: id of an object that stays -> its new status
        self.links: dict[str, Association] = {}  #: associations whose status changes, by id
        self.added: list[Association] = []
        self.touched: set[str] = set()  #: folders that gain a member

    def run(self, message_id: str) -> Submission:
        """Check and carry out. Raises the specific DocumentError; returns what was stored."""
        self._look_up()
        for revision in self.plan.revisions:
            self._revise(revision)
        contents = self.store.contents_of(self.former)
        for change in self.plan.changes:
            self._change_status(change)
        for association in self.plan.additions:
            self._submit(association)
        self._propagate()
        self._check_patients()
        return self._store(message_id, contents)

    # Looking up

    def _look_up(self) -> None:
        """Lock and read every version of everything concerned: entries first, in one order for everybody."""
        asked = {change.target for change in self.plan.changes}
        ends = {end for item in self.plan.additions for end in (item.source, item.target)}
        for link in (*self.store.get(Association, "id", asked), *self._of_former()):
            ends |= {link.source, link.target}
        for kind in _KINDS:
            lids = {item.logical_id for item in self.store.get(kind, "id", asked | ends)} | self._revised(kind)
            for version in self.store.versions(kind, lids):
                self._put(version)
        self.links = {item.id: item for item in self.store.get(Association, "id", asked, lock=True)}

    def _of_former(self) -> list[Association]:
        """The associations of what gets a new version."""
        ids = [item.id for kind in _KINDS for item in self.store.get(kind, "logical_id", self._revised(kind))]
        return self.store.associations(source=ids, target=ids)

    def _revised(self, kind: type) -> set[str]:
        return {revision.item.logical_id for revision in self.plan.revisions if isinstance(revision.item, kind)}

    def _put(self, item: Versioned) -> None:
        self.current[item.id] = item
        key = (type(item), item.logical_id)
        if key not in self.lasts or item.version >= self.lasts[key].version:
            self.lasts[key] = item

    def _last(self, item: Versioned) -> Versioned | None:
        return self.lasts.get((type(item), item.logical_id))

    # New versions

    def _revise(self, revision: Revision) -> None:
        item, manner = revision.item, self.plan.manner
        last = self._last(item)
        if last is None:
            raise self._refused(MetadataVersionError, revision, "the registry has no object of this logicalID")
        if last.unique_id != item.unique_id:
            raise self._refused(manner.unique_id, revision, "its uniqueId is not that of the previous version")
        if isinstance(item, DocumentEntry) and isinstance(last, DocumentEntry):
            if item.object_type != last.object_type:
                raise self._refused(manner.object_type, revision, "its objectType is not that of the previous version")
            self._check_content(revision, item, last)
        if last.version != revision.previous:
            raise self._refused(MetadataVersionError, revision, f"the current version is {last.version}")
        if manner.restricted:
            self._check_restricted(revision, last)
        elif last.status != APPROVED:
            raise self._refused(MetadataUpdateError, revision, "the previous version is deprecated")
        new = replace(item, version=last.version + 1, status=last.status)
        if isinstance(new, Folder):
            new = replace(new, last_update_time=self.time)
        self._put(new)
        self._put(replace(last, status=DEPRECATED))
        self.former[last.id] = new.id
        self.statuses[last.id] = DEPRECATED

    def _check_content(self, revision: Revision, item: DocumentEntry, last: DocumentEntry) -> None:
        if item.hash.lower() != last.hash.lower():
            raise self._refused(NonIdenticalHash, revision, "its hash is not that of the document")
        if item.size != last.size:
            raise self._refused(NonIdenticalSize, revision, "its size is not that of the document")

    def _check_restricted(self, revision: Revision, last: Versioned) -> None:
        item = revision.item
        if self.survivor(item.patient_id) != last.patient_id:
            raise self._refused(PatientIdReconciliationError, revision, "its patientId is not that of its last version")
        if item.status == DEPRECATED and last.status != DEPRECATED:
            raise self._refused(UnmodifiableMetadata, revision, "availabilityStatus can't be changed")
        if isinstance(item, DocumentEntry) and isinstance(last, DocumentEntry):
            for attribute, read in UNMODIFIABLE.items():
                if read(item) != read(last):
                    raise self._refused(UnmodifiableMetadata, revision, f"{attribute} can't be changed")

    def _refused(self, error: type[DocumentError], revision: Revision, rule: str) -> DocumentError:
        item: RegistryObject = replace(revision.item, id=revision.name)
        return error(f"{label(item)}: {rule} ({self.plan.manner.section}.3).", location=revision.name)

    # Status

    def _change_status(self, change: StatusChange) -> None:
        target = self.former.get(change.target, change.target)  # with a new version: that one is meant
        link = self.links.get(target)
        if link is not None:
            self._expect_status(change, link)
            self._check_link(change, link)
            self.links[target] = replace(link, status=change.new)
            self.statuses[target] = change.new
            return
        item = self.current.get(target)
        if item is None:
            raise _wrong(change, "its target is no DocumentEntry, Folder or Association of the registry")
        if item is not self._last(item):
            raise _wrong(change, "its target is not the last version")
        self._expect_status(change, item)
        self._put(replace(item, status=change.new))
        self.statuses[target] = change.new

    def _expect_status(self, change: StatusChange, item: Versioned | Association) -> None:
        if item.status != change.original:
            raise _wrong(change, "OriginalStatus is not the target's availabilityStatus")

    def _check_link(self, change: StatusChange, link: Association) -> None:
        if not isinstance(self.current.get(link.source), DocumentEntry | Folder):
            raise _wrong(change, "the associations of a SubmissionSet have no status to update")

    # Associations

    def _submit(self, association: Association) -> None:
        source, target = self.current.get(association.source), self.current.get(association.target)
        if source is None or target is None:
            raise _unfit(association, "both ends must be DocumentEntries or Folders of the registry")
        if source.status != APPROVED or target.status != APPROVED:
            raise _unfit(association, "both ends must be Approved")
        folders = isinstance(source, Folder), isinstance(target, Folder)
        if folders != ((True, False) if association.type == AssociationType.HAS_MEMBER else (False, False)):
            raise _unfit(association, "HasMember joins a Folder and a DocumentEntry, the others two DocumentEntries")
        between = self.store.associations(source=[source.id], types=[association.type])
        if association.source == association.target or any(
            item.target == target.id and self._standing(item)
            for item in (*between, *self.added)
            if (item.source, item.type) == (source.id, association.type)
        ):
            raise _unfit(association, "such an Approved association exists already, or joins an object to itself")
        self.added.append(association)
        if isinstance(source, Folder):
            self.touched.add(source.id)
        if association.type in REPLACING:
            for fallen in fallen_with(self.store, {target.id}):
                self.statuses[fallen] = DEPRECATED
            self._put(replace(target, status=DEPRECATED))

    def _standing(self, item: Association) -> bool:
        return self.statuses.get(item.id, item.status) == APPROVED

    def _propagate(self) -> None:
        """The new versions' associations, as the former had them (ITI TF-2: 3.57.4.1.3.3.1.5, 3.57.4.1.3.3.3.5)."""
        new = {revision.item.id for revision in self.plan.revisions if revision.propagate}
        former = {old: item for old, item in self.former.items() if item in new}
        found = [item for item in self.store.associations(source=former, target=former) if self._standing(item)]
        held = {(item.type, item.source, item.target) for item in self.added}
        for item in found:
            ends = former.get(item.source, item.source), former.get(item.target, item.target)
            if (item.type, *ends) in held or not self._carried(item.type, *ends):
                continue
            held.add((item.type, *ends))
            own = new_uuid()
            self.added.append(replace(item, id=own, logical_id=own, source=ends[0], target=ends[1]))
            if isinstance(self.current[ends[0]], Folder):
                self.touched.add(ends[0])

    def _carried(self, kind: str, source: str, target: str) -> bool:
        """Whether an association stands between these: last versions both, and for a folder's member both Approved."""
        ends = [self.current.get(source), self.current.get(target)]
        if not all(item is not None and item is self._last(item) for item in ends):
            return False
        return kind != AssociationType.HAS_MEMBER or all(item is not None and item.status == APPROVED for item in ends)

    def _check_patients(self) -> None:
        """Everything is the SubmissionSet's patient's, and no association between Approved objects of different
        patients may come of it (ITI TF-2: 3.57.4.1.3.4)."""
        self._check_owner()
        reopened = [item for item in self.links.values() if self.statuses.get(item.id) == APPROVED]
        for association in (*self.added, *reopened):
            patients = {
                self.survivor(item.patient_id)
                for item in (self.current.get(association.source), self.current.get(association.target))
                if item is not None
            }
            if len(patients) > 1:
                raise PatientIdReconciliationError(
                    f"{label(association)}: after the update it would join objects of different patients "
                    f"({self.plan.manner.section}.4).",
                    location=association.target,
                )

    def _check_owner(self) -> None:
        """Nobody's objects are changed in another patient's name: who may ask was decided for the set's patient."""
        owner = self.survivor(self.plan.submission_set.patient_id)
        touched = {change.name: change.target for change in self.plan.changes}
        touched |= {end: end for item in self.plan.additions for end in (item.source, item.target)}
        for name, target in touched.items():
            link = self.links.get(target)
            ends = (link.source, link.target) if link is not None else (self.former.get(target, target),)
            if any(self.survivor(item.patient_id) != owner for end in ends if (item := self.current.get(end))):
                raise PatientIdReconciliationError(
                    f"{printable(name)}: what it is about is not the SubmissionSet's patient's "
                    f"({self.plan.manner.section}.4).",
                    location=name,
                )

    def beside(self, stored: Submission) -> Happened:
        """What happened to objects of the registry that have no new version."""
        new = {item.id for item in stored.entries} | {item.id for item in stored.folders}
        filled: set[str] = set()
        emptied: set[str] = set()
        for link in self.links.values():
            if isinstance(self.current.get(link.source), Folder):
                (filled if link.status == APPROVED else emptied).add(link.source)
        return {
            Change.STATUS: set(self.statuses) - set(self.links) - set(self.former) - new,
            Change.FILLED: filled - new - {item.source for item in stored.associations},
            Change.EMPTIED: emptied - new,
        }

    # Storing

    def _store(self, message_id: str, contents: Mapping[str, str]) -> Submission:
        new = [self.current[revision.item.id] for revision in self.plan.revisions]
        kept = {self.former[old]: address for old, address in contents.items() if self._stays(old)}
        submission = Submission(
            self.plan.submission_set,
            tuple(item for item in new if isinstance(item, DocumentEntry)),
            tuple(item for item in new if isinstance(item, Folder)),
            (*self.plan.associations, *self.added),
        )
        fresh = {item.id for item in new}
        self.store.set_status({item: status for item, status in self.statuses.items() if item not in fresh})
        self.store.add(submission, kept, message_id, self.at)
        self.store.touch_folders(self.touched - fresh, self.time)
        return submission

    def _stays(self, former: str) -> bool:
        """Whether the document of both versions lies in the same repository."""
        old, new = self.current[former], self.current[self.former[former]]
        return getattr(old, "repository_unique_id", "") == getattr(new, "repository_unique_id", "")


def _wrong(change: StatusChange, rule: str) -> DocumentError:
    return MetadataUpdateError(f"Association {change.name}: {rule} (ITI TF-2: 3.57.4.1.3.3.2).", location=change.name)


def _unfit(association: Association, rule: str) -> DocumentError:
    return MetadataUpdateError(f"{label(association)}: {rule} (ITI TF-2: 3.57.4.1.3.3.6).", location=association.id)
