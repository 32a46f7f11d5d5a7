"""ITI-18 FindDocuments over HTTP at 10,000 and at 1,000,000 entries: its cost must not depend on how many there are."""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from benchmarks.figures import Figure, percentile
from benchmarks.registry_filler import AFFINITY_DOMAIN, PER_PATIENT, fill, patient_number
from hub.app.demo import ask
from hub.testing.sandbox import SandboxProcess
from hub.wire.soap.client import SoapClient, spool_to

LIMIT_MS = 25.0


def run(*, quick: bool) -> Iterator[Figure]:
    sizes = (1_000, 10_000) if quick else (10_000, 1_000_000)
    questions = 100 if quick else 600
    times: dict[int, list[float]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/hub.sqlite"
            started = time.perf_counter()
            fill(url, size)
            print(f"   {size:,} entries written in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
            times[size] = ask_many(url, folder, size, questions)
    small, large = (sorted(times[size]) for size in sizes)
    for size, values in zip(sizes, (small, large), strict=True):
        p99 = percentile(values, 0.99) * 1000
        yield Figure(
            "query", f"FindDocuments p99 at {size:,} entries", p99, "ms",
            goal=f"under {LIMIT_MS:.0f} ms", met=p99 < LIMIT_MS,
            note=f"{questions} questions, {PER_PATIENT} documents a patient, one connection, LeafClass over HTTP",
        )  # fmt: skip
    medians = [percentile(values, 0.5) * 1000 for values in (small, large)]
    yield Figure(
        "query", f"FindDocuments median at {sizes[1]:,} entries", medians[1], "ms",
        f"the same at {sizes[0]:,} entries", medians[0], "at most 1.3", medians[1] <= 1.3 * medians[0],
    )  # fmt: skip


def ask_many(url: str, folder: str, size: int, questions: int) -> list[float]:
    choose = random.Random(size)
    times = []
    with (
        SandboxProcess("--open", "--db", url, "--data", folder, "--affinity-domain", AFFINITY_DOMAIN) as box,
        httpx.Client(timeout=60, trust_env=False) as http,
    ):
        soap = SoapClient(http, spool_to(Path(folder)))
        for number in range(questions + 50):
            patient = f"{patient_number(choose.randrange(size // PER_PATIENT))}^^^&{AFFINITY_DOMAIN}&ISO"
            body = ask.find_documents(patient)
            started = time.perf_counter()
            answer = soap.call(box["xds_registry"], ask.STORED_QUERY, body)
            elapsed = time.perf_counter() - started
            if len(ask.entries(answer.body)) != PER_PATIENT:
                raise RuntimeError("a question was answered with another number of documents")
            if number >= 50:
                times.append(elapsed)
    return times
