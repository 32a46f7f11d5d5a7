"""Sign-ins with a provider: what has begun, what sessions hang on, what ended. No protocol is known here.

What is kept is sealed by the caller: pending sign-ins for the browser's secret, tokens for the session's token, so that
neither can be read from the database. Several web processes share it."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

from hub.access.errors import SessionEnded
from hub.access.sign_in_errors import SignInExpired, StateMismatch, TooManySignIns
from hub.access.sign_in_model import Bond, Vouched
from hub.access.store_sign_in import Grant, Pending, SignInStore
from hub.storage.engine import Database
from hub.values import now

#: How long a person may take at the provider, and for choosing a situation of exercise.
LIFE = timedelta(minutes=10)
MOST_PENDING = 20_000
#: So long the one who renews a session's tokens is waited for before another may try.
CLAIM = timedelta(seconds=60)


class SignInService:
    """Keeps what has begun, once; a session's bond to the provider; and that no logout token counts twice."""

    def __init__(self, *, database: Database, clock: Callable[[], datetime] = now) -> None:
        self.database = database
        self.clock = clock

    # What has begun

    def begin(
        self,
        secret: str,
        kind: str,
        sealed: str,
        *,
        word: str = "",
        life: timedelta = LIFE,
        vouched: Vouched | None = None,
    ) -> None:
        """Keep it for the browser that has the secret; whatever it had begun before is forgotten.

        ``vouched``: by whom already: it is over when that is. Raises TooManySignIns."""
        at = self.clock()
        pending = Pending(hashed(secret), kind, hashed(word), sealed, at, at + life)
        if vouched is not None:
            subject, session = hashed(vouched.subject), folded(vouched.session)
            pending = replace(pending, provider=vouched.provider, subject=subject, provider_session=session)
        with self.database.transaction() as work:
            store = SignInStore(work)
            if store.count() >= MOST_PENDING:
                raise TooManySignIns()
            store.begin(pending, at)

    def look(self, secret: str, kind: str) -> str:
        """What is sealed; it goes on. Raises SignInExpired."""
        with self.database.reading() as work:
            pending = SignInStore(work).pending(hashed(secret), kind)
        if not secret or pending is None or pending.expires_at <= self.clock():
            raise SignInExpired()
        return pending.sealed

    def take(self, secret: str, kind: str, word: str = "") -> str:
        """What is sealed, once: it is over. Raises StateMismatch, SignInExpired."""
        with self.database.transaction() as work:
            store = SignInStore(work)
            pending = store.pending(hashed(secret), kind)
            if not secret or pending is None or not secrets.compare_digest(pending.word, hashed(word)):
                raise StateMismatch()
            if not store.end(pending.browser, kind, pending.word):
                raise StateMismatch()
        if pending.expires_at <= self.clock():
            raise SignInExpired()
        return pending.sealed

    def turn(self, secret: str, kind: str, seconds: float) -> bool:
        """Whether the provider may be asked now; not again within ``seconds``."""
        at = self.clock()
        with self.database.transaction() as work:
            return SignInStore(work).turn(hashed(secret), kind, at, at + timedelta(seconds=seconds))

    def later(self, secret: str, kind: str, seconds: float) -> None:
        """The provider wants to be left alone for so long."""
        at = self.clock()
        with self.database.transaction() as work:
            SignInStore(work).put_off(hashed(secret), kind, at + timedelta(seconds=seconds))

    def forget(self, secret: str, kind: str) -> None:
        """It was cancelled; silent when there is none."""
        with self.database.transaction() as work:
            SignInStore(work).end(hashed(secret), kind, hashed(""))

    # What sessions hang on

    def bind(self, session: str, provider: str, subject: str, bond: Bond) -> None:
        """A new session's bond."""
        at = self.clock()
        grant = Grant(hashed(session), provider, hashed(subject), bond.sealed, bond.renew_at, at, bond.good_until)
        with self.database.transaction() as work:
            SignInStore(work).keep(grant)

    def bond(self, session: str) -> Bond:
        """A session's. Raises SessionEnded when there is none, or when it was not renewed in time."""
        with self.database.reading() as work:
            grant = SignInStore(work).grant(hashed(session))
        if grant is None or grant.good_until <= self.clock():
            raise SessionEnded
        return Bond(grant.sealed, grant.renew_at, grant.good_until)

    def claim(self, session: str, *, now_due: bool = False) -> Bond | None:
        """The bond when it is due and nobody else renews it at this moment; the caller then does. ``now_due``: at once.

        Raises SessionEnded."""
        at = self.clock()
        with self.database.reading() as work:
            grant = SignInStore(work).grant(hashed(session))
        if grant is None or grant.good_until <= at:
            raise SessionEnded
        if grant.renew_at > at and not now_due:
            return None
        with self.database.transaction() as work:
            store = SignInStore(work)
            claimed = store.claim(hashed(session), at, at + CLAIM, now_due=now_due)
            grant = store.grant(hashed(session))  # another may have renewed it since
        return Bond(grant.sealed, grant.renew_at, grant.good_until) if claimed and grant else None

    def renewed(self, session: str, bond: Bond) -> None:
        """The provider gave new tokens."""
        with self.database.transaction() as work:
            SignInStore(work).renewed(hashed(session), bond.sealed, self.clock(), bond.renew_at, bond.good_until)

    def close(self, session: str) -> None:
        """The session is over, with its bond."""
        with self.database.transaction() as work:
            SignInStore(work).close([hashed(session)])

    def ended(self, provider: str, jti: str, until: datetime, *, session: str = "", subject: str = "") -> int | None:
        """The provider ended a session of its own, or all of a person's: how many of the hub's ended with it, and of
        those that were about to begin.

        None: this was told before."""
        with self.database.transaction() as work:
            store = SignInStore(work)
            if not store.use(hashed(f"{provider}\0{jti}"), self.clock(), until):
                return None
            # What is about to begin goes first: who opens a session meanwhile is waited for, and it is found below.
            if not session:
                over = store.end_of_person(provider, hashed(subject))
                return over + store.close(store.sessions_of_person(provider, hashed(subject)))
            # Where the provider named no session at sign-in, the person's name stands for it.
            names = [folded(name) for name in (session, subject) if name]
            over = store.end_of(provider, names)
            return over + store.close(store.sessions_of(provider, names))


def hashed(text: str) -> str:
    """What stands for a secret in the database."""
    return sha256(text.encode(errors="replace")).hexdigest()


def folded(session: str) -> str:
    """What stands for the provider's session in a session's row (``AccessService.open_session``)."""
    return hashed(session.strip().casefold())
