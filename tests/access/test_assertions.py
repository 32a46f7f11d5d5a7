"""Used assertions in both databases, at once; what two sets of permissions allow together; tables of professions."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from hub.access.assertion_errors import AssertionConfirmation, AssertionNotNow, AssertionReplayed
from hub.access.assertion_model import Assertion, Claims, Coded, Confirmation, Name, Terms
from hub.access.assertions import AssertionService, both
from hub.access.model import Credentials, Principal, Professional, Scheme
from hub.access.professions import A00, G15, ROLES_OF, roles_of
from hub.access.roles import ROLES
from hub.access.service import AccessService
from hub.access.store_assertions import AssertionStore
from hub.errors import HubError
from hub.storage.engine import Database
from hub.values import now

AT = now()
ASSERTION = Assertion(
    id="_1",
    issuer=Name("https://idp"),
    subject=Name("899700000001"),
    issued_at=AT,
    authenticated_at=AT,
    context_class="",
    not_on_or_after=AT + timedelta(minutes=5),
    audiences=(frozenset({"https://hub"}),),
)
CLAIMS = Claims("899700000001", ("MARTIN", "Anne"), (Coded("10", G15),))
TERMS = Terms("idp")
NODE = Principal("ris", scheme=Scheme.CERTIFICATE, permissions=frozenset({"*"}))


def service(database: Database, minutes: float = 0) -> AssertionService:
    return AssertionService(
        database=database,
        audience=lambda: "https://hub",
        recipients=lambda: ("https://hub",),
        clock=lambda: AT + timedelta(minutes=minutes),
    )


def test_of_many_at_once_one_is_the_first(database: Database) -> None:
    outcomes: list[str] = []

    def use() -> None:
        try:
            outcomes.append(service(database).admit(ASSERTION, CLAIMS, TERMS, NODE, b"").id)
        except AssertionReplayed as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["899700000001", *["assertion-replayed"] * 7]


def test_used_ones_are_forgotten_once_they_could_not_be_used_anyway(database: Database) -> None:
    service(database).admit(ASSERTION, CLAIMS, TERMS, NODE, b"")
    with pytest.raises(AssertionNotNow):
        service(database, 7).admit(ASSERTION, CLAIMS, TERMS, NODE, b"")
    service(database, 7).admit(
        replace(ASSERTION, id="_2", not_on_or_after=AT + timedelta(minutes=9)), CLAIMS, TERMS, NODE, b""
    )
    with database.transaction() as work:
        store = AssertionStore(work)
        assert store.used_by("x", "ris", AT) is None
        assert store.used_by("x", "other", AT) == "ris"
        store.forget(AT + timedelta(days=1))
        assert store.used_by("x", "other", AT) is None


def test_two_issuers_may_use_the_same_id(database: Database) -> None:
    for name in ("one", "two"):
        service(database).admit(ASSERTION, CLAIMS, Terms(name), NODE, b"")


def test_a_person_presents_their_own_only(database: Database) -> None:
    card = replace(NODE, id="8990", person=True, professional=Professional("8990"))
    with pytest.raises(AssertionConfirmation, match="somebody else"):
        service(database).admit(ASSERTION, CLAIMS, TERMS, card, b"")


def test_an_unknown_confirmation_confirms_nothing(database: Database) -> None:
    with pytest.raises(AssertionConfirmation):
        service(database).admit(replace(ASSERTION, confirmations=(Confirmation("urn:x"),)), CLAIMS, TERMS, NODE, b"")


@pytest.mark.parametrize(
    ("some", "others", "together"),
    [
        ({"*"}, {"a.b", "c.*"}, {"a.b", "c.*"}),
        ({"a.*"}, {"a.b", "c.d"}, {"a.b"}),
        ({"a.b"}, {"a.*"}, {"a.b"}),
        ({"a.b"}, {"a.c"}, set()),
        ({"a.*"}, set(), set()),
        ({"a.*"}, {"*.b"}, set()),
    ],
)
def test_what_both_permit(some: set[str], others: set[str], together: set[str]) -> None:
    assert both(frozenset(some), frozenset(others)) == together
    assert both(frozenset(others), frozenset(some)) == together


def test_professions() -> None:
    assert roles_of(Professional("8", profession="98")) == {"clinician", "author"}
    secretary = roles_of(Professional("1", profession="SECRETARIAT_MEDICAL", profession_system=A00))
    assert not any("clinician" in role for role in secretary)
    assert not {"documents.query", "documents.retrieve", "documents.*"} & {
        permission for role in secretary for permission in ROLES[role]
    }
    assert roles_of(Professional("1", profession="10", profession_system=A00)) == frozenset()
    assert roles_of(Professional("1", profession="")) == frozenset()
    assert {role for roles in ROLES_OF.values() for role in roles} <= set(ROLES)


def test_nobody_looks_at_assertions_where_no_issuer_is_configured(database: Database) -> None:
    access = AccessService(database=database, node_authentication=False)
    assert access.authenticate(Credentials(peer="127.0.0.1", saml=b"<x/>")).id == "loopback"


def test_no_refusal_tells_what_the_assertion_says() -> None:
    from hub.access import assertion_errors

    kinds = [kind for kind in vars(assertion_errors).values() if isinstance(kind, type) and issubclass(kind, HubError)]
    assert len({kind.code for kind in kinds}) == len(kinds)
