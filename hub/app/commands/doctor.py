"""``maillage doctor``: says in words what is wrong."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from hub.app.commands.options import SettingsOption
from hub.app.settings import file as settings_file

if TYPE_CHECKING:
    from hub.app.keys.doctor import Finding

out = Console(width=None if sys.stdout.isatty() else 160)

doctor = typer.Typer(no_args_is_help=True, help="Says in words what is wrong.")


@doctor.callback()
def root() -> None:
    """Says in words what is wrong."""


@doctor.command("tls")
def tls(  # noqa: PLR0917 (typer reads options from parameters)
    place: Annotated[str, typer.Argument(help="HOST:PORT of the hub or of a peer.")],
    settings: Annotated[
        Path | None, typer.Option("--settings", "-s", help="Settings whose section tls is used: as the hub would call.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="Show this certificate (PEM) instead.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    ca: Annotated[Path | None, typer.Option(help="Believe these authorities (PEM) instead.")] = None,
    crl: Annotated[
        list[Path] | None, typer.Option(help="Believe these revocation lists (PEM or DER) instead; may be repeated.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name that the peer's certificate must have. Default: HOST.")] = "",
) -> None:
    """Try a TLS handshake and say why it fails: expired, another authority, name, no client certificate, revoked,
    version, clock. Exit code 1 when anything is wrong."""
    from hub.app.keys.doctor import examine, place_of  # noqa: PLC0415 (other commands start faster without it)

    host, port = place_of(place)
    own = settings_file.load(settings or settings_file.default_file()).tls
    given = {"certificate": certificate, "key": key, "ca": ca, "crls": tuple(crl) if crl else None}
    own = own.model_copy(update={what: file for what, file in given.items() if file is not None})
    _say(examine(host, port, own, name=name))


@doctor.command("record")
def record(
    settings: SettingsOption = None,
) -> None:
    """Look at the national record of [record]: settings, both certificates, the connection, mutual TLS, and whether the
    record reads the VIHF (TD0.2 about a number that nobody has). Exit code 1 when anything is wrong."""
    from hub.app.outside.record_doctor import examine  # noqa: PLC0415 (other commands start faster without it)

    _say(examine(settings_file.load(settings or settings_file.default_file()).record))


@doctor.command("database")
def database(
    settings: SettingsOption = None,
) -> None:
    """Look at the database of [storage]: does it answer, has it the tables of this version, do the documents that are
    kept name this region.repository_unique_id, and, of PostgreSQL, do its settings keep what was acknowledged and suit
    its size. Exit code 1 when anything is wrong."""
    from hub.app.outside.database_doctor import examine  # noqa: PLC0415 (other commands start faster without it)

    _say(examine(settings_file.load(settings or settings_file.default_file())))


def _say(findings: Iterable["Finding"]) -> None:
    wrong = False
    for finding in findings:
        wrong = wrong or not finding.good
        mark = "[green]ok[/green]" if finding.good else "[red]wrong[/red]"
        out.print(f"{mark} {escape(finding.text)}", highlight=False)
    if wrong:
        raise typer.Exit(1)
