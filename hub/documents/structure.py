"""How a submission hangs together: ids, members, relationships (ITI TF-3: 4.1.4, 4.2.1, 4.2.2). Pure functions.

``arrange`` checks everything that can be told from the message alone, replaces symbolic ids, and says what the
registry must look up.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hub.documents.errors import (
    DocumentError,
    PatientIdDoesNotMatch,
    RegistryDuplicateUniqueIdInMessage,
    RegistryMetadataError,
    RepositoryDuplicateUniqueIdInMessage,
    UnresolvedReference,
)
from hub.documents.formats import is_uuid
from hub.documents.model import (
    APPROVED,
    ON_DEMAND,
    STABLE,
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    RegistryObject,
    Submission,
    SubmissionSet,
)
from hub.documents.rules import check_values, label, printable
from hub.values import new_uuid

#: Relationships between a document of the submission and one of the registry (ITI TF-3: 4.2.2.2).
RELATIONSHIPS = frozenset(
    {
        AssociationType.REPLACE,
        AssociationType.TRANSFORM,
        AssociationType.APPEND,
        AssociationType.TRANSFORM_REPLACE,
    }
)
#: Relationships that deprecate their target.
REPLACING = frozenset({AssociationType.REPLACE, AssociationType.TRANSFORM_REPLACE})
#: Relationships whose source falls with a replaced target (ITI TF-2: 3.42.4.1.3.5).
FOLLOWING = frozenset({AssociationType.TRANSFORM, AssociationType.APPEND})

ORIGINAL, REFERENCE = "Original", "Reference"
#: Attributes of associations that belong to metadata updates (ITI TF-2: 3.57.4.1.3).
UPDATE_SLOTS = ("previous_version", "original_status", "new_status", "propagation")


_KINDS = {STABLE: "a stable", ON_DEMAND: "an on-demand"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A submission whose ids are the registry's, and its associations by what they need of the registry."""

    submission: Submission
    references: tuple[Association, ...] = ()  #: SubmissionSet -> DocumentEntry of the registry
    additions: tuple[Association, ...] = ()  #: Folder -> DocumentEntry, either of them from anywhere
    relations: tuple[Association, ...] = ()  #: DocumentEntry -> DocumentEntry of the registry
    kept: tuple[str, ...] = ()  #: ids that the submitter chose: they must be new
    names: Mapping[str, str] = field(default_factory=dict)  #: id of the registry -> symbolic id that it replaces

    @property
    def own(self) -> Mapping[str, RegistryObject]:
        """The submission's objects by id."""
        return {item.id: item for item in objects(self.submission)}


def objects(submission: Submission) -> tuple[RegistryObject, ...]:
    """Every object of a submission."""
    return (submission.submission_set, *submission.entries, *submission.folders, *submission.associations)


def identified(submission: Submission) -> tuple[DocumentEntry | SubmissionSet | Folder, ...]:
    """The objects that have a uniqueId and a patientId."""
    return (submission.submission_set, *submission.entries, *submission.folders)


def arrange(submission: Submission, object_type: str = STABLE) -> Plan:
    """Check a submission's values and structure and replace its symbolic ids. Raises the specific DocumentError.

    ``object_type``: that of every DocumentEntry, stable or on-demand."""
    for item in objects(submission):
        check_values(item)
    for entry in submission.entries:
        if entry.object_type != object_type:
            raise RegistryMetadataError(
                f"{label(entry)}: objectType must be that of {_KINDS[object_type]} document here "
                "(ITI TF-2: 3.42.4.1.2, 3.61.4.1.2).",
                location="objectType",
            )
    check_ids(submission)
    _check_initial(submission)
    _check_patients(submission)
    check_unique_ids(submission)
    named = with_registry_ids(submission)
    kept = tuple(item.id for item in objects(submission) if is_uuid(item.id))
    pairs = zip(objects(named), objects(submission), strict=True)
    names = {new.id: given.id for new, given in pairs if new.id != given.id}
    with as_submitted(names):
        return replace(_Structure(named).plan(), kept=kept, names=names)


@contextmanager
def as_submitted(names: Mapping[str, str]) -> Iterator[None]:
    """What is refused is named as its submitter named it: nobody else knows the ids of what was not registered."""
    try:
        yield
    except DocumentError as error:
        for new, given in names.items():
            error.location = error.location.replace(new, printable(given))
            error.message = error.message.replace(new, printable(given))
        error.args = (error.message,)
        raise


