"""``maillage patients relink``: the whole index weighed with the present model, beside the running hub.

Set-based: processes read the index in portions, DuckDB finds who shares a key and weighs them, the rules see only what
is left, and feeds' own path decides only what would change something."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, TypeVar

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hub.app.commands.options import SettingsOption
from hub.app.patients import collecting, matching
from hub.app.patients.batch import Batch
from hub.app.patients.readers import Readers
from hub.app.patients.snapshot import PORTION, Portion, Stale, described, portion, ranges
from hub.app.settings import file as settings_file
from hub.context import Context
from hub.errors import Misconfigured
from hub.patients.model import TaskKind
from hub.patients.relinking import PAGE, Relinking
from hub.patients.scoring import bits
from hub.patients.scoring.keys import NO_VERSION, VERSION
from hub.patients.store_snapshot import Pair, Range

if TYPE_CHECKING:
    from hub.app.settings.model import Matching
    from hub.patients.scoring.model import Model
    from hub.patients.service import PatientService

Item = TypeVar("Item")

MEMORY = "2500MB"  #: of DuckDB; the processes that read take some 300 MB beside it
_KEYS = 30_000  # rows that are written together
_TOGETHER = 50  # identities of one unit of work: feeds get their turn between
_NEARLY = 1e-6  # bits: sums of the same weights in another order; who is on the border is judged again
_LAST = -1000.0


@dataclass(slots=True)
class Report:
    """What was found and done. Pairs that a person already holds together are no news, nor what is asked already."""

    identities: int = 0
    keys: int = 0  #: identities whose blocking keys were missing or old
    pairs: int = 0  #: of two persons, that the score would link or have a steward look at
    automatic: int = 0  #: of them, those that it would link
    lower: int = 0  #: linked by a score that is lower now
    outdated: int = 0  #: open questions that the score asks no more
    decisions: int = 0  #: identities that are looked at again for all this
    linked: int = 0  #: identities that found their person
    questions: int = 0  #: that stewards have more now
    seconds: float = 0.0


def relink_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")] = False,
    all_keys: Annotated[
        bool, typer.Option("--all-keys", help="Make every blocking key anew, not only those that are missing or old.")
    ] = False,
    memory: Annotated[str, typer.Option(help="Most memory that DuckDB takes.")] = MEMORY,
    settings: SettingsOption = None,
) -> None:
    """Weigh the whole index again, after matching was switched on or its model changed: new links and new questions.

    Every pair of two persons that shares a blocking key is weighed by Splink (DuckDB) with the hub's own model. What
    would change something goes through the same rules as a feed: linked, asked, or left. Nobody is clustered anew, and
    nothing that a steward decided is touched. Safe beside a running hub. Needs the extra `matching`; prints one JSON
    object.
    """
    from hub.app.wiring import Hub  # noqa: PLC0415 (other commands start faster without it)

    loaded = settings_file.load(settings or settings_file.default_file())
    if not loaded.patients.matching.enabled:
        raise Misconfigured("Matching is off: set patients.matching.enabled.")
    hub = Hub(loaded)
    try:
        hub.prepare()
        waiting = hub.stewardship.waiting
        before = sum(waiting().values())
        report = relink(hub.patients, loaded.patients.matching, dry_run=dry_run, all_keys=all_keys, memory=memory)
        report.questions = sum(waiting().values()) - before
    finally:
        hub.stop()
    typer.echo(orjson.dumps(asdict(report)).decode())


def relink(
    patients: "PatientService",
    settings: "Matching",
    *,
    dry_run: bool,
    all_keys: bool = False,
    memory: str = MEMORY,
    processes: int = 0,
) -> Report:
    """The work. ``all_keys``: no stored key is trusted; ``processes``: that read the index; 0: one a core. Raises
    SplinkMissing, ModelRefused."""
    started, report, index = time.monotonic(), Report(), Relinking(patients)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown, Readers(patients, settings, processes) as readers:
        with Batch(_model(settings), memory=memory) as batch:
            made = partial(portion, provisional=settings.provisional, version=NO_VERSION if all_keys else VERSION)
            stale = _read(readers, batch, made, report, shown)
            looked = Wanted(index, settings, report)
            keyed = iter(()) if dry_run else _store(index, stale, shown, early=not all_keys)
            for _ in _describe(readers, batch, looked.by_score, shown):
                next(keyed, None)  # while the others read on
            for _ in keyed:
                pass
            weights = looked.weights(batch, shown)
        wanted = looked.of(weights, readers, shown)
        deciding = shown.add_task("decisions", total=None)
        with collecting.between() as collect:
            while some := list(islice(wanted, _TOGETHER)):  # while the others judge on
                report.decisions += len(some)
                if not dry_run:
                    report.linked += index.look_again(some, Context(transaction="patients-relink"))
                collect()
                shown.update(deciding, completed=report.decisions)
    report.seconds = round(time.monotonic() - started, 1)
    return report


def _read(
    readers: Readers, batch: Batch, made: Callable[[Relinking, Range], Portion], report: Report, shown: Progress
) -> Stale:
    """Take the whole index; the identities whose stored keys are missing or old."""
    parts = ranges(readers.index.patients.database)
    reading, stale = shown.add_task("identities", total=readers.index.count()), []
    for part in readers.each(made, parts):
        batch.take(part)
        stale.append(part.stale)
        report.identities += part.count
        shown.update(reading, advance=part.count)
    found = Stale.of(stale)
    report.keys = len(found.ids)
    return found


def _store(index: Relinking, stale: Stale, shown: Progress, *, early: bool) -> Iterator[None]:
    """Store the keys, a unit of work at a time. ``early``: most of them in their order first, where that is quicker."""
    if early and index.patients.database.sqlite:
        for rows in stale.by_key(_KEYS):
            index.fill(rows)
            yield
    storing = shown.add_task("keys", total=len(stale.ids))
    for page in stale.pages(PAGE):
        index.remember(list(page), page)
        shown.update(storing, advance=len(page))
        yield


def _describe(readers: Readers, batch: Batch, also: set[Pair], shown: Progress) -> Iterator[None]:
    """Take what is compared of those who share a key with somebody."""
    met = batch.block(also)
    for records in readers.each(partial(described, kinds=batch.kinds), _pages(met, PORTION, "compared", shown)):
        batch.describe(records)
        yield


def _pages(items: Sequence[Item], size: int, what: str, shown: Progress) -> Iterator[Sequence[Item]]:
    """So many at a time; the bar moves when a page is done."""
    bar = shown.add_task(what, total=len(items))
    for start in range(0, len(items), size):
        yield items[start : start + size]
        shown.update(bar, completed=min(start + size, len(items)))


def _model(settings: "Matching") -> "Model":
    return matching.scorer_of(settings).model


class Wanted:
    """The identities about which something is to be decided."""

    def __init__(self, index: Relinking, settings: "Matching", report: Report) -> None:
        self.automatic, self.least = bits(settings.automatic), bits(settings.review) - _NEARLY
        self.by_score, self.said = index.linked_by_score(), index.said()
        self.report = report

    def of(self, weights: dict[Pair, float], readers: Readers, shown: Progress) -> Iterator[int]:
        """Each once, those of the heaviest pairs first, while the others' pairs are judged."""
        seen: set[int] = set()
        for _, tied in groupby(self._news(weights, readers, shown), itemgetter(0)):
            some = sorted({identity for _, identity in tied} - seen)
            seen.update(some)
            yield from some

    def _news(self, weights: dict[Pair, float], readers: Readers, shown: Progress) -> Iterator[tuple[float, int]]:
        """(weight, identity), the heaviest first."""
        met: set[tuple[Pair, TaskKind]] = set()
        pages = _pages(sorted(weights, key=weights.__getitem__, reverse=True), PAGE, "judged", shown)
        for judged in readers.each(Relinking.judge, pages):
            for found in judged:
                self.report.pairs += 1
                self.report.automatic += found.link
                met |= {(found.pair, kind) for kind in (TaskKind.POSSIBLE, TaskKind.DUPLICATE)}
                if self.said.news(found):
                    yield weights[found.pair], max(found.pair)
        outdated = self.said.outdated(met)
        self.report.lower, self.report.outdated = len(self.by_score), len(outdated)
        yield from ((_LAST, identity) for identity in (*map(max, self.by_score), *outdated))

    def weights(self, batch: Batch, shown: Progress) -> dict[Pair, float]:
        """Of pairs that are to be judged: nobody barred them. ``by_score`` keeps edges that weigh too little now."""
        weighing = shown.add_task("pairs", total=None)
        weights: dict[Pair, float] = {}
        for count, (one, other, weight) in enumerate(batch.open_pairs(self.least), 1):
            if count % PAGE == 0:
                shown.update(weighing, completed=count)
            if (one, other) not in self.by_score:
                if (one, other) not in self.said.barred:
                    weights[one, other] = weight
            elif weight >= self.automatic - _NEARLY:
                self.by_score.discard((one, other))
        return weights
