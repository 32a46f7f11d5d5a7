"""Who is calling, and what they may do: every transaction asks here."""

import hmac
import ipaddress
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from typing import NoReturn, Protocol

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from hub.access.assertion_errors import AssertionRequired
from hub.access.errors import BadCredentials, LockedOut, SessionEnded, TokenExpired
from hub.access.model import (
    ANONYMOUS,
    EXPIRY_TOLD,
    KNOWN,
    PUBLIC,
    Client,
    Credentials,
    Decision,
    Principal,
    Proven,
    Scheme,
    User,
)
from hub.access.roles import permissions_of
from hub.access.scopes import within
from hub.access.sessions import restored, written
from hub.access.store import AccessStore, Session
from hub.access.tokens_errors import TokenInUrl
from hub.context import Context
from hub.errors import AccessDenied, Misconfigured, NotAuthenticated
from hub.storage.engine import Database
from hub.usecase import Command
from hub.values import now

log = logging.getLogger(__name__)

LOOPBACK = Principal(
    id="loopback", name="A program on this machine", scheme=Scheme.LOOPBACK, permissions=frozenset({"*"})
)
#: Failures that cost nothing; from then on the wait doubles, up to the longest.
FREE_FAILURES = 5
LONGEST_WAIT = timedelta(minutes=15)
_ATTEMPTS_KEPT = timedelta(days=1)
_LONGEST_SESSION = timedelta(hours=12)
_EXTEND_EVERY = timedelta(minutes=1)
_HASHES_AT_ONCE = 4
_PROVEN_SECONDS = 1.0  #: from a request's head to its decoding; a body that takes longer is proven again
_BY_MANIFEST = "RAD-107"  #: the only transaction of who reads by a manifest (DRIM-M)
_NONE = "internal"  #: context.transaction where none is carried out


class Door(Protocol):
    """A way to prove who one is, beside what is listed in the settings one by one."""

    def enter(self, credentials: Credentials, node: Principal) -> Principal | None:
        """Who this is; None when the proof is not of this door's kind. ``node``: who transmits, as far as is known.

        Raises NotAuthenticated when the proof is of its kind and no good."""
        ...


#: Raises NotAuthenticated when the certificate that was shown is no good (any more).
Check = Callable[[Credentials], None]


