"""The room's tables and queries."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.engine import Row
from sqlmodel import Field, SQLModel

from hub.drimbox.model import Export, ExportState
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime
from hub.values import PatientIdentifier


class CallRow(SQLModel, table=True):
    """A contextual call: what it says can be read by who has its uuid."""

    __tablename__ = "drimbox_call"

    uuid_hash: str = Field(primary_key=True, sa_type=KeyText)
    sealed: str
    caller: str = ""
    source: str = ""  # the feed that the caller speaks for
    feeds: bool = False  # the caller may announce patients
    session_hash: str = Field(default="", sa_type=KeyText)  # who came first; "": nobody yet
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class OpenedRow(SQLModel, table=True):
    """A study of another box that is open in a session: what the record said of it, sealed with the session's token."""

    __tablename__ = "drimbox_opened"

    session_hash: str = Field(primary_key=True, sa_type=KeyText)
    study_hash: str = Field(primary_key=True, sa_type=KeyText)
    sealed: str
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class ExportRow(SQLModel, table=True):
    """A study on its way to an archive."""

    __tablename__ = "drimbox_export"

    id: str = Field(primary_key=True, sa_type=KeyText)
    study_instance_uid: str = Field(sa_type=KeyText, index=True)
    person: str = Field(sa_type=KeyText)
    person_authority: str = Field(sa_type=KeyText)
    archive: str
    state: str = Field(index=True)
    fetched: int = 0
    stored: int = 0
    total: int | None = None
    error_code: str = ""
    asked_by: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime, index=True)


class ExportObjectRow(SQLModel, table=True):
    """A fetched object that is not in the archive yet."""

    __tablename__ = "drimbox_export_object"

    export: str = Field(primary_key=True, sa_type=KeyText)
    sop_instance_uid: str = Field(primary_key=True, sa_type=KeyText)
    content: str = Field(sa_type=KeyText, index=True)


CALL = METADATA.tables["drimbox_call"]
OPENED = METADATA.tables["drimbox_opened"]
EXPORT = METADATA.tables["drimbox_export"]
OBJECT = METADATA.tables["drimbox_export_object"]