def check_unique_ids(submission: Submission, *, repository: bool = False) -> None:
    """Refuse a uniqueId that stands twice in the message (ITI TF-3: Table 4.2.4.1-2)."""
    error = RepositoryDuplicateUniqueIdInMessage if repository else RegistryDuplicateUniqueIdInMessage
    seen: set[str] = set()
    for item in identified(submission):
        if item.unique_id in seen:
            raise error(
                f"{label(item)}: its uniqueId stands twice in the submission.", location=printable(item.unique_id)
            )
        seen.add(item.unique_id)


def check_ids(submission: Submission) -> None:
    """Refuse ids that are not well formed or stand twice (ITI TF-3: 4.2.1.2)."""
    seen: set[str] = set()
    for item in objects(submission):
        if item.id.startswith("urn:uuid:") and not is_uuid(item.id):
            raise RegistryMetadataError(
                f"{label(item)}: an id is urn:uuid: and a UUID in lower case, or symbolic (ITI TF-3: 4.2.1.2).",
                location=printable(item.id),
            )
        if item.id in seen:
            raise RegistryMetadataError(
                f"{label(item)}: the id stands twice (ITI TF-3: 4.2.1.2).",
                location=printable(item.id),
            )
        seen.add(item.id)


def _check_initial(submission: Submission) -> None:
    for item in identified(submission):
        if item.logical_id not in ("", item.id):
            raise RegistryMetadataError(
                f"{label(item)}: a logicalID of another object belongs to a metadata update (ITI-57).",
                location=printable(item.id),
            )


def _check_patients(submission: Submission) -> None:
    expected = submission.submission_set.patient_id
    for item in identified(submission):
        if item.patient_id != expected:
            raise PatientIdDoesNotMatch(
                f"{label(item)}: its patientId is not that of the SubmissionSet (ITI TF-3: 4.2.3.2.16).",
                location=printable(item.id),
            )


def with_registry_ids(submission: Submission) -> Submission:
    """Symbolic ids replaced by fresh UUIDs; status, lid and version set (ITI TF-2: 3.42.4.1.3)."""
    names = {item.id: item.id if is_uuid(item.id) else new_uuid() for item in objects(submission)}

    def own(item_id: str) -> dict[str, str | int]:
        return {"id": names[item_id], "logical_id": names[item_id], "version": 1, "status": APPROVED}

    def end(association: Association, reference: str) -> str:
        found = names.get(reference, reference)
        if not is_uuid(found):
            raise UnresolvedReference(
                f"{label(association)}: {printable(reference)} is neither in the submission nor a registry id.",
                location=printable(reference),
            )
        return found

    return replace(
        submission,
        submission_set=replace(submission.submission_set, **own(submission.submission_set.id)),  # type: ignore[arg-type]
        entries=tuple(replace(item, **own(item.id)) for item in submission.entries),  # type: ignore[arg-type]
        folders=tuple(replace(item, **own(item.id)) for item in submission.folders),  # type: ignore[arg-type]
        associations=tuple(
            replace(item, **own(item.id), source=end(item, item.source), target=end(item, item.target))  # type: ignore[arg-type]
            for item in submission.associations
        ),
    )


