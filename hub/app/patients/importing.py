"""``maillage patients import``: the identities of a hospital out of files, each record once, whatever happens."""

import csv
import gc
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from hub.app.commands.options import SettingsOption
from hub.app.patients import collecting
from hub.app.patients.import_csv import read_mapping
from hub.app.patients.import_files import Format, Looked, Reading, look
from hub.app.patients.import_reading import batches
from hub.app.settings import file as settings_file
from hub.context import Context
from hub.errors import HubError, Invalid
from hub.patients.authorities import AuthorityDirectory
from hub.patients.bulk import BATCH, BulkService
from hub.patients.bulk_errors import ImportFile
from hub.patients.bulk_model import Imported, Refusal
from hub.patients.errors import AuthorityNotOwned
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Transaction
from hub.values import Oid

if TYPE_CHECKING:
    from hub.app.wiring import Hub

REFUSED, INTERRUPTED = 3, 130
_TOLD_EVERY = 10.0  #: seconds, where there is no terminal
_MOST_REASONS = 10

#: How an import is audited: one record a file and run, with the figures in no patient's name.
IMPORT = Transaction(
    id="patients-import",
    title="Import of identities",
    profile="",
    initiator="Operator",
    responder="Patient Identifier Cross-reference Manager",
    bindings=(),
    section="",
    kind=Kind.CHANGE,
    permission="",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.NONE,
)


