"""``maillage audit``: the trail at a terminal. Only this machine's administrator gets here; looking is recorded too."""

import csv
import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TextIO

import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from hub.access.model import Principal, Scheme
from hub.app.commands.options import SettingsOption
from hub.app.settings import file as settings_file
from hub.app.settings.model import Settings
from hub.audit.chain import dump
from hub.audit.forwarding import Forwarding
from hub.audit.model import AuditRecord, AuditSearch, Own
from hub.audit.service import AuditService
from hub.context import Context
from hub.pipeline.transaction import AuditEvent, Kind, Transaction
from hub.storage.engine import Database
from hub.values import PatientIdentifier

audit = typer.Typer(no_args_is_help=True, help="The audit trail: is it whole, who saw what, export it.")
out, err = Console(), Console(stderr=True)

USED = Transaction(
    id="CLI-AUDIT",
    title="Administrator reads the audit trail at a terminal",
    profile="ATNA",
    initiator="Administrator",
    responder="Audit Record Repository",
    bindings=(),
    section="DICOM PS3.15: A.5.3.2",
    kind=Kind.QUERY,
    permission="audit.query",
    audit=AuditEvent("110101", "Audit Log Used", "R"),
)
PatientOption = Annotated[
    str, typer.Option(help="A person's number as CX (`123^^^&1.2.3&ISO`): only records of this person, by any number.")
]
SinceOption = Annotated[datetime | None, typer.Option(help="From this moment on (UTC).", show_default=False)]
UntilOption = Annotated[datetime | None, typer.Option(help="Before this moment (UTC).", show_default=False)]
TransactionOption = Annotated[str, typer.Option(help="Only this transaction: `ITI-18` ...")]
CollectorArgument = Annotated[str, typer.Argument(help="Its name in `atna.destinations`.")]
WhoOption = Annotated[str, typer.Option(help="Only this user, professional (national id) or system.")]
COLUMNS = (
    "at", "who", "name", "profession", "structure", "purpose", "reason", "transaction", "action", "outcome", "error",
    "peer", "node", "origin", "objects", "id",
)  # fmt: skip
_PAGE = 500


@audit.command()
def head(settings: SettingsOption = None) -> None:
    """Print position and hash of the last record: keep them elsewhere, and `verify --head` proves later that nothing
    before was changed or cut off."""
    with _trail(settings) as (_, service):
        position, digest = service.head()
    typer.echo(f"{position}:{digest}")


@audit.command()
def verify(
    noted: Annotated[str, typer.Option("--head", help="What `maillage audit head` printed earlier.")] = "",
    settings: SettingsOption = None,
) -> None:
    """Check every record against the one before it. Exit code 1 when anything was changed, removed or cut off."""
    earlier = _noted(noted)
    with _trail(settings) as (_, service), Progress(console=err, transient=True) as progress:
        total, _ = service.head()
        task = progress.add_task("checking the trail", total=total or None)
        state = service.verify(noted=earlier, progress=lambda place: progress.update(task, completed=place))
    if not state.intact:
        before = (state.broken_at or 1) - 1
        rest = (
            f"What stands before, up to record {before}, is as it was written." if before else "Nothing stands before."
        )
        typer.echo(f"BROKEN at record {state.broken_at}: {state.reason}. {rest}")
        raise typer.Exit(1)
    removed = f", of which {state.removed} were removed after their time" if state.removed else ""
    typer.echo(f"intact: {state.records} records{removed}; head {state.records}:{state.head}")


@audit.command()
def search(  # noqa: PLR0917 (options)
    patient: PatientOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
    transaction: TransactionOption = "",
    who: WhoOption = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most records.")] = 50,
    settings: SettingsOption = None,
) -> None:
    """List records, newest first, a line each. That you looked is recorded."""
    with _trail(settings) as (loaded, service):
        wanted = _search(loaded, service.database, patient, since, until, transaction, who)
        shown = service.search(replace(wanted, limit=limit)).records
        _recorded(service, patient)
    for record in shown:
        row = _row(record)
        typer.echo("  ".join(row[name] or "-" for name in ("at", "who", "transaction", "outcome", "purpose", "peer")))


