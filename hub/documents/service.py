"""Registry and repository: keep what is shared, find it, hand it out (ITI-41, ITI-42, ITI-18, ITI-43)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from hub.access.model import HUB
from hub.access.rights_model import Rights
from hub.context import Context
from hub.documents.changes import Change, Changed, Happened, Observer
from hub.documents.codec import patient_key
from hub.documents.criteria import Clause, Operator
from hub.documents.errors import (
    DocumentUniqueIdError,
    MissingDocument,
    MissingDocumentMetadata,
    RepositoryMetadataError,
    ResultNotSinglePatient,
    UnknownCommunity,
    UnknownRepositoryId,
)
from hub.documents.formats import is_unique_id
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    ON_DEMAND,
    STABLE,
    Association,
    AssociationType,
    Content,
    DocumentEntry,
    DocumentRequest,
    Folder,
    ProvideDocuments,
    QueryResult,
    RegisterDocuments,
    Registered,
    RegisterOnDemand,
    RetrievedDocument,
    RetrievedDocuments,
    RetrieveDocuments,
    StoredQuery,
    Submission,
    SubmissionSet,
)
from hub.documents.moving import note_strangers
from hub.documents.queries import Question, read
from hub.documents.registration import Patients, Registration
from hub.documents.rules import label, printable
from hub.documents.search import Search
from hub.documents.showing import ReadersStore, readable
from hub.documents.store import DocumentStore
from hub.documents.store_moving import MovingStore
from hub.documents.store_removal import RemovalStore
from hub.documents.store_showing import ShowingStore
from hub.documents.structure import Plan, arrange, as_submitted, check_unique_ids
from hub.documents.survivors import Survivors
from hub.documents.vocabulary import Codes, Source, Vocabulary
from hub.errors import HubError, NotFound
from hub.storage.engine import Database, UnitOfWork
from hub.usecase import use_case
from hub.values import Oid, PatientIdentifier, now


class Contents(Protocol):
    """The content store, as this room sees it."""

    def put(self, path: Path, sha1: str) -> str:
        """Move a spooled file in; durable when this returns. Returns its address."""
        ...

    def path(self, address: str) -> Path:
        """Where the content is. Raises NotFound."""
        ...


class OnDemand(Protocol):
    """What makes documents when they are asked for."""

    def retrieve(self, request: DocumentRequest, context: Context) -> RetrievedDocument | None:
        """The document; None when it is none of those. Raises DocumentError."""
        ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """A document whose bytes are here."""

    mime_type: str
    address: str
    patient: PatientIdentifier


#: Hears of what was registered, in its unit of work: submission set, entries, folders that were made or changed.
Listener = Callable[[tuple[DocumentEntry | SubmissionSet | Folder, ...], Context], object]


class DocumentService:
    """The use cases of the documents room.

    ``vocabulary``: attribute -> allowed (code, scheme) pairs; None checks no codes. ``max_results``: most objects in
    one answer, beyond it XDSTooManyResults. ``listeners`` are told of every registration, within its unit of work;
    ``observers`` of everything that happens to what is registered."""

    def __init__(
        self,
        *,
        database: Database,
        content: Contents,
        patients: Patients,
        repository_unique_id: str,
        affinity_domains: Iterable[str] = (),
        home_community_id: str = "",
        vocabulary: Codes | Source | None = None,
        max_results: int = 10_000,
        rights: Rights,
    ) -> None:
        self.database = database
        self.content = content
        self.patients = patients
        self.repository_unique_id = repository_unique_id
        self.affinity_domains = frozenset(affinity_domains)
        self.home = Oid.from_urn(home_community_id).urn if home_community_id else ""
        self.vocabulary = Vocabulary(vocabulary)
        self.max_results = max_results
        self.rights = rights
        self.listeners: list[Listener] = []
        self.observers: list[Observer] = []
        self.on_demand: OnDemand | None = None

    # ITI-42, ITI-41

    @use_case
    def register(self, command: RegisterDocuments, context: Context) -> Registered:
        """Register metadata, all or nothing (ITI TF-2: 3.42). Raises the specific DocumentError."""
        plan = self._plan(command.submission)
        with self.database.transaction() as work:
            return self._register(work, plan, {}, context)

    @use_case
    def register_on_demand(self, command: RegisterOnDemand, context: Context) -> Registered:
        """Register documents that are made when they are asked for (ITI TF-2: 3.61). Raises as ``register``."""
        plan = self._plan(command.submission, ON_DEMAND)
        with self.database.transaction() as work:
            return self._register(work, plan, {}, context)

    @use_case
    def provide(self, command: ProvideDocuments, context: Context) -> Registered:
        """Keep documents and register their metadata, all or nothing (ITI TF-2: 3.41).

        The bytes move into the store once every rule holds, and are durable before the metadata is committed. When
        that commit fails they stay there until the store's sweep: another submission may refer to them by now."""
        try:
            completed = self._complete(command.submission, command.contents)
            plan = self._plan(completed)
            by_entry = {item.entry_id: item for item in command.contents}
            contents = {
                entry.id: by_entry[given.id]
                for given, entry in zip(completed.entries, plan.submission.entries, strict=True)
            }
            with self.database.transaction() as work:
                return self._register(work, plan, contents, context)
        except BaseException:
            for content in command.contents:
                content.path.unlink(missing_ok=True)
            raise

    def _plan(self, submission: Submission, object_type: str = STABLE) -> Plan:
        self._check_home(submission.home)
        plan = arrange(submission, object_type)
        self.vocabulary.check(submission)
        return plan

    def _register(self, work: UnitOfWork, plan: Plan, contents: Mapping[str, Content], context: Context) -> Registered:
        moving = MovingStore(work)
        moving.hold()
        survivors = Survivors(self.patients)
        store = DocumentStore(work, patient=survivors.of_key)
        registration = Registration(
            store=store,
            plan=plan,
            patients=self.patients,
            survivor=survivors,
            at=now(),
            domains=self.affinity_domains,
        )
        with as_submitted(plan.names):
            registration.check()
        RemovalStore(work).guard(content.sha1 for content in contents.values())
        kept = {entry_id: self.content.put(content.path, content.sha1) for entry_id, content in contents.items()}
        submission = registration.carry_out(kept, context.message_id)
        note_strangers(moving, submission.entries, self.patients, survivors)
        context.touch("patient", registration.survivor.cx)
        context.touch("submission set", submission.submission_set.unique_id)
        context.led_to("submission set", submission.submission_set.unique_id)
        for entry in submission.entries:
            context.touch("document", entry.unique_id)
            context.led_to("document", entry.unique_id)
        self.tell(store, submission, registration.survivor, context, also={Change.STATUS: registration.fallen})
        return Registered(submission)

    def tell(
        self,
        store: DocumentStore,
        submission: Submission,
        patient: PatientIdentifier,
        context: Context,
        *,
        also: Happened,
        made: Change = Change.REGISTERED,
    ) -> None:
        """Say what was registered, as answers would: with the surviving identifier and this community.

        ``made``: what happened to the entries and folders of the submission; ``also``: to others."""
        if not (self.listeners or self.observers):
            return
        objects: list[DocumentEntry | SubmissionSet | Folder] = [submission.submission_set]
        objects += [*submission.entries, *submission.folders]
        own = {item.id for item in objects}
        filled = {item.source for item in submission.associations if item.type == AssociationType.HAS_MEMBER} - own
        objects += store.get(Folder, "id", filled) if filled else ()
        told = tuple(replace(item, patient_id=patient, home=self.home) for item in objects)
        for listener in self.listeners:
            listener(told, context)
        if not self.observers:
            return
        changed = [
            Changed((made if item.id in own else Change.FILLED) if index else Change.REGISTERED, item)
            for index, item in enumerate(told)
        ]
        for what, ids in also.items():
            changed += [Changed(what, item) for item in store.get(DocumentEntry, "id", ids)]
            changed += [Changed(what, item) for item in store.get(Folder, "id", ids)]
        self.happened(changed, context)

    def happened(self, changed: Iterable[Changed], context: Context) -> None:
        """Tell the observers what happened, in the open unit of work."""
        found = tuple(replace(one, item=replace(one.item, home=self.home)) for one in changed)
        for observer in self.observers if found else ():
            observer(found, context)

    def withdrawn(self, entries: Iterable[DocumentEntry], context: Context) -> None:
        """Tell the observers of entries that were Approved and are Deprecated now."""
        survivor = Survivors(self.patients)
        fallen = (replace(item, status=DEPRECATED, patient_id=survivor(item.patient_id)) for item in entries)
        self.happened([Changed(Change.STATUS, item) for item in fallen], context)

    def _complete(self, submission: Submission, contents: tuple[Content, ...]) -> Submission:
        """The entries with what only the repository knows: hash, size, repositoryUniqueId (ITI TF-2: 3.41.4.1.3)."""
        check_unique_ids(submission, repository=True)
        by_entry = {item.entry_id: item for item in contents}
        known = {item.id for item in submission.entries}
        for content in contents:
            if content.entry_id not in known or by_entry[content.entry_id] is not content:
                raise MissingDocumentMetadata(
                    f"The document {printable(content.entry_id)} has no DocumentEntry of its own in the message.",
                    location=printable(content.entry_id),
                )
        return replace(submission, entries=tuple(self._with_content(item, by_entry) for item in submission.entries))

    def _with_content(self, entry: DocumentEntry, contents: Mapping[str, Content]) -> DocumentEntry:
        content = contents.get(entry.id)
        if content is None:
            raise MissingDocument(f"{label(entry)} has no document in the message.", location=printable(entry.id))
        if entry.hash and entry.hash.lower() != content.sha1.lower():
            raise RepositoryMetadataError(f"{label(entry)}: hash is not that of the document.", location="hash")
        if entry.size is not None and entry.size != content.size:
            raise RepositoryMetadataError(f"{label(entry)}: size is not that of the document.", location="size")
        return replace(
            entry, hash=content.sha1.lower(), size=content.size, repository_unique_id=self.repository_unique_id
        )

    # ITI-18

    @use_case
    def query(self, command: StoredQuery, context: Context) -> QueryResult:
        """Answer a stored query (ITI TF-2: 3.18). An unknown patient has no documents: the answer is empty."""
        self._check_home(command.home)
        question = read(command.query_id, command.parameters, command.lists)
        context.touch("query", question.query.name)
        survivors = Survivors(self.patients)
        with self.database.reading() as work:
            plain = self.rights.plain(context)
            same = self._same(question, survivors, context, wholly=not plain)
            if question.patient is not None and not same and plain:
                return QueryResult()
            about = (*same[:1], *question.patients)[:1]
            patients = Clause("patient", Operator.IN, tuple(patient_key(item) for item in same or about))
            store = ReadersStore(
                work, self.rights, context, survivors=survivors, home=self.home, about=about, plain=plain
            )
            objects = Search(store, question, patients if about else None, self.max_results).run()
        concerned = {item.patient_id for item in objects if not isinstance(item, Association)}
        if len(concerned) > 1 and command.leaf_class:
            raise ResultNotSinglePatient()
        for patient in sorted(concerned, key=patient_key):
            context.touch("patient", patient.cx)
        return QueryResult(objects)

    def _same(
        self, question: Question, survivors: Survivors, context: Context, *, wholly: bool = False
    ) -> tuple[PatientIdentifier, ...]:
        """Every identifier of the person whom the question is about; empty: nobody, or it names none."""
        same = self.patients.equivalents(question.patient, wholly=wholly) if question.patient is not None else ()
        if same:
            survivors.know(same)
            context.touch("patient", same[0].cx)
        return same

    def _check_home(self, home: str) -> None:
        if home and home != self.home:
            raise UnknownCommunity(location=printable(home))

    # ITI-43

    @use_case
    def retrieve(self, command: RetrieveDocuments, context: Context) -> RetrievedDocuments:
        """The documents' files, and for each other the reason why not (ITI TF-2: 3.43)."""
        wanted = [item.document_unique_id for item in command.requests if is_unique_id(item.document_unique_id)]
        survivors = Survivors(self.patients)
        with self.database.reading() as work:
            store = DocumentStore(work, patient=survivors.of_key)
            found = {
                unique_id: _Kept(mime_type, address, patient)
                for unique_id, mime_type, address, patient in store.kept(wanted)
            }
            plain = self.rights.plain(context)
            missing = [item for item in wanted if item not in found or not plain]
            for unique_id, mime_type, address, patient in RemovalStore(work).unlisted(missing) if missing else ():
                found[unique_id] = _Kept(mime_type, address, survivors(patient))
            if not plain:
                whose = {item: kept.patient for item, kept in found.items()}
                may = readable(self.rights, ShowingStore(work).marks(wanted), whose, survivors, context)
                found = {item: found[item] for item in may}
        documents: list[RetrievedDocument] = []
        failures: list[tuple[DocumentRequest, HubError]] = []
        for request in command.requests:
            try:
                documents.append(self._retrieved(request, found, context))
            except HubError as error:
                failures.append((request, error))
        return RetrievedDocuments(tuple(documents), tuple(failures))

    def _retrieved(self, request: DocumentRequest, found: Mapping[str, "_Kept"], context: Context) -> RetrievedDocument:
        location = printable(request.document_unique_id)
        context.touch("document", location)
        self._check_home(request.home)
        here = request.repository_unique_id == self.repository_unique_id
        if self.on_demand is not None and not (here and request.document_unique_id in found):
            made = self.on_demand.retrieve(request, context)
            if made is not None:
                return made
        if not here:
            raise UnknownRepositoryId(location=location)
        if request.document_unique_id not in found:
            raise DocumentUniqueIdError(location=location)
        kept = found[request.document_unique_id]
        context.touch("patient", kept.patient.cx)
        try:
            path = self.content.path(kept.address)
        except NotFound as error:
            raise DocumentUniqueIdError("The document's content is not in the store.", location=location) from error
        return RetrievedDocument(request, kept.mime_type, path, path.stat().st_size)

    # For other rooms and the portal

    def documents_of(
        self,
        person: PatientIdentifier,
        *,
        statuses: Iterable[str] = (APPROVED,),
        format_codes: Iterable[str] = (),
        limit: int = 1000,
        context: Context | None = None,
    ) -> tuple[DocumentEntry, ...]:
        """A person's entries, the newest first. ``format_codes``: ``code^^scheme``; empty: all. ``context``: those that
        its caller may read; None: for the hub itself."""
        same = self.patients.equivalents(person)
        if not same:
            return ()
        survivors = Survivors(self.patients)
        survivors.know(same)
        clauses = [
            Clause("patient", Operator.IN, tuple(patient_key(item) for item in same)),
            Clause("status", Operator.IN, tuple(statuses)),
        ]
        formats = tuple(format_codes)
        if formats:
            clauses.append(Clause("format_code", Operator.IN, formats))
        with self.database.reading() as work:
            store = DocumentStore(work, patient=survivors.of_key, home=self.home)
            found = store.find(DocumentEntry, clauses, limit=limit, newest_first=True)
            reader = ReadersStore(work, self.rights, context or Context(principal=HUB), survivors=survivors)
            return tuple(found if reader.plain else reader.shown(found, DocumentEntry))

    def hold_persons(self) -> None:
        """From now to the end of the open unit of work no identity goes from one person to another."""
        with self.database.transaction() as work:
            MovingStore(work).hold()

    def entry(self, unique_id: str) -> DocumentEntry:
        """The current entry of a document. Raises DocumentUniqueIdError."""
        entries = self._entries("unique_id", unique_id)
        if not entries:
            raise DocumentUniqueIdError(location=printable(unique_id))
        return min(entries, key=lambda item: (item.status != APPROVED, -item.version))

    def entry_by_id(self, entry_id: str, context: Context | None = None) -> DocumentEntry:
        """The entry with this entryUUID, for who may read it; None: the hub itself. Raises DocumentUniqueIdError."""
        with self.database.reading() as work:
            survivors = Survivors(self.patients)
            store = ReadersStore(
                work, self.rights, context or Context(principal=HUB), survivors=survivors, home=self.home
            )
            entries = store.get(DocumentEntry, "id", [entry_id] if is_unique_id(entry_id) else [])
        if not entries:
            raise DocumentUniqueIdError(location=printable(entry_id))
        return entries[0]

    def open_content(self, unique_id: str) -> RetrievedDocument:
        """Where a document's bytes are. Raises DocumentUniqueIdError."""
        request = DocumentRequest(self.repository_unique_id, unique_id)
        outcome = self.retrieve(RetrieveDocuments((request,)), Context(principal=HUB))
        for _, error in outcome.failures:
            raise error
        return outcome.documents[0]

    def refers_to(self, address: str) -> bool:
        """Whether a registered document has these bytes: what the content store's sweep asks."""
        with self.database.reading() as work:
            return DocumentStore(work).refers_to(address) or RemovalStore(work).refers_to(address)

    def _entries(self, field: str, value: str) -> list[DocumentEntry]:
        if not is_unique_id(value):
            return []
        with self.database.reading() as work:
            store = DocumentStore(work, patient=Survivors(self.patients).of_key, home=self.home)
            return store.get(DocumentEntry, field, [value])
