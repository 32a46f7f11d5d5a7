"""The whole index looked at again, in a process of its own: ``python -m benchmarks.relink_index DATABASE-URL``."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict

from benchmarks.figures import Figure
from benchmarks.patient_filler import AFFINITY_DOMAIN
from hub.app.patients.matching import weigh
from hub.app.patients.relink import relink
from hub.app.settings.model import Matching
from hub.patients.authorities import AuthorityDirectory
from hub.patients.service import PatientService
from hub.storage.engine import Database

SECONDS, GIB = 120.0, 4.0
PROCESSES = 2


def figures(url: str, where: str) -> Iterator[Figure]:
    """Time and memory of ``maillage patients relink``."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.relink_index", url], check=True, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    found = json.loads(done.stdout)
    told = (
        f"{found['identities']:,} identities, {found['keys']:,} with old keys, {found['pairs']:,} pairs of two "
        f"persons, {found['decisions']:,} decisions, {found['linked']:,} linked; CPU of all processes, the "
        f"database's own not counted: {found['cpu']:.0f} s"
    )
    yield Figure("patients", f"full re-link, {where}", found["seconds"], "s", goal=f"under {SECONDS:.0f} s",
                 met=found["seconds"] < SECONDS, note=told)  # fmt: skip
    yield Figure("patients", f"full re-link, memory, {where}", found["gib"], "GiB", goal=f"under {GIB:.0f} GiB",
                 met=found["gib"] < GIB, note=f"the most of each of {1 + PROCESSES} processes, added up")  # fmt: skip


def main() -> None:
    database = Database(sys.argv[1])
    patients = PatientService(
        database=database,
        directory=AuthorityDirectory(database=database, accept_new=True),
        affinity_domain=AFFINITY_DOMAIN,
    )
    settings = Matching(enabled=True)
    patients.weigh = weigh(settings)
    report = relink(patients, settings, dry_run=False, processes=PROCESSES)
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(used.ru_utime + used.ru_stime for used in (own, others))
    memory = (own.ru_maxrss + PROCESSES * others.ru_maxrss) / 2**20
    print(json.dumps(asdict(report) | {"cpu": cpu, "gib": memory}))


if __name__ == "__main__":
    main()
