"""``maillage patients relink``: the whole index weighed with the present model, beside the running hub."""

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hub.app.patients import matching
from hub.app.patients.batch import Batch
from hub.app.patients.learning import SettingsOption
from hub.app.settings import file as settings_file
from hub.context import Context
from hub.errors import Misconfigured
from hub.patients.relinking import PAGE, Relinking
from hub.patients.scoring import bits, prepared

if TYPE_CHECKING:
    from hub.app.settings.model import Matching
    from hub.patients.service import PatientService

_TOGETHER = 50  # identities of one unit of work: feeds get their turn between


@dataclass(slots=True)
class Report:
    """What was found and done. Pairs that a person already holds together are no news."""

    identities: int = 0
    pairs: int = 0  #: of two persons, that at least a steward should see
    automatic: int = 0  #: of them, those that weigh enough to be linked, before vetoes
    lower: int = 0  #: linked by a score that is lower now
    linked: int = 0  #: identities that found their person
    questions: int = 0  #: that stewards have more now
    seconds: float = 0.0


def relink_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")] = False,
    memory: Annotated[str, typer.Option(help="Most memory that DuckDB takes.")] = "3GB",
    settings: SettingsOption = None,
) -> None:
    """Weigh the whole index again, after matching was switched on or its model changed: new links and new questions.

    Every pair that shares a blocking key is weighed by Splink (DuckDB) with the hub's own model. Pairs of two persons
    go through the same rules as a feed: linked, asked, or left. Nobody is clustered anew, and nothing that a steward
    decided is touched. Safe beside a running hub. Needs the extra `matching`; prints one JSON object.
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


def relink(patients: "PatientService", settings: "Matching", *, dry_run: bool, memory: str = "3GB") -> Report:
    """The work. Raises SplinkMissing, ModelRefused."""
    started, report, index = time.monotonic(), Report(), Relinking(patients)
    automatic, review = bits(settings.automatic), bits(settings.review)
    model = matching.scorer_of(settings).model
    person: dict[int, int] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown, Batch(model, memory=memory) as batch:
        reading = shown.add_task("identities", total=index.count())
        for members in index.identities():
            batch.add((member.id, prepared(member.identity)) for member in members)
            person.update((member.id, member.person) for member in members)
            if not dry_run:
                index.remember(members)
            shown.update(reading, advance=min(PAGE, len(members)))
        report.identities = len(person)
        by_score = index.linked_by_score()
        weighing = shown.add_task("pairs", total=None)
        wanted: dict[int, float] = {}
        for one, other, weight in batch.pairs(review):
            shown.update(weighing, advance=1)
            if weight >= automatic:
                by_score.discard((one, other))
            if person[one] != person[other]:
                report.pairs += 1
                report.automatic += weight >= automatic
                wanted[max(one, other)] = max(weight, wanted.get(max(one, other), weight))
        report.lower = len(by_score)
        wanted |= {max(pair): 0.0 for pair in by_score if max(pair) not in wanted}
        if not dry_run:
            ordered = sorted(wanted, key=lambda identity: (-wanted[identity], identity))
            deciding = shown.add_task("decisions", total=len(ordered))
            for start in range(0, len(ordered), _TOGETHER):
                some = ordered[start : start + _TOGETHER]
                report.linked += index.look_again(some, Context(transaction="patients-relink"))
                shown.update(deciding, advance=len(some))
    report.seconds = round(time.monotonic() - started, 1)
    return report
