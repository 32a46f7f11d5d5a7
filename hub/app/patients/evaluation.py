"""What a model is worth on people whose truth is known: by threshold, with and without vetoes. A page with plots."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from itertools import combinations
from typing import Any

from hub.patients.matching import SAME_AUTHORITY
from hub.patients.model import Identity
from hub.patients.scoring import SETTLED, Scorer, bits, keys, prepared
from hub.patients.scoring.model import Model
from hub.patients.scoring.vetoes import PROVISIONAL
from hub.patients.store_keys import CAP

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999)
_EXCLUDED = frozenset({SAME_AUTHORITY, PROVISIONAL})  # pairs that no score may join


@dataclass(frozen=True, slots=True)
class Point:
    """At one threshold: pairs joined automatically. ``plain``: what the score alone would do, without vetoes."""

    threshold: float
    precision: float
    recall: float
    worklist: float  #: pairs that a steward would be asked about, for 1,000 records
    plain_precision: float
    plain_recall: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Of one model on one population."""

    model: str
    records: int
    pairs: int  #: true ones that may be joined
    met: float  #: share of them with a blocking key in common: no threshold finds more
    points: tuple[Point, ...]

    def document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def evaluate(model: Model, people: Iterable[tuple[int, Identity]], review: float = 0.5) -> Evaluation:
    """Every pair that shares a key, weighed."""
    scorer, persons, identities = Scorer(model), [], []
    for person, identity in people:
        persons.append(person)
        identities.append(identity)
    records = [prepared(identity) for identity in identities]
    blocks: defaultdict[int, list[int]] = defaultdict(list)
    for number, record in enumerate(records):
        for _, key in keys.keys(record):
            blocks[key].append(number)
    meeting = {pair for block in blocks.values() if len(block) <= CAP for pair in combinations(block, 2)}
    joined: dict[str, list[tuple[float, bool]]] = {"plain": [], "vetoed": []}
    asked: list[float] = []
    met = 0
    for one, other in meeting:
        vetoes = frozenset(scorer.vetoes(identities[one], identities[other]))
        same = persons[one] == persons[other]
        if vetoes & _EXCLUDED:
            continue
        met += same
        weight = scorer.weight(records[one], records[other])
        joined["plain"].append((weight, same))
        if not vetoes:
            joined["vetoed"].append((weight, same))
        elif not vetoes & SETTLED and weight >= bits(review):
            asked.append(weight)
    total = _allowed(persons, identities)
    plain, vetoed = (_curve(joined[name], total) for name in ("plain", "vetoed"))
    low = sorted(weight for weight, _ in joined["vetoed"] if weight >= bits(review))
    points = []
    for threshold in THRESHOLDS:
        waiting = bisect_left(low, bits(threshold)) + len(asked)
        worklist = waiting / len(records) * 1000 if records else 0.0
        points.append(Point(threshold, *vetoed(threshold), worklist, *plain(threshold)))
    return Evaluation(model.version, len(records), total, met / total if total else 1.0, tuple(points))


def _allowed(persons: Sequence[int], identities: Sequence[Identity]) -> int:
    of: defaultdict[int, list[Identity]] = defaultdict(list)
    for person, identity in zip(persons, identities, strict=True):
        if identity.status.value not in ("PROV", "RECUP"):
            of[person].append(identity)
    return sum(
        one.identifier.authority != other.identifier.authority
        for group in of.values()
        for one, other in combinations(group, 2)
    )


def _curve(pairs: list[tuple[float, bool]], total: int) -> Callable[[float], tuple[float, float]]:
    ordered = sorted(pairs)
    weights = [weight for weight, _ in ordered]
    right = [0]
    for _, same in reversed(ordered):
        right.append(right[-1] + same)

    def at(threshold: float) -> tuple[float, float]:
        found = len(weights) - bisect_left(weights, bits(threshold))
        return (right[found] / found if found else 1.0), (right[found] / total if total else 1.0)

    return at


# The page

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 600, 280, 60, 30, 36, 40
_LINES = 4  # of the scale
_USUAL = 0.99  # what the hub joins from, unless the settings say otherwise
_COLOURS = ("#1b5e93", "#b3541e")


