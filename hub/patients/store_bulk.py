"""The journal of imports: how far each file is taken in, and what of it was refused. Its rows are written in the same
unit of work as the identities, so a killed import goes on where it was, and no record has an effect twice."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlmodel import Field, SQLModel

from hub.patients.bulk_model import Imported, Refusal
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA, KeyText, UtcDateTime
from hub.values import now

_COUNTS = ("position", "taken", "created", "linked", "known", "other", "refused")


class ImportRow(SQLModel, table=True):
    """One file's import, by what it holds and how it is read."""

    __tablename__ = "patients_import"

    id: str = Field(primary_key=True, sa_type=KeyText)
    source: str
    position: int = 0
    taken: int = 0
    created: int = 0
    linked: int = 0
    known: int = 0
    other: int = 0
    refused: int = 0
    started_at: datetime = Field(sa_type=UtcDateTime)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ImportRefusalRow(SQLModel, table=True):
    """A record that was refused: where it is in its file and what is wrong, never what it says."""

    __tablename__ = "patients_import_refusal"
    __table_args__ = ({"sqlite_with_rowid": False},)

    import_id: str = Field(primary_key=True, sa_type=KeyText)
    record: int = Field(primary_key=True)
    line: int
    code: str
    field: str


IMPORT = METADATA.tables["patients_import"]
REFUSAL = METADATA.tables["patients_import_refusal"]
_ROW = select(IMPORT.c.id, *(IMPORT.c[name] for name in (*_COUNTS, "done_at")))
_ADVANCE = Prepared(
    lambda _dialect: update(IMPORT).where(IMPORT.c.id == bindparam("row_id"), IMPORT.c.position == bindparam("before")),
    *_COUNTS,
)
_REFUSE = Prepared(lambda _dialect: insert(REFUSAL), "import_id", "record", "line", "code", "field")


class ImportStore:
    """The journal, in one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._connection = work.connection

    def get(self, import_id: str) -> Imported | None:
        """How far an import is."""
        row = self._connection.execute(_ROW.where(IMPORT.c.id == import_id)).first()
        return Imported(**row._mapping) if row else None

    def start(self, import_id: str, source: str) -> Imported:
        """A new import."""
        values: dict[str, Any] = {"id": import_id, "source": source, "started_at": now(), **dict.fromkeys(_COUNTS, 0)}
        self._connection.execute(insert(IMPORT), values)
        return Imported(import_id)

    def advance(self, before: Imported, after: Imported) -> bool:
        """From one position to the next; False when it is no longer where it was (somebody else goes on with it)."""
        values = {name: getattr(after, name) for name in _COUNTS}
        return _ADVANCE.run(self._connection, {**values, "row_id": before.id, "before": before.position}) == 1

    def done(self, import_id: str) -> None:
        """The file's end was reached."""
        self._connection.execute(update(IMPORT).where(IMPORT.c.id == import_id).values(done_at=now()))

    def forget(self, import_id: str) -> None:
        """As if the file had never been read; what was taken in stays."""
        self._connection.execute(delete(REFUSAL).where(REFUSAL.c.import_id == import_id))
        self._connection.execute(delete(IMPORT).where(IMPORT.c.id == import_id))

    def refuse(self, import_id: str, refusals: Sequence[Refusal]) -> None:
        """Keep what was refused."""
        for item in refusals:
            values = {"import_id": import_id, "record": item.record, "line": item.line}
            self._work.later(_REFUSE, {**values, "code": item.code, "field": item.field})

    def refusals(self, import_id: str, after: int, limit: int) -> list[Refusal]:
        """What was refused, in the file's order, of records after one."""
        query = select(REFUSAL.c.record, REFUSAL.c.line, REFUSAL.c.code, REFUSAL.c.field)
        where = (REFUSAL.c.import_id == import_id, REFUSAL.c.record > after)
        rows = self._connection.execute(query.where(*where).order_by(REFUSAL.c.record).limit(limit))
        return [Refusal(*row) for row in rows]

    def reasons(self, import_id: str) -> list[tuple[str, int]]:
        """How many records were refused for what, the most frequent first."""
        count = func.count().label("number")
        query = select(REFUSAL.c.code, count).where(REFUSAL.c.import_id == import_id)
        rows = self._connection.execute(query.group_by(REFUSAL.c.code).order_by(count.desc(), REFUSAL.c.code))
        return [(row[0], row[1]) for row in rows]
