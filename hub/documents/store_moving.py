"""What of the registry follows persons that part or join again: rows that move, and the exceptions that are noted.

``documents_stays`` names the entries whose sourcePatientId was another person's already when they were registered:
they stay with their patientId. ``documents_set_aside`` names what was deprecated only because its person has another
one for as long as persons are joined.
"""

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Table, delete, insert, select, text, update
from sqlmodel import Field, SQLModel

from hub.documents.model import APPROVED, DEPRECATED
from hub.documents.store import ENTRY, FOLDER, SUBMISSION_SET
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText

_CHUNK = 1000
_LOCK = int.from_bytes(b"regroup!", "big", signed=True)


class StaysRow(SQLModel, table=True):
    """An entry that does not follow its sourcePatientId."""

    __tablename__ = "documents_stays"

    id: str = Field(primary_key=True, sa_type=KeyText)


class SetAsideRow(SQLModel, table=True):
    """An entry that is deprecated for as long as persons are joined."""

    __tablename__ = "documents_set_aside"

    id: str = Field(primary_key=True, sa_type=KeyText)


STAYS = METADATA.tables["documents_stays"]
SET_ASIDE = METADATA.tables["documents_set_aside"]
MOVABLE: Mapping[str, Table] = {"entry": ENTRY, "set": SUBMISSION_SET, "folder": FOLDER}


class MovingStore:
    """Rows whose person changes."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection
        self._postgresql = self._connection.dialect.name == "postgresql"

    def hold(self, *, alone: bool = False) -> None:
        """Until the end of the unit of work persons are not regrouped; ``alone``: nobody registers either.

        SQLite has one writer, who is alone anyway."""
        if self._postgresql:
            lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
            self._connection.execute(text(f"SELECT {lock}(:key)"), {"key": _LOCK})

    # Exceptions

    def stays(self, entry_ids: Iterable[str]) -> None:
        """These entries stay with the patientId that they were registered for."""
        rows = [{"id": item} for item in sorted(set(entry_ids))]
        if rows:
            self._connection.execute(insert(STAYS), rows)

    def staying(self, entry_ids: Iterable[str]) -> set[str]:
        """Which of the entries stay."""
        return self._among(STAYS, entry_ids)

    def set_aside(self, entry_ids: Iterable[str]) -> None:
        """Approved entries become Deprecated until they are restored."""
        for chunk in _chunks(entry_ids):
            standing = select(ENTRY.c.id).where(ENTRY.c.id.in_(chunk), ENTRY.c.status == APPROVED).with_for_update()
            ids = list(self._connection.scalars(standing))
            if ids:
                self._connection.execute(update(ENTRY).where(ENTRY.c.id.in_(ids)).values(status=DEPRECATED))
                self._connection.execute(insert(SET_ASIDE), [{"id": item} for item in ids])

    def restore(self, entry_ids: Iterable[str]) -> None:
        """Those of the entries that were set aside are Approved again."""
        for chunk in _chunks(self.aside(entry_ids)):
            self._connection.execute(update(ENTRY).where(ENTRY.c.id.in_(chunk)).values(status=APPROVED))
            self._connection.execute(delete(SET_ASIDE).where(SET_ASIDE.c.id.in_(chunk)))

    def aside(self, entry_ids: Iterable[str]) -> set[str]:
        """Which of the entries are set aside."""
        return self._among(SET_ASIDE, entry_ids)

    def forget(self, entry_ids: Iterable[str]) -> None:
        """The entries leave the registry."""
        for chunk in _chunks(entry_ids):
            for table in (STAYS, SET_ASIDE):
                self._connection.execute(delete(table).where(table.c.id.in_(chunk)))

    def _among(self, table: Table, ids: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for chunk in _chunks(ids):
            found.update(self._connection.scalars(select(table.c.id).where(table.c.id.in_(chunk))))
        return found

    # Persons

    def of(self, kind: str, patients: Iterable[str]) -> dict[str, str]:
        """id -> patient of the sets or folders of these patients."""
        table = MOVABLE[kind]
        found: dict[str, str] = {}
        for chunk in _chunks(patients):
            rows = self._connection.execute(select(table.c.id, table.c.patient).where(table.c.patient.in_(chunk)))
            found.update((row.id, row.patient) for row in rows)
        return found

    def patients_of(self, kind: str, ids: Iterable[str]) -> dict[str, str]:
        """id -> patient of these objects."""
        table = MOVABLE[kind]
        found: dict[str, str] = {}
        for chunk in _chunks(ids):
            rows = self._connection.execute(select(table.c.id, table.c.patient).where(table.c.id.in_(chunk)))
            found.update((row.id, row.patient) for row in rows)
        return found

    def move(self, kind: str, patients: Mapping[str, str]) -> None:
        """Objects, by id, are about another patient now."""
        table = MOVABLE[kind]
        for patient in sorted(set(patients.values())):
            for chunk in _chunks(item for item, new in patients.items() if new == patient):
                self._connection.execute(update(table).where(table.c.id.in_(chunk)).values(patient=patient))


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]
