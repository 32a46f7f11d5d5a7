"""A hospital gives a number to somebody else: nobody's earlier word joins the two, and a steward is asked."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hub.access.model import Principal
from hub.context import Context
from hub.patients.model import Fed, FeedIdentity, GetPerson, Identity, TaskKind, Traits
from hub.patients.service import PatientService
from hub.patients.steward_model import LinkIdentities
from hub.patients.stewardship import Stewardship
from hub.values import PatientIdentifier
from tests.patients.conftest import MARIE, A, B, identity

PAUL = Traits(birth_name="Grand", birth_given="Paul", given_names="Paul", birth_date="20010203", sex="M")
ONE, TWO = PatientIdentifier("1", A), PatientIdentifier("2", B)
STEWARD = Context(principal=Principal(id="claire", name="Claire", permissions=frozenset({"patients.steward"})))
Feed = Callable[[Identity], Fed]


@pytest.fixture
def feed(patients: PatientService) -> Feed:
    return lambda item: patients.feed(FeedIdentity(item), Context(source="HIS_C"))


def together(patients: PatientService) -> bool:
    return patients.get(GetPerson(ONE), Context()).regional == patients.get(GetPerson(TWO), Context()).regional


def questions(patients: PatientService) -> list[TaskKind]:
    return [task.kind for task in patients.tasks()]


def test_what_a_steward_linked_does_not_hold_for_somebody_else(feed: Feed, patients: PatientService) -> None:
    feed(identity("1", A))
    feed(replace(identity("2", B), traits=replace(MARIE, birth_name="Le Gof")))
    Stewardship(patients=patients).link(LinkIdentities(ONE, TWO, "Carte vue"), STEWARD)
    assert together(patients)
    feed(replace(identity("1", A), traits=PAUL))
    assert not together(patients)
    assert patients.links(ONE)[0].ended_why == "number-reused"
    assert questions(patients) == [TaskKind.STRICT_TRAITS]


def test_it_is_asked_also_where_the_number_was_linked_to_nobody(feed: Feed, patients: PatientService) -> None:
    feed(identity("1", A))
    feed(replace(identity("1", A), traits=PAUL))
    feed(replace(identity("1", A), traits=PAUL))
    assert questions(patients) == [TaskKind.STRICT_TRAITS]


@pytest.mark.parametrize(
    "corrected",
    [
        {"birth_name": "Le Gof"},
        {"birth_name": "Martin", "birth_given": "Helene"},
        {"birth_date": "19790316", "sex": "M"},
        {"birth_place": "29020", "birth_name": "Martin"},
    ],
    ids=str,
)
def test_a_correction_is_none(feed: Feed, patients: PatientService, corrected: dict[str, Any]) -> None:
    feed(identity("1", A))
    feed(replace(identity("1", A), traits=replace(MARIE, **corrected)))
    assert questions(patients) == []


def test_an_unknown_person_who_gets_a_name_is_nobody_else(feed: Feed, patients: PatientService) -> None:
    unknown = replace(MARIE, birth_name="Inconnu", birth_given="X", given_names="", birth_date="19000101", sex="F")
    feed(replace(identity("1", A), traits=unknown))
    feed(replace(identity("1", A), traits=PAUL))
    assert questions(patients) == []
