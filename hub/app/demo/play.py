"""``maillage demo``: sets the region up, plays the story, prints what happened, keeps the portal up."""

import logging
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

from rich.console import Console

from hub.app.demo.national import national_record, record_settings
from hub.app.demo.region import LOGIN, OPERATOR, PASSWORD, STEWARD, Sites, hospitals, install_missing, settings
from hub.app.demo.report import Report, StepFailed
from hub.app.demo.story import tell
from hub.app.running import logs
from hub.app.wiring import Hub
from hub.errors import HubError
from hub.portal.install_viewer import install
from hub.testing.dmp.server import DmpSimulator
from hub.testing.ports import free_port
from hub.testing.sites import DimseAddress

REPORT = Path("build/demo-report.json")
VIEWER = Path("build/ohif")


def play(*, once: bool = False, simulate: bool = False, report_path: Path = REPORT) -> int:
    """Play the story. ``once``: end by itself. ``simulate``: the archives are the built-in simulators. Exit code."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # the shipped files are odd on purpose
    console.print("[bold]Maillage: a region in a box[/]\n")
    if not simulate:
        install_missing(console.print)
    viewer = _viewer(console)
    with tempfile.TemporaryDirectory(prefix="maillage-demo-") as temporary:
        root = Path(temporary)
        ports = (free_port(), free_port(), free_port())
        sites = Sites.start(root, DimseAddress("MAILLAGE", "127.0.0.1", ports[2]), simulate=simulate)
        try:
            with national_record(root) as dmp:
                return _region(console, root, sites, ports, dmp=dmp, viewer=viewer, once=once, report_path=report_path)
        finally:
            sites.stop()


def _region(
    console: Console,
    root: Path,
    sites: Sites,
    ports: tuple[int, int, int],
    *,
    dmp: DmpSimulator,
    viewer: Path | None,
    once: bool,
    report_path: Path,
) -> int:
    pair = hospitals()
    told = settings(root, sites, ports, pair, record_settings(dmp)).model_copy(update={"viewer": viewer})
    logs.configure(told.logging.level, told.logging.format)
    report = Report(console, "A study made in one hospital is found and read in another, and in another region")
    for one, site in zip(pair, (sites.a, sites.b), strict=True):
        where = "the built-in simulator, as none is installed" if site.simulated else site.kind
        console.print(f"PACS {one.letter}: {where}", highlight=False)
        report.facts[f"site_{one.letter.lower()}"] = {"kind": site.kind, "simulated": site.simulated}
    console.print(f"National record (DMP): the built-in simulator at {dmp.url}", highlight=False)
    report.facts["national_record"] = {"url": dmp.url, "simulated": True}
    hub = Hub(told)
    hub.start()
    try:
        report.facts["hub"] = hub.public_url()
        console.print(f"Hub: {hub.public_url()}\n", highlight=False)
        try:
            tell(hub, sites, pair, report, root, dmp=dmp)
        except StepFailed as failure:
            console.print(f"\n[red]The story stops at {failure}[/]", highlight=False)
        report.write(report_path)
        console.print()
        console.print(report.table())
        console.print(f"\nThe whole report: {report_path}", highlight=False)
        if not once:
            _stay(console, hub.public_url())
    finally:
        hub.stop()
    return 0 if report.succeeded else 1


def _viewer(console: Console) -> Path | None:
    """OHIF, installed where npm can be had; the demo goes on without its window otherwise."""
    try:
        with console.status("installing the OHIF viewer ..."):
            install(VIEWER)
    except (HubError, OSError, subprocess.SubprocessError) as error:
        console.print(
            f"[yellow]The viewer can't be installed here ({error}); its requests are made without its window.[/]"
        )
        return None
    return VIEWER.resolve()


def _stay(console: Console, url: str) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    console.print(
        f"\n[bold]The portal is up:[/] {url}/portal\n"
        f"  clinician  {LOGIN} / {PASSWORD}     search for PAT-TROIS, 28/03/1979\n"
        f"  operator   {OPERATOR} / {PASSWORD}\n"
        f"  steward    {STEWARD} / {PASSWORD}     one INS, two birth dates: a question waits\n"
        "Ctrl-C ends it.",
        highlight=False,
    )
    stop.wait()


def main() -> int:
    """For ``python -m hub.app.demo.play``."""
    return play(once="--once" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
