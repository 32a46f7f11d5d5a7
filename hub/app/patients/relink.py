"""``maillage patients relink``: the whole index weighed with the present model, beside the running hub.

Set-based: processes read the index in portions, DuckDB finds who shares a key and weighs them, the rules see only what
is left, and feeds' own path decides only what would change something."""

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hub.app.commands.options import SettingsOption
from hub.app.patients import matching
from hub.app.patients.batch import Batch
from hub.app.patients.snapshot import portions
from hub.app.settings import file as settings_file
from hub.context import Context
from hub.errors import Misconfigured
from hub.patients.model import TaskKind
from hub.patients.relinking import PAGE, Relinking
from hub.patients.scoring import bits
from hub.patients.store_snapshot import Pair

if TYPE_CHECKING:
    from hub.app.settings.model import Matching
    from hub.patients.scoring.model import Model
    from hub.patients.service import PatientService

MEMORY = "2500MB"  #: of DuckDB; the processes that read take some 300 MB beside it
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
        report = relink(hub.patients, loaded.patients.matching, dry_run=dry_run, memory=memory)
        report.questions = sum(waiting().values()) - before
    finally:
        hub.stop()
    typer.echo(orjson.dumps(asdict(report)).decode())


def relink(
    patients: "PatientService", settings: "Matching", *, dry_run: bool, memory: str = MEMORY, processes: int = 0
) -> Report:
    """The work. ``processes``: that read the index; 0: one a core. Raises SplinkMissing, ModelRefused."""
    started, report, index = time.monotonic(), Report(), Relinking(patients)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown, Batch(_model(settings), memory=memory) as batch:
        reading, stale = shown.add_task("identities", total=index.count()), []
        for portion in portions(patients.database, batch.kinds, settings.provisional, processes):
            batch.take(portion)
            stale += portion.stale
            report.identities += portion.count
            shown.update(reading, advance=portion.count)
        report.keys = len(stale)
        if not dry_run:
            storing = shown.add_task("keys", total=len(stale))
            for start in range(0, len(stale), PAGE):
                index.remember(stale[start : start + PAGE])
                shown.update(storing, advance=len(stale[start : start + PAGE]))
        wanted = _wanted(index, batch, settings, report, shown)
        if not dry_run:
            deciding = shown.add_task("decisions", total=len(wanted))
            for start in range(0, len(wanted), _TOGETHER):
                some = wanted[start : start + _TOGETHER]
                report.linked += index.look_again(some, Context(transaction="patients-relink"))
                shown.update(deciding, advance=len(some))
    report.seconds = round(time.monotonic() - started, 1)
    return report


def _model(settings: "Matching") -> "Model":
    return matching.scorer_of(settings).model


def _wanted(index: Relinking, batch: Batch, settings: "Matching", report: Report, shown: Progress) -> list[int]:
    """The identities about which something is to be decided: those of the heaviest pairs first."""
    automatic, least = bits(settings.automatic), bits(settings.review) - _NEARLY
    by_score, said = index.linked_by_score(), index.said()
    weights: dict[Pair, float] = {}
    weighing = shown.add_task("pairs", total=None)
    for one, other, weight in batch.open_pairs(least, by_score):
        shown.update(weighing, advance=1)
        if (one, other) not in by_score:
            weights[one, other] = weight
        elif weight >= automatic - _NEARLY:
            by_score.discard((one, other))
    wanted: dict[int, float] = {}
    met: set[tuple[Pair, TaskKind]] = set()
    for found in index.judge(weights, said):
        if not found.settled:
            report.pairs += 1
            report.automatic += found.link
            met |= {(found.pair, kind) for kind in (TaskKind.POSSIBLE, TaskKind.DUPLICATE)}
        if found.news:
            identity, weight = max(found.pair), weights[found.pair]
            wanted[identity] = max(weight, wanted.get(identity, weight))
    outdated = said.outdated(met)
    report.lower, report.outdated = len(by_score), len(outdated)
    for identity in [*map(max, by_score), *outdated]:
        wanted.setdefault(identity, _LAST)
    report.decisions = len(wanted)
    return sorted(wanted, key=lambda identity: (-wanted[identity], identity))
