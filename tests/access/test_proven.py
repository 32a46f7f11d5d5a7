"""A request whose body came at once is proven once; rights that are asked ahead hold for one unit of work."""

import time
from dataclasses import replace

import pytest

from hub.access.model import ANONYMOUS, Credentials, Principal, Proven
from hub.access.rights_model import Choice
from hub.access.service import AccessService
from hub.access.store_rights import RightsStore
from hub.context import Context
from hub.storage.engine import Database
from tests.access.rights_world import DOCTOR, MARIE, NOON, SYSTEM, World, consent, document


def test_what_was_proven_counts_for_the_moment_only(database: Database) -> None:
    checked: list[Credentials] = []
    access = AccessService(database=database)
    access.certificate_checks.append(checked.append)
    access.certificate_doors.append(_Everybody())
    shown = access.prove(Credentials(certificate=b"x"))
    assert shown.proven is not None
    assert len(checked) == 1
    now = replace(shown, proven=Proven(SYSTEM, time.monotonic() + 3600))
    assert access.authenticate(now) == access.transmitter(now) == SYSTEM
    assert len(checked) == 1
    then = replace(shown, proven=Proven(SYSTEM, time.monotonic() - 2))
    assert access.authenticate(then) == SYSTEM
    assert len(checked) == 2
    assert access.authenticate(Credentials()) == ANONYMOUS


class _Everybody:
    def enter(self, credentials: Credentials, node: Principal) -> Principal | None:  # noqa: ARG002
        return SYSTEM


@pytest.mark.parametrize("caller", [DOCTOR, SYSTEM])
def test_an_opposition_of_another_process_counts_in_the_next_unit_of_work(
    database: Database, caller: Principal
) -> None:
    world, elsewhere = World(database), Database(database.url.render_as_string(hide_password=False))
    context = Context(principal=caller)

    def sees() -> bool:
        with database.reading() as work:
            ahead = world.rights.ahead([MARIE], context)
            assert ahead is not None
            assert ahead.answer(work.connection) == ahead.answer(work.connection)
            [seen] = world.rights.visible([document()], context)
        return bool(seen)

    try:
        assert sees()
        with elsewhere.transaction() as work:
            word = RightsStore(work).add(
                consent(Choice.OPPOSITION), version=1, author="x", message_id="", at=NOON, standing=True
            )
        assert not sees()
        with elsewhere.transaction() as work:
            RightsStore(work).supersede(word.key, NOON)
        assert sees()
    finally:
        elsewhere.dispose()


def test_nothing_is_asked_ahead_where_something_is_written(database: Database) -> None:
    world = World(database)
    with database.transaction():
        assert world.rights.ahead([MARIE], Context(principal=DOCTOR)) is None
