"""Strangers looked up in the index: exactly one person by the strict rules, or nobody."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hub.context import Context
from hub.patients.discovery import DiscoveryIncomplete, Match, Matcher, SeveralMatches, agrees
from hub.patients.model import Fed, FeedIdentity, Identity, IdentityStatus, Traits
from hub.patients.service import PatientService
from hub.values import PatientIdentifier
from tests.patients.conftest import MARIE, A, B, identity, ins

ABROAD = PatientIdentifier("X-1", "1.2.250.1.888.1")
Feed = Callable[[Identity], Fed]


@pytest.fixture
def matcher(patients: PatientService) -> Matcher:
    return Matcher(patients)


def found(match: Match) -> PatientIdentifier | None:
    return match.person.regional if match.person is not None else None


def test_by_all_strict_traits(matcher: Matcher, feed: Feed) -> None:
    marie = feed(identity("1"))
    assert found(matcher.match(MARIE, [ABROAD])) == marie.regional
    assert found(matcher.match(replace(MARIE, birth_name="LE-GOFF", birth_given="MARIE HELENE"), [])) == marie.regional


@pytest.mark.parametrize(
    "changes",
    [
        {"birth_name": "Le Gall"},
        {"birth_given": "Anne", "given_names": "Anne"},
        {"birth_date": "19790316"},
        {"sex": "M"},
        {"birth_place": "29232"},
    ],
)
def test_one_trait_that_differs_finds_nobody(matcher: Matcher, feed: Feed, changes: dict[str, Any]) -> None:
    feed(identity("1"))
    assert matcher.match(replace(MARIE, **changes), [ABROAD]) == Match()


def test_what_could_decide_is_asked_for(matcher: Matcher, feed: Feed) -> None:
    feed(identity("1"))
    assert matcher.match(replace(MARIE, sex=""), []).lacking == ("sex",)
    assert matcher.match(replace(MARIE, sex="", birth_place=""), []).lacking == ("sex", "birth_place")
    assert matcher.match(replace(MARIE, sex="M", birth_place=""), []).lacking == (), "that one is excluded already"
    assert matcher.match(replace(MARIE, sex="", birth_given="Anne", given_names=""), []).lacking == ()


def test_an_unchecked_or_doubtful_identity_is_not_found_by_traits(matcher: Matcher, feed: Feed) -> None:
    feed(identity("1", status=IdentityStatus.PROVISIONAL))
    feed(identity("2", B, attributes=frozenset({"DOUT"})))
    assert found(matcher.match(MARIE, [ABROAD])) is None


def test_by_ins(matcher: Matcher, feed: Feed) -> None:
    marie = feed(identity("1", status=IdentityStatus.QUALIFIED, ins=ins()))
    assert found(matcher.match(Traits(), [ins()])) == marie.regional
    assert found(matcher.match(MARIE, [ABROAD, ins()])) == marie.regional
    assert found(matcher.match(Traits(), [ins("1790329019123")])) is None
    with pytest.raises(SeveralMatches):
        matcher.match(replace(MARIE, birth_date="19800101"), [ins()])


def test_by_a_number_of_this_region(matcher: Matcher, feed: Feed) -> None:
    marie, other = feed(identity("1")), feed(identity("2", birth_name="Le Gall"))
    assert found(matcher.match(Traits(), [PatientIdentifier("1", A)])) == marie.regional
    assert found(matcher.match(Traits(), [marie.regional, ABROAD])) == marie.regional
    with pytest.raises(SeveralMatches):
        matcher.match(Traits(), [marie.regional, other.regional])
    with pytest.raises(SeveralMatches):
        matcher.match(replace(MARIE, birth_name="Le Bihan"), [marie.regional])


def test_two_who_fit_are_nobody(matcher: Matcher, feed: Feed) -> None:
    feed(identity("1"))
    feed(identity("2"))  # the same hospital: never joined
    with pytest.raises(SeveralMatches):
        matcher.match(MARIE, [ABROAD])


def test_too_little_to_look_for(matcher: Matcher) -> None:
    for traits in (Traits(), Traits(birth_name="Le Goff"), Traits(birth_date="19790315")):
        with pytest.raises(DiscoveryIncomplete):
            matcher.match(traits, [])
    assert matcher.match(Traits(), [ABROAD]) == Match()


def test_whether_an_answer_is_about_the_person(patients: PatientService, feed: Feed) -> None:
    feed(identity("1", status=IdentityStatus.QUALIFIED, ins=ins()))
    marie = patients.person(PatientIdentifier("1", A))
    assert marie is not None
    assert agrees(marie, MARIE, [ABROAD])
    assert agrees(marie, replace(MARIE, birth_place="", sex=""), [ABROAD])
    assert not agrees(marie, replace(MARIE, birth_date=""), [ABROAD])
    assert not agrees(marie, Traits(), [ABROAD])
    assert not agrees(marie, replace(MARIE, sex="M"), [ABROAD])
    assert not agrees(marie, MARIE, [ins("2790329019124")])


def test_who_is_only_considered_is_not_audited(matcher: Matcher, patients: PatientService) -> None:
    patients.feed(FeedIdentity(identity("1")), Context(source="HIS_C"))
    assert found(matcher.match(replace(MARIE, birth_given="Anne", given_names=""), [])) is None
