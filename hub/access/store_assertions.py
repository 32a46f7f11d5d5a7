"""The access room's table of assertions that were used: hashes only, until they expire."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime


class AssertionRow(SQLModel, table=True):
    """An assertion that was accepted once."""

    __tablename__ = "access_assertion"

    key_hash: str = Field(primary_key=True, sa_type=KeyText)  # of issuer and ID
    node: str  # who transmitted it
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


ASSERTION = METADATA.tables["access_assertion"]


class AssertionStore:
    """Assertions that were used."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def used_by(self, key_hash: str, node: str, expires_at: datetime) -> str | None:
        """Note its use. None when it is the first; otherwise the node that used it first."""
        flavour = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        row = {"key_hash": key_hash, "node": node, "expires_at": expires_at}
        new = flavour.insert(ASSERTION).values(row).on_conflict_do_nothing().returning(ASSERTION.c.key_hash)
        if self._connection.execute(new).first() is not None:  # rowcount tells nothing with PostgreSQL
            return None
        found = self._connection.execute(select(ASSERTION.c.node).where(ASSERTION.c.key_hash == key_hash)).scalar()
        return found or ""

    def forget(self, before: datetime) -> None:
        """Those that expired: they are refused by their time."""
        self._connection.execute(delete(ASSERTION).where(ASSERTION.c.expires_at < before))
