"""The exchange room's tables and queries."""

import hashlib
import itertools
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    Index,
    LargeBinary,
    RowMapping,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlmodel import Field, SQLModel

from hub.context import Touched
from hub.exchange.model import Delivery, DeliveryState, InboxMessage, MessageState, Page
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared, ask
from hub.storage.tables import METADATA, KeyText, UtcDateTime
from hub.values import now

_COUNTER = itertools.count(secrets.randbelow(0x1000))


def new_id(at: datetime | None = None) -> str:
    """A row's id: sorts by time, and within this process by order of making. 20 characters."""
    stamp = int((at or now()).timestamp() * 1000)
    return f"{stamp:012x}{next(_COUNTER) & 0xFFFF:04x}{secrets.token_hex(2)}"


def since(at: datetime) -> str:
    """The smallest id of that instant."""
    return f"{int(at.timestamp() * 1000):012x}"


class MessageRow(SQLModel, table=True):
    """A message as it came, and what became of it."""

    __tablename__ = "exchange_message"
    __table_args__ = (
        Index("ix_exchange_message_state", "state", "id"),
        Index("ix_exchange_message_repeat", "source", "control_id"),
    )

    id: str = Field(primary_key=True, sa_type=KeyText)
    transaction: str
    wire: str
    source: str
    control_id: str
    event: str
    state: str
    received_at: datetime = Field(sa_type=UtcDateTime)
    processed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempts: int = 0
    reason: str = ""
    error_code: str = ""
    correlation_id: str = ""
    peer: str = ""
    effects: list[list[str]] = Field(default_factory=list, sa_type=JSON)
    size: int = 0
    sha256: str
    raw: bytes = Field(sa_type=LargeBinary)


class DeliveryRow(SQLModel, table=True):
    """A piece of work for a destination. ``due_at`` of a running one is the end of its worker's lease."""

    __tablename__ = "exchange_delivery"
    __table_args__ = (
        Index("ix_exchange_delivery_state", "state", "id"),
        Index("ix_exchange_delivery_destination", "destination", "state", "id"),
        Index("ix_exchange_delivery_key", "key", "state"),
    )

    id: str = Field(primary_key=True, sa_type=KeyText)
    destination: str
    kind: str
    payload: dict[str, Any] = Field(sa_type=JSON)
    state: str
    key: str = ""
    attempts: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    owner: str = ""
    reason: str = ""
    error_code: str = ""
    message_id: str = ""
    correlation_id: str = ""
    effects: list[list[str]] = Field(default_factory=list, sa_type=JSON)


