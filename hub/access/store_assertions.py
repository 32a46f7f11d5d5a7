"""The access room's table of assertions that were used: hashes only, until they expire."""

from datetime import datetime

from sqlalchemy import bindparam, delete, select, text
from sqlmodel import Field, SQLModel

from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA, KeyText, UtcDateTime


class AssertionRow(SQLModel, table=True):
    """An assertion that was accepted once."""

    __tablename__ = "access_assertion"

    key_hash: str = Field(primary_key=True, sa_type=KeyText)  # of issuer and ID
    node: str  # who transmitted it
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


ASSERTION = METADATA.tables["access_assertion"]
_FIRST = Prepared(
    lambda _dialect: text(
        "INSERT INTO access_assertion (key_hash, node, expires_at) VALUES (:key_hash, :node, :expires_at) "
        "ON CONFLICT DO NOTHING RETURNING key_hash"
    ).bindparams(bindparam("expires_at", type_=UtcDateTime))
)
_WHOSE = Prepared(lambda _dialect: select(ASSERTION.c.node).where(ASSERTION.c.key_hash == bindparam("known")))


class AssertionStore:
    """Assertions that were used."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def used_by(self, key_hash: str, node: str, expires_at: datetime) -> str | None:
        """Note its use. None when it is the first; otherwise the node that used it first."""
        row = {"key_hash": key_hash, "node": node, "expires_at": expires_at}
        if _FIRST.rows(self._connection, row):
            return None
        found = _WHOSE.first(self._connection, {"known": key_hash})
        return found[0] if found is not None else ""

    def forget(self, before: datetime) -> None:
        """Those that expired: they are refused by their time."""
        self._connection.execute(delete(ASSERTION).where(ASSERTION.c.expires_at < before))
