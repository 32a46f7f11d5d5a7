"""PIX consumers learn of lists that change: once each, all of them, and nothing else."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from hub.context import Context
from hub.patients.model import FeedIdentity, MergeIdentities
from hub.patients.notices import NOTICE, Notice, Notices, Recipient
from hub.patients.service import PatientService
from hub.values import PatientIdentifier
from tests.patients.conftest import DOMAIN, MARIE, A, B, C, identity

RIS, EVERY = "RIS", "EVERYTHING"


class Told:
    """The outbox."""

    def __init__(self, patients: PatientService) -> None:
        self.patients = patients
        self.queued: list[tuple[str, Notice]] = []
        recipients = [Recipient(RIS, frozenset({A, B})), Recipient(EVERY, frozenset({DOMAIN, A, B, C}))]
        listener = Notices(database=patients.database, patients=patients, enqueue=self.enqueue, recipients=recipients)
        patients.listeners.append(listener.changed)

    def enqueue(self, destination: str, kind: str, payload: Any, context: Context) -> str:  # noqa: ARG002
        assert (destination, kind) == (f"notify:{payload['recipient']}", NOTICE)
        self.queued.append((payload["recipient"], Notice.of(payload)))
        return "1"

    def of(self, recipient: str) -> list[set[str]]:
        """The numbers told since, a set each notice."""
        found = [{item.value for item in notice.identifiers} for name, notice in self.queued if name == recipient]
        self.queued = [item for item in self.queued if item[0] != recipient]
        return found

    def feed(self, *args: Any, **more: Any) -> str:
        context = Context(source="HIS_C")
        return self.patients.feed(FeedIdentity(identity(*args, **more)), context).regional.value


@pytest.fixture
def told(patients: PatientService) -> Told:
    return Told(patients)


def test_a_number_that_stands_alone_is_no_news(told: Told) -> None:
    person = told.feed("A1")
    assert told.of(RIS) == []
    assert told.of(EVERY) == [{person, "A1"}], "the regional identifier and the hospital's are two"


def test_a_link_is_told_once_and_a_corrected_address_is_not(told: Told) -> None:
    person = told.feed("A1")
    assert told.feed("B1", B) == person
    assert told.of(RIS) == [{"A1", "B1"}]
    assert told.of(EVERY) == [{person, "A1"}, {person, "A1", "B1"}]
    told.feed("B1", B, city="Brest")
    told.feed("A1")
    assert told.queued == []


def test_what_is_of_no_interest_is_not_told(told: Told) -> None:
    told.feed("A1")
    person = told.feed("C1", C)
    assert told.of(RIS) == []
    assert told.of(EVERY)[-1] == {person, "A1", "C1"}


def test_both_are_told_when_two_are_parted(told: Told) -> None:
    told.feed("A1")
    told.feed("B1", B)
    told.of(RIS), told.of(EVERY)
    parted = told.feed("B1", B, birth_date="19790316")
    first = told.patients.person(PatientIdentifier("A1", A))
    assert first is not None
    assert first.regional.value != parted
    assert sorted(map(sorted, told.of(RIS))) == [["A1"], ["B1"]]
    assert sorted(map(sorted, told.of(EVERY))) == sorted(map(sorted, ({first.regional.value, "A1"}, {parted, "B1"})))
    told.feed("B1", B, birth_date="19790316", city="Brest")
    assert told.queued == []
    told.feed("B1", B)
    assert told.of(RIS) == [{"A1", "B1"}], "joined again"


def test_a_merged_number_leaves_the_list(told: Told) -> None:
    told.feed("A1")
    told.feed("B1", B)
    told.feed("B2", B, MARIE, birth_name="Le Gall")
    told.of(RIS)
    survivor = replace(identity("B2", B), traits=replace(MARIE, birth_name="Le Gall"))
    told.patients.merge(MergeIdentities(survivor, PatientIdentifier("B1", B)), Context())
    assert told.of(RIS) == [{"A1"}], "the survivor stands alone: nobody was told of it, nobody need be"


def test_nothing_is_told_of_what_is_taken_back(told: Told) -> None:
    told.feed("A1")
    with contextlib.suppress(RuntimeError), told.patients.database.transaction():
        told.feed("B1", B)
        raise RuntimeError
    told.queued.clear()
    told.feed("B1", B)
    assert told.of(RIS) == [{"A1", "B1"}]