MESSAGE = METADATA.tables["exchange_message"]
DELIVERY = METADATA.tables["exchange_delivery"]
_HEAD = [column for column in MESSAGE.c if column.name not in ("raw", "sha256")]
_REPEAT = Prepared(
    lambda _dialect: select(MESSAGE.c.id, MESSAGE.c.state, MESSAGE.c.effects).where(
        MESSAGE.c.source == bindparam("source"),
        MESSAGE.c.control_id == bindparam("control_id"),
        MESSAGE.c.transaction == bindparam("transaction"),
        MESSAGE.c.sha256 == bindparam("sha256"),
    )
)
_ADD = Prepared(lambda _dialect: insert(MESSAGE), *MESSAGE.c.keys())
_DONE = Prepared(
    lambda _dialect: update(MESSAGE).where(MESSAGE.c.id == bindparam("row_id")),
    *("state", "processed_at", "effects", "reason", "error_code"),
)
_LOCK = Prepared(lambda _dialect: text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS t(k)"))
_KNOWN_OF = Prepared(
    lambda dialect: text(
        "SELECT m.source, m.control_id FROM unnest(CAST(:sources AS varchar[]), CAST(:controls AS varchar[]))"
        " AS asked(source, control_id) CROSS JOIN LATERAL (SELECT x.source, x.control_id FROM exchange_message AS x"
        " WHERE x.source = asked.source AND x.control_id = asked.control_id LIMIT 1) AS m"
        if dialect == "postgresql"
        else "SELECT m.source, m.control_id FROM json_each(:asked) AS asked CROSS JOIN exchange_message AS m"
        " ON m.source = json_extract(asked.value, '$[0]') AND m.control_id = json_extract(asked.value, '$[1]')"
    )
)
_PENDING = (DeliveryState.WAITING, DeliveryState.RUNNING)


class Repeated(NamedTuple):
    """What is known of a message whose bytes came before."""

    id: str
    state: MessageState
    effects: Sequence[Touched]  #: what it led to, once it was processed


class MessageStore:
    """The inbox."""

    ATTEMPTS = MESSAGE.c.attempts  #: the stored number, for ``change(attempts=ATTEMPTS + 1)``

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._connection = work.connection

    def lock(self, *names: str) -> None:
        """Let other processes wait for the end of this unit of work (SQLite has one writer anyway)."""
        ask(self._connection, self._locking(names))

    def _locking(self, names: Iterable[str]) -> list[tuple[Prepared, dict[str, Any]]]:
        wanted = [name for name in names if name not in self._work.held]
        if not wanted or self._connection.dialect.name != "postgresql":
            return []
        self._work.held.update(wanted)
        digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in wanted)
        return [(_LOCK, {"keys": sorted({int.from_bytes(digest, "big", signed=True) for digest in digests})})]

    def hold(self, names: Iterable[str], messages: Sequence[tuple[str, str]]) -> None:
        """Take the locks, and see for all (source, control id) at once which are new."""
        sources, controls = [source for source, _ in messages], [control_id for _, control_id in messages]
        values = (
            {"sources": sources, "controls": controls}
            if self._connection.dialect.name == "postgresql"
            else {"asked": orjson.dumps(messages).decode()}
        )
        known = {(row[0], row[1]) for row in ask(self._connection, [*self._locking(names), (_KNOWN_OF, values)])[-1]}
        self._work.absent.update(("message", *message) for message in messages if message not in known)

    def repeat(self, source: str, control_id: str, transaction: str, sha256: str) -> Repeated | None:
        """The row that already holds these bytes under this control id, if any."""
        values = {"source": source, "control_id": control_id, "transaction": transaction, "sha256": sha256}
        if ("message", source, control_id) in self._work.absent:
            return None
        if any(row["control_id"] == control_id for row in self._work.waiting(_ADD)):
            self._work.flush()
        row = _REPEAT.first(self._connection, values)
        return Repeated(row[0], MessageState(row[1]), [Touched(*effect) for effect in row[2]]) if row else None

    def add(self, values: Mapping[str, Any]) -> None:
        """A new message: every column. Written once, at the end of the unit of work, with what ``done`` says of it."""
        self._work.later(_ADD, dict(values))
        self._work.absent.discard(("message", values["source"], values["control_id"]))

    def done(self, message_id: str, effects: list[list[str]]) -> None:
        """It was processed, and led to this."""
        values = {"state": MessageState.PROCESSED, "effects": effects, "reason": "", "error_code": ""}
        for row in self._work.waiting(_ADD):
            if row["id"] == message_id:
                row.update(values, processed_at=now())
                return
        _DONE.run(self._connection, values | {"row_id": message_id, "processed_at": now()})

    def change(self, message_id: str, **values: Any) -> bool:
        """Change a row; False when there is none."""
        self._work.flush()
        query = update(MESSAGE).where(MESSAGE.c.id == message_id).values(**values)
        return self._connection.execute(query).rowcount > 0

    def get(self, message_id: str, *, raw: bool = True) -> InboxMessage | None:
        """One message."""
        self._work.flush()
        columns = [*_HEAD, MESSAGE.c.raw] if raw else _HEAD
        row = self._connection.execute(select(*columns).where(MESSAGE.c.id == message_id)).mappings().first()
        return _message(row) if row else None

    def heads(self, at: datetime) -> tuple[tuple[str, str], ...]:
        """(source, id) of the oldest RECEIVED message of every source, where it is due."""
        first = (
            select(func.min(MESSAGE.c.id))
            .where(MESSAGE.c.state == MessageState.RECEIVED)
            .group_by(MESSAGE.c.source)
            .scalar_subquery()
        )
        query = (
            select(MESSAGE.c.source, MESSAGE.c.id)
            .where(MESSAGE.c.id.in_(first), or_(MESSAGE.c.due_at.is_(None), MESSAGE.c.due_at <= at))
            .order_by(MESSAGE.c.id)
        )
        return tuple((row[0], row[1]) for row in self._connection.execute(query))

    def list(self, page: Page) -> tuple[InboxMessage, ...]:
        """Newest first, without their bytes."""
        query = select(*_HEAD).order_by(MESSAGE.c.id.desc()).limit(page.limit)
        where: list[ColumnElement[bool]] = _filters(page, MESSAGE.c.state, MESSAGE.c.source, MESSAGE.c.id)
        if page.text:
            where.append(
                or_(
                    MESSAGE.c.id == page.text,
                    MESSAGE.c.control_id == page.text,
                    MESSAGE.c.correlation_id == page.text,
                    MESSAGE.c.event == page.text,
                    MESSAGE.c.error_code == page.text,
                )
            )
        return tuple(_message(row) for row in self._connection.execute(query.where(*where)).mappings())

    def counts(self, day_ago: datetime) -> tuple[dict[MessageState, int], datetime | None]:
        """Counts by state and the time of the oldest RECEIVED one."""
        counts = {
            state: self._count(state, since(day_ago) if state is MessageState.PROCESSED else "")
            for state in MessageState
        }
        oldest = (
            select(MESSAGE.c.received_at)
            .where(MESSAGE.c.state == MessageState.RECEIVED)
            .order_by(MESSAGE.c.id)
            .limit(1)
        )
        return counts, self._connection.execute(oldest).scalar()

    def _count(self, state: MessageState, after: str) -> int:
        query = select(func.count()).select_from(MESSAGE).where(MESSAGE.c.state == state, MESSAGE.c.id >= after)
        return self._connection.execute(query).scalar_one()