class DrimboxStore:
    """Everything of the room, within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    # calls

    def add_call(self, values: Mapping[str, Any]) -> None:
        """A new one."""
        self._connection.execute(insert(CALL), dict(values))

    def waiting_calls(self, caller: str, at: datetime) -> int:
        """How many of a caller's calls nobody has followed yet."""
        query = select(func.count()).where(CALL.c.caller == caller, CALL.c.session_hash == "", CALL.c.expires_at > at)
        return int(self._connection.execute(query).scalar_one())

    def claim_call(self, uuid_hash: str, session_hash: str, at: datetime) -> Row[Any] | None:
        """The call, from now on this session's alone; None when it is over or another session's."""
        free = or_(CALL.c.session_hash == "", CALL.c.session_hash == session_hash)
        here = (CALL.c.uuid_hash == uuid_hash, CALL.c.expires_at > at)
        self._connection.execute(update(CALL).where(*here, free).values(session_hash=session_hash))
        query = select(CALL).where(*here, CALL.c.session_hash == session_hash)
        return self._connection.execute(query).first()

    def waiting_call(self, uuid_hash: str, at: datetime) -> Row[Any] | None:
        """A call that nobody has claimed yet."""
        here = (CALL.c.uuid_hash == uuid_hash, CALL.c.expires_at > at, CALL.c.session_hash == "")
        return self._connection.execute(select(CALL).where(*here)).first()

    # studies of other boxes

    def open(self, values: Mapping[str, Any]) -> None:
        """Of a session, instead of what was open under the same study."""
        key = (OPENED.c.session_hash == values["session_hash"], OPENED.c.study_hash == values["study_hash"])
        self._connection.execute(delete(OPENED).where(*key))
        self._connection.execute(insert(OPENED), dict(values))

    def opened(self, session_hash: str, study_hash: str, at: datetime) -> str | None:
        """What is sealed."""
        query = select(OPENED.c.sealed).where(
            OPENED.c.session_hash == session_hash, OPENED.c.study_hash == study_hash, OPENED.c.expires_at > at
        )
        found = self._connection.execute(query).scalar_one_or_none()
        return str(found) if found is not None else None

    def all_opened(self, session_hash: str, at: datetime) -> list[str]:
        """What is sealed, of everything that is open in a session."""
        query = select(OPENED.c.sealed).where(OPENED.c.session_hash == session_hash, OPENED.c.expires_at > at)
        return [str(row[0]) for row in self._connection.execute(query.order_by(OPENED.c.study_hash))]

    def forget(self, at: datetime) -> None:
        """What is over."""
        for table in (CALL, OPENED):
            self._connection.execute(delete(table).where(table.c.expires_at <= at))

    # exports

    def add_export(self, values: Mapping[str, Any]) -> None:
        """A new one."""
        self._connection.execute(insert(EXPORT), dict(values))

    def export(self, key: str, *, lock: bool = False) -> Export | None:
        """One."""
        query = select(EXPORT).where(EXPORT.c.id == key)
        row = self._connection.execute(query.with_for_update() if lock else query).first()
        return export_of(row) if row is not None else None

    def exports(self, persons: Iterable[PatientIdentifier], study: str, limit: int = 20) -> tuple[Export, ...]:
        """Of a person's study, the newest first."""
        wanted = {(item.value, item.authority) for item in persons}
        query = select(EXPORT).where(EXPORT.c.study_instance_uid == study).order_by(EXPORT.c.id.desc()).limit(limit)
        rows = self._connection.execute(query)
        return tuple(export_of(row) for row in rows if (row.person, row.person_authority) in wanted)

    def running(self, study: str, archive: str) -> Export | None:
        """The export of this study to this archive that has not come to an end."""
        passing = (ExportState.FETCHING.value, ExportState.SENDING.value)
        query = select(EXPORT).where(
            EXPORT.c.study_instance_uid == study, EXPORT.c.archive == archive, EXPORT.c.state.in_(passing)
        )
        row = self._connection.execute(query).first()
        return export_of(row) if row is not None else None

    def stale(self, state: ExportState, before: datetime) -> list[str]:
        """Those in a state that have not changed since."""
        query = select(EXPORT.c.id).where(EXPORT.c.state == state.value, EXPORT.c.changed_at < before)
        return [str(row[0]) for row in self._connection.execute(query)]

    def change_export(self, key: str, **values: Any) -> None:
        """Change a row."""
        self._connection.execute(update(EXPORT).where(EXPORT.c.id == key).values(**values))

    def add_object(self, export: str, sop_instance_uid: str, address: str) -> None:
        """A fetched object; the last of several with one UID counts."""
        self.take_object(export, sop_instance_uid)
        self._connection.execute(
            insert(OBJECT), {"export": export, "sop_instance_uid": sop_instance_uid, "content": address}
        )

    def objects(self, export: str) -> list[tuple[str, str]]:
        """(SOPInstanceUID, address of the content) of what is not stored yet."""
        query = select(OBJECT.c.sop_instance_uid, OBJECT.c.content).where(OBJECT.c.export == export)
        return [(row[0], row[1]) for row in self._connection.execute(query.order_by(OBJECT.c.sop_instance_uid))]

    def take_object(self, export: str, sop_instance_uid: str) -> None:
        """It is stored."""
        self._connection.execute(
            delete(OBJECT).where(OBJECT.c.export == export, OBJECT.c.sop_instance_uid == sop_instance_uid)
        )

    def drop_objects(self, export: str) -> None:
        """All of them: the export failed."""
        self._connection.execute(delete(OBJECT).where(OBJECT.c.export == export))

    def knows_content(self, address: str) -> bool:
        """Whether an object has these bytes."""
        query = select(OBJECT.c.content).where(OBJECT.c.content == address).limit(1)
        return self._connection.execute(query).first() is not None


def export_of(row: Row[Any]) -> Export:
    """A row as others see it."""
    return Export(
        id=row.id,
        study_instance_uid=row.study_instance_uid,
        person=PatientIdentifier(row.person, row.person_authority),
        archive=row.archive,
        state=ExportState(row.state),
        fetched=row.fetched,
        stored=row.stored,
        total=row.total,
        error_code=row.error_code,
        asked_by=row.asked_by,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
