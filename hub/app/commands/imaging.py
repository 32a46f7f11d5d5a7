"""``maillage imaging``: what is published, for people at a terminal."""

from dataclasses import asdict
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from hub.access.model import HUB
from hub.app.commands.options import SettingsOption
from hub.app.settings import file as settings_file
from hub.imaging.manifest_model import CheckManifests, CheckReport, Difference

imaging = typer.Typer(no_args_is_help=True, help="Studies: check what is published against what the sources hold.")

_SAID = {
    Difference.CONTENT: "other instances at the source",
    Difference.METADATA: "described otherwise at the source",
    Difference.GONE: "gone from the source",
    Difference.REGISTRY: "not in the registry as it was published",
    Difference.UNREACHABLE: "the source could not be asked",
}


@imaging.command("check")
def check(
    repair: Annotated[
        bool, typer.Option("--repair", help="Queue a new publication of what differs; the running hub carries it out.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    settings: SettingsOption = None,
) -> None:
    """Compare every published study with what its source holds now, instance by instance, and the registry with both.

    The same check as the nightly one (`imaging.check_at`), and as safe beside a running hub. Exit code 0 when
    everything is equal or will be repaired, 1 otherwise. No patient data is shown.
    """
    from hub.app.wiring import Hub  # noqa: PLC0415 (other commands start faster without it)
    from hub.context import Context  # noqa: PLC0415

    hub = Hub(settings_file.load(settings or settings_file.default_file()))
    try:
        hub.prepare()
        report = hub.life.check(CheckManifests(repair=repair), Context(principal=HUB))
    finally:
        hub.stop()
    if report is None:  # the slot of a check by hand is its own
        raise typer.Exit(1)
    if as_json:
        typer.echo(orjson.dumps(asdict(report)).decode())
    else:
        _show(report)
    if report.unreachable or report.differing > report.repaired:
        raise typer.Exit(1)


def _show(report: CheckReport) -> None:
    out = Console()
    if report.findings:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("source", "study", "difference", "missing", "surplus"):
            table.add_column(name, overflow="fold")
        for item in report.findings:
            row = (item.source, item.study_instance_uid, _SAID[item.difference], str(item.missing), str(item.surplus))
            table.add_row(*row)
        out.print(table)
    out.print(
        f"{report.checked} checked, {report.differing} differing, {report.repaired} queued for repair, "
        f"{report.unreachable} that could not be checked",
        highlight=False,
    )
