"""Twins, fathers and sons, newborns: never joined without asking, whatever the score says."""

import pytest

from hub.patients.model import IdentityStatus
from hub.patients.scoring import SETTLED, Scorer
from tests.patients.scoring.people import A, B, someone


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer()


def test_twins_weigh_much_and_are_vetoed(scorer: Scorer) -> None:
    score = scorer.score(someone(), someone(B, birth_given="Claire", given_names="Claire"))
    assert score.probability > 0.99
    assert score.vetoes == ("given-name",)
    assert set(score.vetoes) <= SETTLED


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"birth_given": "Julie"}, {"birth_given": "Julien"}, "given-name"),  # two names, one letter
        ({"birth_given": "Julie"}, {"birth_given": "Juile"}, ""),  # a typing error
        ({"birth_given": "Mathieu"}, {"birth_given": "Matthieu"}, ""),  # sounds the same
        ({"birth_given": "Anne", "given_names": "Anne Louise"}, {"birth_given": "Louise"}, ""),
        ({"birth_given": "Anne", "given_names": "Anne Louise", "multiple_birth": True}, {"birth_given": "Louise"},
         "given-name"),
        ({"birth_given": "Anne", "multiple_birth": True}, {"birth_given": "Anne"}, ""),
        ({"birth_given": "Anne"}, {"birth_given": "A"}, "given-name-unsure"),
        ({"birth_given": "Anne", "ins": "1" * 15}, {"birth_given": "A", "ins": "1" * 15}, ""),
        ({"birth_given": "Anne"}, {"birth_given": ""}, "given-name-unsure"),
        ({"birth_given": "Anne"}, {"birth_given": "BEBE"}, "newborn"),
        ({"birth_given": "Anne"}, {"birth_given": "FILLE DE MARIE"}, "newborn"),
        ({"sex": "M"}, {"sex": "F"}, "sex-unsure"),
        ({"sex": "M"}, {"sex": "U"}, ""),
        ({"birth_date": "19790315"}, {"birth_date": "19490315"}, "generation"),  # father and son of one name
        ({"birth_date": "19790315"}, {"birth_date": "19830712"}, "birth-date"),
        ({"birth_date": "19790315"}, {"birth_date": "19790513"}, ""),
        ({"birth_date": "19790305"}, {"birth_date": "19790503"}, ""),
        ({"birth_date": "19790315"}, {"birth_date": ""}, "birth-date"),
        ({"ins": "1" * 15}, {"ins": "2" * 15}, "ins"),
        ({"birth_name": "INCONNU"}, {}, "name"),
        ({"attributes": frozenset({"DOUT"})}, {}, "doubtful"),
        ({"status": IdentityStatus.PROVISIONAL}, {}, "provisional"),
        ({"status": IdentityStatus.RETRIEVED}, {}, "provisional"),
    ],
)  # fmt: skip
def test_what_forbids_and_what_does_not(
    scorer: Scorer, one: dict[str, object], other: dict[str, object], expected: str
) -> None:
    base: dict[str, object] = {"given_names": ""}
    a, b = someone(A, **base | one), someone(B, **base | other)  # type: ignore[arg-type]
    assert scorer.vetoes(a, b) == scorer.vetoes(b, a) == ((expected,) if expected else ())


def test_two_of_one_hospital(scorer: Scorer) -> None:
    assert scorer.vetoes(someone(A, "1"), someone(A, "2")) == ("same-authority",)


def test_no_veto_where_all_is_the_same(scorer: Scorer) -> None:
    score = scorer.score(someone(A), someone(B))
    assert score.vetoes == ()
    assert score.probability > 0.999999
    assert score.weight == pytest.approx(scorer.model.prior_weight + sum(field.weight for field in score.fields))
    assert {field.field for field in score.fields} == {"name", "given", "born", "place", "sex", "home", "phone"}
