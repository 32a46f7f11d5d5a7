"""A word that has an end: time takes an opposition back, and those who wait for it hear of that without a message."""

from datetime import timedelta

import pytest

from hub.access.consents import ConsentService
from hub.access.rights_model import Choice, Matter, RecordConsent
from hub.context import Context
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.access.rights_world import AT_A, HUB, NOON, SYSTEM, World, consent


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_an_opposition_that_is_over_is_told_until_another_follows(world: World) -> None:
    consents, told = ConsentService(world.rights), list[tuple[PatientIdentifier, Matter]]()

    def heard(identity: PatientIdentifier, matter: Matter, context: Context) -> None:
        assert context.principal is HUB
        told.append((identity, matter))

    word = consent(matter=Matter.FEEDING, until=NOON + timedelta(hours=1))
    consents.record(RecordConsent(word), Context(principal=SYSTEM))
    consents.listeners.append(heard)
    assert (consents.ended(), told) == (0, [])
    world.at = NOON + timedelta(hours=1)
    assert (consents.ended(), told) == (1, [(AT_A, Matter.FEEDING)])
    assert consents.ended() == 1  # again: a worker may have died in between
    world.at = NOON + timedelta(days=40)
    assert consents.ended() == 0

    consents.listeners.clear()
    world.at = NOON + timedelta(hours=2)
    consents.record(RecordConsent(consent(matter=Matter.FEEDING, days=0)), Context(principal=SYSTEM))
    assert world.rights.said(AT_A, Matter.FEEDING) is Choice.OPPOSITION
    assert consents.ended() == 0
