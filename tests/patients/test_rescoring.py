"""A link by score, after one of its two was corrected: it stays, is asked about, or ends and everything comes back."""

from dataclasses import replace
from typing import Any

import pytest

from hub.app.patients.matching import weigh
from hub.app.settings.model import Matching
from hub.context import Context
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, TaskKind
from hub.patients.scoring import Scorer
from hub.patients.service import PatientService
from hub.patients.steward_model import FindTasks
from hub.patients.stewardship import Stewardship
from tests.patients.scoring.people import A, B, someone

C = "1.2.250.1.999.10.3"
ONE, OTHER = someone(A), someone(B, birth_name="Le Gof")


@pytest.fixture
def index(patients: PatientService) -> PatientService:
    patients.weigh = weigh(Matching(enabled=True))
    say(patients, ONE)
    first = patients.resolve(ONE.identifier)
    say(patients, OTHER)
    assert patients.resolve(OTHER.identifier) == first
    assert rules(patients) == [("score", "")]
    return patients


def say(patients: PatientService, *identities: Identity) -> None:
    for item in identities:
        patients.feed(FeedIdentity(item), Context(source="HIS_C"))


def changed(item: Identity, **traits: Any) -> Identity:
    return replace(item, traits=replace(item.traits, **traits))


def rules(patients: PatientService) -> list[tuple[str, str]]:
    return [(link.rule, link.ended_why) for link in patients.links(OTHER.identifier)]


def asked(patients: PatientService) -> set[TaskKind]:
    return {task.kind for task in Stewardship(patients=patients).tasks(FindTasks(), Context()).tasks}


def together(patients: PatientService) -> bool:
    return patients.resolve(ONE.identifier) == patients.resolve(OTHER.identifier)


APART: dict[str, tuple[Identity, set[TaskKind]]] = {
    "somebody else": (
        someone(B, birth_name="Martin", birth_given="Paul", given_names="Paul", birth_date="19550102", sex="M",
                birth_place="75056", phone="", address="", postal_code=""), set(),
    ),
    "a twin": (changed(OTHER, birth_given="Claire", given_names="Claire"), set()),
    "a brother": (changed(OTHER, birth_given="Marcel", given_names="Marcel", sex="M"), set()),
    "another generation": (changed(OTHER, birth_date="20050315"), set()),
    "in doubt": (replace(OTHER, attributes=frozenset({"DOUT"})), set()),
    "not checked any more": (replace(OTHER, status=IdentityStatus.PROVISIONAL), set()),
    "a newborn": (changed(OTHER, birth_given="BEBE", given_names=""), set()),
}  # fmt: skip


@pytest.mark.parametrize("case", APART)
def test_the_link_ends_and_everything_comes_back(index: PatientService, case: str) -> None:
    corrected, kinds = APART[case]
    before = index.resolve(ONE.identifier)
    say(index, corrected)
    assert not together(index)
    assert index.resolve(ONE.identifier) == before
    assert rules(index) == [("score", "basis-gone")]
    own = index.resolve(OTHER.identifier)
    assert asked(index) - {TaskKind.STRICT_TRAITS} == kinds
    say(index, OTHER)  # as it was: together again, under the older number, and the other still answers
    assert together(index)
    assert index.resolve(ONE.identifier) == before
    assert own is not None
    assert index.resolve(own) == before
    assert sorted(rules(index)) == [("score", ""), ("score", "basis-gone")]
    assert asked(index) == set()
    say(index, corrected)
    assert index.resolve(OTHER.identifier) == own  # the number that it had, not a third one


def test_in_between_it_stays_and_is_asked(index: PatientService) -> None:
    """Another birth name, moved house: a score that would only be a question today."""
    moved = changed(OTHER, birth_name="Kerbrat", phone="", address="", postal_code="")
    assert 0.5 <= Scorer().score(ONE, moved).probability < 0.99
    say(index, moved)
    assert together(index)
    assert rules(index) == [("score", "")]
    assert TaskKind.WRONG_JOIN in asked(index)
    say(index, OTHER)
    assert TaskKind.WRONG_JOIN not in asked(index)


def test_a_third_that_agrees_with_both_does_not_hold_a_twin(index: PatientService) -> None:
    """Two of three are corrected to be twins: whoever said so leaves, although the third agrees with either."""
    third = someone(C, birth_given="A", given_names="", ins="")
    say(index, third)
    say(index, changed(OTHER, birth_given="Claire", given_names="Claire"))
    assert not together(index)
