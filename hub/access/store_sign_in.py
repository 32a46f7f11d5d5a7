"""The tables of sign-ins: those that have begun, what sessions hang on at the provider, used logout tokens."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from hub.access.store import SESSION
from hub.storage.engine import UnitOfWork
from hub.storage.tables import METADATA, KeyText, UtcDateTime


class PendingRow(SQLModel, table=True):
    """A sign-in that has begun: found by the browser's cookie alone, readable with it alone."""

    __tablename__ = "access_sign_in"

    browser: str = Field(primary_key=True, sa_type=KeyText)  # hash of the browser's secret
    kind: str = Field(sa_type=KeyText)
    word: str = Field(default="", sa_type=KeyText)  # hash of what must come back (state)
    sealed: str  # for the browser's secret
    provider: str = Field(default="", sa_type=KeyText)  # who vouched already, "" while nobody did
    subject: str = Field(default="", sa_type=KeyText)  # hash of the person's name there
    provider_session: str = Field(default="", sa_type=KeyText)  # hash of its session's name
    next_at: datetime = Field(sa_type=UtcDateTime)  # the provider is not asked before
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class GrantRow(SQLModel, table=True):
    """What a session hangs on at the provider."""

    __tablename__ = "access_grant"

    token_hash: str = Field(primary_key=True, sa_type=KeyText)  # of the session
    provider: str = Field(sa_type=KeyText)
    subject: str = Field(sa_type=KeyText, index=True)  # hash
    sealed: str  # the provider's tokens, for the session's token
    renew_at: datetime = Field(sa_type=UtcDateTime)  # whoever uses it after that renews it
    claimed_until: datetime = Field(sa_type=UtcDateTime)  # somebody is renewing it
    good_until: datetime = Field(sa_type=UtcDateTime, index=True)  # without a renewal the session ends


class LogoutRow(SQLModel, table=True):
    """A logout token that was used."""

    __tablename__ = "access_logout"

    jti: str = Field(primary_key=True, sa_type=KeyText)  # hash, with the provider
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


PENDING = METADATA.tables["access_sign_in"]
GRANT = METADATA.tables["access_grant"]
LOGOUT = METADATA.tables["access_logout"]


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that has begun."""

    browser: str
    kind: str
    word: str
    sealed: str
    next_at: datetime
    expires_at: datetime
    provider: str = ""
    subject: str = ""
    provider_session: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a session hangs on at the provider."""

    token_hash: str
    provider: str
    subject: str
    sealed: str
    renew_at: datetime
    claimed_until: datetime
    good_until: datetime


_PENDING = [field.name for field in fields(Pending)]
_GRANT = [field.name for field in fields(Grant)]


