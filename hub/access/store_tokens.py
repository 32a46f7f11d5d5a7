"""The access room's tables of tokens: opaque ones, ended ones, assertions that were used. Everything by its hash."""

from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared
from hub.storage.tables import METADATA, KeyText, UtcDateTime


class OpaqueTokenRow(SQLModel, table=True):
    """An access token that says nothing by itself."""

    __tablename__ = "access_token"

    token_hash: str = Field(primary_key=True, sa_type=KeyText)
    claims: str  # JSON, as a signed token would have them
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class EndedTokenRow(SQLModel, table=True):
    """A token that was revoked: kept until it would have ended by itself."""

    __tablename__ = "access_ended_token"

    jti_hash: str = Field(primary_key=True, sa_type=KeyText)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class UsedAssertionRow(SQLModel, table=True):
    """An assertion that was used: it is good once."""

    __tablename__ = "access_used_assertion"

    assertion_hash: str = Field(primary_key=True, sa_type=KeyText)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


TOKEN = METADATA.tables["access_token"]
ENDED = METADATA.tables["access_ended_token"]
USED = METADATA.tables["access_used_assertion"]
_CLAIMS = Prepared(lambda _dialect: select(TOKEN.c.claims).where(TOKEN.c.token_hash == bindparam("known")))
_IS_ENDED = Prepared(lambda _dialect: select(ENDED.c.jti_hash).where(ENDED.c.jti_hash == bindparam("known")))


class TokenStore:
    """Tokens and assertions, by hash."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection
        self._flavour = postgresql if work.connection.dialect.name == "postgresql" else sqlite

    def keep(self, token_hash: str, claims: str, expires_at: datetime) -> None:
        """Keep a new opaque token."""
        self._connection.execute(insert(TOKEN).values(token_hash=token_hash, claims=claims, expires_at=expires_at))

    def claims(self, token_hash: str) -> str | None:
        """What an opaque token says, expired or not."""
        found = _CLAIMS.first(self._connection, {"known": token_hash})
        return found[0] if found is not None else None

    def end(self, jti_hash: str, expires_at: datetime) -> None:
        """A token is over, once or again."""
        values = {"jti_hash": jti_hash, "expires_at": expires_at}
        self._connection.execute(self._flavour.insert(ENDED).values(values).on_conflict_do_nothing())

    def ended(self, jti_hash: str) -> bool:
        """Whether a token was ended."""
        return _IS_ENDED.first(self._connection, {"known": jti_hash}) is not None

    def use(self, assertion_hash: str, expires_at: datetime) -> bool:
        """Note that an assertion is used; False: it was before. Two at once: one of them is the first."""
        values = {"assertion_hash": assertion_hash, "expires_at": expires_at}
        statement = self._flavour.insert(USED).values(values).on_conflict_do_nothing()
        return self._connection.execute(statement.returning(USED.c.assertion_hash)).scalar_one_or_none() is not None

    def forget(self, before: datetime) -> None:
        """Let go of what has expired by itself."""
        for table in (TOKEN, ENDED, USED):
            self._connection.execute(delete(table).where(table.c.expires_at < before))
