"""What a metadata update asks for, as far as its message alone tells (ITI TF-2: 3.57.4.1.3, RMU 3.92). Pure functions.

Each operation is recognised by its trigger: a new version by its logicalID, the rest by associations that start at the
SubmissionSet. Whatever no trigger takes is refused: nothing of an update is ignored.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hub.documents.errors import (
    DocumentError,
    InvalidRequest,
    MetadataAnnotationError,
    MetadataIdentifierError,
    MetadataUpdateError,
    MetadataUpdateOperationError,
    MetadataVersionError,
    MissingHomeCommunityId,
    ObjectTypeError,
    PatientIdReconciliationError,
)
from hub.documents.formats import is_uuid
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    RegistryObject,
    Submission,
    SubmissionSet,
)
from hub.documents.rules import check_values, label, printable
from hub.documents.structure import ORIGINAL, check_ids, check_unique_ids, identified, objects, with_registry_ids

Refused = type[DocumentError]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a kind of update is refused: the error of each broken rule, which the two transactions name differently."""

    section: str
    initial: Refused  #: the object is no new version of another
    annotation: Refused  #: its HasMember is missing or says something wrong
    unversioned: Refused  #: its HasMember does not say which version it follows
    twice: Refused  #: two new versions of the same object
    unique_id: Refused
    object_type: Refused
    restricted: bool = False  #: entries only, and only what may be changed without moving them


UPDATE = Manner(
    "ITI TF-2: 3.57.4.1.3",
    initial=MetadataUpdateError,
    annotation=MetadataUpdateError,
    unversioned=MetadataVersionError,
    twice=MetadataUpdateError,
    unique_id=MetadataUpdateError,
    object_type=MetadataUpdateError,
)
RESTRICTED = Manner(
    "ITI TF-2: 3.92.4.1.3",
    initial=InvalidRequest,
    annotation=MetadataAnnotationError,
    unversioned=MetadataAnnotationError,
    twice=InvalidRequest,
    unique_id=MetadataIdentifierError,
    object_type=ObjectTypeError,
    restricted=True,
)


@dataclass(frozen=True, slots=True)
class Revision:
    """A new version of an entry or folder. ``previous``: the version that it follows."""

    item: DocumentEntry | Folder
    name: str  #: the id as submitted, for messages
    previous: int
    propagate: bool  #: associations of the former version are carried over


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A new availabilityStatus of an entry, a folder or an association."""

    name: str  #: the association that asks for it, as submitted
    target: str
    original: str
    new: str


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """An update whose ids are the registry's, by operation."""

    submission_set: SubmissionSet
    manner: Manner
    revisions: tuple[Revision, ...]
    changes: tuple[StatusChange, ...]
    additions: tuple[Association, ...]  #: new associations between objects of the registry
    associations: tuple[Association, ...]  #: those of the SubmissionSet: they tell later what was done
    kept: tuple[str, ...]  #: ids that the submitter chose: they must be new


def arrange_update(submission: Submission, manner: Manner) -> UpdatePlan:
    """Check an update's values and structure, replace its symbolic ids. Raises the specific DocumentError."""
    for item in objects(submission):
        check_values(item)
    check_ids(submission)
    _check_patients(submission)
    check_unique_ids(submission)
    if manner.restricted and not submission.submission_set.home:
        raise MissingHomeCommunityId(location=printable(submission.submission_set.id))
    for revised in _revised(submission):
        _check_revision(revised, manner)
    return _Reading(submission, manner).plan()


def _revised(submission: Submission) -> tuple[DocumentEntry | Folder, ...]:
    return (*submission.entries, *submission.folders)


def _check_patients(submission: Submission) -> None:
    expected = submission.submission_set.patient_id
    for item in identified(submission):
        if item.patient_id != expected:
            raise PatientIdReconciliationError(
                f"{label(item)}: its patientId is not that of the SubmissionSet.", location=printable(item.id)
            )


def _check_revision(item: DocumentEntry | Folder, manner: Manner) -> None:
    if manner.restricted and isinstance(item, Folder):
        raise _refusal(ObjectTypeError, item, "a restricted update holds DocumentEntries only", manner)
    if item.logical_id in ("", item.id):
        raise _refusal(manner.initial, item, "an update holds no initial version: logicalID must be another's", manner)
    if not is_uuid(item.logical_id):
        raise _refusal(manner.initial, item, "logicalID must be a UUID of the registry", manner)


