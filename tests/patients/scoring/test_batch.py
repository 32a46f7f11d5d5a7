"""Batch and online say the same about the same pair; a model can be learned. Skipped where Splink is not installed."""

import pytest

from hub.patients.scoring import Scorer, bits, prepared
from hub.patients.scoring.model import LEAST, default, dump, parse
from hub.testing.population import population

pytest.importorskip("splink")

from hub.app.patients.batch import scored
from hub.app.patients.training import train


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_pairs_weigh_the_same_in_a_batch_and_online() -> None:
    identities = [identity for _, identity in population(11, 20_000)]
    scorer, records = Scorer(), [prepared(identity) for identity in identities]
    pairs = list(scored(default(), identities, least=-200.0))
    assert len(pairs) >= 10_000
    assert len({(one, other) for one, other, _ in pairs}) == len(pairs)
    apart = [
        (one, other) for one, other, weight in pairs if abs(scorer.weight(records[one], records[other]) - weight) > 1e-6
    ]
    assert apart == []
    levels = {
        (field.field, field.level)
        for one, other, _ in pairs
        for field in scorer.score(identities[one], identities[other]).fields
    }
    assert len(levels) > 25  # the pairs tried nearly every level


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_model_learned_from_few_finds_most() -> None:
    steps: list[str] = []
    model = train(
        (prepared(identity) for _, identity in population(21, 6000)), "small", source="test", pairs=3e5,
        told=steps.append,
    )  # fmt: skip
    assert parse(dump(model)) == model
    assert model.trained["records"] == 6000
    assert len(steps) > 3
    assert all(LEAST <= level.m <= 1 - LEAST for item in model.comparisons for level in item.levels)
    people = list(population(22, 3000))
    scorer, records = Scorer(model), [prepared(identity) for _, identity in people]
    by_person: dict[int, list[int]] = {}
    for number, (person, _) in enumerate(people):
        by_person.setdefault(person, []).append(number)
    same = [(group[0], group[1]) for group in by_person.values() if len(group) > 1]
    found = sum(scorer.weight(records[one], records[other]) > bits(0.99) for one, other in same)
    assert found / len(same) > 0.95
    others = [(number, number + 500) for number in range(2000) if people[number][0] != people[number + 500][0]]
    assert sum(scorer.weight(records[one], records[other]) > 0 for one, other in others) == 0
