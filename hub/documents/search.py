"""How each stored query is answered: what it gathers, from the clauses that were read (ITI TF-2: 3.18.4.1.2.3.7)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from hub.documents.criteria import Clause, Operator, decided
from hub.documents.errors import TooManyResults
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    RegistryObject,
    SubmissionSet,
)
from hub.documents.queries import Question
from hub.documents.showing import ReadersStore

T = TypeVar("T", DocumentEntry, SubmissionSet, Folder)
_MEMBER = (AssociationType.HAS_MEMBER,)
_CHUNK = 1000
#: Most objects that a question without a patient looks at.
MOST_CANDIDATES = 50_000


class Search:
    """Answers one question. ``patients``: the clause that finds the person's objects, where the question has one."""

    def __init__(self, store: ReadersStore, question: Question, patients: Clause | None, limit: int) -> None:
        self.store = store
        self.question = question
        self.patients = [patients] if patients else []
        self.limit = limit
        self.links = question.values.get("$XDSAssociationStatus", (APPROVED,))
        #: Whether the question names versions, by their entryUUID or the logicalID that they have in common.
        self.named = "$XDSDocumentEntryLogicalID" in question.values or any(
            clause.field in ("id", "logical_id") for clause in question.subject
        )

    def run(self) -> tuple[RegistryObject, ...]:
        """The objects of the answer, each once. Raises TooManyResults."""
        found: dict[str, RegistryObject] = {item.id: item for item in _ANSWERS[self.question.query.name](self)}
        if len(found) > self.limit:
            raise TooManyResults()
        return tuple(found.values())

    # Find...

    def _find_documents(self) -> Iterable[RegistryObject]:
        return self._find(DocumentEntry, "$XDSDocumentEntry")

    def _find_submission_sets(self) -> Iterable[RegistryObject]:
        return self._find(SubmissionSet, "$XDSSubmissionSet")

    def _find_folders(self) -> Iterable[RegistryObject]:
        return self._find(Folder, "$XDSFolder")

    def _get_all(self) -> Iterable[RegistryObject]:
        objects: list[RegistryObject] = [
            *self._find_submission_sets(),
            *self._find_documents(),
            *self._find_folders(),
        ]
        return [*objects, *self._touching(objects)]

    # Get...

    def _get_documents(self) -> Iterable[RegistryObject]:
        return self._subject(DocumentEntry)

    def _get_folders(self) -> Iterable[RegistryObject]:
        return self._subject(Folder)

    def _get_associations(self) -> Iterable[RegistryObject]:
        uuids = self.question.values["$uuid"]
        return self._associations(source=uuids, target=uuids)

    def _get_documents_and_associations(self) -> Iterable[RegistryObject]:
        entries = self._subject(DocumentEntry)
        return [*entries, *self._touching(entries)]

    def _get_submission_sets(self) -> Iterable[RegistryObject]:
        members = self._associations(target=self.question.values["$uuid"], types=_MEMBER)
        sets = self.store.get(SubmissionSet, "id", [item.source for item in members])
        known = {item.id for item in sets}
        return [*sets, *(item for item in members if item.source in known)]

    def _get_submission_set_and_contents(self) -> Iterable[RegistryObject]:
        sets = self.store.find(SubmissionSet, self.question.subject)
        members = self._associations(source=[item.id for item in sets], types=_MEMBER)
        targets = [item.target for item in members]
        entries = self._entries(targets)
        found = {item.id for item in entries}
        others = [target for target in targets if target not in found]
        folders = self.store.get(Folder, "id", others)
        known = found | {item.id for item in sets} | {item.id for item in folders}
        between = [
            item
            for item in self.store.get(Association, "id", others)
            if item.source in known and item.target in known and item.status in self.links
        ]
        known |= {item.id for item in between}
        return [*sets, *entries, *folders, *(item for item in members if item.target in known), *between]

    def _get_folder_and_contents(self) -> Iterable[RegistryObject]:
        folders = self._subject(Folder)
        members = self._associations(source=[item.id for item in folders], types=_MEMBER)
        entries = self._current(DocumentEntry, self._entries([item.target for item in members]))
        known = {item.id for item in entries}
        return [*folders, *entries, *(item for item in members if item.target in known)]

    def _get_folders_for_document(self) -> Iterable[RegistryObject]:
        entries = self._subject(DocumentEntry)
        members = self._associations(target=[item.id for item in entries], types=_MEMBER)
        return self._current(Folder, self.store.get(Folder, "id", [item.source for item in members]))

    def _get_related_documents(self) -> Iterable[RegistryObject]:
        focus = {item.id for item in self._subject(DocumentEntry)}
        types = self.question.values["$AssociationTypes"]
        links = self._associations(source=focus, target=focus, types=types)
        ends = {end for item in links for end in (item.source, item.target)}
        entries = self._entries(ends | focus)
        known = {item.id: item for item in entries if item.id in focus}
        known |= {item.id: item for item in self._current(DocumentEntry, entries)}
        related = [item for item in links if item.source in known and item.target in known]
        if not related:
            return ()  # the document that was asked about is no answer by itself
        named = {end for item in related for end in (item.source, item.target)}
        return [*(item for key, item in known.items() if key in named), *related]

    def _find(self, kind: type[T], prefix: str) -> list[T]:
        clauses = [*self.patients, *self.question.about(prefix)]
        among = None if self.patients else self._narrowest(clauses)
        fits = decided(clauses)
        if fits is None:
            found = self.store.find(kind, clauses, limit=self.limit + 1, among=among)
        else:
            found = list(filter(fits, self.store.find(kind, clauses, among=among)))
        return found if self.named else self._current(kind, found)

    def _subject(self, kind: type[T]) -> list[T]:
        """What the question starts from."""
        found = self.store.find(kind, self.question.subject)
        return found if self.named else self._current(kind, found)

    def _current(self, kind: type[T], items: list[T]) -> list[T]:
        """Without former versions, for who can't tell versions from each other (ITI TF-2: 3.18, $MetadataLevel)."""
        doubtful = {item.logical_id for item in items if item.status == DEPRECATED}
        if self.question.level > 1 or not doubtful:
            return items
        last = self.store.last_versions(kind, doubtful)
        return [item for item in items if item.version >= last.get(item.logical_id, 0)]

    def _narrowest(self, clauses: list[Clause]) -> Clause:
        rarest = self.store.rarest(clauses, MOST_CANDIDATES)
        if rarest is None:
            raise TooManyResults()
        return rarest

    def _entries(self, ids: Iterable[str]) -> list[DocumentEntry]:
        """The entries of these ids that the question's format, confidentiality and type let through."""
        narrow = self.question.about("$XDSDocumentEntry")
        ordered = sorted(set(ids))
        found: list[DocumentEntry] = []
        for start in range(0, len(ordered), _CHUNK):
            chunk = tuple(ordered[start : start + _CHUNK])
            found += self.store.find(DocumentEntry, [Clause("id", Operator.IN, chunk), *narrow])
        return found

    def _associations(
        self, source: Iterable[str] = (), target: Iterable[str] = (), types: Sequence[str] = ()
    ) -> list[Association]:
        return self.store.associations(source=source, target=target, types=types, statuses=self.links)

    def _touching(self, objects: Iterable[RegistryObject]) -> list[Association]:
        ids = [item.id for item in objects]
        return self._associations(source=ids, target=ids)


_ANSWERS: Mapping[str, Callable[[Search], Iterable[RegistryObject]]] = {
    "FindDocuments": Search._find_documents,
    "FindDocumentsByReferenceId": Search._find_documents,
    "FindDocumentsExclude": Search._find_documents,
    "FindDocumentsForMultiplePatients": Search._find_documents,
    "FindDocumentsByReferenceIdForMultiplePatients": Search._find_documents,
    "FindFoldersForMultiplePatients": Search._find_folders,
    "FindSubmissionSets": Search._find_submission_sets,
    "FindFolders": Search._find_folders,
    "GetAll": Search._get_all,
    "GetDocuments": Search._get_documents,
    "GetFolders": Search._get_folders,
    "GetAssociations": Search._get_associations,
    "GetDocumentsAndAssociations": Search._get_documents_and_associations,
    "GetSubmissionSets": Search._get_submission_sets,
    "GetSubmissionSetAndContents": Search._get_submission_set_and_contents,
    "GetFolderAndContents": Search._get_folder_and_contents,
    "GetFoldersForDocument": Search._get_folders_for_document,
    "GetRelatedDocuments": Search._get_related_documents,
}