@audit.command()
def export(  # noqa: PLR0917 (options)
    target: Annotated[Path | None, typer.Option("--output", "-o", help="The file. Default: standard output.")] = None,
    patient: PatientOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
    transaction: TransactionOption = "",
    who: WhoOption = "",
    form: Annotated[
        Literal["ndjson", "csv", "fhir"],
        typer.Option("--format", help="ndjson: the records as they are kept; csv: a table; fhir: AuditEvents, ndjson."),
    ] = "ndjson",
    settings: SettingsOption = None,
) -> None:
    """Write records, oldest first, however many. They name patients: keep the file safe. Exporting is recorded."""
    with _trail(settings) as (loaded, service):
        wanted = _search(loaded, service.database, patient, since, until, transaction, who)
        _recorded(service, patient)
        with _opened(target) as stream:
            count = _write(stream, form, _all(service, wanted), Own(loaded.atna.source_id, loaded.atna.site))
    err.print(f"{count} records", highlight=False)


@audit.command()
def collectors(settings: SettingsOption = None) -> None:
    """Tell how far each collector is behind and why, and which records are set aside since one would not take them."""
    with _trail(settings) as (loaded, service):
        forwarding = _forwarding(loaded, service)
        lags, asides = forwarding.lags(), forwarding.asides()
    if not forwarding.destinations:
        typer.echo("The trail stays in this hub: atna.destinations is empty.")
    for lag in lags:
        if lag.tried_at is None and not lag.waiting:
            typer.echo(f"{lag.destination}: nothing sent yet: a process with the role worker does that.")
            continue
        typer.echo(f"{lag.destination}: {lag.waiting} waiting, {lag.aside} set aside. {lag.problem or 'Well.'}")
        if lag.refused:
            typer.echo(
                f"  `maillage audit set-aside {lag.destination}` lets the others go on without the first of them."
            )
    for item, record in asides:
        again = "to be sent again" if item.again else item.problem
        at = record.at.isoformat(timespec="seconds")
        typer.echo(f"{item.destination}: set aside: {record.id}  {at}  {record.transaction}  {again}")


@audit.command(name="set-aside")
def set_aside(collector: CollectorArgument, settings: SettingsOption = None) -> None:
    """Let a collector's other records go on without the one that it refuses. Nothing is lost: the record stays in the
    trail, and `send-again` sends it later. Doing so is recorded."""
    with _trail(settings) as (loaded, service):
        found = _forwarding(loaded, service, collector).set_aside(collector)
        if found is not None:
            _recorded(service, "", found.id)
    if found is None:
        typer.echo(f"{collector} refuses no record by itself: there is nothing to set aside.")
        raise typer.Exit(1)
    typer.echo(f"set aside: {found.id}; the others go on")


@audit.command(name="send-again")
def send_again(collector: CollectorArgument, settings: SettingsOption = None) -> None:
    """Have everything sent again that was set aside for a collector: once it can take it. Doing so is recorded."""
    with _trail(settings) as (loaded, service):
        count = _forwarding(loaded, service, collector).send_again(collector)
        if count:
            _recorded(service, "")
    typer.echo(
        f"{count} to be sent again; `maillage audit collectors` tells what became of them"
        if count
        else f"Nothing is set aside for {collector}."
    )


def _forwarding(loaded: Settings, service: AuditService, collector: str = "") -> Forwarding:
    names = [item.name for item in loaded.atna.destinations]
    if collector and collector not in names:
        raise typer.BadParameter(f"atna.destinations has no {collector}: {', '.join(names) or 'it is empty'}")
    return Forwarding(service.database, names)


@contextmanager
def _opened(target: Path | None) -> Iterator[TextIO]:
    if target is None:
        yield sys.stdout
        return
    with open(target, "w", encoding="utf-8", newline="", opener=_own_file) as stream:
        yield stream


def _own_file(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)  # it names patients