class _Structure:
    """Sorts the associations of a submission by what they join, refusing what the standard does not allow."""

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.set_id = submission.submission_set.id
        self.own: dict[str, RegistryObject] = {item.id: item for item in objects(submission)}
        self.members: dict[str, Association] = {}
        self.references: list[Association] = []
        self.additions: list[Association] = []
        self.relations: list[Association] = []

    def plan(self) -> Plan:
        for association in self.submission.associations:
            self._sort(association)
        self._check_membership()
        return Plan(self.submission, tuple(self.references), tuple(self.additions), tuple(self.relations))

    def _sort(self, association: Association) -> None:
        if association.source == association.target:
            raise _refused(association, "it points at itself")
        if association.target == self.set_id:
            raise _refused(association, "a SubmissionSet is never a target")
        if association.documentation is not None and association.type not in RELATIONSHIPS:
            raise _refused(association, "associationDocumentation stands on RPLC, XFRM, APND and XFRM_RPLC only")
        if any(getattr(association, name) not in ("", None) for name in UPDATE_SLOTS):
            raise _refused(association, "PreviousVersion and what else describes an update stand in updates only")
        _SORTERS[AssociationType(association.type)](self, association)

    def _has_member(self, association: Association) -> None:
        source = self.own.get(association.source)
        if isinstance(source, SubmissionSet):
            self._member_of_set(association)
        elif source is None or isinstance(source, Folder):
            if isinstance(self.own.get(association.target), SubmissionSet | Folder | Association):
                raise _refused(association, "a Folder holds DocumentEntries only")
            self.additions.append(association)
        else:
            raise _refused(association, "HasMember starts at a SubmissionSet or a Folder")

    def _member_of_set(self, association: Association) -> None:
        target = self.own.get(association.target)
        if association.target in self.members:
            raise _refused(association, "the SubmissionSet has this member twice")
        self.members[association.target] = association
        status = association.submission_set_status
        if target is None:
            self._expect(association, status == REFERENCE, "SubmissionSetStatus of a registered object is Reference")
            self.references.append(association)
        elif isinstance(target, DocumentEntry):
            self._expect(association, status == ORIGINAL, "SubmissionSetStatus of a new document is Original")
        else:
            self._expect(association, status in ("", ORIGINAL), "SubmissionSetStatus may only be Original here")

    def _relationship(self, association: Association) -> None:
        if not isinstance(self.own.get(association.source), DocumentEntry):
            if association.source in self.own:
                raise _refused(association, "its source must be a DocumentEntry")
            raise UnresolvedReference(
                f"{label(association)}: its source must be a DocumentEntry of the submission (ITI TF-3: 4.2.2.2).",
                location=association.source,
            )
        if association.target in self.own:
            raise _refused(association, "its target must be a DocumentEntry that is already registered")
        self.relations.append(association)

    def _signs(self, association: Association) -> None:
        if not isinstance(self.own.get(association.source), DocumentEntry):
            raise _refused(association, "a signature document of the submission must be its source")
        if association.target not in self.own:
            self.relations.append(association)
        elif not isinstance(self.own[association.target], DocumentEntry):
            raise _refused(association, "its target must be a DocumentEntry")

    def _snapshot(self, association: Association) -> None:
        source = self.own.get(association.source)
        if not isinstance(source, DocumentEntry) or source.object_type != STABLE:
            raise _refused(association, "a stable document of the submission must be its source")
        if association.target in self.own:
            raise _refused(association, "its target must be an on-demand document that is already registered")
        self.relations.append(association)

    def _update(self, association: Association) -> None:
        raise _refused(association, "it belongs to a metadata update (ITI-57)")

    def _check_membership(self) -> None:
        for item in identified(self.submission):
            if item.id not in self.members and item.id != self.set_id:
                raise RegistryMetadataError(
                    f"{label(item)}: the SubmissionSet does not have it as a member (ITI TF-3: 4.2.2.1).",
                    location=item.id,
                )
        for association in self.additions:
            self._expect(association, association.id in self.members, "the SubmissionSet must have it as a member")
        folder_members = {item.id for item in self.additions}
        for target, association in self.members.items():
            if isinstance(self.own.get(target), Association) and target not in folder_members:
                raise _refused(association, "only a Folder's HasMember can be a member of the SubmissionSet")

    def _expect(self, association: Association, fulfilled: bool, rule: str) -> None:
        if not fulfilled:
            raise _refused(association, rule)


_SORTERS: Mapping[AssociationType, Callable[[_Structure, Association], None]] = {
    AssociationType.HAS_MEMBER: _Structure._has_member,
    **dict.fromkeys(RELATIONSHIPS, _Structure._relationship),
    AssociationType.SIGNS: _Structure._signs,
    AssociationType.IS_SNAPSHOT_OF: _Structure._snapshot,
    **dict.fromkeys((AssociationType.UPDATE_STATUS, AssociationType.SUBMIT), _Structure._update),
}


def _refused(association: Association, rule: str) -> RegistryMetadataError:
    return RegistryMetadataError(f"{label(association)}: {rule} (ITI TF-3: 4.2.2).", location=printable(association.id))
