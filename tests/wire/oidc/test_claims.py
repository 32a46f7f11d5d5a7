from typing import Any

import pytest

from hub.access.model import Professional
from hub.access.sign_in_errors import ClaimsUnusable
from hub.wire.oidc.claims import situations, structure_of
from tests.wire.oidc.people import HOSPITAL, ONE_PLACE, PRACTICE, TWO_PLACES, claims, exercise


def test_each_activity_of_each_exercise_is_a_situation() -> None:
    hospital, practice = situations(TWO_PLACES)
    assert hospital == Professional(
        id="899700000001",
        family="ESSAI",
        given="Camille",
        profession="10",
        specialities=("SM44",),
        structure="1750100125",
        structure_name="CHU Essai",
        sector="SA01",
    )
    assert (practice.structure, practice.structure_name, practice.sector) == (
        "499700000001007",
        "Cabinet Essai",
        "SA07",
    )


def test_a_nurse_has_no_speciality() -> None:
    (nurse,) = situations(ONE_PLACE)
    assert (nurse.profession, nurse.specialities) == ("60", ())


def test_the_same_situation_told_twice_is_one() -> None:
    assert len(situations(claims(exercise("10", "SM44", HOSPITAL, HOSPITAL), exercise("10", "SM44", HOSPITAL)))) == 1


def test_an_exercise_without_a_place_is_a_situation() -> None:
    (one,) = situations(claims(exercise("10", "SM26")))
    assert (one.structure, one.sector) == ("", "SA07")


def test_without_exercises_the_flat_claims_count() -> None:
    (one,) = situations(claims())
    assert (one.profession, one.structure, one.structure_name) == ("10", "499700000001007", "Cabinet Essai")


@pytest.mark.parametrize(
    ("activity", "structure"),
    [
        (PRACTICE, "499700000001007"),
        ({"numeroFinessSite": "750100125", "numeroSiretSite": "12345678901234"}, "1750100125"),
        ({"numeroSiretSite": "12345678901234", "numeroSirenSite": "123456789"}, "312345678901234"),
        ({"numeroSirenSite": "123456789"}, "2123456789"),
        ({"identifiantTechniqueDeLaStructure": "R10000001"}, "R10000001"),
        ({}, ""),
    ],
)
def test_struct_id_nat(activity: dict[str, Any], structure: str) -> None:
    assert structure_of(activity) == structure


@pytest.mark.parametrize(
    ("more", "claim"),
    [
        ({"SubjectNameID": None}, "SubjectNameID"),
        ({"SubjectNameID": "x' OR 1=1"}, "SubjectNameID"),
        ({"SubjectNameID": ["899700000001"]}, "SubjectNameID"),
        ({"family_name": {"$ne": ""}}, "family_name"),
        ({"family_name": "A" * 201}, "family_name"),
        ({"given_name": "A\nB"}, "given_name"),
        ({"SubjectRefPro": "text"}, "SubjectRefPro"),
        ({"SubjectRefPro": {"exercices": {}}}, "exercices"),
        ({"SubjectRefPro": {"exercices": ["text"]}}, "exercices"),
        ({"SubjectRefPro": {"exercices": [{}] * 61}}, "exercices"),
        ({"SubjectRefPro": {"exercices": [{"activities": 1}]}}, "activities"),
        ({"SubjectRefPro": {}, "SubjectRole": [{}]}, "SubjectRole"),
    ],
)
def test_what_is_of_another_form_is_refused(more: dict[str, Any], claim: str) -> None:
    with pytest.raises(ClaimsUnusable) as refused:
        situations(claims() | more)
    assert refused.value.location == claim
    assert "ESSAI" not in refused.value.message


def test_too_many_situations_are_refused() -> None:
    places = [{"ancienIdentifiantDeLaStructure": str(number)} for number in range(40)]
    with pytest.raises(ClaimsUnusable):
        situations(claims(exercise("10", "SM44", *places), exercise("10", "SM26", *places)))
