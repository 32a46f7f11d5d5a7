"""The subscriptions room's tables and queries."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, RowMapping, delete, exists, func, insert, select, update
from sqlmodel import Field, SQLModel

from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime
from hub.subscriptions.codec import notification_body, notification_of
from hub.subscriptions.model import Endpoint, Filter, Notification, PullPoint, Subscription, Topic


class SubscriptionRow(SQLModel, table=True):
    """A subscription."""

    __tablename__ = "subscriptions_subscription"
    __table_args__ = (
        Index("ix_subscriptions_subscription_patient", "patient", "query_id"),
        Index("ix_subscriptions_subscription_owner", "owner"),
    )

    id: str = Field(primary_key=True, sa_type=KeyText)
    owner: str
    topic: str
    query_id: str = Field(sa_type=KeyText)
    parameters: dict[str, list[list[str]]] = Field(sa_type=JSON)
    patient: str = Field(sa_type=KeyText)
    address: str
    reference_parameters: list[str] = Field(sa_type=JSON)
    pull_point: str = Field(default="", sa_type=KeyText, index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    notified_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PullPointRow(SQLModel, table=True):
    """A pull point."""

    __tablename__ = "subscriptions_pull_point"

    id: str = Field(primary_key=True, sa_type=KeyText)
    owner: str = Field(index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class NotificationRow(SQLModel, table=True):
    """A notification that is on its way, or waits in a pull point. Their ids are in order of making."""

    __tablename__ = "subscriptions_notification"
    __table_args__ = (Index("ix_subscriptions_notification_pull_point", "pull_point", "id"),)

    id: str = Field(primary_key=True, sa_type=KeyText)
    subscription: str = Field(sa_type=KeyText, index=True)
    pull_point: str = Field(default="", sa_type=KeyText)
    topic: str
    body: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


SUBSCRIPTION = METADATA.tables["subscriptions_subscription"]
PULL_POINT = METADATA.tables["subscriptions_pull_point"]
NOTIFICATION = METADATA.tables["subscriptions_notification"]


class SubscriptionStore:
    """Subscriptions."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def add(self, item: Subscription) -> None:
        """A new subscription."""
        self._connection.execute(
            insert(SUBSCRIPTION),
            {
                "id": item.id,
                "owner": item.owner,
                "topic": item.topic.value,
                "query_id": item.filter.query_id,
                "parameters": {
                    name: [list(group) for group in groups] for name, groups in item.filter.parameters.items()
                },
                "patient": item.patient,
                "address": item.consumer.address,
                "reference_parameters": list(item.consumer.parameters),
                "pull_point": item.pull_point,
                "created_at": item.created_at,
                "expires_at": item.expires_at,
                "notified_at": item.notified_at,
            },
        )

    def get(self, subscription_id: str, at: datetime, *, lock: bool = False) -> Subscription | None:
        """One that has not ended; ``lock``: nobody else changes it meanwhile."""
        query = select(SUBSCRIPTION).where(SUBSCRIPTION.c.id == subscription_id, SUBSCRIPTION.c.expires_at > at)
        row = self._connection.execute(query.with_for_update() if lock else query).mappings().first()
        return _subscription(row) if row else None

    def any(self, at: datetime) -> bool:
        """Whether there is one at all."""
        return self._connection.scalar(select(exists().where(SUBSCRIPTION.c.expires_at > at))) or False

    def count(self, owner: str, at: datetime) -> int:
        """How many a client has."""
        where = (SUBSCRIPTION.c.owner == owner, SUBSCRIPTION.c.expires_at > at)
        return self._connection.execute(select(func.count()).select_from(SUBSCRIPTION).where(*where)).scalar_one()

    def of(self, patients: Iterable[str], query_ids: Iterable[str], at: datetime) -> list[Subscription]:
        """Those about one of the patients ("" : about any), with one of the filters, in order of making."""
        query = (
            select(SUBSCRIPTION)
            .where(
                SUBSCRIPTION.c.patient.in_(sorted(set(patients))),
                SUBSCRIPTION.c.query_id.in_(sorted(set(query_ids))),
                SUBSCRIPTION.c.expires_at > at,
            )
            .order_by(SUBSCRIPTION.c.created_at, SUBSCRIPTION.c.id)
        )
        return [_subscription(row) for row in self._connection.execute(query).mappings()]

    def active(self, at: datetime, limit: int) -> list[Subscription]:
        """For the operator: the newest first."""
        query = (
            select(SUBSCRIPTION)
            .where(SUBSCRIPTION.c.expires_at > at)
            .order_by(SUBSCRIPTION.c.created_at.desc(), SUBSCRIPTION.c.id.desc())
            .limit(limit)
        )
        return [_subscription(row) for row in self._connection.execute(query).mappings()]

    def change(self, subscription_id: str, **values: Any) -> None:
        """Change a row."""
        self._connection.execute(update(SUBSCRIPTION).where(SUBSCRIPTION.c.id == subscription_id).values(**values))

    def remove(self, subscription_id: str) -> None:
        """It ends, and what it was still to tell is forgotten; what waits in a pull point stays there."""
        self._connection.execute(delete(SUBSCRIPTION).where(SUBSCRIPTION.c.id == subscription_id))
        self._connection.execute(
            delete(NOTIFICATION).where(NOTIFICATION.c.subscription == subscription_id, NOTIFICATION.c.pull_point == "")
        )

    def forget_ended(self, at: datetime) -> None:
        """Those that ended on their own go, with what they were still to tell."""
        ended = select(SUBSCRIPTION.c.id).where(SUBSCRIPTION.c.expires_at <= at)
        self._connection.execute(
            delete(NOTIFICATION).where(NOTIFICATION.c.subscription.in_(ended), NOTIFICATION.c.pull_point == "")
        )
        self._connection.execute(delete(SUBSCRIPTION).where(SUBSCRIPTION.c.expires_at <= at))


