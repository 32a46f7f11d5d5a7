"""Who is calling, what they may do, signing in; on both databases."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from argon2 import PasswordHasher

from hub.access.errors import BadCredentials, LockedOut, SessionEnded, TokenExpired
from hub.access.model import ANONYMOUS, HUB, Client, Credentials, Principal, Scheme, User
from hub.access.roles import ROLES, permissions_of
from hub.access.service import FREE_FAILURES, LONGEST_WAIT, AccessService, is_loopback, wait_after
from hub.access.store import SESSION
from hub.context import Context
from hub.errors import AccessDenied, HubError, Misconfigured, NotAuthenticated
from hub.storage.engine import Database
from hub.values import now

CHEAP = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
TOKEN, CERTIFICATE = "s3cret-token", b"certificate"
PACS = Client(
    "PACS_A",
    certificate_sha256=sha256(CERTIFICATE).hexdigest().upper(),
    token_sha256=sha256(TOKEN.encode()).hexdigest(),
    permissions=("imaging.*", "documents.query"),
    source="PACS_A",
    organisation="Hospital A",
)
MARIE = User("marie", "Marie Curie", CHEAP.hash("radium"), ("clinician",), "Hospital B")
OSCAR = User("oscar", "Oscar", CHEAP.hash("cables"), ("operator", "officer"))


class Clock:
    """An hour that tests move."""

    def __init__(self) -> None:
        self.time = now()

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **time: float) -> None:
        self.time += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(database: Database, clock: Clock) -> AccessService:
    return AccessService(database=database, clients=(PACS,), users=(MARIE, OSCAR), session_minutes=30, clock=clock)


@pytest.fixture
def open_access(database: Database) -> AccessService:
    return AccessService(database=database, clients=(PACS,), node_authentication=False)


def test_a_token_names_the_client(access: AccessService) -> None:
    principal = access.authenticate(Credentials(bearer=TOKEN))
    assert (principal.id, principal.scheme, principal.source) == ("PACS_A", Scheme.TOKEN, "PACS_A")


def test_a_token_is_refused_after_its_last_day(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ends = replace(PACS, token_expires=clock().date() + timedelta(days=40))
    access = AccessService(database=database, clients=(ends,), clock=clock)
    shown = Credentials(bearer=TOKEN)
    assert access.authenticate(shown).id == PACS.name
    assert not caplog.records
    clock.forward(days=40)  # the last day itself
    assert access.authenticate(shown).id == PACS.name
    assert access.authenticate(shown).id == PACS.name
    (told,) = caplog.records
    assert TOKEN not in told.getMessage()
    clock.forward(days=1)
    with pytest.raises(TokenExpired):
        access.authenticate(shown)
    assert access.authenticate(Credentials(certificate=CERTIFICATE)).id == PACS.name


def test_a_certificate_names_the_client(access: AccessService) -> None:
    principal = access.authenticate(Credentials(certificate=CERTIFICATE))
    assert (principal.id, principal.scheme) == ("PACS_A", Scheme.CERTIFICATE)


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(bearer="wrong", peer="127.0.0.1"),
        Credentials(certificate=b"wrong", peer="127.0.0.1"),
        Credentials(session="wrong", peer="127.0.0.1"),
        Credentials(bearer="wrong", certificate=CERTIFICATE),
        Credentials(bearer="\udcff"),
    ],
)
def test_what_is_shown_must_be_good_even_in_the_open_sandbox(
    access: AccessService, open_access: AccessService, credentials: Credentials
) -> None:
    for service in (access, open_access):
        with pytest.raises(BadCredentials):
            service.authenticate(credentials)


def test_nothing_shown_is_nobody(access: AccessService) -> None:
    assert access.authenticate(Credentials(peer="127.0.0.1")) == ANONYMOUS
    with pytest.raises(NotAuthenticated):
        access.permit(ANONYMOUS, "documents.query", Context())


def test_the_open_sandbox_is_open_on_this_machine_only(open_access: AccessService) -> None:
    principal = open_access.authenticate(Credentials(peer="127.0.0.1"))
    assert principal.scheme is Scheme.LOOPBACK
    open_access.permit(principal, "documents.register", Context())
    assert open_access.authenticate(Credentials(peer="192.0.2.1")) == ANONYMOUS
    assert open_access.authenticate(Credentials()) == ANONYMOUS


@pytest.mark.parametrize(
    ("peer", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback(peer: str, loopback: bool) -> None:
    assert is_loopback(peer) is loopback


def test_permissions_are_patterns(access: AccessService) -> None:
    principal = access.authenticate(Credentials(bearer=TOKEN))
    for permission in ("imaging.query", "imaging.retrieve", "documents.query"):
        access.permit(principal, permission, Context())
    for permission in ("documents.register", "imagingx", "documents.query.all", "patients.feed"):
        with pytest.raises(AccessDenied) as caught:
            access.permit(principal, permission, Context())
        assert caught.value.location == permission
    access.permit(HUB, "anything.at.all", Context())


def test_a_decision_explains_itself(access: AccessService) -> None:
    principal = access.authenticate(Credentials(bearer=TOKEN))
    assert "imaging.*" in access.explain(principal, "imaging.query").reason
    assert "patients.feed" in access.explain(principal, "patients.feed").reason
    assert not access.explain(replace(principal, scheme=Scheme.NONE), "imaging.query").allowed


def test_every_role_of_the_settings_permits_something() -> None:
    assert {"clinician", "author", "operator", "steward", "officer"} <= set(ROLES)
    assert all(permissions_of([role]) for role in ROLES)
    assert permissions_of(["unheard"]) == frozenset()


def test_signing_in_opens_a_session(access: AccessService) -> None:
    token = access.sign_in("marie", "radium")
    principal = access.authenticate(Credentials(session=token))
    assert principal == Principal(
        id="marie",
        name="Marie Curie",
        scheme=Scheme.SESSION,
        organisation="Hospital B",
        roles=frozenset({"clinician"}),
        permissions=ROLES["clinician"],
        person=True,
    )
    access.permit(principal, "documents.query", Context())
    with pytest.raises(AccessDenied):
        access.permit(principal, "exchange.read", Context())
    access.sign_out(token)
    with pytest.raises(SessionEnded):
        access.authenticate(Credentials(session=token))
    access.sign_out(token)


def test_the_token_itself_is_not_stored(access: AccessService, database: Database) -> None:
    token = access.sign_in("marie", "radium")
    with database.reading() as work:
        rows = work.connection.execute(SESSION.select()).all()
    assert len(rows) == 1
    assert token not in str(rows)


def test_roles_add_up(access: AccessService) -> None:
    principal = access.authenticate(Credentials(session=access.sign_in("oscar", "cables")))
    access.permit(principal, "exchange.replay", Context())
    access.permit(principal, "audit.read", Context())
    with pytest.raises(AccessDenied):
        access.permit(principal, "patients.query", Context())


def test_a_session_slides_and_ends(access: AccessService, clock: Clock) -> None:
    token = access.sign_in("marie", "radium")
    for _ in range(5):
        clock.forward(minutes=20)
        access.authenticate(Credentials(session=token))
    clock.forward(minutes=31)
    with pytest.raises(SessionEnded):
        access.authenticate(Credentials(session=token))


def test_a_session_ends_after_twelve_hours_of_use(access: AccessService, clock: Clock) -> None:
    token = access.sign_in("marie", "radium")
    for _ in range(35):
        clock.forward(minutes=20)
        access.authenticate(Credentials(session=token))
    clock.forward(minutes=20)
    with pytest.raises(SessionEnded):
        access.authenticate(Credentials(session=token))


def test_a_person_who_is_configured_no_more_has_no_session(access: AccessService, database: Database) -> None:
    token = access.sign_in("marie", "radium")
    without = AccessService(database=database, users=(OSCAR,))
    with pytest.raises(SessionEnded):
        without.authenticate(Credentials(session=token))


def test_a_wrong_password_and_an_unknown_login_look_the_same(access: AccessService) -> None:
    errors = []
    for login, password in (("marie", "wrong"), ("nobody", "radium"), ("", ""), ("marie", "")):
        with pytest.raises(BadCredentials) as caught:
            access.sign_in(login, password)
        errors.append((caught.value.code, caught.value.message, caught.value.context))
    assert len({str(error) for error in errors}) == 1


def test_an_unknown_login_is_hashed_as_well(access: AccessService, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real: Callable[[PasswordHasher, str, str], bool] = PasswordHasher.verify

    def verify(self: PasswordHasher, known: str, password: str) -> bool:
        hashed.append(known)
        return real(self, known, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    with pytest.raises(BadCredentials):
        access.sign_in("nobody", "x")
    assert [known.split("$")[3] for known in hashed] == [MARIE.password_argon2.split("$")[3]]


@pytest.mark.parametrize("login", ["marie", "nobody"])
def test_failures_make_the_next_attempt_wait(access: AccessService, clock: Clock, login: str) -> None:
    for _ in range(FREE_FAILURES):
        with pytest.raises(BadCredentials):
            access.sign_in(login, "wrong")
    with pytest.raises(LockedOut) as caught:
        access.sign_in(login, "radium")
    assert caught.value.context["seconds"] == "2"
    clock.forward(seconds=1.1)
    with pytest.raises(BadCredentials):
        access.sign_in(login, "wrong")
    clock.forward(seconds=1.1)
    with pytest.raises(LockedOut):
        access.sign_in(login, "radium")


def test_success_forgets_the_failures(access: AccessService, clock: Clock) -> None:
    for _ in range(3):
        for _ in range(FREE_FAILURES - 1):
            with pytest.raises(BadCredentials):
                access.sign_in("marie", "wrong")
        access.sign_in("marie", "radium")
    clock.forward(days=2)
    access.sign_in("marie", "radium")


def test_the_wait_doubles_up_to_its_limit() -> None:
    waits = [wait_after(failures).total_seconds() for failures in range(1, 9)]
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8]
    assert wait_after(10**9) == LONGEST_WAIT


def test_attempts_at_the_same_time_count_as_well(access: AccessService) -> None:
    threads, ready = 12, threading.Barrier(12)

    def attempt(_: int) -> HubError | None:
        ready.wait()
        try:
            access.sign_in("marie", "wrong")
        except HubError as error:
            return error
        return None

    with ThreadPoolExecutor(threads) as pool:
        errors = list(pool.map(attempt, range(threads)))
    assert sum(type(error) is BadCredentials for error in errors) == FREE_FAILURES
    assert sum(type(error) is LockedOut for error in errors) == threads - FREE_FAILURES


def test_a_broken_hash_in_the_settings_is_said_at_start(database: Database) -> None:
    with pytest.raises(Misconfigured):
        AccessService(database=database, users=(User("x", "X", "not a hash"),))


def test_nothing_secret_shows() -> None:
    assert "radium" not in repr(Credentials(bearer="radium", session="radium", certificate=b"radium"))
    assert "argon2" not in repr(MARIE)