@dataclass(slots=True)
class Outcome:
    """One file's import."""

    file: Path
    looked: Looked
    state: Imported
    seconds: float = 0.0
    records: int = 0  #: read in this run
    report: Path | None = None
    complete: bool = False
    before: bool = False  #: an earlier run had completed it
    reasons: list[tuple[str, int]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For programs."""
        counts = {name: value for name, value in asdict(self.state).items() if name not in ("id", "done_at")}
        return {
            "file": str(self.file),
            "format": self.looked.format.value,
            "encoding": self.looked.encoding,
            "complete": self.complete,
            "imported_before": self.before,
            **counts,
            "records_this_run": self.records,
            "records_per_second": round(self.records / self.seconds) if self.seconds and self.records else None,
            "refused_for": dict(self.reasons),
            "report": str(self.report) if self.report else None,
            "warnings": list(self.looked.warnings),
        }


def import_files(  # noqa: PLR0917 (typer reads options from parameters)
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What to import, in this order.")],
    source: Annotated[
        str,
        typer.Option(
            help="The feed that the files stand for: its name in the settings (`feeds`), else APPLICATION|FACILITY, as "
            "its authority says them."
        ),
    ],
    form: Annotated[
        Format | None, typer.Option("--format", help="What the files are. Default: told by their first bytes.")
    ] = None,
    authority: Annotated[str, typer.Option(help="OID of the authority of patient numbers that come without one.")] = "",
    mapping: Annotated[Path | None, typer.Option(help="TOML: which CSV heading says what.")] = None,
    encoding: Annotated[
        str, typer.Option(help="Character set. Default: UTF-8 or UTF-16 if it is, else Windows-1252; HL7: MSH-18.")
    ] = "",
    delimiter: Annotated[str, typer.Option(help="CSV's. Default: the one of `; , | TAB` in the heading.")] = "",
    report: Annotated[
        Path | None,
        typer.Option(help="Refused records (CSV: record, line, code, field). Default: FILE.refused.csv."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be refused; keep nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Import once more what was imported completely.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file instead of sentences.")] = False,
    settings: SettingsOption = None,
) -> None:
    """Take in identities from CSV, HL7 v2 (batches or plain messages) or FHIR NDJSON (Patient).

    Links as the same messages, one by one, would. May run beside the hub. Stopped or killed, the same command goes on
    behind the last thousand records that were committed: each has its effect once. What is refused stands in the report
    with its line, the error's code and the field, without any patient data.

    Exit code 0: all taken in; 3: some were refused; 1: not carried out; 130: interrupted, to be continued.
    """
    from hub.app.wiring import Hub  # noqa: PLC0415 (other commands start faster without it)

    if authority:
        Oid(authority)
    if report is not None and len(files) > 1:
        raise ImportFile("One report can't be that of several files.", location="--report")
    if len(delimiter) > 1 and delimiter != "\\t":
        raise Invalid("A delimiter is one character.", location="--delimiter")
    hub = Hub(settings_file.load(settings or settings_file.default_file()))
    gc.freeze()  # what is loaded now stays: the collector need not walk through it while records come and go
    reading = Reading(
        hub.catalogue, lambda: Context(source=source), authority, encoding, delimiter.replace("\\t", "\t"),
        read_mapping(mapping) if mapping else None,
    )  # fmt: skip
    importer = Importer(hub, source, reading, dry_run=dry_run, again=again)
    outcomes = []
    try:
        hub.prepare()
        with stopping(importer.stopped):
            for file in files:
                outcome = importer.run(file, look(file, form, encoding), report or Path(f"{file.name}.refused.csv"))
                outcomes.append(outcome)
                if as_json:
                    typer.echo(orjson.dumps(outcome.document()).decode())
                else:
                    _show(outcome, hub.patients.directory, dry_run=dry_run)
                if not outcome.complete:
                    raise typer.Exit(INTERRUPTED)
    finally:
        hub.stop()
    if any(outcome.state.refused for outcome in outcomes):
        raise typer.Exit(REFUSED)


class Importer:
    """Imports files into a hub that need not run. ``stopped``: end after the batch that is on its way."""

    def __init__(
        self,
        hub: "Hub",
        source: str,
        reading: Reading,
        *,
        dry_run: bool = False,
        again: bool = False,
        batch: int = BATCH,
    ) -> None:
        self.hub = hub
        self.source = source
        self.reading = reading
        self.dry_run = dry_run
        self.again = again
        self.batch = batch
        self.stopped = threading.Event()
        self.bulk = BulkService(patients=hub.patients, carry_out=hub.dispatch)

    def run(self, file: Path, looked: Looked, report: Path) -> Outcome:
        """Import one file, or what is left of it. Raises ImportFile, ImportColumns, ImportElsewhere."""
        reading = self.reading
        how = orjson.dumps(
            [looked.format, looked.encoding, reading.authority, reading.delimiter, repr(reading.mapping)]
        )
        import_id = self.bulk.identify(self.source, looked.sha256, how)
        started, failure = time.monotonic(), None
        context = Context(source=self.source, transaction=IMPORT.id)
        state = Imported(import_id) if self.dry_run else self.bulk.begin(import_id, self.source, again=self.again)
        outcome = Outcome(file, looked, state)
        if state.done_at is not None:
            outcome.complete = outcome.before = True
        else:
            try:
                self._go_on(outcome, report)
            except HubError as error:
                failure = error
                raise
            finally:
                outcome.seconds = time.monotonic() - started
                if not self.dry_run:
                    self.hub.audit.record(IMPORT, context, failure, int(outcome.seconds * 1000))
        if not self.dry_run:
            self._report(outcome, report)
        return outcome

    def _go_on(self, outcome: Outcome, report: Path) -> None:
        refused: list[Refusal] = []
        records = batches(outcome.file, outcome.looked, self.reading, outcome.state.position, self.batch)
        with closing(records), progress(outcome) as tell, collecting.between() as collect:
            while not self.stopped.is_set():
                batch, place = next(records, ([], 0))
                if not batch:
                    outcome.complete = True
                    break
                collect()
                if self.dry_run:
                    outcome.state, found = self.bulk.trial(outcome.state, batch, self.reading.context)
                    refused += found
                else:
                    outcome.state = self.bulk.take(outcome.state, batch, self.reading.context)
                outcome.records += len(batch)
                tell(place)
        if self.dry_run:
            _write(outcome, report, iter(refused))
        elif outcome.complete:
            self.bulk.end(outcome.state.id)

    def _report(self, outcome: Outcome, report: Path) -> None:
        outcome.reasons = self.bulk.reasons(outcome.state.id)
        _write(outcome, report, self.bulk.refusals(outcome.state.id))


def _write(outcome: Outcome, report: Path, refusals: Iterator[Refusal]) -> None:
    """The report, where anything was refused. Raises ImportFile."""
    if not outcome.state.refused:
        return
    counts: dict[str, int] = {}
    try:
        with report.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(("record", "line", "code", "field"))
            for item in refusals:
                writer.writerow((item.record, item.line, item.code, item.field))
                counts[item.code] = counts.get(item.code, 0) + 1
    except OSError as error:
        raise ImportFile(f"The report can't be written: {error.strerror}.", location=str(report)) from error
    outcome.report = report
    outcome.reasons = sorted(counts.items(), key=lambda item: (-item[1], item[0]))


@contextmanager
def stopping(stopped: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT end the import in an orderly way."""
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress(outcome: Outcome) -> Iterator[Any]:
    """A bar on a terminal, else a line now and then, on standard error; call what it gives with the file's position."""
    console = Console(stderr=True)
    started = last = time.monotonic()
    if not console.is_terminal:

        def line(position: int) -> None:
            nonlocal last
            if time.monotonic() - last >= _TOLD_EVERY:
                last = time.monotonic()
                share = 100 * position // max(1, outcome.looked.size)
                rate = outcome.records / (last - started)
                console.print(f"{share} %, {outcome.state.position} records, {rate:.0f}/s", highlight=False)

        yield line
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, TextColumn("{task.fields[told]}"), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(outcome.file.name, total=outcome.looked.size, told="")

        def advance(position: int) -> None:
            rate = outcome.records / (time.monotonic() - started)
            told = f"{outcome.state.position:,} records, {outcome.state.refused:,} refused, {rate:,.0f}/s"
            bar.update(task, completed=position, told=told)

        yield advance


def _show(outcome: Outcome, authorities: AuthorityDirectory, *, dry_run: bool) -> None:
    out, state = Console(width=None if sys.stdout.isatty() else 200), outcome.state
    name = escape(str(outcome.file))
    if outcome.before:
        out.print(f"{name}: imported before, completely; --again imports it once more", highlight=False)
    elif not outcome.complete:
        out.print(f"{name}: interrupted after {state.position} records; the same command goes on", highlight=False)
    kept = "would be taken" if dry_run else "taken"
    rate = f", {outcome.records / outcome.seconds:,.0f} records/s" if outcome.records and outcome.seconds else ""
    out.print(
        f"{name}: {state.position} records ({outcome.looked.format}, {outcome.looked.encoding}), "
        f"{state.taken} {kept} ({state.created} new persons, {state.linked} linked, {state.known} known, "
        f"{state.other} other), {state.refused} refused{rate}",
        highlight=False,
    )
    for warning in outcome.looked.warnings[:_MOST_REASONS]:
        out.print(f"  warning: {warning}", highlight=False)
    for code, count in outcome.reasons[:_MOST_REASONS]:
        out.print(f"  {count} {escape(code)}", highlight=False)
    if AuthorityNotOwned.code in dict(outcome.reasons):
        owners = sorted({owner for authority in authorities.all() for owner in authority.owners})
        out.print(
            f"  the authorities of the settings belong to --source {escape(' or '.join(owners))}", highlight=False
        )
    if outcome.report is not None:
        out.print(f"  refused records: {escape(str(outcome.report))}", highlight=False)
