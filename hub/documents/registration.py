"""What the registry does with a submission, inside one unit of work (ITI TF-2: 3.42.4.1.3)."""

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar

from hub.documents.errors import (
    DuplicateUniqueIdInRegistry,
    NonIdenticalHash,
    NonIdenticalSize,
    PatientIdDoesNotMatch,
    RegistryDeprecatedDocumentError,
    RegistryMetadataError,
    UnknownPatientId,
    UnresolvedReference,
)
from hub.documents.model import APPROVED, ON_DEMAND, Association, AssociationType, DocumentEntry, Folder, Submission
from hub.documents.rules import NAMES, label, printable
from hub.documents.store import DocumentStore
from hub.documents.structure import FOLLOWING, RELATIONSHIPS, REPLACING, Plan, identified
from hub.values import PatientIdentifier, new_uuid

T = TypeVar("T")


class Patients(Protocol):
    """The patients room, as this room sees it."""

    def registered(self, identifier: PatientIdentifier) -> bool:
        """Whether the registry may accept it as a patientId."""
        ...

    def resolve(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        """The surviving identifier of the same person."""
        ...

    def equivalents(self, identifier: PatientIdentifier, *, wholly: bool = False) -> tuple[PatientIdentifier, ...]:
        """Every identifier that means the same person here, the surviving one first; empty when unknown. ``wholly``:
        rights are asked about the person as well in this unit of work."""
        ...


class Registration:
    """One planned submission: checked against the registry, then carried out. What it looks at stays locked."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        plan: Plan,
        patients: Patients,
        survivor: Callable[[PatientIdentifier], PatientIdentifier],
        at: datetime,
        domains: Set[str] = frozenset(),
    ) -> None:
        self.store = store
        self.plan = plan
        self.patients = patients
        self.patient = plan.submission.submission_set.patient_id
        self.survivor = survivor(self.patient)
        self.at = at
        self.domains = domains
        self.time = at.strftime("%Y%m%d%H%M%S")
        self.fallen: set[str] = set()  #: entries of the registry that are Deprecated by it

    def check(self) -> None:
        """Everything that the registry alone can tell. Raises the specific DocumentError."""
        foreign = self.domains and self.patient.authority not in self.domains
        if foreign or not self.patients.registered(self.patient):
            raise UnknownPatientId(location="patientId")
        self._claim_unique_ids()
        self._check_ids_are_new()
        self._look_up()

    def carry_out(self, contents: Mapping[str, str], message_id: str) -> Submission:
        """Register what was checked. ``contents``: entry id -> address of bytes kept here. Returns what was stored."""
        self._deprecate()
        submission = self._in_folders(self.plan.submission)
        self.store.add(submission, contents, message_id, self.at)
        return submission

    def _claim_unique_ids(self) -> None:
        for item in sorted(identified(self.plan.submission), key=lambda item: item.unique_id):
            kind = NAMES[type(item)]
            if isinstance(item, DocumentEntry):
                content_hash = item.hash.lower()
                taken = self.store.claim(item.unique_id, kind, content_hash=content_hash, size=item.size)
                if taken is not None and taken.kind == kind:
                    self._check_same_document(item, taken.hash, taken.size)
                    continue
            else:
                taken = self.store.claim(item.unique_id, kind)
            if taken is not None:
                raise DuplicateUniqueIdInRegistry(
                    f"{label(item)}: its uniqueId is already that of a {taken.kind}.",
                    location=printable(item.unique_id),
                )

    def _check_same_document(self, entry: DocumentEntry, content_hash: str, size: int | None) -> None:
        if content_hash != entry.hash.lower():
            raise NonIdenticalHash(location=entry.unique_id)
        if size != entry.size:
            raise NonIdenticalSize(location=entry.unique_id)

    def _check_ids_are_new(self) -> None:
        for taken in self.store.known_ids(self.plan.kept):
            raise RegistryMetadataError(f"The id {taken} is already registered (ITI TF-3: 4.2.1.2).", location=taken)

    def _look_up(self) -> None:
        plan, own = self.plan, self.plan.own
        targets = [item.target for item in (*plan.references, *plan.additions, *plan.relations)]
        wanted = [item for item in targets if item not in own]
        entries = {item.id: item for item in self.store.get(DocumentEntry, "id", wanted, lock=True)}
        sources = [item.source for item in plan.additions if item.source not in own]
        folders = {item.id: item for item in self.store.get(Folder, "id", sources, lock=True)}
        for association in plan.references:
            _expect(association, association.target, entries)
        for association in plan.relations:
            entry = _expect(association, association.target, entries)
            self._check_patient(association, entry)
            if association.type in RELATIONSHIPS or association.type == AssociationType.IS_SNAPSHOT_OF:
                _check_approved(association, entry)
            if association.type == AssociationType.IS_SNAPSHOT_OF and entry.object_type != ON_DEMAND:
                raise RegistryMetadataError(
                    f"{label(association)}: {entry.id} is no on-demand document (ITI TF-3: 4.2.2.2.6).",
                    location=entry.id,
                )
        for association in plan.additions:
            if association.target not in own:
                entry = _expect(association, association.target, entries)
                self._check_patient(association, entry)
                _check_approved(association, entry)
            if association.source not in own:
                folder = _expect(association, association.source, folders)
                self._check_patient(association, folder)
                _check_approved(association, folder)

    def _check_patient(self, association: Association, item: DocumentEntry | Folder) -> None:
        if item.patient_id != self.survivor:  # the store's objects carry the surviving id
            raise PatientIdDoesNotMatch(
                f"{label(association)}: it joins objects of different patients (ITI TF-3: 4.2.2).", location=item.id
            )

    def _deprecate(self) -> None:
        replaced = {item.target for item in self.plan.relations if item.type in REPLACING}
        self.fallen = fallen_with(self.store, replaced)
        self.store.deprecate(self.fallen)

    def _in_folders(self, submission: Submission) -> Submission:
        """Replacements go where the replaced are; folders that gain a member are updated now."""
        held = {(item.source, item.target) for item in self.plan.additions}
        changed = {source for source, _ in held}
        added: list[Association] = []
        for relation in self.plan.relations:
            for folder in self.store.folders_of(relation.target) if relation.type in REPLACING else ():
                changed.add(folder.id)
                if (folder.id, relation.source) not in held:
                    held.add((folder.id, relation.source))
                    added.append(_member(folder.id, relation.source))
        self.store.touch_folders(changed - set(self.plan.own), self.time)
        return replace(
            submission,
            folders=tuple(replace(item, last_update_time=self.time) for item in submission.folders),
            associations=(*submission.associations, *added),
        )


def fallen_with(store: DocumentStore, replaced: Set[str]) -> set[str]:
    """The replaced entries, and whatever was appended to them or made of them (ITI TF-2: 3.42.4.1.3.5)."""
    fallen: set[str] = set()
    following = set(replaced)
    while following:
        fallen |= following
        found = store.associations(target=following, types=sorted(FOLLOWING))
        following = {item.source for item in found if item.status == APPROVED} - fallen
    return fallen


def _member(folder: str, entry: str) -> Association:
    own = new_uuid()
    return Association(own, AssociationType.HAS_MEMBER, folder, entry, logical_id=own)


def _expect(association: Association, item_id: str, found: Mapping[str, T]) -> T:
    if item_id not in found:
        raise UnresolvedReference(
            f"{label(association)}: {item_id} is not in the registry, or not of the kind that stands there.",
            location=item_id,
        )
    return found[item_id]


def _check_approved(association: Association, item: DocumentEntry | Folder) -> None:
    if item.status != APPROVED:
        raise RegistryDeprecatedDocumentError(
            f"{label(association)}: {item.id} is deprecated (ITI TF-3: 4.2.2.2).", location=item.id
        )
