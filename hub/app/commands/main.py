"""The ``maillage`` command."""

import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from hub import __version__
from hub.app.commands import failures
from hub.app.commands.groups import Groups
from hub.app.commands.options import SettingsOption
from hub.app.running import logs
from hub.app.settings import file as settings_file
from hub.app.settings.file import SettingsRefused
from hub.app.settings.model import Settings
from hub.app.settings.roles import Role

log = logging.getLogger(__name__)
out = Console(width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True)

app = typer.Typer(
    name="maillage",
    cls=Groups,
    help="The hub that makes every medical image of a region findable and readable by those who may see it.\n\n"
    "Start here: `maillage demo` plays a whole region on this machine; `maillage check` looks through your settings; "
    "`maillage serve` runs the hub.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point: what the hub refuses, and what stops it from outside, is told in one sentence, exit code 1."""
    try:
        app()
    except SettingsRefused as error:
        for mistake in error.mistakes:
            err.print(f"[red]mistake[/red] {escape(str(mistake))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        stopped = failures.told(error)
        if stopped is None:
            raise
        where = f"{stopped.location}: " if stopped.location.startswith("--") else ""
        err.print(f"[red]{stopped.code}[/red] {escape(where + stopped.message)}", highlight=False, soft_wrap=True)
        sys.exit(1)


def fail(message: str) -> NoReturn:
    """End with exit code 1 and a sentence on standard error."""
    err.print(escape(message), highlight=False)
    raise typer.Exit(1)


def load(file: Path | None) -> Settings:
    """The settings, warnings told."""
    settings = settings_file.load(file or settings_file.default_file())
    for warning in settings_file.warnings(settings):
        err.print(f"[yellow]warning[/yellow] {escape(str(warning))}", highlight=False, soft_wrap=True)
    return settings


@app.command()
def serve(
    role: Annotated[
        list[Role] | None,
        typer.Option(help="What this process does; give it more than once for several roles. Default: everything."),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Run the hub until SIGTERM or Ctrl-C, then stop gracefully.

    One process for a small site, or the same program many times, each with its role: **web** (SOAP, FHIR, DICOMweb,
    portal), **mllp** (HL7 v2 feeds and queries), **dimse** (DICOM), **worker** (the outbox).
    """
    from hub.app.outside.database_doctor import strayed_at_start  # noqa: PLC0415 (other commands start faster so)
    from hub.app.running import processes  # noqa: PLC0415
    from hub.app.wiring import Hub  # noqa: PLC0415

    loaded = load(settings)
    logs.configure(loaded.logging.level, loaded.logging.format)
    child, groups, roles = processes.this_child(), list[processes.Processes](), frozenset(role or Role)
    if child is not None:
        loaded = child.settings(loaded)
    else:
        for many in (item for item in processes.ROLES if item in roles and processes.wanted(loaded, item) > 1):
            first = 1 + sum(len(group.numbers) for group in groups)
            groups.append(processes.Processes(loaded, many, settings, first))
            loaded, roles = groups[-1].settings, roles - {many}
    hub = Hub(loaded)
    with until_stopped() as stopped, ExitStack() as running:
        if child is not None:
            child.end_with_parent(stopped)
        hub.start(roles)
        for group in groups:
            hub.probes[group.role.value] = group.missing
            running.enter_context(group)
            log.info("%d processes of the role %s", len(group.numbers), group.role.value)
        for line in hub.addresses():
            log.info("%s", line)
        for line in () if child is not None else strayed_at_start(hub.database, loaded.region.repository_unique_id):
            log.warning("%s", line)
        log.info("started as %s", ", ".join(sorted(roles)))
        stopped.wait()
        log.info("stopping: what runs ends, nothing new is taken in")
        running.close()
        hub.stop()


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@app.command()
def check(settings: SettingsOption = None) -> None:
    """Look through the settings: every mistake with its key and line, and what deserves a second look.

    Exit code 0 when the hub would start, 1 when there are mistakes. Nothing is started and nothing is written.
    """
    file = settings or settings_file.default_file()
    try:
        loaded = settings_file.load(file)
        from hub.app.settings.sources import check_sources  # noqa: PLC0415

        mistakes = check_sources(loaded, file)
    except SettingsRefused as error:
        mistakes = error.mistakes
        loaded = None
    for mistake in mistakes:
        out.print(f"[red]mistake[/red] {escape(str(mistake))}", highlight=False, soft_wrap=True)
    if loaded is not None:
        for warning in settings_file.warnings(loaded):
            out.print(f"[yellow]warning[/yellow] {escape(str(warning))}", highlight=False, soft_wrap=True)
    if mistakes:
        raise typer.Exit(1)
    out.print(f"[green]ok[/green] {file or 'no settings file: the defaults'}", highlight=False)


@app.command()
def health(settings: SettingsOption = None) -> None:
    """Ask the running hub of these settings whether it is ready: exit code 0 if so. For container health checks."""
    from hub.app.commands.ask import ask_health  # noqa: PLC0415

    ready, document = ask_health(settings_file.load(settings or settings_file.default_file()))
    out.print_json(data=document)
    if not ready:
        raise typer.Exit(1)


@app.command()
def transactions(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of a table.")] = False,
) -> None:
    """List every transaction that this hub speaks, by number: its wire, the module that holds it, its title.

    Addresses, actors, permissions and audit events: `--json`, or the reference page of the transactions.
    """
    from hub.app.reference.describe import transaction_lines, transaction_rows  # noqa: PLC0415
    from hub.pipeline.catalogue import discover  # noqa: PLC0415

    rows = transaction_rows(discover())
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for line in transaction_lines(rows):
        typer.echo(line[: out.width].rstrip() if sys.stdout.isatty() else line)


@app.command()
def sandbox(
    database: Annotated[str, typer.Option("--db", help="Database URL. Default: SQLite in the data directory.")] = "",
    data: Annotated[
        Path | None, typer.Option(help="Data directory, kept at the end. Default: a temporary one, removed.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="A PACS: `NAME=dicomweb:URL` or `NAME=dimse:AET@HOST:PORT`. May be given more than once."),
    ] = None,
    community: Annotated[
        list[str] | None,
        typer.Option(help="Another community, a hub at URL: `NAME=OID@URL`. May be given more than once."),
    ] = None,
    affinity_domain: Annotated[
        list[str] | None, typer.Option(help="OID of the affinity domain; further ones are accepted beside it.")
    ] = None,
    repository_id: Annotated[str, typer.Option(help="repositoryUniqueId (OID).")] = "",
    home_community: Annotated[str, typer.Option(help="homeCommunityId (OID).")] = "",
    authorities: Annotated[
        Path | None,
        typer.Option(
            help="JSON list of assigning authorities: namespace, oid, type, and the application and facility (MSH-3, "
            "MSH-4) of the feed that owns it. Default: any authority is accepted at first sight."
        ),
    ] = None,
    vocabulary: Annotated[Path | None, typer.Option(help="Affinity domain codes (SVS XML or FHIR ValueSet).")] = None,
    seed: Annotated[str, typer.Option(help="`demo`: start with the demo's patients.")] = "",
    matching: Annotated[bool, typer.Option("--matching", help="Weigh identities by score as well.")] = False,
    is_open: Annotated[bool, typer.Option("--open", help="No TLS and no authentication, on loopback only.")] = False,
) -> None:
    """Start an empty hub on free loopback ports, for your own tests: one line of JSON says where everything is.

    A bearer token or a client certificate of its test authority may do everything; with `--open` nothing is asked.
    Logs go to standard error. Ends, and cleans up, at SIGTERM or Ctrl-C.
    """
    from hub.app.sandbox.hub import Options, Sandbox  # noqa: PLC0415

    if seed not in ("", "demo"):
        fail("--seed knows: demo")
    options = Options(
        database=database,
        data=data,
        sources=tuple(source or ()),
        communities=tuple(community or ()),
        affinity_domains=tuple(affinity_domain or ()),
        repository_id=repository_id,
        home_community=home_community,
        authorities=authorities,
        vocabulary=vocabulary,
        seed=seed,
        matching=matching,
        open=is_open,
    )
    with until_stopped() as stopped, Sandbox(options) as box:
        typer.echo(json.dumps(box.description()))
        sys.stdout.flush()
        stopped.wait()


@app.command()
def password() -> None:
    """Hash a password for `[[users]]` of the settings (`password_argon2`). It is asked for twice, and shown nowhere."""
    from argon2 import PasswordHasher  # noqa: PLC0415 (other commands start faster without it)

    typer.echo(PasswordHasher().hash(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)))


@app.command()
def docs(
    target: Annotated[Path, typer.Option(help="Directory of the generated pages.")] = Path("docs/reference"),
) -> None:
    """Generate the reference pages (transactions, settings, errors, command line, connectors) from the code."""
    from hub.app.reference.pages import write_all  # noqa: PLC0415

    for path in write_all(target):
        out.print(str(path))


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End by itself; exit code 0 only if every step happened.")
    ] = False,
) -> None:
    """A region in a box: two hospitals, one study, read across, with real PACS on this machine."""
    from hub.app.demo.play import play  # noqa: PLC0415

    raise typer.Exit(play(once=once))


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    """Options of every command."""
