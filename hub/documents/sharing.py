"""Documents for those who ask by resource and page: MHD's view of registry and repository (ITI-65 to ITI-68).

Nothing is asked of the database here: every answer is made of stored queries, every change is a ProvideDocuments.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from hub.context import Context
from hub.documents.errors import DocumentUniqueIdError, UnknownPatientId
from hub.documents.formats import is_uuid, pad_dtm
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    Association,
    AssociationType,
    Content,
    DocumentEntry,
    DocumentRequest,
    Folder,
    ProvideDocuments,
    Registered,
    RegistryObject,
    RetrieveDocuments,
    StoredQuery,
    Submission,
    SubmissionSet,
)
from hub.documents.queries import QUERIES
from hub.documents.registration import Patients
from hub.documents.service import DocumentService
from hub.documents.sharing_model import (
    Asked,
    FindShared,
    Matching,
    OpenDocument,
    OpenedDocument,
    ProvideBundle,
    SharedPage,
)
from hub.usecase import use_case
from hub.values import PatientIdentifier

Listed = DocumentEntry | SubmissionSet | Folder
_IDS = {query.name: query.id for query in QUERIES.values()}
#: What the queries that look for a person's objects call the person and the status.
_FIND = {
    "FindDocuments": "$XDSDocumentEntry",
    "FindDocumentsByReferenceId": "$XDSDocumentEntry",
    "FindSubmissionSets": "$XDSSubmissionSet",
    "FindFolders": "$XDSFolder",
}
_CHUNK = 1000


class Received(Protocol):
    """A spooled file."""

    path: Path
    size: int
    sha1: str
    sha256: str


class Spool(Protocol):
    """The content store, as this module sees it."""

    def receive(self, chunks: Iterable[bytes]) -> Any:
        """Spool bytes: a Received."""
        ...


class SharingService:
    """Search by page, retrieval by entry, submission with documents in memory. ``domains``: the main one first."""

    def __init__(
        self, *, documents: DocumentService, content: Spool, patients: Patients, affinity_domains: Iterable[str]
    ) -> None:
        self.documents = documents
        self.content = content
        self.patients = patients
        self.domains = tuple(affinity_domains)

    @use_case
    def find(self, command: FindShared, context: Context) -> SharedPage:
        """One page, the newest first (MHD: 2:3.66, 2:3.67). A person whom nobody knows has nothing: an empty page."""
        patient = None
        if command.patient is not None:
            patient = self._meant(command.patient)
            if patient is None:
                return SharedPage()
        every = [self._any_of(group, patient, command, context) for group in command.asked]
        found = [item for key, item in every[0].items() if all(key in other for other in every[1:])]
        fits = _fits(command.matching)
        found = sorted(filter(fits, found), key=_newest_first)
        page = tuple(found[command.offset : command.offset + command.limit])
        starting = self._starting_at([item.id for item in page], context)
        members = self._members(starting, context) if command.lists else ()
        return SharedPage(page, len(found), starting, members)

    @use_case
    def open(self, command: OpenDocument, context: Context) -> OpenedDocument:
        """Where a document's bytes are (MHD: 2:3.68). Raises DocumentUniqueIdError."""
        if not is_uuid(command.entry_id):
            raise DocumentUniqueIdError()
        entry = self.documents.entry_by_id(command.entry_id)
        request = DocumentRequest(entry.repository_unique_id, entry.unique_id)
        outcome = self.documents.retrieve(RetrieveDocuments((request,)), context)
        for _, error in outcome.failures:
            raise error
        return OpenedDocument(entry, outcome.documents[0])

    @use_case
    def provide(self, command: ProvideBundle, context: Context) -> Registered:
        """Spool the documents, then ITI-41's path: all or nothing (MHD: 2:3.65). Raises the specific DocumentError."""
        given = command.submission.submission_set.patient_id
        patient = self._meant(given)
        if patient is None:
            raise UnknownPatientId(location="patientId")
        contents: list[Content] = []
        try:
            for entry_id, data in command.documents:
                file: Received = self.content.receive([data])
                contents.append(Content(entry_id, file.path, file.size, file.sha1, file.sha256))
        except BaseException:
            for content in contents:
                content.path.unlink(missing_ok=True)
            raise
        submission = _about(command.submission, patient)
        return self.documents.provide(ProvideDocuments(submission, tuple(contents)), context)

    def _meant(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        """The surviving regional identifier; a number without authority is a regional one."""
        domains = (identifier.authority,) if identifier.authority else self.domains
        for domain in domains:
            found = self.patients.resolve(PatientIdentifier(identifier.value, domain))
            if found is not None:
                return found
        return None

    def _any_of(
        self, group: tuple[Asked, ...], patient: PatientIdentifier | None, command: FindShared, context: Context
    ) -> Mapping[str, Listed]:
        kinds = (SubmissionSet, Folder) if command.lists else (DocumentEntry,)
        found: dict[str, Listed] = {}
        for asked in group:
            parameters = {**self._of_person(asked.query, patient, command.matching), **asked.parameters}
            for item in self._query(asked.query, parameters, context):
                if isinstance(item, kinds):
                    found[item.id] = item
        return found

    def _of_person(
        self, query: str, patient: PatientIdentifier | None, matching: Matching
    ) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        prefix = _FIND.get(query)
        if prefix is None or patient is None:
            return {}
        statuses = matching.statuses or (APPROVED, DEPRECATED)
        return {f"{prefix}PatientId": ((patient.cx,),), f"{prefix}Status": (statuses,)}

    def _starting_at(self, ids: list[str], context: Context) -> tuple[Association, ...]:
        found = self._in_chunks("GetAssociations", "$uuid", ids, context)
        known = set(ids)
        return tuple(item for item in found if isinstance(item, Association) and item.source in known)

    def _members(self, associations: Iterable[Association], context: Context) -> tuple[DocumentEntry | Folder, ...]:
        targets = [item.target for item in associations if item.type == AssociationType.HAS_MEMBER]
        entries = self._in_chunks("GetDocuments", "$XDSDocumentEntryEntryUUID", targets, context)
        folders = self._in_chunks("GetFolders", "$XDSFolderEntryUUID", targets, context)
        return tuple(item for item in (*entries, *folders) if isinstance(item, DocumentEntry | Folder))

    def _in_chunks(self, query: str, parameter: str, ids: list[str], context: Context) -> Iterator[RegistryObject]:
        for start in range(0, len(ids), _CHUNK):
            yield from self._query(query, {parameter: (tuple(ids[start : start + _CHUNK]),)}, context)

    def _query(
        self, query: str, parameters: Mapping[str, tuple[tuple[str, ...], ...]], context: Context
    ) -> tuple[RegistryObject, ...]:
        return self.documents.query(StoredQuery(_IDS[query], parameters, leaf_class=False), context).objects


def _about(submission: Submission, patient: PatientIdentifier) -> Submission:
    """The submission about the regional identifier, where the objects name the same person as the set does."""
    given = submission.submission_set.patient_id

    def about(item: Any) -> Any:
        return replace(item, patient_id=patient) if item.patient_id == given else item

    return replace(
        submission,
        submission_set=about(submission.submission_set),
        entries=tuple(map(about, submission.entries)),
        folders=tuple(map(about, submission.folders)),
    )


def _newest_first(item: Listed) -> tuple[int, str]:
    time = getattr(item, _TIME[type(item)])
    return -int(pad_dtm(time) or "0"), item.id


_TIME = {DocumentEntry: "creation_time", SubmissionSet: "submission_time", Folder: "last_update_time"}


def _fits(matching: Matching) -> Callable[[Listed], bool]:
    tests: list[Callable[[Any], bool]] = []
    if matching.statuses:
        tests.append(lambda item: item.status in matching.statuses)
    tests += [_named(part, values) for part, values in matching.names]
    tests += [_coded(fields, frozenset(values)) for fields, values in matching.codes]
    if matching.start_from or matching.start_before or matching.stop_from or matching.stop_before:
        tests.append(lambda item: _in_time(item, matching))
    return lambda item: all(test(item) for test in tests)


def _named(part: str, beginnings: Iterable[str]) -> Callable[[Any], bool]:
    """Whether an author's family or given name begins so (FHIR R4: 3.1.1.5.9, string)."""
    wanted = tuple(map(_plain, beginnings))

    def test(item: Any) -> bool:
        for author in getattr(item, "authors", ()):
            parts = [*author.person.split("^"), "", "", "", ""]
            names = [parts[1]] if part == "family" else [parts[2], *parts[3].split()]
            if any(_plain(name).startswith(wanted) for name in names if name):
                return True
        return False

    return test


def _plain(text: str) -> str:
    """Without accents and case."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))


def _coded(fields: Iterable[str], wanted: frozenset[str]) -> Callable[[Any], bool]:
    def test(item: Any) -> bool:
        values = [getattr(item, name, None) for name in fields]
        codes = [code for value in values for code in (value if isinstance(value, tuple) else (value,))]
        return any(code is not None and (code.value in wanted or code.key in wanted) for code in codes)

    return test


def _in_time(item: Any, asked: Matching) -> bool:
    """Whether the service lies as asked; a service of which only one end is known was that moment."""
    start = pad_dtm(getattr(item, "service_start_time", ""))
    stop = pad_dtm(getattr(item, "service_stop_time", "")) or start
    start = start or stop
    return (
        bool(start)
        and (not asked.start_from or start >= asked.start_from)
        and (not asked.start_before or start < asked.start_before)
        and (not asked.stop_from or stop >= asked.stop_from)
        and (not asked.stop_before or stop < asked.stop_before)
    )