class _Reading:
    """Sorts what an update holds by operation. ``names``: registry id -> id as submitted."""

    def __init__(self, submission: Submission, manner: Manner) -> None:
        self.manner = manner
        named = with_registry_ids(submission)
        self.named = named
        self.names = {new.id: old.id for old, new in zip(objects(submission), objects(named), strict=True)}
        self.given = {item.id: item for item in _revised(submission)}
        self.own: dict[str, RegistryObject] = {item.id: item for item in objects(named)}
        self.lids = {item.id: self.given[self.names[item.id]].logical_id for item in _revised(named)}
        self.members: dict[str, Association] = {}
        self.changes: list[StatusChange] = []
        self.additions: list[Association] = []

    def plan(self) -> UpdatePlan:
        """The plan. Raises the specific DocumentError."""
        owner = self.named.submission_set
        of_set = [item for item in self.named.associations if item.source == owner.id]
        submitted = {item.target for item in of_set if item.type == AssociationType.SUBMIT}
        for association in self.named.associations:
            self._sort(association, submitted)
        revisions = tuple(self._revisions())
        if not (revisions or self.changes or self.additions):
            raise MetadataUpdateOperationError(
                f"{self._label(owner)}: the submission asks for no update ({self.manner.section}).",
                location=printable(self.names[owner.id]),
            )
        return UpdatePlan(
            submission_set=owner,
            manner=self.manner,
            revisions=revisions,
            changes=tuple(self.changes),
            additions=tuple(self.additions),
            associations=tuple(of_set),
            kept=tuple(item_id for item_id, name in self.names.items() if item_id == name),
        )

    def _sort(self, association: Association, submitted: set[str]) -> None:
        if association.target == self.named.submission_set.id:
            raise self._refused(MetadataUpdateOperationError, association, "a SubmissionSet is never a target")
        if association.source != self.named.submission_set.id:
            if association.id not in submitted:
                raise self._refused(MetadataUpdateOperationError, association, "no SubmitAssociation points at it")
            self.additions.append(association)
        elif association.type == AssociationType.HAS_MEMBER and association.target in self.lids:
            if association.target in self.members:
                raise self._refused(self.manner.annotation, association, "the SubmissionSet has this member twice")
            self.members[association.target] = association
        elif self.manner.restricted:
            raise self._refused(InvalidRequest, association, "a restricted update holds new versions only")
        elif association.type == AssociationType.UPDATE_STATUS:
            self.changes.append(self._change(association))
        elif association.type == AssociationType.SUBMIT:
            if not isinstance(self.own.get(association.target), Association):
                raise self._refused(MetadataUpdateError, association, "it points at no Association of the submission")
        else:
            raise self._refused(MetadataUpdateOperationError, association, "it triggers no update")

    def _change(self, association: Association) -> StatusChange:
        for text in (association.original_status, association.new_status):
            if text not in (APPROVED, DEPRECATED):
                raise self._refused(
                    MetadataUpdateError, association, "OriginalStatus and NewStatus must be Approved or Deprecated"
                )
        target = self.own.get(association.target)
        if target is not None and association.target not in self.lids:
            raise self._refused(MetadataUpdateError, association, "its target has no availabilityStatus to update")
        return StatusChange(
            self.names[association.id], association.target, association.original_status, association.new_status
        )

    def _revisions(self) -> Iterator[Revision]:
        seen: set[str] = set()
        for item in _revised(self.named):
            lid = self.lids[item.id]
            if lid in seen:
                raise self._refused(self.manner.twice, item, "another new version of the same object stands beside it")
            seen.add(lid)
            association = self.members.get(item.id)
            if association is None:
                raise self._refused(self.manner.annotation, item, "the SubmissionSet does not have it as a member")
            yield Revision(
                item=replace(item, logical_id=lid, status=self.given[self.names[item.id]].status),
                name=self.names[item.id],
                previous=self._previous(item, association),
                propagate=self._propagate(item, association),
            )

    def _previous(self, item: DocumentEntry | Folder, association: Association) -> int:
        if isinstance(item, DocumentEntry) and association.submission_set_status != ORIGINAL:
            raise self._refused(self.manner.annotation, item, "SubmissionSetStatus of its HasMember must be Original")
        if association.previous_version is None:
            raise self._refused(self.manner.unversioned, item, "its HasMember has no PreviousVersion")
        return association.previous_version

    def _propagate(self, item: DocumentEntry | Folder, association: Association) -> bool:
        allowed = ("", "yes") if self.manner.restricted else ("", "yes", "no")
        if association.propagation not in allowed:
            rule = f"AssociationPropagation must be {' or '.join(allowed[1:])}"
            raise self._refused(self.manner.annotation, item, rule)
        return association.propagation != "no"

    def _label(self, item: RegistryObject) -> str:
        return label(replace(item, id=self.names[item.id]))

    def _refused(self, error: Refused, item: RegistryObject, rule: str) -> DocumentError:
        return _refusal(error, replace(item, id=self.names[item.id]), rule, self.manner)


def _refusal(error: Refused, item: RegistryObject, rule: str, manner: Manner) -> DocumentError:
    return error(f"{label(item)}: {rule} ({manner.section}).", location=printable(item.id))