class NotificationStore:
    """Pull points, and notifications on their way."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def add(self, item: Notification, at: datetime, pull_point: str = "") -> None:
        """Keep one, for a delivery or in a pull point."""
        self._connection.execute(
            insert(NOTIFICATION),
            {
                "id": item.id,
                "subscription": item.subscription,
                "pull_point": pull_point,
                "topic": item.topic,
                "body": notification_body(item),
                "created_at": at,
            },
        )

    def get(self, notification_id: str) -> Notification | None:
        """One notification."""
        row = self._connection.execute(select(NOTIFICATION).where(NOTIFICATION.c.id == notification_id)).mappings()
        found = row.first()
        return _notification(found) if found else None

    def remove(self, notification_ids: Iterable[str]) -> None:
        """They have arrived."""
        self._connection.execute(delete(NOTIFICATION).where(NOTIFICATION.c.id.in_(list(notification_ids))))

    def take(self, pull_point: str, limit: int) -> list[Notification]:
        """The oldest of a pull point, which lets them go; two who take at the same time get different ones."""
        query = (
            select(NOTIFICATION)
            .where(NOTIFICATION.c.pull_point == pull_point)
            .order_by(NOTIFICATION.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        found = [_notification(row) for row in self._connection.execute(query).mappings()]
        self.remove([item.id for item in found])
        return found

    def trim(self, pull_point: str, most: int) -> int:
        """Drop the oldest of a pull point beyond ``most``; how many."""
        oldest_kept = (
            select(NOTIFICATION.c.id)
            .where(NOTIFICATION.c.pull_point == pull_point)
            .order_by(NOTIFICATION.c.id.desc())
            .offset(most - 1)
            .limit(1)
        )
        first = self._connection.scalar(oldest_kept)
        if first is None:
            return 0
        where = (NOTIFICATION.c.pull_point == pull_point, NOTIFICATION.c.id < first)
        return self._connection.execute(delete(NOTIFICATION).where(*where)).rowcount

    def add_pull_point(self, item: PullPoint) -> None:
        """A new pull point."""
        self._connection.execute(
            insert(PULL_POINT), {"id": item.id, "owner": item.owner, "created_at": item.created_at}
        )

    def pull_point(self, pull_point_id: str, *, lock: bool = False) -> PullPoint | None:
        """One pull point; ``lock``: it does not go meanwhile."""
        query = select(PULL_POINT).where(PULL_POINT.c.id == pull_point_id)
        row = self._connection.execute(query.with_for_update() if lock else query).mappings().first()
        return PullPoint(**row) if row else None

    def count_pull_points(self, owner: str) -> int:
        """How many a client has."""
        query = select(func.count()).select_from(PULL_POINT).where(PULL_POINT.c.owner == owner)
        return self._connection.execute(query).scalar_one()

    def remove_pull_point(self, pull_point_id: str) -> None:
        """It goes, with what waits there and the subscriptions that fill it."""
        self._connection.execute(delete(NOTIFICATION).where(NOTIFICATION.c.pull_point == pull_point_id))
        self._connection.execute(delete(SUBSCRIPTION).where(SUBSCRIPTION.c.pull_point == pull_point_id))
        self._connection.execute(delete(PULL_POINT).where(PULL_POINT.c.id == pull_point_id))


def _subscription(row: RowMapping) -> Subscription:
    return Subscription(
        id=row["id"],
        owner=row["owner"],
        topic=Topic(row["topic"]),
        filter=Filter(row["query_id"], _parameters(row["parameters"])),
        consumer=Endpoint(row["address"], tuple(row["reference_parameters"])),
        expires_at=row["expires_at"],
        patient=row["patient"],
        pull_point=row["pull_point"],
        created_at=row["created_at"],
        notified_at=row["notified_at"],
    )


def _parameters(stored: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, tuple[tuple[str, ...], ...]]:
    return {name: tuple(tuple(group) for group in groups) for name, groups in stored.items()}


def _notification(row: RowMapping) -> Notification:
    return notification_of(row["body"], id=row["id"], subscription=row["subscription"], topic=row["topic"])