class SignInStore:
    """Sign-ins that have begun, grants, used logout tokens."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def begin(self, pending: Pending, at: datetime) -> None:
        """Keep a new one, forget those that took too long."""
        self._connection.execute(delete(PENDING).where(PENDING.c.expires_at < at))
        self._connection.execute(delete(PENDING).where(PENDING.c.browser == pending.browser))
        self._connection.execute(insert(PENDING).values(**asdict(pending)))

    def count(self) -> int:
        """How many have begun."""
        return self._connection.execute(select(func.count()).select_from(PENDING)).scalar_one()

    def pending(self, browser: str, kind: str) -> Pending | None:
        """The browser's own, expired or not."""
        mine = (PENDING.c.browser == browser, PENDING.c.kind == kind)
        row = self._connection.execute(select(PENDING).where(*mine)).one_or_none()
        return Pending(**{name: getattr(row, name) for name in _PENDING}) if row else None

    def turn(self, browser: str, kind: str, at: datetime, next_at: datetime) -> bool:
        """Whether it is the caller's turn to ask the provider; nobody else's before ``next_at``."""
        due = (PENDING.c.browser == browser, PENDING.c.kind == kind, PENDING.c.next_at <= at)
        return self._connection.execute(update(PENDING).where(*due).values(next_at=next_at)).rowcount > 0

    def put_off(self, browser: str, kind: str, next_at: datetime) -> None:
        """Nobody asks the provider before."""
        mine = (PENDING.c.browser == browser, PENDING.c.kind == kind)
        self._connection.execute(update(PENDING).where(*mine).values(next_at=next_at))

    def end(self, browser: str, kind: str, word: str) -> bool:
        """It is over; whether the caller is the one who ended it."""
        mine = (PENDING.c.browser == browser, PENDING.c.kind == kind, PENDING.c.word == word)
        return self._connection.execute(delete(PENDING).where(*mine)).rowcount > 0

    def end_of(self, provider: str, names: Sequence[str]) -> int:
        """Those that hang on one of the provider's sessions, by its name, are over; how many there were."""
        mine = (PENDING.c.provider == provider, PENDING.c.provider_session.in_(names))
        return self._connection.execute(delete(PENDING).where(*mine)).rowcount

    def end_of_person(self, provider: str, subject: str) -> int:
        """Those that hang on one of the provider's persons are over; how many there were."""
        theirs = (PENDING.c.provider == provider, PENDING.c.subject == subject)
        return self._connection.execute(delete(PENDING).where(*theirs)).rowcount

    # Grants

    def keep(self, grant: Grant) -> None:
        """Keep a session's grant; those whose session is gone go."""
        gone = ~select(SESSION.c.token_hash).where(SESSION.c.token_hash == GRANT.c.token_hash).exists()
        self._connection.execute(delete(GRANT).where(or_(GRANT.c.token_hash == grant.token_hash, gone)))
        self._connection.execute(insert(GRANT).values(**asdict(grant)))

    def grant(self, token_hash: str) -> Grant | None:
        """A session's."""
        row = self._connection.execute(select(GRANT).where(GRANT.c.token_hash == token_hash)).one_or_none()
        return Grant(**{name: getattr(row, name) for name in _GRANT}) if row else None

    def claim(self, token_hash: str, at: datetime, until: datetime, *, now_due: bool) -> bool:
        """Whether the caller is the one to renew it: of several at a time only one is. ``now_due``: due or not."""
        free = [GRANT.c.token_hash == token_hash, GRANT.c.claimed_until <= at]
        due = [] if now_due else [GRANT.c.renew_at <= at]
        return self._connection.execute(update(GRANT).where(*free, *due).values(claimed_until=until)).rowcount > 0

    def renewed(self, token_hash: str, sealed: str, at: datetime, renew_at: datetime, good_until: datetime) -> None:
        """The provider gave new tokens."""
        values = {"sealed": sealed, "renew_at": renew_at, "claimed_until": at, "good_until": good_until}
        self._connection.execute(update(GRANT).where(GRANT.c.token_hash == token_hash).values(**values))

    def close(self, token_hashes: Sequence[str]) -> int:
        """Sessions are over, with what they hang on; how many there were."""
        self._connection.execute(delete(GRANT).where(GRANT.c.token_hash.in_(token_hashes)))
        return self._connection.execute(delete(SESSION).where(SESSION.c.token_hash.in_(token_hashes))).rowcount

    def sessions_of(self, provider: str, names: Sequence[str]) -> list[str]:
        """Sessions that hang on one of the provider's, by its name."""
        mine = (SESSION.c.provider == provider, SESSION.c.provider_session.in_(names))
        return list(self._connection.execute(select(SESSION.c.token_hash).where(*mine)).scalars())

    def sessions_of_person(self, provider: str, subject: str) -> list[str]:
        """Sessions that hang on one of the provider's persons."""
        theirs = (GRANT.c.provider == provider, GRANT.c.subject == subject)
        return list(self._connection.execute(select(GRANT.c.token_hash).where(*theirs)).scalars())

    # Logout tokens

    def use(self, jti: str, at: datetime, expires_at: datetime) -> bool:
        """Whether it is used for the first time."""
        self._connection.execute(delete(LOGOUT).where(LOGOUT.c.expires_at < at))
        flavour = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        new = flavour.insert(LOGOUT).values(jti=jti, expires_at=expires_at).on_conflict_do_nothing()
        return self._connection.execute(new.returning(LOGOUT.c.jti)).first() is not None
