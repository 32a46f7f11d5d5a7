"""What stands beside the chain: how far each destination has it, and what retention has removed of it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from hub.audit.model import Aside, Lag, Segment
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
    refused: int = Field(default=0, sa_type=BigInteger)  # the record that it would not take by itself, 0: none
    tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime, nullable=True)
    owner: str = Field(sa_type=KeyText)
    owned_until: datetime = Field(sa_type=UtcDateTime)


class AsideRow(SQLModel, table=True):
    """A record that a destination would not take: set aside by an administrator, so that the others go on."""

    __tablename__ = "audit_aside"

    destination: str = Field(primary_key=True, sa_type=KeyText)
    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    problem: str
    again: bool = False  # it is to be sent again


class SegmentRow(SQLModel, table=True):
    """Records that retention removed: never changed, never removed itself."""

    __tablename__ = "audit_segment"

    last: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    first: int = Field(sa_type=BigInteger)
    last_hash: str
    removed_at: datetime = Field(sa_type=UtcDateTime)
    until: datetime = Field(sa_type=UtcDateTime)
    seal: str


ASIDE = METADATA.tables["audit_aside"]
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
        row: dict[str, Any] = {
            "destination": destination,
            "position": position,
            "problem": "",
            "refused": 0,
            "owner": "",
            "owned_until": now(),
        }
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
        values = {"position": position, "problem": "", "refused": 0, "tried_at": now()}
        self._connection.execute(update(CURSOR).where(*own).values(**values))

    def failed(self, destination: str, problem: str, refused: int | None = None) -> None:
        """An attempt failed. ``refused``: the record that was sent alone and not taken."""
        values = {"problem": problem, "tried_at": now(), **({"refused": refused} if refused else {})}
        self._connection.execute(update(CURSOR).where(CURSOR.c.destination == destination).values(**values))

    # what destinations will not take

    def set_aside(self, destination: str) -> int | None:
        """The record that the destination refused is no longer in the way; its place. None: there is none."""
        mine = CURSOR.c.destination == destination
        row = self._connection.execute(select(CURSOR).where(mine).with_for_update()).one_or_none()
        if row is None or row.refused <= row.position:
            return None
        new = {"destination": destination, "position": row.refused, "problem": row.problem, "again": False}
        self._connection.execute(insert(ASIDE).values(new))
        self._connection.execute(update(CURSOR).where(mine).values(position=row.refused, refused=0, problem=""))
        return int(row.refused)

    def asides(self, destinations: Sequence[str]) -> list[Aside]:
        """What is set aside, in the chain's order."""
        mine = ASIDE.c.destination.in_(destinations)
        rows = self._connection.execute(select(ASIDE).where(mine).order_by(ASIDE.c.position, ASIDE.c.destination))
        return [Aside(row.destination, row.position, row.problem, row.again) for row in rows]

    def send_again(self, destination: str) -> int:
        """What is set aside of it is to be sent again; how many."""
        mine = ASIDE.c.destination == destination
        return self._connection.execute(update(ASIDE).where(mine).values(again=True)).rowcount

    def tried_again(self, destination: str, position: int, problem: str) -> None:
        """It was sent again; ``problem`` "": it was taken."""
        mine = (ASIDE.c.destination == destination, ASIDE.c.position == position)
        if problem:
            self._connection.execute(update(ASIDE).where(*mine).values(problem=problem, again=False))
        else:
            self._connection.execute(delete(ASIDE).where(*mine))

    def release(self, destination: str, owner: str) -> None:
        """Another process may send."""
        own = (CURSOR.c.destination == destination, CURSOR.c.owner == owner)
        self._connection.execute(update(CURSOR).where(*own).values(owner="", owned_until=now()))

    def lags(self, destinations: Sequence[str], head: int) -> list[Lag]:
        """How far each of the destinations is behind."""
        rows = self._connection.execute(
            select(CURSOR).where(CURSOR.c.destination.in_(destinations)).order_by(CURSOR.c.destination)
        ).all()
        aside = Counter(item.destination for item in self.asides(destinations))
        return [
            Lag(row.destination, row.position, max(head - row.position, 0), self._oldest(row.position), row.problem,
                row.tried_at, row.refused > row.position, aside[row.destination])
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