class AccessService:
    """Authentication and permissions.

    ``clients``: systems by certificate or bearer token. ``users``: persons who sign in to the portal.
    ``ae_titles``: DICOM systems that are known by their title alone, and what each may do.
    ``node_authentication`` off: a caller on this machine who shows nothing may do everything (the open sandbox, the
    demo); whoever shows something wrong is refused all the same. ``session_minutes``: a session ends after so long
    without use, and twelve hours after signing in whatever happens."""

    def __init__(
        self,
        *,
        database: Database,
        clients: Iterable[Client] = (),
        users: Iterable[User] = (),
        ae_titles: Mapping[str, frozenset[str]] | None = None,
        node_authentication: bool = True,
        session_minutes: int = 30,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.database = database
        self.node_authentication = node_authentication
        self._session_time = timedelta(minutes=session_minutes)
        self._clock = clock
        self._ae_titles = dict(ae_titles or {})
        self._users = {user.login: user for user in users}
        self._by_certificate: dict[str, Principal] = {}
        self._by_token: dict[bytes, Principal] = {}
        self._by_name: dict[str, Principal] = {}
        self._transactions: dict[str, tuple[str, ...]] = {}
        self._speaking: set[str] = set()  #: systems that must say for whom they ask
        self._last_days: dict[str, date] = {}
        self._told_of: dict[str, date] = {}
        for client in clients:
            self._add(client)
        self.certificate_checks: list[Check] = []  #: of every certificate that is shown, pinned or not
        self.certificate_doors: list[Door] = []  #: certificates that are not pinned: nodes by authority, cards
        self.token_doors: list[Door] = []  #: bearer tokens that are not listed: signed ones, a provider's
        self.client_doors: list[Door] = []  #: who asks for a token, by assertion or certificate
        self.assertion_doors: list[Door] = []  #: SAML assertions beside the node's own proof
        self.keepers: dict[str, Callable[[str], None]] = {}  #: by provider: may end the session whose token it is given
        self._decoy = _decoy(self._users.values())
        self._hashing = threading.BoundedSemaphore(_HASHES_AT_ONCE)  # each takes its memory: bound the sum

    def _add(self, client: Client) -> None:
        principal = Principal(
            id=client.name,
            name=client.name,
            scheme=Scheme.CERTIFICATE,
            organisation=client.organisation,
            permissions=frozenset(client.permissions),
            source=client.source,
        )
        self._by_name[client.name] = principal
        self._transactions[client.name] = client.transactions
        if client.assertion == "required":
            self._speaking.add(client.name)
        if client.certificate_sha256:
            self._by_certificate[_fingerprint(client.certificate_sha256)] = principal
        if client.token_sha256:
            self._by_token[_fingerprint(client.token_sha256).encode()] = replace(principal, scheme=Scheme.TOKEN)
            if client.token_expires is not None:
                self._last_days[client.name] = client.token_expires

    # The pipeline's side

    def authenticate(self, credentials: Credentials) -> Principal:
        """Who the caller is; ANONYMOUS when nothing was shown.

        What was shown must be good: raises BadCredentials or SessionEnded otherwise, whatever else would be allowed."""
        if credentials.session:
            return self._session(credentials.session)
        node = self.transmitter(credentials)
        found = self._asserted(credentials, node) if credentials.saml and self.assertion_doors else node
        if found.scheme is not Scheme.ASSERTION and node.id in self._speaking:
            raise AssertionRequired()
        return found

    def transmitter(self, credentials: Credentials) -> Principal:
        """The system that calls, for whomever it does: an assertion is neither looked at nor asked for."""
        if credentials.proven is not None and time.monotonic() - credentials.proven.at < _PROVEN_SECONDS:
            return credentials.proven.principal
        return self._session(credentials.session) if credentials.session else self._node(credentials)

    def prove(self, credentials: Credentials) -> Credentials:
        """The same credentials, with whom they are of: a request whose body came at once is not asked twice."""
        at = time.monotonic()
        return replace(credentials, proven=Proven(self.transmitter(credentials), at))

    def _node(self, credentials: Credentials) -> Principal:
        if credentials.certificate:
            for check in self.certificate_checks:
                check(credentials)
        if credentials.bearer_in_url:
            raise TokenInUrl()
        if credentials.client_id or credentials.client_assertion:
            return self._through(self.client_doors, credentials) or self._refuse()
        if credentials.bearer:
            return self._token(credentials)
        if credentials.certificate:
            return self._certificate(credentials)
        if credentials.ae_title:
            return self._caller_by_title(credentials.ae_title)
        if not self.node_authentication and is_loopback(credentials.peer):
            return LOOPBACK
        return ANONYMOUS

    def _asserted(self, credentials: Credentials, node: Principal) -> Principal:
        """An assertion speaks for a user; it never replaces the node's own proof."""
        if not node.authenticated:
            return node
        for door in self.assertion_doors:
            found = door.enter(credentials, node)
            if found is not None:
                return found
        raise BadCredentials("The assertion is not one that this hub understands.")

    def permit(
        self,
        principal: Principal,
        permission: str,
        context: Context,
        command: Command | None = None,  # noqa: ARG002
    ) -> None:
        """Let the principal do this, or raise NotAuthenticated or AccessDenied.

        Asked before the request is decoded, and again with the command that it turned out to be."""
        decision = self.explain(principal, permission)
        if decision.allowed:
            decision = self._transaction(principal, context.transaction)
        if decision.allowed:
            decision = within(principal, permission, context.interaction)
        if decision.allowed:
            return
        if not principal.authenticated:
            raise NotAuthenticated(location=permission)
        raise AccessDenied(decision.reason, location=permission)

    def named(self, principal_id: str) -> Principal | None:
        """The configured system of this name, as it may be now; None when there is none any more."""
        if principal_id == LOOPBACK.id:
            return None if self.node_authentication else LOOPBACK
        return self._by_name.get(principal_id)

    def explain(self, principal: Principal, permission: str) -> Decision:
        """Whether the principal has the permission, and why."""
        if permission == PUBLIC:
            return Decision(allowed=True, reason="This is open to everybody.")
        if not principal.authenticated:
            return Decision(allowed=False, reason="Nobody vouched for the caller.")
        if permission == KNOWN:
            return Decision(allowed=True, reason="This is open to whoever is known.")
        return _decided(frozenset(principal.permissions), permission)

    def _transaction(self, principal: Principal, transaction: str) -> Decision:
        """Whether the system that calls, or transmits for a person, may use it (``Client.transactions``)."""
        if principal.by_manifest and transaction != _BY_MANIFEST:
            return Decision(allowed=False, reason=f"Who reads by a manifest may use {_BY_MANIFEST} only.")
        for name in (principal.node, "" if principal.person else principal.id):
            allowed = self._transactions.get(name, ())
            if allowed and transaction != _NONE and not _any(allowed, transaction):
                return Decision(allowed=False, reason=f"This system may not use {transaction}.")
        return Decision(allowed=True, reason="The transaction is not restricted for this system.")

    def _token(self, credentials: Credentials) -> Principal:
        shown = sha256(credentials.bearer.encode(errors="replace")).hexdigest().encode()
        found = [principal for known, principal in self._by_token.items() if hmac.compare_digest(known, shown)]
        if found:
            self._check_age(found[0].id)
            return found[0]
        return self._through(self.token_doors, credentials) or self._refuse()

    def _check_age(self, client: str) -> None:
        """Raises TokenExpired; within the last month it is told in the log, once a day."""
        last, today = self._last_days.get(client), self._clock().astimezone(UTC).date()
        if last is None or last - today > EXPIRY_TOLD:
            return
        if self._told_of.get(client) != today:
            self._told_of[client] = today
            log.warning("the token of a client ends on %s", last.isoformat(), extra={"source": client})
        if today > last:
            raise TokenExpired()

    def _caller_by_title(self, ae_title: str) -> Principal:
        permissions = self._ae_titles.get(ae_title)
        if permissions is None:
            raise BadCredentials("The calling AE title is not known.")
        return Principal(id=f"ae:{ae_title}", name=ae_title, scheme=Scheme.AE_TITLE, permissions=permissions)

    def _certificate(self, credentials: Credentials) -> Principal:
        principal = self._by_certificate.get(sha256(credentials.certificate).hexdigest())
        principal = principal or self._through(self.certificate_doors, credentials)
        if principal is None:
            raise BadCredentials("The client certificate is not one that is configured here.")
        return principal

    @staticmethod
    def _through(doors: Iterable[Door], credentials: Credentials) -> Principal | None:
        """Who the first door that knows the proof says it is."""
        return next((found for door in doors if (found := door.enter(credentials, ANONYMOUS)) is not None), None)

    @staticmethod
    def _refuse() -> NoReturn:
        raise BadCredentials

    # The portal's side

    def sign_in(self, login: str, password: str) -> str:
        """Open a session. Returns its token: 256 random bits, kept here as a hash only.

        Raises LockedOut while the login has to wait, BadCredentials otherwise; an unknown login takes as long."""
        key = _login_key(login)
        self._count_attempt(key)
        user = self._users.get(login)
        with self._hashing:
            good = _verify(user.password_argon2 if user else self._decoy, password)
        if user is None or not good:
            raise BadCredentials
        with self.database.transaction() as work:
            AccessStore(work).forget_attempts(login_hash=key)
            return self.open_session(self._user(user))

    def open_session(self, principal: Principal, *, provider: str = "", provider_session: str = "") -> str:
        """Open a session for somebody who proved who they are. Returns its token: 256 random bits, kept as a hash only.

        ``provider``: who vouched ("" is the password), and its name of its own session, by which it can end this one.
        What the principal may do is not kept: roles are looked up anew at each request."""
        token = secrets.token_urlsafe(32)
        at = self._clock()
        session = Session(
            login=principal.id,
            created_at=at,
            used_at=at,
            expires_at=at + self._session_time,
            provider=provider,
            provider_session=_login_key(provider_session) if provider_session else "",
            principal=written(principal) if provider else "",
        )
        with self.database.transaction() as work:
            AccessStore(work).open_session(_token_key(token), session, at)
        return token

    def end_provider_session(self, provider: str, provider_session: str) -> int:
        """The provider ended its session: end those that hang on it. How many there were."""
        with self.database.transaction() as work:
            return AccessStore(work).close_provider_session(provider, _login_key(provider_session))

    def sign_out(self, token: str) -> None:
        """End a session; silent when there is none."""
        with self.database.transaction() as work:
            AccessStore(work).close_session(_token_key(token))

    def attempt(self, login: str) -> None:
        """Count one at proving who somebody is with a provider. Raises LockedOut while they have to wait."""
        self._count_attempt(_login_key(login))

    def worked(self, login: str) -> None:
        """It worked: attempts start anew."""
        with self.database.transaction() as work:
            AccessStore(work).forget_attempts(login_hash=_login_key(login))

    def _count_attempt(self, key: str) -> None:
        # Counted before the password is looked at, so that attempts at the same time count as well.
        at = self._clock()
        with self.database.transaction() as work:
            store = AccessStore(work)
            store.forget_attempts(before=at - _ATTEMPTS_KEPT)
            failures, until = store.attempt(key, at)
            if until > at:
                raise LockedOut(seconds=str(int((until - at).total_seconds()) + 1))
            store.count_attempt(key, failures + 1, at, at + wait_after(failures + 1))

    def _session(self, token: str) -> Principal:
        key, at = _token_key(token), self._clock()
        with self.database.reading() as work:
            session = AccessStore(work).session(key)
        principal = self._who(session) if session else None
        if session is None or principal is None or session.expires_at <= at:
            raise SessionEnded
        if session.provider in self.keepers:
            self.keepers[session.provider](token)
        if at - session.used_at >= _EXTEND_EVERY:
            end = min(at + self._session_time, session.created_at + _LONGEST_SESSION)
            with self.database.transaction() as work:
                AccessStore(work).extend_session(key, at, end)
        return principal

    def _who(self, session: Session) -> Principal | None:
        """Whose session it is; None when a configured user is configured no more."""
        if session.provider:
            principal = restored(session.principal)
            return replace(principal, permissions=permissions_of(principal.roles))
        user = self._users.get(session.login)
        return self._user(user) if user else None

    @staticmethod
    def _user(user: User) -> Principal:
        return Principal(
            id=user.login,
            name=user.name,
            scheme=Scheme.SESSION,
            organisation=user.organisation,
            roles=frozenset(user.roles),
            permissions=permissions_of(user.roles),
            person=True,
        )


@lru_cache(maxsize=4096)
def _decided(permissions: frozenset[str], permission: str) -> Decision:
    for pattern in sorted(permissions):
        if fnmatchcase(permission, pattern):
            return Decision(allowed=True, reason=f"{pattern} permits {permission}.")
    return Decision(allowed=False, reason=f"The permission {permission} is needed.")


@lru_cache(maxsize=1024)
def _any(patterns: tuple[str, ...], text: str) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


@lru_cache(maxsize=256)
def is_loopback(peer: str) -> bool:
    """Whether an address is this machine itself."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def wait_after(failures: int) -> timedelta:
    """How long a login waits after so many failures: nothing at first, then 1, 2, 4 ... seconds."""
    if failures < FREE_FAILURES:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures - FREE_FAILURES, 20)), LONGEST_WAIT)


def hash_password(password: str) -> str:
    """The Argon2id hash for a user's ``password_argon2``."""
    return PasswordHasher().hash(password)


def _decoy(users: Iterable[User]) -> str:
    """A hash that no password has, as expensive as the users' own."""
    for user in users:
        try:
            hasher = PasswordHasher.from_parameters(extract_parameters(user.password_argon2))
        except InvalidHashError as error:
            raise Misconfigured("A user's password_argon2 is not an Argon2 hash.", location="users") from error
        return hasher.hash(secrets.token_urlsafe(32))
    return hash_password(secrets.token_urlsafe(32))


def _verify(known: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


def _fingerprint(text: str) -> str:
    return text.replace(":", "").strip().lower()


def _token_key(token: str) -> str:
    return sha256(token.encode(errors="replace")).hexdigest()


def _login_key(login: str) -> str:
    return sha256(login.strip().casefold().encode(errors="replace")).hexdigest()
