"""A file taken into the index by ``maillage patients import``, as an operator would."""

import csv
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.patient_filler import AFFINITY_DOMAIN
from hub.patients.model import IdentityStatus
from hub.testing.population import population

GOAL = 5_000.0
_COMMAND = (sys.executable, "-c", "from hub.app.commands.main import main; main()")
_NAMES = ("birth_name", "birth_given", "given_names", "used_name", "birth_date", "sex", "birth_place", "phone")


def figure(url: str, seed: int, where: str, count: int) -> Figure:
    """Records a second from a CSV file, by the deterministic rules; the command's start is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        file, settings = Path(folder) / "people.csv", Path(folder) / "maillage.toml"
        write(file, count, seed)
        settings.write_text(
            f'[region]\naffinity_domain = "{AFFINITY_DOMAIN}"\n[security]\naccept_new_authorities = true\n'
            f'[storage]\ndatabase = "{url}"\ncontent = "{folder}/content"\n'
        )
        before = _used()
        done = subprocess.run(
            [*_COMMAND, "patients", "import", str(file), "--source", "bench", "--json", "--settings", str(settings)],
            check=True, stdout=subprocess.PIPE, cwd=folder,
        )  # fmt: skip
        used = _used() - before
    told = json.loads(done.stdout)
    rate = told["records_per_second"]
    return Figure(
        "patients", f"import of CSV, rules, {where}", rate, "records/s", goal=f"at least {GOAL:.0f} records/s",
        met=rate >= GOAL,
        note=f"{told['taken']:,} records, {told['linked']:,} linked, {told['refused']:,} refused; CPU of both "
        f"processes with their start, the database's own not counted: {used / told['taken'] * 1e6:.0f} µs a record",
    )  # fmt: skip


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def write(file: Path, count: int, seed: int) -> None:
    """People of whom the index may know some, as ``maillage patients import`` reads them."""
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, delimiter=";")
        writer.writerow(("id", "authority", "status", "ins", *_NAMES))
        for _, item in population(seed + 2, count):
            if item.traits.birth_name:
                told = item.ins.value if item.ins and item.status is not IdentityStatus.PROVISIONAL else ""
                values = (getattr(item.traits, name) for name in _NAMES)
                number = (f"I{item.identifier.value}", item.identifier.authority, item.status.value, told)
                writer.writerow((*number, *values))
