"""The decision itself, before anything is said of anybody."""

import pytest

from hub.access.model import ANONYMOUS, Principal
from hub.access.rights_model import Kind
from hub.storage.engine import Database
from tests.access.rights_world import DOCTOR, HUB, LOOPBACK, SECRETARY, SYSTEM, USER, World, document


@pytest.mark.parametrize(
    ("caller", "rule", "allowed"),
    [
        (HUB, "hub", True),
        (ANONYMOUS, "nobody", False),
        (SYSTEM, "system", True),
        (LOOPBACK, "system", True),
        (DOCTOR, "care-relationship", True),
        (USER, "care-relationship", True),
        (SECRETARY, "role-without-reading", False),
    ],
)
def test_who_reads_where_nobody_said_anything(
    database: Database, caller: Principal, rule: str, *, allowed: bool
) -> None:
    assert World(database).rule(caller) == (rule, allowed)


def test_traits_are_shown_to_whom_permissions_let_ask(database: Database) -> None:
    assert World(database).rule(SECRETARY, document(kind=Kind.PERSON)) == ("identity", True)
