"""Answers by demographics that wait to be taken on: who was found, never what was asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import JSON, delete, insert, select, update
from sqlmodel import Field, SQLModel

from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime


class PortionRow(SQLModel, table=True):
    """A question of one asker, the regional identifiers that answer it, and how many of them were told."""

    __tablename__ = "patients_portion"

    key: str = Field(primary_key=True, sa_type=KeyText)
    persons: list[list[str]] = Field(sa_type=JSON)
    domains: list[str] = Field(sa_type=JSON)
    told: int
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


ROWS = METADATA.tables["patients_portion"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is left of an answer. ``persons``: (number, authority) of every person found."""

    persons: tuple[tuple[str, str], ...]
    domains: tuple[str, ...]
    told: int


class PortionStore:
    """Answers in portions."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def add(self, key: str, waiting: Waiting, expires_at: datetime) -> None:
        """Keep an answer; none of the same asker has this key."""
        row = {"key": key, "told": waiting.told, "expires_at": expires_at}
        row |= {"persons": list(map(list, waiting.persons)), "domains": list(waiting.domains)}
        self._connection.execute(insert(ROWS), row)

    def get(self, key: str, at: datetime) -> Waiting | None:
        """The answer, locked till the unit of work ends, unless it has expired."""
        found = select(ROWS).where(ROWS.c.key == key, ROWS.c.expires_at > at).with_for_update()
        row = self._connection.execute(found).one_or_none()
        if row is None:
            return None
        persons: Sequence[Sequence[str]] = row.persons
        return Waiting(tuple((value, authority) for value, authority in persons), tuple(row.domains), row.told)

    def told(self, key: str, count: int, expires_at: datetime) -> None:
        """So many were told by now."""
        self._connection.execute(update(ROWS).where(ROWS.c.key == key).values(told=count, expires_at=expires_at))

    def forget(self, key: str) -> None:
        """Drop an answer."""
        self._connection.execute(delete(ROWS).where(ROWS.c.key == key))

    def sweep(self, at: datetime) -> None:
        """Drop what has expired."""
        self._connection.execute(delete(ROWS).where(ROWS.c.expires_at <= at))
