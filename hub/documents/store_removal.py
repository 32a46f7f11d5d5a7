"""The documents room's tables as removals see them: what goes, and what the repository keeps of it.

``documents_unlisted`` holds the documents that lie in this repository though no entry of the registry is left: metadata
and documents are removed by different transactions, in any order (ITI-62, ITI-86).
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Table, delete, exists, insert, select, text, update
from sqlmodel import Field, SQLModel

from hub.documents.codec import patient_of
from hub.documents.model import (
    ON_DEMAND,
    Association,
    DocumentEntry,
    Folder,
    RegistryObject,
    SubmissionSet,
)
from hub.documents.store import ASSOCIATION, ENTRY, FOLDER, SUBMISSION_SET, TERM, UNIQUE_ID
from hub.documents.store_moving import MovingStore
from hub.storage.content import hash_of
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText
from hub.values import PatientIdentifier

_CHUNK = 1000


class UnlistedRow(SQLModel, table=True):
    """A document that is kept here and that no entry is about any more."""

    __tablename__ = "documents_unlisted"

    unique_id: str = Field(primary_key=True, sa_type=KeyText)
    content: str = Field(sa_type=KeyText, index=True)
    patient: str = Field(sa_type=KeyText)
    mime_type: str


UNLISTED = METADATA.tables["documents_unlisted"]
_TABLES: dict[type, Table] = {
    DocumentEntry: ENTRY,
    Folder: FOLDER,
    SubmissionSet: SUBMISSION_SET,
    Association: ASSOCIATION,
}


@dataclass(frozen=True, slots=True)
class Released:
    """What of a document was here. ``kept``: bytes; ``on_demand``: an entry of a document that is made when asked."""

    kept: bool
    on_demand: bool
    patients: tuple[PatientIdentifier, ...] = field(repr=False)


class RemovalStore:
    """Removes rows. ``released``: the addresses of the bytes that the unit of work let go of."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection
        self._moving = MovingStore(work)
        self._postgresql = self._connection.dialect.name == "postgresql"
        self.released: set[str] = set()

    # Metadata

    def remove(self, objects: Sequence[RegistryObject]) -> None:
        """Delete objects. A document that loses its last entry is still kept, and its uniqueId still taken."""
        entries = [item for item in objects if isinstance(item, DocumentEntry)]
        kept = self._kept(entries)
        for kind, table in _TABLES.items():
            ids = [item.id for item in objects if isinstance(item, kind)]
            for chunk in _chunks(ids):
                self._connection.execute(delete(table).where(table.c.id.in_(chunk)))
                if table in (ENTRY, FOLDER):
                    self._connection.execute(delete(TERM).where(TERM.c.object.in_(chunk)))
        self._moving.forget(item.id for item in entries)
        for unique_id, row in kept.items():
            if not self._entries_of(unique_id) and not self._is_unlisted(unique_id):
                self._connection.execute(insert(UNLISTED).values(row))
        for item in objects:
            if not isinstance(item, Association):
                self._free(item.unique_id)

    def lock_unique_ids(self, unique_ids: Iterable[str]) -> None:
        """Nobody takes or frees these uniqueIds meanwhile; take them before the rows that have them."""
        for chunk in _chunks(unique_ids):
            taken = select(UNIQUE_ID.c.value).where(UNIQUE_ID.c.value.in_(chunk)).order_by(UNIQUE_ID.c.value)
            self._connection.execute(taken.with_for_update()).all()

    def _kept(self, entries: Sequence[DocumentEntry]) -> dict[str, dict[str, str]]:
        mime_types = {item.id: item.mime_type for item in entries}
        kept: dict[str, dict[str, str]] = {}
        for chunk in _chunks(mime_types):
            columns = (ENTRY.c.id, ENTRY.c.unique_id, ENTRY.c.content, ENTRY.c.patient)
            for row in self._connection.execute(select(*columns).where(ENTRY.c.id.in_(chunk), ENTRY.c.content != "")):
                values = {"unique_id": row.unique_id, "content": row.content, "patient": row.patient}
                kept[row.unique_id] = {**values, "mime_type": mime_types[row.id]}
        return kept

    def _free(self, unique_id: str) -> None:
        """Let go of a uniqueId that nothing has any more."""
        users = (table.c.unique_id == unique_id for table in (ENTRY, SUBMISSION_SET, FOLDER, UNLISTED))
        if not any(self._connection.scalar(select(exists().where(condition))) for condition in users):
            self._connection.execute(delete(UNIQUE_ID).where(UNIQUE_ID.c.value == unique_id))

    def _entries_of(self, unique_id: str) -> bool:
        return self._connection.scalar(select(exists().where(ENTRY.c.unique_id == unique_id))) or False

    # Documents

    def release(self, unique_id: str) -> Released:
        """Let go of a document's bytes, whatever entries are about it."""
        self.lock_unique_ids([unique_id])
        columns = (ENTRY.c.content, ENTRY.c.patient, ENTRY.c.object_type)
        entries = self._connection.execute(select(*columns).where(ENTRY.c.unique_id == unique_id)).all()
        unlisted = self._connection.execute(select(UNLISTED).where(UNLISTED.c.unique_id == unique_id)).all()
        contents = {row.content for row in (*entries, *unlisted) if row.content}
        self._connection.execute(update(ENTRY).where(ENTRY.c.unique_id == unique_id).values(content=""))
        self._connection.execute(delete(UNLISTED).where(UNLISTED.c.unique_id == unique_id))
        self._free(unique_id)
        self.released |= contents
        return Released(
            kept=bool(contents),
            on_demand=any(row.object_type == ON_DEMAND for row in entries),
            patients=tuple(patient_of(key) for key in sorted({row.patient for row in (*entries, *unlisted)})),
        )

    def unlisted(self, unique_ids: Iterable[str]) -> Iterator[tuple[str, str, str, PatientIdentifier]]:
        """Documents without an entry: uniqueId, media type, address of the content, and whose."""
        for chunk in _chunks(unique_ids):
            for row in self._connection.execute(select(UNLISTED).where(UNLISTED.c.unique_id.in_(chunk))).all():
                yield row.unique_id, row.mime_type, row.content, patient_of(row.patient)

    def refers_to(self, address: str) -> bool:
        """Whether a document without an entry has these bytes."""
        return self._connection.scalar(select(exists().where(UNLISTED.c.content == address))) or False

    def guard(self, contents: Iterable[str], *, alone: bool = False) -> None:
        """Until the end of the unit of work nobody deletes these bytes; ``alone``: nobody registers them either.

        ``contents``: their addresses, or the SHA-1 of which the address will be made.
        SQLite has one writer, who is alone anyway."""
        if not self._postgresql:
            return
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        for sha1 in sorted({hash_of(content) for content in contents}):
            key = int.from_bytes(hashlib.sha256(b"content " + sha1.encode()).digest()[:8], "big", signed=True)
            self._connection.execute(text(f"SELECT {lock}(:key)"), {"key": key})

    def _is_unlisted(self, unique_id: str) -> bool:
        return self._connection.scalar(select(exists().where(UNLISTED.c.unique_id == unique_id))) or False


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]