def _write(stream: object, form: str, records: Iterator[AuditRecord], own: Own) -> int:
    from hub.wire.fhir.audit_event import audit_event  # noqa: PLC0415 (other commands start faster without it)

    write = stream.write  # type: ignore[attr-defined]
    count = 0
    if form == "csv":
        table = csv.DictWriter(stream, COLUMNS)  # type: ignore[arg-type]
        table.writeheader()
    for record in records:
        count += 1
        if form == "csv":
            table.writerow({name: _harmless(text) for name, text in _row(record).items()})
        else:
            line = dump(record) if form == "ndjson" else orjson.dumps(audit_event(record, own)).decode()
            write(f"{line}\n")
    return count


def _row(record: AuditRecord) -> dict[str, str]:
    who = record.professional
    return {
        "at": record.at.isoformat(timespec="seconds"),
        "who": record.principal_id,
        "name": record.principal_name,
        "profession": who.profession if who else "",
        "structure": (who.structure_name or who.structure) if who else record.organisation,
        "purpose": record.purpose,
        "reason": record.reason,
        "transaction": record.transaction,
        "action": record.action,
        "outcome": record.outcome.value,
        "error": record.error_code,
        "peer": record.peer,
        "node": record.node,
        "origin": record.origin,
        "objects": " ".join(f"{item.kind}={item.reference}" for item in record.objects),
        "id": record.id,
    }


def _harmless(text: str) -> str:
    """A spreadsheet takes what begins like a formula for one."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _all(service: AuditService, wanted: AuditSearch) -> Iterator[AuditRecord]:
    cursor = ""
    while True:
        page = service.search(replace(wanted, oldest_first=True, limit=_PAGE, cursor=cursor))
        yield from page.records
        if not page.cursor:
            return
        cursor = page.cursor


def _search(  # noqa: PLR0917 (the command's options)
    settings: Settings,
    database: Database,
    patient: str,
    since: datetime | None,
    until: datetime | None,
    transaction: str,
    who: str,
) -> AuditSearch:
    return AuditSearch(
        patients=_numbers(settings, database, patient) if patient else (),
        since=since.replace(tzinfo=UTC) if since else None,
        until=until.replace(tzinfo=UTC) if until else None,
        transaction=transaction,
        agents=(who,) if who else (),
    )


def _numbers(settings: Settings, database: Database, patient: str) -> tuple[str, ...]:
    """Every number of the person."""
    from hub.app.settings import regional  # noqa: PLC0415
    from hub.patients.authorities import AuthorityDirectory  # noqa: PLC0415
    from hub.patients.service import PatientService  # noqa: PLC0415

    number = PatientIdentifier.from_cx(patient)
    directory = AuthorityDirectory(database=database, configured=tuple(regional.authorities(settings)))
    service = PatientService(database=database, directory=directory, affinity_domain=settings.region.affinity_domain)
    person = service.person(number)
    return tuple(item.cx for item in person.identifiers) if person is not None else (number.cx,)


def _recorded(service: AuditService, patient: str, record: str = "") -> None:
    """An administrator looked, or had a record set aside or sent again: the trail says so."""
    login = getpass.getuser()
    principal = Principal(id=f"{login}@terminal", name=login, scheme=Scheme.INTERNAL, person=True)
    context = Context(transaction=USED.id, principal=principal, purpose="")
    if patient:
        context.touch("patient", patient)
    if record:
        context.touch("audit event", record)
    service.record(USED, context, None, 0)
    service.flush()


def _noted(text: str) -> tuple[int, str] | None:
    position, _, digest = text.partition(":")
    if not text:
        return None
    if not position.isdecimal() or len(digest) != 64:
        raise typer.BadParameter("a head has the form POSITION:HASH, as `maillage audit head` prints it")
    return int(position), digest


@contextmanager
def _trail(file: Path | None) -> Iterator[tuple[Settings, AuditService]]:
    loaded = settings_file.load(file or settings_file.default_file())
    database = Database(loaded.storage.database)
    service = AuditService(database=database)
    try:
        yield loaded, service
    finally:
        service.stop()
        database.dispose()
