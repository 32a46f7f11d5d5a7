"""Who meets: keys in common."""

import hashlib

import pytest

from hub.patients.scoring import Scorer
from hub.patients.scoring.keys import VERSION
from hub.testing.population import Population
from tests.patients.scoring.people import B, someone


def met(one: dict[str, str], other: dict[str, str]) -> set[str]:
    scorer = Scorer()
    mine, theirs = (scorer.keys(someone(B, **changes)) for changes in (one, other))
    values = {value for _, value in theirs}
    return {name for name, value in mine if value in values}


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        ({}, {"birth_given": "Claire", "given_names": "", "phone": ""}, {"name-born"}),
        ({"birth_name": "Morvan", "phone": ""}, {}, {"given-born"}),
        ({"birth_name": "Morvan", "used_name": "Le Goff", "given_names": ""}, {"phone": "", "birth_given": "Lise"},
         {"name-born"}),
        ({"birth_name": "Le Gof", "birth_date": "19791503", "phone": ""}, {"birth_date": "19790315"},
         {"sound-year", "name-given-place"}),
        ({"birth_date": "19800316", "phone": ""}, {}, {"name-given-place"}),
        ({"birth_name": "Anne", "birth_given": "Le Goff", "phone": "", "given_names": ""}, {"given_names": ""},
         {"name-born", "given-born"}),
        ({"birth_name": "Morvan", "birth_date": "19501122"}, {}, {"phone-given"}),
        ({"birth_name": "Morvan", "birth_given": "Lise", "ins": "1" * 15}, {"ins": "1" * 15}, {"ins"}),
    ],
)  # fmt: skip
def test_they_meet_whatever_one_field_says(one: dict[str, str], other: dict[str, str], names: set[str]) -> None:
    assert names <= met(one, other)


def test_what_names_nobody_has_no_keys() -> None:
    nobody = someone(birth_name="INCONNU", birth_given="X", given_names="", phone="")
    assert Scorer().keys(nobody) == ()


def test_keys_fit_a_signed_64_bit_column_and_are_few() -> None:
    keys = Scorer().keys(someone(birth_name="de La Tour-Martin du Plessis", used_name="Le Goff Morvan", ins="1" * 15))
    assert len(keys) == len({value for _, value in keys}) <= 12
    assert all(-(2**63) <= value < 2**63 for _, value in keys)


def test_a_filled_in_date_alone_is_not_met() -> None:
    lunar = {"birth_date": "19501231", "phone": "", "birth_place": ""}
    assert (
        met({**lunar, "birth_given": "Ali", "given_names": ""}, {**lunar, "birth_given": "Omar", "given_names": ""})
        == set()
    )


def test_other_keys_have_another_version() -> None:
    """When keys are made otherwise, raise VERSION with the digest: else no re-link makes those anew that are stored."""
    every = sorted(
        (identity.identifier.value, key)
        for _, identity in Population(seed=5, records=300, twice=0.0)
        for _, key in Scorer().keys(identity)
    )
    digest = hashlib.sha256(repr(every).encode()).hexdigest()[:16]
    assert (VERSION, digest) == (1, "2a96a7810920916a")
