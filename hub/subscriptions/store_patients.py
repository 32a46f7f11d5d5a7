"""The table of subscriptions to changes of persons."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, RowMapping, bindparam, delete, func, insert, select, update
from sqlmodel import Field, SQLModel

from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA, KeyText, UtcDateTime
from hub.subscriptions.patient_model import About, Criteria, FeedState, PatientSubscription


class PatientSubscriptionRow(SQLModel, table=True):
    """A subscription; ``key`` is what a changed person must have for it."""

    __tablename__ = "subscriptions_patient"

    id: str = Field(primary_key=True, sa_type=KeyText)
    owner: str = Field(index=True)
    key: str = Field(sa_type=KeyText, index=True)
    about: str
    value: str
    authority: str
    criteria: str
    endpoint: str
    reason: str
    contacts: list[list[str]] = Field(sa_type=JSON)
    state: str
    error: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


ROWS = METADATA.tables["subscriptions_patient"]
_ANY = Prepared(lambda _dialect: select(ROWS.c.id).where(ROWS.c.expires_at > bindparam("at")).limit(1))
_NONE = "subscriptions:none"  #: note of a unit of work that looked and found no subscription


class PatientSubscriptionStore:
    """Subscriptions to changes of persons."""

    def __init__(self, work: UnitOfWork) -> None:
        self._notes = work.notes
        self._connection = work.connection

    def put(self, item: PatientSubscription) -> None:
        """A new one, or one that was changed."""
        self._notes.pop(_NONE, None)
        row = {
            "owner": item.owner,
            "key": key_of(item.criteria),
            "about": item.criteria.about.value,
            "value": item.criteria.value,
            "authority": item.criteria.authority,
            "criteria": item.criteria.text,
            "endpoint": item.endpoint,
            "reason": item.reason,
            "contacts": [list(contact) for contact in item.contacts],
            "state": item.state.value,
            "error": item.error,
            "created_at": item.created_at,
            "expires_at": item.expires_at,
        }
        changed = self._connection.execute(update(ROWS).where(ROWS.c.id == item.id).values(**row)).rowcount
        if not changed:
            self._connection.execute(insert(ROWS), {"id": item.id, **row})

    def get(self, subscription_id: str, at: datetime, *, lock: bool = False) -> PatientSubscription | None:
        """One that has not ended; ``lock``: nobody else changes it meanwhile."""
        query = select(ROWS).where(ROWS.c.id == subscription_id, ROWS.c.expires_at > at)
        row = self._connection.execute(query.with_for_update() if lock else query).mappings().first()
        return _subscription(row) if row else None

    def any(self, at: datetime) -> bool:
        """Whether there is one at all. Where there is none a unit of work of many feeds asks once."""
        if _NONE in self._notes:
            return False
        found = _ANY.first(self._connection, {"at": at}) is not None
        if not found:
            self._notes[_NONE] = True
        return found

    def count(self, owner: str, at: datetime) -> int:
        """How many a client has."""
        where = (ROWS.c.owner == owner, ROWS.c.expires_at > at)
        return self._connection.execute(select(func.count()).select_from(ROWS).where(*where)).scalar_one()

    def about(self, keys: Iterable[str], at: datetime) -> list[PatientSubscription]:
        """Those that are not off and have one of the keys, in order of making."""
        query = (
            select(ROWS)
            .where(ROWS.c.key.in_(sorted(set(keys))), ROWS.c.expires_at > at, ROWS.c.state != FeedState.OFF.value)
            .order_by(ROWS.c.created_at, ROWS.c.id)
        )
        return [_subscription(row) for row in self._connection.execute(query).mappings()]

    def change(self, subscription_id: str, **values: Any) -> None:
        """Change a row."""
        self._connection.execute(update(ROWS).where(ROWS.c.id == subscription_id).values(**values))

    def remove(self, subscription_id: str) -> None:
        """It ends."""
        self._connection.execute(delete(ROWS).where(ROWS.c.id == subscription_id))

    def forget_ended(self, at: datetime) -> None:
        """Those that ended on their own go."""
        self._connection.execute(delete(ROWS).where(ROWS.c.expires_at <= at))


def key_of(criteria: Criteria) -> str:
    """What a changed person must have."""
    return key(criteria.about, criteria.value, criteria.authority)


def key(about: About, value: str = "", authority: str = "") -> str:
    """``about|authority|value``."""
    return f"{about.value}|{authority}|{value}"


def _subscription(row: RowMapping) -> PatientSubscription:
    return PatientSubscription(
        id=row["id"],
        owner=row["owner"],
        criteria=Criteria(About(row["about"]), row["value"], row["authority"], row["criteria"]),
        endpoint=row["endpoint"],
        reason=row["reason"],
        contacts=tuple((system, value) for system, value in row["contacts"]),
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        state=FeedState(row["state"]),
        error=row["error"],
    )
