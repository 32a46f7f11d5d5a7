"""The record room's table and queries."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.engine import Row
from sqlmodel import Field, SQLModel

from hub.record.model import LOOKED_AT, ListPublications, Publication, PublicationState, Reason
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime


class PublicationRow(SQLModel, table=True):
    """One document of the region on its way to the national record."""

    __tablename__ = "record_publication"

    id: str = Field(primary_key=True, sa_type=KeyText)
    kind: str
    study_instance_uid: str = Field(default="", sa_type=KeyText, index=True)
    entry: str = Field(sa_type=KeyText, index=True)  # entryUUID in the region, of the last version
    logical_id: str = Field(sa_type=KeyText, index=True)
    unique_id: str = Field(sa_type=KeyText)
    patient: str = Field(sa_type=KeyText, index=True)  # CX, regional
    wanted: bool = True  # whether it is to stand in the record
    state: str = Field(index=True)
    reason: str = Field(default="", index=True)
    detail: str = ""
    attempts: int = 0
    versions: int = 0
    record_patient: str = ""  # CX of the INS under which it was sent
    record_unique_id: str = Field(default="", sa_type=KeyText)
    record_source: str = ""  # unique_id and confidentiality of the region's document that was sent
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime, index=True)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class WishRow(SQLModel, table=True):
    """What a report's message says about the national record (MetaDMPMSS), and who is to hear what became of it."""

    __tablename__ = "record_wish"

    unique_id: str = Field(primary_key=True, sa_type=KeyText)  # of the region's document
    wanted: bool = True  # DESTDMP
    secret: bool = False  # CONNEXION_SECRETE
    source: str = ""
    control_id: str = ""  # "" : nobody is told
    told: str = ""  # Y, N: what the sender heard last


PUBLICATION = METADATA.tables["record_publication"]
WISH = METADATA.tables["record_wish"]


class RecordStore:
    """Publications, within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def add(self, values: Mapping[str, Any]) -> None:
        """A new one."""
        self._connection.execute(insert(PUBLICATION), dict(values))

    def get(self, key: str, *, lock: bool = False) -> Row[Any] | None:
        """One row; ``lock``: nobody else changes it meanwhile."""
        query = select(PUBLICATION).where(PUBLICATION.c.id == key)
        return self._connection.execute(query.with_for_update() if lock else query).first()

    def of_entry(self, entries: Collection[str], logical_id: str = "") -> Row[Any] | None:
        """The one whose region's document is one of the entries, or a version of the same object."""
        either: list[ColumnElement[bool]] = [PUBLICATION.c.entry.in_(sorted(entries))]
        if logical_id:
            either.append(PUBLICATION.c.logical_id == logical_id)
        query = select(PUBLICATION).where(or_(*either)).order_by(PUBLICATION.c.created_at).with_for_update()
        return self._connection.execute(query).first()

    def of_study(self, study_instance_uid: str, kind: str) -> list[Row[Any]]:
        """Of a study, those that are wanted."""
        if not study_instance_uid:
            return []
        here = and_(
            PUBLICATION.c.study_instance_uid == study_instance_uid,
            PUBLICATION.c.kind == kind,
            PUBLICATION.c.wanted.is_(True),
        )
        return list(self._connection.execute(select(PUBLICATION).where(here).order_by(PUBLICATION.c.id)))

    def unsettled(self, numbers: Iterable[str], reasons: Collection[Reason]) -> list[Row[Any]]:
        """What is held of a person for one of the reasons, and what stands in a record that is none of theirs by now.

        ``numbers``: every one that the person has (CX)."""
        known = sorted(numbers)
        held = and_(PUBLICATION.c.state == PublicationState.HELD.value, PUBLICATION.c.reason.in_(sorted(reasons)))
        elsewhere = and_(PUBLICATION.c.record_unique_id != "", PUBLICATION.c.record_patient.not_in(known))
        here = and_(PUBLICATION.c.patient.in_(known), or_(held, elsewhere))
        return list(self._connection.execute(select(PUBLICATION).where(here)))

    def held(self, reason: Reason) -> list[Row[Any]]:
        """What is held for a reason."""
        here = and_(PUBLICATION.c.state == PublicationState.HELD.value, PUBLICATION.c.reason == reason.value)
        return list(self._connection.execute(select(PUBLICATION).where(here).order_by(PUBLICATION.c.id)))

    def sent_of(self, record_patient: str) -> frozenset[str]:
        """uniqueIds in the record of what was sent for a national number."""
        query = select(PUBLICATION.c.record_unique_id).where(
            PUBLICATION.c.record_patient == record_patient, PUBLICATION.c.record_unique_id != ""
        )
        return frozenset(self._connection.execute(query).scalars())

    def wish(self, unique_id: str) -> Row[Any] | None:
        """What a document's message said."""
        return self._connection.execute(select(WISH).where(WISH.c.unique_id == unique_id)).first()

    def keep_wish(self, unique_id: str, **values: Any) -> None:
        """A document's message said something, or somebody was told."""
        if self.wish(unique_id) is None:
            self._connection.execute(insert(WISH), {"unique_id": unique_id, **values})
        else:
            self._connection.execute(update(WISH).where(WISH.c.unique_id == unique_id).values(**values))

    def change(self, key: str, **values: Any) -> None:
        """Change a row."""
        self._connection.execute(update(PUBLICATION).where(PUBLICATION.c.id == key).values(**values))

    def list(self, query: ListPublications, looks: int) -> tuple[Publication, ...]:
        """The last changed first. ``looks``: how often each is looked at again."""
        found = select(PUBLICATION).order_by(PUBLICATION.c.changed_at.desc(), PUBLICATION.c.id.desc())
        if query.state:
            found = found.where(PUBLICATION.c.state == query.state.value)
        if query.reason:
            found = found.where(PUBLICATION.c.reason == query.reason.value)
        if query.study_instance_uid:
            found = found.where(PUBLICATION.c.study_instance_uid == query.study_instance_uid)
        rows = self._connection.execute(found.limit(max(1, min(query.limit, 500))).offset(max(0, query.offset)))
        return tuple(publication_of(row, looks) for row in rows)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many, by state and reason."""
        query = select(PUBLICATION.c.state, PUBLICATION.c.reason, func.count()).group_by(
            PUBLICATION.c.state, PUBLICATION.c.reason
        )
        return {(state, reason): count for state, reason, count in self._connection.execute(query)}


def publication_of(row: Row[Any], looks: int) -> Publication:
    """A row as others see it."""
    # What the region's own feeds tell is heard at any time; what only the record knows is not.
    elsewhere = row.reason in LOOKED_AT - {Reason.NOT_QUALIFIED, Reason.OPPOSITION} or (
        row.reason == Reason.OPPOSITION and row.detail
    )
    return Publication(
        id=row.id,
        kind=row.kind,
        study_instance_uid=row.study_instance_uid,
        unique_id=row.unique_id,
        state=PublicationState(row.state),
        reason=Reason(row.reason) if row.reason else None,
        detail=row.detail,
        record_unique_id=row.record_unique_id,
        versions=row.versions,
        attempts=row.attempts,
        changed_at=row.changed_at,
        sent_at=row.sent_at,
        leaving=not row.wanted and bool(row.record_unique_id),
        given_up=bool(elsewhere) and row.attempts > looks and not row.record_unique_id,
    )