class DeliveryStore:
    """The outbox."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def add(self, values: Mapping[str, Any]) -> None:
        """A new delivery."""
        self._connection.execute(insert(DELIVERY), dict(values))

    def coalesce(
        self, destination: str, kind: str, key: str, payload: Mapping[str, Any], due_at: datetime | None
    ) -> str | None:
        """Give a waiting delivery of the same kind and key the newer payload; its id, None when none waits."""
        where = (
            DELIVERY.c.key == key,
            DELIVERY.c.state == DeliveryState.WAITING,
            DELIVERY.c.destination == destination,
            DELIVERY.c.kind == kind,
        )
        values: dict[str, Any] = {"payload": dict(payload)}
        found = self._connection.execute(update(DELIVERY).where(*where).values(values).returning(DELIVERY.c.id)).first()
        if found and due_at is not None:  # one that waits after a failure keeps its own time
            self._connection.execute(
                update(DELIVERY).where(DELIVERY.c.id == found[0], DELIVERY.c.attempts == 0).values(due_at=due_at)
            )
        return found[0] if found else None

    def ready(
        self, kinds: Iterable[str], blocking: Sequence[str], at: datetime, *, first_only: bool = False
    ) -> str | None:
        """The next delivery to carry out: due, or left by a worker that died, and the first of its destination.
        ``first_only``: never tried before."""
        found = self._connection.execute(self._ready(kinds, blocking, at, first_only=first_only)).first()
        return found[0] if found else None

    def claim(
        self,
        kinds: Iterable[str],
        blocking: Sequence[str],
        at: datetime,
        until: datetime,
        owner: str,
        *,
        first_only: bool = False,
    ) -> Delivery | None:
        """Take the next delivery, until the lease ends."""
        query = self._ready(kinds, blocking, at, first_only=first_only)
        query = query.with_for_update(skip_locked=True, of=DELIVERY)
        found = self._connection.execute(query).first()
        if found is None:
            return None
        change = {"state": DeliveryState.RUNNING, "due_at": until, "owner": owner, "attempts": DELIVERY.c.attempts + 1}
        self._connection.execute(update(DELIVERY).where(DELIVERY.c.id == found[0]).values(change))
        return self.get(found[0])

    @staticmethod
    def _ready(kinds: Iterable[str], blocking: Sequence[str], at: datetime, *, first_only: bool) -> Any:
        earlier = DELIVERY.alias()
        # One that is to wait from the start (never tried, not due) lets the later ones pass.
        blocks = or_(
            and_(earlier.c.state == DeliveryState.WAITING, or_(earlier.c.attempts > 0, earlier.c.due_at <= at)),
            earlier.c.state == DeliveryState.RUNNING,
        )
        if blocking:
            blocks = or_(blocks, and_(earlier.c.state == DeliveryState.DEAD, earlier.c.destination.in_(blocking)))
        return (
            select(DELIVERY.c.id)
            .where(
                *([DELIVERY.c.attempts == 0] if first_only else ()),
                DELIVERY.c.state.in_(_PENDING),
                DELIVERY.c.due_at <= at,
                DELIVERY.c.kind.in_(sorted(kinds)),
                ~exists().where(
                    earlier.c.destination == DELIVERY.c.destination,
                    earlier.c.state.in_((*_PENDING, DeliveryState.DEAD) if blocking else _PENDING),
                    earlier.c.id < DELIVERY.c.id,
                    blocks,
                ),
            )
            .order_by(DELIVERY.c.id)
            .limit(1)
        )

    def renew(self, owner: str, until: datetime) -> None:
        """Prolong the leases of a worker that lives."""
        running = (DELIVERY.c.state == DeliveryState.RUNNING, DELIVERY.c.owner == owner)
        self._connection.execute(update(DELIVERY).where(*running).values(due_at=until))

    def owners(self) -> list[str]:
        """The workers that hold a lease."""
        running = DELIVERY.c.state == DeliveryState.RUNNING
        return list(self._connection.execute(select(DELIVERY.c.owner).where(running).distinct()).scalars())

    def end_leases(self, owners: Sequence[str], at: datetime) -> int:
        """Leave what these workers held to others; how many deliveries that were."""
        theirs = (DELIVERY.c.state == DeliveryState.RUNNING, DELIVERY.c.owner.in_(owners), DELIVERY.c.due_at > at)
        return self._connection.execute(update(DELIVERY).where(*theirs).values(due_at=at)).rowcount

    def change(self, delivery_id: str, *, owner: str | None = None, **values: Any) -> bool:
        """Change a row (that ``owner`` still holds); False when there is none."""
        where = [DELIVERY.c.id == delivery_id]
        if owner is not None:
            where += [DELIVERY.c.owner == owner, DELIVERY.c.state == DeliveryState.RUNNING]
        return self._connection.execute(update(DELIVERY).where(*where).values(values)).rowcount > 0

    def get(self, delivery_id: str) -> Delivery | None:
        """One delivery."""
        row = self._connection.execute(select(DELIVERY).where(DELIVERY.c.id == delivery_id)).mappings().first()
        return _delivery(row) if row else None

    def list(self, page: Page) -> tuple[Delivery, ...]:
        """Newest first; ``page.source`` is a destination."""
        query = select(DELIVERY).order_by(DELIVERY.c.id.desc()).limit(page.limit)
        where = _filters(page, DELIVERY.c.state, DELIVERY.c.destination, DELIVERY.c.id)
        if page.text:
            columns = ("id", "kind", "key", "correlation_id", "message_id", "error_code")
            where.append(or_(*(DELIVERY.c[name] == page.text for name in columns)))
        return tuple(_delivery(row) for row in self._connection.execute(query.where(*where)).mappings())

    def counts(self, day_ago: datetime) -> tuple[dict[DeliveryState, int], datetime | None]:
        """Counts by state and the time of the oldest pending one."""
        counts = {
            state: self._count(state, since(day_ago) if state is DeliveryState.DONE else "") for state in DeliveryState
        }
        oldest = select(func.min(DELIVERY.c.created_at)).where(DELIVERY.c.state.in_(_PENDING))
        return counts, self._connection.execute(oldest).scalar()

    def _count(self, state: DeliveryState, after: str) -> int:
        query = select(func.count()).select_from(DELIVERY).where(DELIVERY.c.state == state, DELIVERY.c.id >= after)
        return self._connection.execute(query).scalar_one()


def day_ago() -> datetime:
    """24 hours ago."""
    return now() - timedelta(days=1)


def _filters(page: Page, state: Any, source: Any, key: Any) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if page.state:
        where.append(state == page.state)
    if page.source:
        where.append(source == page.source)
    if page.before:
        where.append(key < page.before)
    return where


def _effects(stored: list[list[str]]) -> tuple[Touched, ...]:
    return tuple(Touched(kind, reference) for kind, reference in stored)


def _message(row: RowMapping) -> InboxMessage:
    values = {key: value for key, value in row.items() if key != "due_at"}
    return InboxMessage(**{**values, "state": MessageState(row["state"]), "effects": _effects(row["effects"])})


def _delivery(row: RowMapping) -> Delivery:
    values = {key: value for key, value in row.items() if key != "owner"}
    return Delivery(**{**values, "state": DeliveryState(row["state"]), "effects": _effects(row["effects"])})
