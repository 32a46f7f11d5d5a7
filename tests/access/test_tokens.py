"""Tokens in both databases: kept, ended, used once, and whom they speak for."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.access.model import Client, Professional, Scheme
from hub.access.scopes import Scopes
from hub.access.tokens import TokenService, read_professional
from hub.access.tokens_errors import ScopeRefused, TokenEnded, TokenReplayed
from hub.storage.engine import Database

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIFE = timedelta(minutes=5)
RIS = Client("ris", permissions=("documents.*", "imaging.query"), organisation="Hôpital B", source="RIS_B")
DOCTOR = Professional(
    "899700000001",
    family="MARTIN",
    given="Anne",
    profession="10",
    specialities=("SM44",),
    structure="1750100125",
    structure_name="Hôpital A",
    sector="SA01",
)


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(database: Database, clock: Clock) -> TokenService:
    return service(database, clock)


def service(database: Database, clock: Callable[[], datetime], **more: Any) -> TokenService:
    return TokenService(database=database, clients=more.pop("clients", [RIS]), scopes=Scopes(), clock=clock, **more)


def test_an_opaque_token_is_kept_till_it_ends(tokens: TokenService, clock: Clock) -> None:
    claims = tokens.claims(RIS, "documents.query", life=LIFE)
    token = tokens.keep(claims)
    assert tokens.kept(token) == claims
    assert tokens.kept(token + "x") is None
    clock.at += 2 * LIFE
    assert tokens.kept(token) is None
    tokens.keep(tokens.claims(RIS, "documents.query", life=LIFE))  # and forgets the old one
    clock.at -= 2 * LIFE
    assert tokens.kept(token) is None


def test_a_token_is_ended_once_and_for_all(tokens: TokenService) -> None:
    claims = tokens.claims(RIS, "documents.query", life=LIFE)
    tokens.check_not_ended(claims)
    tokens.end(claims)
    tokens.end(claims)
    with pytest.raises(TokenEnded):
        tokens.check_not_ended(claims)
    tokens.check_not_ended(tokens.claims(RIS, "documents.query", life=LIFE))


def test_an_assertion_is_good_once(tokens: TokenService, clock: Clock) -> None:
    tokens.use_once("ris", "1", clock.at + LIFE)
    tokens.use_once("other", "1", clock.at + LIFE)
    tokens.use_once("ris", "2", clock.at + LIFE)
    with pytest.raises(TokenReplayed):
        tokens.use_once("ris", "1", clock.at + LIFE)


def test_of_many_at_once_one_is_the_first(tokens: TokenService, clock: Clock) -> None:
    together, good, refused = threading.Barrier(8), list[int](), list[int]()

    def use(number: int) -> None:
        together.wait(30)
        try:
            tokens.use_once("ris", "jti", clock.at + LIFE)
            good.append(number)
        except TokenReplayed:
            refused.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(good), len(refused)) == (1, 7)


def test_a_system_speaks_for_itself(tokens: TokenService) -> None:
    found = tokens.principal(tokens.claims(RIS, "documents.query imaging.query", life=LIFE))
    assert (found.id, found.scheme, found.organisation, found.source) == ("ris", Scheme.TOKEN, "Hôpital B", "RIS_B")
    assert found.permissions == {"documents.query", "imaging.query"}
    assert not found.person


def test_a_professional_is_who_they_are(tokens: TokenService) -> None:
    claims = tokens.claims(RIS, "documents.query", life=LIFE, professional=DOCTOR, level="eidas1")
    assert read_professional(claims) == DOCTOR
    found = tokens.principal(claims)
    assert (found.id, found.name, found.node, found.level) == (DOCTOR.id, "Anne MARTIN", "ris", "eidas1")
    assert found.person
    assert found.professional == DOCTOR
    assert "clinician" in found.roles
    assert found.permissions == {"documents.query"}


@pytest.mark.parametrize("roles", [5, "10", {"code": "10"}, None, [5, {"system": "x"}]])
def test_odd_roles_are_no_profession(tokens: TokenService, roles: object) -> None:
    claims = tokens.claims(RIS, "documents.query", life=LIFE, professional=DOCTOR)
    iua = claims["extensions"]["ihe_iua"] | {"subject_role": roles}
    found = read_professional(claims | {"extensions": {"ihe_iua": iua}})
    assert found is not None
    assert found.profession == ""


def test_neither_the_client_nor_the_professional_gets_more_through_the_other(tokens: TokenService) -> None:
    for scope, professional in (
        ("documents.submit", Professional("1", profession="999")),  # a profession without a role
        ("imaging.retrieve", DOCTOR),  # the client has it not
        ("documents.*", DOCTOR),  # a clinician has not all of it
    ):
        with pytest.raises(ScopeRefused):
            tokens.claims(RIS, scope, life=LIFE, professional=professional)


def test_a_client_that_is_gone_takes_its_tokens_along(database: Database, clock: Clock) -> None:
    claims = service(database, clock).claims(RIS, "documents.query", life=LIFE)
    without = service(database, clock, clients=[])
    with pytest.raises(TokenEnded):
        without.principal(claims)
    fewer = service(database, clock, clients=[Client("ris", permissions=("imaging.query",))])
    assert fewer.principal(claims).permissions == set()


def test_who_is_not_listed_has_what_the_settings_say(database: Database, clock: Clock) -> None:
    tokens = service(database, clock, unlisted=("imaging.*",))
    assert tokens.principal({"sub": "x"}).permissions == {"imaging.*"}
    assert tokens.principal({"sub": "x", "scope": "imaging.query documents.query"}).permissions == {"imaging.query"}
    assert tokens.principal({"sub": "x", "scope": ""}).permissions == set()


def test_a_foreign_system_keeps_its_issuer_in_its_name(tokens: TokenService) -> None:
    found = tokens.foreign({"iss": "https://as", "client_id": "ris", "scope": "imaging.query *"}, ("imaging.*",))
    assert found.id == "ris@https://as"
    assert found.permissions == {"imaging.query"}