def page(found: Evaluation) -> str:
    """One HTML page: plots and the table; no script, nothing from elsewhere."""
    names = tuple(f"{point.threshold:g}" for point in found.points)
    plots: dict[str, dict[str, list[float]]] = {
        "Precision": {
            "with vetoes": [point.precision for point in found.points],
            "score alone": [point.plain_precision for point in found.points],
        },
        "Recall": {
            "with vetoes": [point.recall for point in found.points],
            "score alone": [point.plain_recall for point in found.points],
        },
        "Worklist for 1,000 records": {"pairs": [point.worklist for point in found.points]},
    }
    drawn = "\n".join(_plot(title, names, series) for title, series in plots.items())
    rows = "\n".join(
        f"<tr{' class=usual' if p.threshold == _USUAL else ''}><td>{p.threshold:g}</td>"
        f"<td>{p.precision:.5f}</td><td>{p.recall:.5f}</td><td>{p.worklist:.2f}</td>"
        f"<td>{p.plain_precision:.5f}</td><td>{p.plain_recall:.5f}</td></tr>"
        for p in found.points
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Matching model {escape(found.model)}</title>
<style>
body{{font:16px/1.5 sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:#222}}
td,th{{padding:.2rem .8rem;text-align:right}} figure{{margin:2rem 0}} figcaption{{font-weight:bold}}
table{{border-collapse:collapse}} td{{border-top:1px solid #ddd;font-variant-numeric:tabular-nums}}
.usual{{background:#eef4fa;font-weight:bold}} text{{font:12px sans-serif;fill:#333}}
</style></head>
<body><h1>Matching model {escape(found.model)}</h1>
<p>{found.records:,} records, {found.pairs:,} pairs of one person that may be joined; {found.met:.2%} of them have a
blocking key in common, which is the most that any threshold can find. Pairs, not persons: a link through a third
record counts where it is met only. The dotted line, and the row in bold, is the hub's own
threshold ({_USUAL:g}). The scales do not start at zero.</p>
{drawn}
<table><thead><tr><th>threshold</th><th>precision</th><th>recall</th><th>worklist</th><th>precision, score alone</th>
<th>recall, score alone</th></tr></thead><tbody>
{rows}
</tbody></table></body></html>
"""


def _plot(title: str, names: Sequence[str], series: dict[str, list[float]]) -> str:
    values = [value for line in series.values() for value in line]
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) / 100 or 1.0

    def across(number: int) -> float:
        return _LEFT + number * (_WIDTH - _LEFT - _RIGHT) / max(1, len(names) - 1)

    def down(value: float) -> float:
        return _TOP + (high - value) / spread * (_HEIGHT - _BOTTOM - _TOP)

    lines, legend = [], []
    for colour, (name, line) in zip(_COLOURS, series.items(), strict=False):
        points = " ".join(f"{across(number):.1f},{down(value):.1f}" for number, value in enumerate(line))
        lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        lines += [
            f'<circle cx="{across(number):.1f}" cy="{down(value):.1f}" r="3" fill="{colour}"><title>{escape(name)}, '
            f"{names[number]}: {value:.5g}</title></circle>"
            for number, value in enumerate(line)
        ]
        legend.append(f'<tspan fill="{colour}">&#9632; {escape(name)} </tspan>')
    ticks = "".join(
        f'<text x="{across(number):.1f}" y="{_HEIGHT - 15}" text-anchor="middle">{name}</text>'
        for number, name in enumerate(names)
    )
    values = [low + spread * number / _LINES for number in range(_LINES + 1)]
    scale = "".join(
        f'<path stroke="#ddd" d="M{_LEFT - 8} {down(value):.1f}H{_WIDTH - 10}"/>'
        f'<text x="{_LEFT - 12}" y="{down(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        for value in values
    )
    usual = across(names.index(f"{_USUAL:g}"))
    return (
        f'<figure><figcaption>{escape(title)}, by threshold</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="{escape(title)} by threshold">{scale}<path stroke="#999" stroke-dasharray="2 4" '
        f'd="M{usual:.1f} {_TOP - 8}V{_HEIGHT - _BOTTOM + 6}"/>{"".join(lines)}{ticks}'
        f'<text x="{_LEFT - 8}" y="14">{"".join(legend)}</text></svg></figure>'
    )
