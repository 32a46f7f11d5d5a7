"""What stands beside the chain: how far each destination has it, and what retention has removed of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from hub.audit.model import Lag, Segment
from hub.audit.store import OBJECT, RECORD
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime
from hub.values import now


class CursorRow(SQLModel, table=True):
    """A destination of the trail: how far it has it, and which process sends."""

    __tablename__ = "audit_cursor"

    destination: str = Field(primary_key=True, sa_type=KeyText)
    position: int = Field(sa_type=BigInteger)
    problem: str
    tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime, nullable=True)
    owner: str = Field(sa_type=KeyText)
    owned_until: datetime = Field(sa_type=UtcDateTime)


class SegmentRow(SQLModel, table=True):
    """Records that retention removed: never changed, never removed itself."""

    __tablename__ = "audit_segment"

    last: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    first: int = Field(sa_type=BigInteger)
    last_hash: str
    removed_at: datetime = Field(sa_type=UtcDateTime)
    until: datetime = Field(sa_type=UtcDateTime)
    seal: str


CURSOR = METADATA.tables["audit_cursor"]
SEGMENT = METADATA.tables["audit_segment"]
_SEGMENT = ("first", "last", "last_hash", "removed_at", "until", "seal")
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class TrailStore:
    """Cursors and segments."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    # destinations

    def open_cursor(self, destination: str, position: int) -> None:
        """A destination is known from now on; nothing changes for one that was."""
        row = {"destination": destination, "position": position, "problem": "", "owner": "", "owned_until": now()}
        self._connection.execute(_INSERTS[self._connection.dialect.name](CURSOR).values(row).on_conflict_do_nothing())

    def take(self, destination: str, owner: str, duration: timedelta) -> int | None:
        """The destination's position when ``owner`` may send to it for that long; None: another one does."""
        moment = now()
        done = self._connection.execute(
            update(CURSOR)
            .where(CURSOR.c.destination == destination)
            .where(or_(CURSOR.c.owner == owner, CURSOR.c.owned_until < moment))
            .values(owner=owner, owned_until=moment + duration)
        )
        if not done.rowcount:
            return None
        found = self._connection.scalar(select(CURSOR.c.position).where(CURSOR.c.destination == destination))
        return int(found or 0)

    def sent(self, destination: str, owner: str, position: int) -> None:
        """Everything up to there was sent; does nothing when another one sends by now."""
        own = (CURSOR.c.destination == destination, CURSOR.c.owner == owner, CURSOR.c.position < position)
        self._connection.execute(update(CURSOR).where(*own).values(position=position, problem="", tried_at=now()))

    def failed(self, destination: str, problem: str) -> None:
        """An attempt failed."""
        where = CURSOR.c.destination == destination
        self._connection.execute(update(CURSOR).where(where).values(problem=problem, tried_at=now()))

    def release(self, destination: str, owner: str) -> None:
        """Another process may send."""
        own = (CURSOR.c.destination == destination, CURSOR.c.owner == owner)
        self._connection.execute(update(CURSOR).where(*own).values(owner="", owned_until=now()))

    def lags(self, destinations: Sequence[str], head: int) -> list[Lag]:
        """How far each of the destinations is behind."""
        rows = self._connection.execute(
            select(CURSOR).where(CURSOR.c.destination.in_(destinations)).order_by(CURSOR.c.destination)
        ).all()
        return [
            Lag(row.destination, row.position, max(head - row.position, 0), self._oldest(row.position), row.problem,
                row.tried_at)
            for row in rows
        ]  # fmt: skip

    def _oldest(self, after: int) -> datetime | None:
        first = select(RECORD.c.at).where(RECORD.c.position > after).order_by(RECORD.c.position).limit(1)
        at = self._connection.scalar(first)
        return None if at is None else datetime.fromtimestamp(at / 1_000_000, tz=now().tzinfo)

    # retention

    def segments(self) -> list[Segment]:
        """What was removed, the first first."""
        rows = self._connection.execute(select(SEGMENT).order_by(SEGMENT.c.last)).all()
        return [Segment(row.first, row.last, row.last_hash, row.removed_at, row.until, row.seal) for row in rows]

    def last_before(self, moment: datetime, after: int, limit: int) -> tuple[int, str] | None:
        """Position and hash of the last record of the oldest ones that are all older than a moment, at most ``limit``
        of them."""
        at = int(moment.timestamp() * 1_000_000)
        young = select(func.min(RECORD.c.position)).where(RECORD.c.at >= at)
        end = self._connection.scalar(young)
        statement = select(RECORD.c.position, RECORD.c.hash).where(RECORD.c.position <= after + limit)
        if end is not None:
            statement = statement.where(RECORD.c.position < end)
        row = self._connection.execute(statement.order_by(RECORD.c.position.desc()).limit(1)).one_or_none()
        return (int(row.position), str(row.hash)) if row else None

    def remove(self, segment: Segment) -> int:
        """Put the segment in its records' place; how many there were."""
        row = {name: getattr(segment, name) for name in _SEGMENT}
        self._connection.execute(insert(SEGMENT).values(row))
        within = (segment.first, segment.last)
        self._connection.execute(delete(OBJECT).where(OBJECT.c.position.between(*within)))
        return self._connection.execute(delete(RECORD).where(RECORD.c.position.between(*within))).rowcount
