"""A session's tokens at the provider: sealed with the session's token, renewed while it is used, given on.

A table holds them, since several processes serve one session; only the browser's cookie opens a row, so that the
database alone gives nobody a professional's token (docs/howto/sign-in-with-pro-sante-connect.md)."""

import logging
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from hub.access.errors import SessionEnded
from hub.access.sign_in import SignInService
from hub.access.sign_in_errors import ProviderDeclined, ProviderUnavailable
from hub.access.sign_in_model import Bond
from hub.access.tokens_errors import TokenRefused
from hub.app.provider.client import Provider
from hub.wire.oidc.provider import Tokens
from hub.wire.sealed import NotSealedHere, seal, unseal

log = logging.getLogger(__name__)

PROVIDER = "psc"
_PURPOSE = "provider tokens"
_MARGIN = 15.0  #: seconds that a token given on must be good for
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Held:
    """The provider's tokens."""

    subject: str = field(repr=False)
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    id: str = field(repr=False)
    until: float  #: of the access token, seconds since 1970


class ProviderTokens:
    """Keeps, renews, gives on, forgets."""

    def __init__(self, provider: Provider, sign_ins: SignInService) -> None:
        self._provider = provider
        self._sign_ins = sign_ins
        self._settings = provider.settings

    def held(self, given: Tokens, subject: str, before: Held | None = None) -> Held:
        """As they are kept. What a renewal does not give again stays."""
        until = self._sign_ins.clock().timestamp() + given.seconds
        refresh = given.refresh_token or (before.refresh if before else "")
        return Held(subject, given.access_token, refresh, given.id_token or (before.id if before else ""), until)

    def bind(self, session: str, held: Held) -> None:
        """Of a new session."""
        self._sign_ins.bind(session, PROVIDER, held.subject, self._bond(session, held))

    def keep(self, session: str) -> None:
        """The session is used: renew what is due. Raises SessionEnded when the provider's is over."""
        if not self._settings.renew_minutes:
            return
        due = self._sign_ins.claim(session)
        if due is not None:
            try:
                self._renew(session, self._opened(session, due))
            except ProviderUnavailable:
                log.info("a session goes on without the identity provider until %s", due.good_until.isoformat())

    def access_token(self, session: str) -> str:
        """The person's access token, good for a while yet: for calls in their name.

        Raises SessionEnded, ProviderUnavailable."""
        deadline = time.monotonic() + self._settings.timeout
        while True:
            held = self._opened(session, self._sign_ins.bond(session))
            if held.until - self._sign_ins.clock().timestamp() > _MARGIN:
                return held.access
            due = self._sign_ins.claim(session, now_due=True)
            if due is not None:
                return self._renew(session, self._opened(session, due)).access
            if time.monotonic() > deadline:  # another process renews it, and does not come to an end
                raise ProviderUnavailable()
            time.sleep(_LOOK_EVERY)

    def forget(self, session: str) -> Held | None:
        """The session is over. What it held; None when it held nothing."""
        try:
            return self._opened(session, self._sign_ins.bond(session))
        except SessionEnded:
            return None
        finally:
            self._sign_ins.close(session)

    def _renew(self, session: str, held: Held) -> Held:
        try:
            if not held.refresh:
                raise ProviderDeclined("The provider gave no refresh token.", error="invalid_grant")
            given = self._provider.renew(held.refresh)
            if given.id_token and not self._provider.same_person(given.id_token, held.subject):
                raise ProviderDeclined("The renewed token is about somebody else.", error="invalid_grant")
        except ProviderDeclined as declined:
            if declined.context["error"] != "invalid_grant":  # of this client, not of this session
                log.warning("the identity provider renews no token: %s", declined.context["error"])
                raise ProviderUnavailable() from declined
            self._sign_ins.close(session)
            raise SessionEnded from declined
        except TokenRefused as refused:
            self._sign_ins.close(session)
            raise SessionEnded from refused
        fresh = self.held(given, held.subject, held)
        self._sign_ins.renewed(session, self._bond(session, fresh))
        return fresh

    def _bond(self, session: str, held: Held) -> Bond:
        at = self._sign_ins.clock()
        return Bond(
            seal(session, _PURPOSE, asdict(held)),
            at + timedelta(minutes=self._settings.renew_minutes),
            at + timedelta(minutes=self._settings.unreachable_minutes) if self._settings.renew_minutes else _NEVER,
        )

    @staticmethod
    def _opened(session: str, bond: Bond) -> Held:
        try:
            return Held(**unseal(session, _PURPOSE, bond.sealed))
        except NotSealedHere as error:
            raise SessionEnded from error


_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
