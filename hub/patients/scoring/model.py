"""What was learned: how often each level is met among pairs of one person (m) and of two persons (u). A JSON file.

The file is the model: the batch (Splink), the online scorer and an explanation years later read the same one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

import orjson

from hub.patients.errors import ModelRefused
from hub.patients.scoring.kinds import KINDS

FORMAT = 1
LEAST = 1e-5  #: m and u stay between this and 1 - this: what was rare in training is no proof (JeMPI clamps so too)
_DEFAULT = "default_model.json"
_MOST_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Level:
    """One level's frequencies, clamped."""

    name: str
    m: float
    u: float

    @property
    def weight(self) -> float:
        """Bits for (above zero) or against."""
        return math.log2(self.m / self.u)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison with the frequencies of its levels, in the kind's order. ``kind``: of ``kinds.KINDS``."""

    kind: str
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """``prior``: the probability that two records drawn at random are of one person."""

    version: str
    prior: float
    comparisons: tuple[Comparison, ...]
    trained: Mapping[str, Any] = field(default_factory=dict)
    terms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  #: column -> value -> frequency

    @property
    def prior_weight(self) -> float:
        """Bits, far below zero."""
        return math.log2(self.prior / (1 - self.prior))


def clamp(frequency: float) -> float:
    """Within [1e-5, 1 - 1e-5]."""
    return min(max(frequency, LEAST), 1 - LEAST)


def dump(model: Model) -> bytes:
    """The file's content."""
    document = {
        "format": FORMAT,
        "version": model.version,
        "prior": model.prior,
        "trained": dict(model.trained),
        "comparisons": [
            {"kind": item.kind, "levels": [{"level": x.name, "m": x.m, "u": x.u} for x in item.levels]}
            for item in model.comparisons
        ],
        "terms": {column: dict(values) for column, values in model.terms.items()},
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def read(path: Path) -> Model:
    """A model file. Raises ModelRefused, naming what is wrong with it."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            _refuse("it is larger than 50 MB")
        content = path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"The model file can't be read: {error.strerror}.") from error
    return parse(content)


@lru_cache(maxsize=1)
def default() -> Model:
    """The model that comes with the hub, trained on a made-up French population."""
    return parse(resources.files("hub.patients.scoring").joinpath(_DEFAULT).read_bytes())


def parse(content: bytes) -> Model:
    """Raises ModelRefused unless every level of every comparison is there and was trained."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ModelRefused("The model file is not JSON.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        _refuse(f"its format is not {FORMAT}")
    version, prior = document.get("version"), document.get("prior")
    if not isinstance(version, str) or not 0 < len(version) <= 80:
        _refuse("it has no version")
    if not _is_frequency(prior) or not 0 < prior < 1:
        _refuse("prior is not between 0 and 1")
    entries = document.get("comparisons")
    if not isinstance(entries, list) or not entries:
        _refuse("it has no comparisons")
    comparisons = tuple(_comparison(entry) for entry in entries)
    kinds = [item.kind for item in comparisons]
    if len(set(kinds)) != len(kinds):
        _refuse("a comparison is there twice")
    trained = document.get("trained", {})
    return Model(version, prior, comparisons, trained if isinstance(trained, dict) else {}, _terms(document))


def _comparison(entry: Any) -> Comparison:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        _refuse(f"{kind!s:.40} is no kind of comparison" if kind else "a comparison has no kind")
    wanted, levels = KINDS[kind].names, entry.get("levels")
    found = [item.get("level") for item in levels if isinstance(item, dict)] if isinstance(levels, list) else []
    if found != list(wanted):
        _refuse(f"comparison {kind} must have the levels {', '.join(wanted)}, in this order")
    return Comparison(kind, tuple(_level(kind, item) for item in levels))


def _level(kind: str, item: dict[str, Any]) -> Level:
    for letter in ("m", "u"):
        value = item.get(letter)
        if not _is_frequency(value) or not 0 <= value <= 1:
            _refuse(f"level {item['level']} of {kind} was not trained: {letter} is not a frequency")
    return Level(item["level"], clamp(item["m"]), clamp(item["u"]))


def _terms(document: dict[str, Any]) -> dict[str, dict[str, float]]:
    columns = document.get("terms", {})
    known = {kind.term for kind in KINDS.values()}
    if not isinstance(columns, dict) or not set(columns) <= known:
        _refuse("terms are not those of its comparisons")
    for column, values in columns.items():
        if not isinstance(values, dict) or not all(_is_frequency(x) and 0 < x <= 1 for x in values.values()):
            _refuse(f"a frequency of {column} is not between 0 and 1")
    return columns


def _is_frequency(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refuse(why: str) -> NoReturn:
    raise ModelRefused(f"The model file is refused: {why}.")
