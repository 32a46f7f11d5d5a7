"""The documents room's tables and queries.

An object is one row: what is asked for in columns, the whole metadata beside it as JSON text, so that an answer is one
statement and reads no other table. ``documents_unique_id`` has every uniqueId once: two submissions of the same one
meet there, and one of them waits for the other's end.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Index, Table, exists, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel

from hub.documents.codec import load, mime_type_of, patient_of
from hub.documents.criteria import AFTERWARDS, Clause, Operator
from hub.documents.errors import RegistryMetadataError
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    Submission,
    SubmissionSet,
)
from hub.documents.rows import TERMS, association_row, entry_row, folder_row, set_row, terms
from hub.documents.store_search import of_terms, search
from hub.storage.beside import Beside
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime
from hub.values import PatientIdentifier

T = TypeVar("T", DocumentEntry, SubmissionSet, Folder, Association)
_CHUNK = 1000


class EntryRow(SQLModel, table=True):
    """A DocumentEntry."""

    __tablename__ = "documents_entry"
    __table_args__ = (
        Index("ix_documents_entry_patient", "patient", "status"),
        Index("ix_documents_entry_logical_id", "logical_id", "version", unique=True),
    )

    id: str = Field(primary_key=True, sa_type=KeyText)
    logical_id: str = Field(sa_type=KeyText)
    version: int = 1
    unique_id: str = Field(sa_type=KeyText, index=True)
    patient: str = Field(sa_type=KeyText)
    status: str = Field(sa_type=KeyText)
    object_type: str = Field(sa_type=KeyText)
    class_code: str = ""
    type_code: str = ""
    format_code: str = ""
    facility_code: str = ""
    practice_code: str = ""
    confidentiality_codes: str  # these three: packed, see rows.packed
    event_codes: str
    reference_ids: str
    creation_time: str = Field(sa_type=KeyText)
    service_start_time: str = Field(sa_type=KeyText)
    service_stop_time: str = Field(sa_type=KeyText)
    repository_unique_id: str = ""
    content: str = Field(default="", sa_type=KeyText, index=True)  # address in the content store; "" when not here
    registered_at: datetime = Field(sa_type=UtcDateTime)
    body: str


class SubmissionSetRow(SQLModel, table=True):
    """A SubmissionSet, with the message that brought it."""

    __tablename__ = "documents_submission_set"
    __table_args__ = (Index("ix_documents_submission_set_patient", "patient", "status"),)

    id: str = Field(primary_key=True, sa_type=KeyText)
    logical_id: str = Field(sa_type=KeyText)
    version: int = 1
    unique_id: str = Field(sa_type=KeyText, index=True)
    source_id: str = Field(sa_type=KeyText)
    patient: str = Field(sa_type=KeyText)
    status: str = Field(sa_type=KeyText)
    submission_time: str = Field(sa_type=KeyText)
    content_type_code: str = ""
    message_id: str = ""  # the inbox message, "" when the hub made it
    registered_at: datetime = Field(sa_type=UtcDateTime)
    body: str


class FolderRow(SQLModel, table=True):
    """A Folder."""

    __tablename__ = "documents_folder"
    __table_args__ = (
        Index("ix_documents_folder_patient", "patient", "status"),
        Index("ix_documents_folder_logical_id", "logical_id", "version", unique=True),
    )

    id: str = Field(primary_key=True, sa_type=KeyText)
    logical_id: str = Field(sa_type=KeyText)
    version: int = 1
    unique_id: str = Field(sa_type=KeyText, index=True)
    patient: str = Field(sa_type=KeyText)
    status: str = Field(sa_type=KeyText)
    last_update_time: str = Field(sa_type=KeyText)
    codes: str  # packed
    body: str


class AssociationRow(SQLModel, table=True):
    """An Association."""

    __tablename__ = "documents_association"
    __table_args__ = (
        Index("ix_documents_association_source", "source"),
        Index("ix_documents_association_target", "target"),
    )

    id: str = Field(primary_key=True, sa_type=KeyText)
    logical_id: str = Field(sa_type=KeyText)
    version: int = 1
    type: str = Field(sa_type=KeyText)
    source: str = Field(sa_type=KeyText)
    target: str = Field(sa_type=KeyText)
    status: str = Field(sa_type=KeyText)
    body: str


class UniqueIdRow(SQLModel, table=True):
    """A uniqueId that is taken: by what, and for a document with which content."""

    __tablename__ = "documents_unique_id"
    __table_args__ = {"sqlite_with_rowid": False}

    value: str = Field(primary_key=True, sa_type=KeyText)
    kind: str
    hash: str = ""
    size: int | None = Field(default=None, sa_type=BigInteger)


class TermRow(SQLModel, table=True):
    """A value that an entry or folder has, for questions that name no patient (ITI-51)."""

    __tablename__ = "documents_term"
    __table_args__ = {"sqlite_with_rowid": False}

    value: str = Field(primary_key=True, sa_type=KeyText)
    attribute: str = Field(primary_key=True, sa_type=KeyText)  # the column that holds it
    object: str = Field(primary_key=True, sa_type=KeyText, index=True)


ENTRY = METADATA.tables["documents_entry"]
SUBMISSION_SET = METADATA.tables["documents_submission_set"]
FOLDER = METADATA.tables["documents_folder"]
ASSOCIATION = METADATA.tables["documents_association"]
UNIQUE_ID = METADATA.tables["documents_unique_id"]
TERM = METADATA.tables["documents_term"]

_TABLES: Mapping[type, Table] = {
    DocumentEntry: ENTRY,
    SubmissionSet: SUBMISSION_SET,
    Folder: FOLDER,
    Association: ASSOCIATION,
}
_COMMON = ("id", "status", "logical_id", "version")
#: What an object is made of besides its JSON text. "patient" becomes patient_id.
_COLUMNS: Mapping[type, tuple[str, ...]] = {
    DocumentEntry: (*_COMMON, "body", "patient"),
    SubmissionSet: (*_COMMON, "body", "patient"),
    Folder: (*_COMMON, "body", "patient", "last_update_time"),
    Association: (*_COMMON, "body"),
}
_ORDER: Mapping[type, tuple[str, ...]] = {
    DocumentEntry: ("creation_time", "id"),
    SubmissionSet: ("submission_time", "id"),
    Folder: ("last_update_time", "id"),
    Association: ("id",),
}


class DocumentStore:
    """Objects of the registry. ``patient``: turns a row's patient into the identifier that answers carry."""

    def __init__(
        self, work: UnitOfWork, *, patient: Callable[[str], PatientIdentifier] = patient_of, home: str = ""
    ) -> None:
        self._connection = work.connection
        self._dialect = self._connection.dialect.name
        self._patient = patient
        self._home = home

    # Reading

    def find(
        self,
        kind: type[T],
        clauses: Iterable[Clause],
        *,
        limit: int | None = None,
        newest_first: bool = False,
        among: Clause | None = None,
        beside: Beside | None = None,
    ) -> list[T]:
        """The objects that fulfil every clause (some are not decided here: AFTERWARDS), in a stable order.

        ``among``: a clause about a term, whose objects alone are looked at. ``beside``: a question of others that may
        go to the database along with this one."""
        asked = [clause for clause in clauses if clause.operator not in AFTERWARDS]
        rows = search(
            self._connection,
            _TABLES[kind],
            _COLUMNS[kind],
            asked,
            order=_ORDER[kind],
            descending=newest_first,
            limit=limit,
            among=among,
            beside=beside,
        )
        return [self._load(kind, row) for row in rows]

    def rarest(self, clauses: Iterable[Clause], most: int) -> Clause | None:
        """The clause about terms that the fewest objects fulfil; None when each has more than ``most``."""
        counted: list[tuple[int, Clause]] = []
        for clause in clauses:
            if clause.field in TERMS and not clause.without:
                some = select(TERM.c.object).where(*of_terms(TERM, clause)).limit(most + 1).subquery()
                counted.append((self._connection.scalar(select(func.count()).select_from(some)) or 0, clause))
        number, rarest = min(counted, key=lambda pair: pair[0])
        return rarest if number <= most else None

    def get(self, kind: type[T], field: str, values: Iterable[str], *, lock: bool = False) -> list[T]:
        """The objects whose column has one of the values; ``lock``: nobody else changes them meanwhile."""
        found: list[T] = []
        for chunk in _chunks(values):
            rows: Iterable[Sequence[Any]]
            if lock:
                columns = (_TABLES[kind].c[name] for name in _COLUMNS[kind])
                chosen = select(*columns).where(_TABLES[kind].c[field].in_(chunk)).order_by(_TABLES[kind].c.id)
                rows = self._connection.execute(chosen.with_for_update()).all()
            else:
                wanted = Clause(field, Operator.IN, tuple(chunk))
                rows = search(self._connection, _TABLES[kind], _COLUMNS[kind], [wanted], order=("id",))
            found += [self._load(kind, row) for row in rows]
        return found

    def versions(self, kind: type[T], logical_ids: Collection[str]) -> list[T]:
        """Every version of the objects; nobody else changes them, or adds one, meanwhile."""
        table = _TABLES[kind]
        for chunk in _chunks(logical_ids):
            locked = select(table.c.id).where(table.c.logical_id.in_(chunk)).order_by(table.c.id).with_for_update()
            self._connection.execute(locked).all()
        # Read after the wait for the locks: what their holders added is there now.
        return self.get(kind, "logical_id", logical_ids)

    def last_versions(self, kind: type, logical_ids: Collection[str]) -> dict[str, int]:
        """The number of the last version of each object."""
        table = _TABLES[kind]
        found: dict[str, int] = {}
        for chunk in _chunks(logical_ids):
            last = select(table.c.logical_id, func.max(table.c.version)).where(table.c.logical_id.in_(chunk))
            found.update((row[0], row[1]) for row in self._connection.execute(last.group_by(table.c.logical_id)))
        return found

    def associations(
        self,
        *,
        source: Iterable[str] = (),
        target: Iterable[str] = (),
        types: Sequence[str] = (),
        statuses: Sequence[str] = (),
    ) -> list[Association]:
        """Associations that start at one of the sources or end at one of the targets, each once."""
        found: dict[str, Association] = {}
        narrow = [
            Clause(name, Operator.IN, tuple(values))
            for name, values in (("type", types), ("status", statuses))
            if values
        ]
        for end, ids in (("source", source), ("target", target)):
            for chunk in _chunks(ids):
                clauses = [Clause(end, Operator.IN, tuple(chunk)), *narrow]
                rows = search(self._connection, ASSOCIATION, _COLUMNS[Association], clauses)
                found.update((row[0], self._load(Association, row)) for row in rows)
        return [found[key] for key in sorted(found)]

    def known_ids(self, ids: Iterable[str]) -> list[str]:
        """Which of the ids are taken by an object, or named as a logical id."""
        found: list[str] = []
        for chunk in _chunks(ids):
            for table in _TABLES.values():
                condition: ColumnElement[bool] = table.c.id.in_(chunk)
                if table in (ENTRY, FOLDER):  # the others have one version only
                    condition = or_(condition, table.c.logical_id.in_(chunk))
                found += self._connection.scalars(select(table.c.id).where(condition))
        return found

    def contents(self, unique_ids: Iterable[str]) -> Iterator[tuple[DocumentEntry, str]]:
        """Entries of the uniqueIds with the address of the bytes that are kept here."""
        columns = [ENTRY.c[name] for name in _COLUMNS[DocumentEntry]]
        for chunk in _chunks(unique_ids):
            statement = select(*columns, ENTRY.c.content).where(ENTRY.c.unique_id.in_(chunk), ENTRY.c.content != "")
            for row in self._connection.execute(statement).all():
                yield self._load(DocumentEntry, row), row.content

    def kept(self, unique_ids: Iterable[str]) -> Iterator[tuple[str, str, str, PatientIdentifier]]:
        """uniqueId, MIME type, address and patient of documents whose bytes are kept here."""
        columns = (ENTRY.c.unique_id, ENTRY.c.body, ENTRY.c.content, ENTRY.c.patient)
        for chunk in _chunks(unique_ids):
            statement = select(*columns).where(ENTRY.c.unique_id.in_(chunk), ENTRY.c.content != "")
            for unique_id, body, content, patient in self._connection.execute(statement).all():
                yield unique_id, mime_type_of(body), content, self._patient(patient)

    def refers_to(self, address: str) -> bool:
        """Whether a document with these bytes is registered."""
        return self._connection.scalar(select(exists().where(ENTRY.c.content == address))) or False

    def contents_of(self, entry_ids: Iterable[str]) -> dict[str, str]:
        """The address of the bytes that are kept here, by entry id."""
        found: dict[str, str] = {}
        for chunk in _chunks(entry_ids):
            rows = self._connection.execute(select(ENTRY.c.id, ENTRY.c.content).where(ENTRY.c.id.in_(chunk)))
            found.update((row.id, row.content) for row in rows if row.content)
        return found

    def message_of(self, submission_set_id: str) -> str:
        """The inbox message that brought a submission set; "" for none."""
        statement = select(SUBMISSION_SET.c.message_id).where(SUBMISSION_SET.c.id == submission_set_id)
        return self._connection.scalar(statement) or ""

    def _load(self, kind: type[T], row: Sequence[Any]) -> T:
        columns: dict[str, Any] = dict(zip(_COMMON, row, strict=False))
        if kind is not Association:
            columns["patient_id"] = self._patient(row[5])
            if kind is Folder:
                columns["last_update_time"] = row[6]
        return load(kind, row[4], home=self._home, **columns)

    # Writing

    def claim(self, value: str, kind: str, *, content_hash: str = "", size: int | None = None) -> Any:
        """Take a uniqueId. None when it was free, otherwise the row (kind, hash, size) of who has it.

        Waits for another unit of work that is just taking the same one."""
        flavour = postgresql if self._dialect == "postgresql" else sqlite
        row = {"value": value, "kind": kind, "hash": content_hash, "size": size}
        statement = flavour.insert(UNIQUE_ID).values(row).on_conflict_do_nothing().returning(UNIQUE_ID.c.value)
        holder = select(UNIQUE_ID).where(UNIQUE_ID.c.value == value).with_for_update(read=True)
        while self._connection.scalar(statement) is None:
            taken = self._connection.execute(holder).one_or_none()
            if taken is not None:
                return taken  # it stays taken: a removal waits for the end of this unit of work
        return None

    def add(self, submission: Submission, contents: Mapping[str, str], message_id: str, at: datetime) -> None:
        """Keep a submission. ``contents``: entry id -> address."""
        rows = [entry_row(item, contents.get(item.id, ""), at) for item in submission.entries]
        self._insert(ENTRY, rows)
        self._insert(SUBMISSION_SET, [set_row(submission.submission_set, message_id, at)])
        self._insert(FOLDER, [folder_row(item) for item in submission.folders])
        self.add_associations(submission.associations)

    def add_associations(self, associations: Iterable[Association]) -> None:
        """Keep associations."""
        self._insert(ASSOCIATION, [association_row(item) for item in associations])

    def deprecate(self, entry_ids: Iterable[str]) -> None:
        """Entries become Deprecated."""
        for chunk in _chunks(entry_ids):
            self._connection.execute(update(ENTRY).where(ENTRY.c.id.in_(chunk)).values(status=DEPRECATED))

    def set_status(self, statuses: Mapping[str, str]) -> None:
        """Give entries, folders and associations, by id, a new availabilityStatus."""
        for status in sorted(set(statuses.values())):
            for chunk in _chunks(item for item, new in statuses.items() if new == status):
                for table in (ENTRY, FOLDER, ASSOCIATION):
                    self._connection.execute(update(table).where(table.c.id.in_(chunk)).values(status=status))

    def folders_of(self, entry_id: str) -> list[Folder]:
        """The current folders that hold an entry, locked."""
        held = self.associations(target=[entry_id], types=[AssociationType.HAS_MEMBER])
        sources = [item.source for item in held if item.status == APPROVED]
        return [item for item in self.get(Folder, "id", sources, lock=True) if item.status == APPROVED]

    def touch_folders(self, folder_ids: Iterable[str], time: str) -> None:
        """Set lastUpdateTime."""
        for chunk in _chunks(folder_ids):
            self._connection.execute(update(FOLDER).where(FOLDER.c.id.in_(chunk)).values(last_update_time=time))

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        try:
            self._connection.execute(insert(table), rows)
            found = [term for row in rows for term in terms(row)]
            if found:
                self._connection.execute(insert(TERM), found)
        except IntegrityError as error:  # another unit of work took an id since it was looked up
            raise RegistryMetadataError("An id of the submission is already registered (ITI TF-3: 4.2.1.2).") from error


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(set(values))  # a fixed order: two units of work never wait for each other's rows crosswise
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]
