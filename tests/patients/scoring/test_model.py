"""Model files: what is broken is refused, and says why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.patients.errors import ModelRefused
from hub.patients.scoring import Scorer, Terms, bits, probability
from hub.patients.scoring.model import LEAST, default, dump, parse, read
from tests.patients.scoring.people import B, someone

Broken = Callable[[dict[str, Any]], object]


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dump(default()))
    return found


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(dump(default()))
    assert read(path) == default()
    assert path.stat().st_size < 200_000


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (lambda d: d.update(format=2), "format"),
        (lambda d: d.update(version=""), "version"),
        (lambda d: d.update(prior=0), "prior"),
        (lambda d: d.update(prior="often"), "prior"),
        (lambda d: d.update(comparisons=[]), "no comparisons"),
        (lambda d: d["comparisons"].append(d["comparisons"][0]), "twice"),
        (lambda d: d["comparisons"][0].update(kind="shoe size"), "shoe size is no kind"),
        (lambda d: d["comparisons"][0]["levels"].pop(), "name must have the levels exact"),
        (lambda d: d["comparisons"][0]["levels"][1].update(m=None), "level birth-and-used of name was not trained: m"),
        (lambda d: d["comparisons"][0]["levels"][1].update(u=2), "was not trained: u"),
        (lambda d: d["comparisons"][0]["levels"][1].update(m=True), "was not trained: m"),
        (lambda d: d.update(terms={"shoe": {}}), "terms"),
        (lambda d: d.update(terms={"name": {"MARTIN": 0}}), "frequency of name"),
    ],
)
def test_a_broken_model_is_refused_by_name(breaks: Broken, said: str) -> None:
    broken = document()
    breaks(broken)
    with pytest.raises(ModelRefused, match=said):
        parse(json.dumps(broken).encode())


def test_no_json_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="not JSON"):
        parse(b"{")
    with pytest.raises(ModelRefused, match="format"):
        parse(b"[]")
    with pytest.raises(ModelRefused, match="can't be read"):
        read(tmp_path / "none.json")


def test_what_was_rare_in_training_is_no_proof() -> None:
    extreme = document()
    extreme["comparisons"][0]["levels"][0].update(m=1.0, u=0.0)
    level = parse(json.dumps(extreme).encode()).comparisons[0].levels[0]
    assert (level.m, level.u) == (1 - LEAST, LEAST)


def test_a_rare_name_says_more_than_a_frequent_one() -> None:
    scorer = Scorer(default(), Terms({"name": {"MARTIN": 0.004, "LEGOUELLEC": 0.00002}}))

    def weight(name: str) -> float:
        score = scorer.score(someone(birth_name=name), someone(B, birth_name=name))
        return next(field.weight for field in score.fields if field.field == "name")

    assert weight("Martin") < weight("Le Gouellec") < weight("Never Met")


def test_bits_and_probabilities() -> None:
    assert probability(0) == 0.5
    assert probability(bits(0.99)) == pytest.approx(0.99)
    assert probability(1000) == 1.0
    assert probability(-1000) == pytest.approx(0.0)


def test_every_weight_leans_the_right_way() -> None:
    for comparison in default().comparisons:
        assert comparison.levels[0].weight > 0, comparison.kind
        assert comparison.levels[-1].weight < 0, comparison.kind
