"""The access room's tables: portal sessions, failed attempts. Tokens and logins only as hashes."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime


class SessionRow(SQLModel, table=True):
    """A portal session."""

    __tablename__ = "access_session"

    token_hash: str = Field(primary_key=True, sa_type=KeyText)
    login: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    provider: str = Field(default="", sa_type=KeyText)  # who vouched, "" for a password
    provider_session: str = Field(default="", sa_type=KeyText, index=True)  # hash of its session's name
    principal: str = ""  # who it is, where a provider said so


class AttemptRow(SQLModel, table=True):
    """How often signing in failed for a login since it last worked. The login itself is not kept: what people type
    there by mistake is often a password."""

    __tablename__ = "access_attempt"

    login_hash: str = Field(primary_key=True, sa_type=KeyText)
    failures: int
    until: datetime = Field(sa_type=UtcDateTime)  # no attempt is looked at before
    last_at: datetime = Field(sa_type=UtcDateTime, index=True)


SESSION = METADATA.tables["access_session"]
ATTEMPT = METADATA.tables["access_attempt"]


@dataclass(frozen=True, slots=True)
class Session:
    """A portal session."""

    login: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    provider: str = ""
    provider_session: str = ""
    principal: str = ""


_SESSION = [field.name for field in fields(Session)]


class AccessStore:
    """Sessions and failed attempts."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def session(self, token_hash: str) -> Session | None:
        """A session, expired or not."""
        row = self._connection.execute(select(SESSION).where(SESSION.c.token_hash == token_hash)).one_or_none()
        return Session(**{name: getattr(row, name) for name in _SESSION}) if row else None

    def open_session(self, token_hash: str, session: Session, at: datetime) -> None:
        """Keep a new session, forget those that expired."""
        self._connection.execute(delete(SESSION).where(SESSION.c.expires_at < at))
        self._connection.execute(insert(SESSION).values(token_hash=token_hash, **asdict(session)))

    def close_provider_session(self, provider: str, provider_session: str) -> int:
        """The sessions that hang on one of a provider's are over; how many."""
        mine = (SESSION.c.provider == provider, SESSION.c.provider_session == provider_session)
        return self._connection.execute(delete(SESSION).where(*mine)).rowcount

    def extend_session(self, token_hash: str, at: datetime, expires_at: datetime) -> None:
        """It was used."""
        statement = update(SESSION).where(SESSION.c.token_hash == token_hash)
        self._connection.execute(statement.values(used_at=at, expires_at=expires_at))

    def close_session(self, token_hash: str) -> None:
        """It is over."""
        self._connection.execute(delete(SESSION).where(SESSION.c.token_hash == token_hash))

    def attempt(self, login_hash: str, at: datetime) -> tuple[int, datetime]:
        """Failures so far, and before when no attempt is looked at. Others wait until this unit of work ends."""
        flavour = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        new = {"login_hash": login_hash, "failures": 0, "until": at, "last_at": at}
        self._connection.execute(flavour.insert(ATTEMPT).values(new).on_conflict_do_nothing())
        row = self._connection.execute(
            select(ATTEMPT.c.failures, ATTEMPT.c.until).where(ATTEMPT.c.login_hash == login_hash).with_for_update()
        ).one()
        return row.failures, row.until

    def count_attempt(self, login_hash: str, failures: int, at: datetime, until: datetime) -> None:
        """One more, and when the next is allowed."""
        statement = update(ATTEMPT).where(ATTEMPT.c.login_hash == login_hash)
        self._connection.execute(statement.values(failures=failures, last_at=at, until=until))

    def forget_attempts(self, *, login_hash: str = "", before: datetime | None = None) -> None:
        """Of a login that signed in; of everybody whose last attempt is long ago."""
        if login_hash:
            self._connection.execute(delete(ATTEMPT).where(ATTEMPT.c.login_hash == login_hash))
        if before is not None:
            self._connection.execute(delete(ATTEMPT).where(ATTEMPT.c.last_at < before))
