"""One search over five sites by QIDO-RS, one of which never answers: the others' studies come at the deadline."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx

from benchmarks.figures import Figure, percentile
from hub.app.settings.model import Source
from hub.testing.dicom import Label, synthetic_ct
from hub.testing.sandbox import SandboxProcess
from hub.testing.simulators.dicomweb import DicomwebSimulator, WebMisbehaviour

#: Seconds that each healthy site takes for an answer.
DELAYS = (0.02, 0.05, 0.1, 0.2)
SEARCH = {"StudyDate": "20260115", "includefield": "StudyDescription"}
DEADLINE = float(Source.model_fields["deadline"].default)
LATE_MS, OVERHEAD_MS = 50.0, 20.0


def run(*, quick: bool) -> Iterator[Figure]:
    questions, hanging_questions = (10, 1) if quick else (100, 5)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sites = {
            f"SITE{number}": site(stack, Path(folder) / f"site{number}", number, WebMisbehaviour(delay=delay))
            for number, delay in enumerate(DELAYS, 1)
        }
        slowest = list(sites.values())[-1]
        with httpx.Client(timeout=60, trust_env=False) as http:
            hub = stack.enter_context(sandbox(sites))
            federated, alone = [], []
            for _ in range(questions):  # in turn, so that a busy moment hits both alike
                federated.append(search(http, hub["dicomweb"], len(sites)))
                alone.append(search(http, slowest.dicomweb_url, 1))
            sites["SITE5"] = site(stack, Path(folder) / "site5", 5, WebMisbehaviour(hang=True))
            hub = stack.enter_context(sandbox(sites))
            late = [search(http, hub["dicomweb"], len(sites) - 1, missing="SITE5") for _ in range(hanging_questions)]
    answer, peer = percentile(federated, 0.5) * 1000, percentile(alone, 0.5) * 1000
    yield Figure(
        "federation", "search over 4 healthy sites, median", answer, "ms", "the slowest site alone", peer,
        f"at most {OVERHEAD_MS:.0f} ms more", answer - peer < OVERHEAD_MS,
        f"{questions} questions in turn; sites that answer after {', '.join(f'{d * 1000:.0f}' for d in DELAYS)} ms",
    )  # fmt: skip
    worst = max(late) * 1000
    yield Figure(
        "federation", "search over 5 sites, one hanging, worst", worst, "ms", "the deadline", DEADLINE * 1000,
        f"at most {LATE_MS:.0f} ms more", worst - DEADLINE * 1000 < LATE_MS,
        f"{hanging_questions} questions; each was answered with 4 studies, and names the site that was late",
    )  # fmt: skip


def site(stack: ExitStack, directory: Path, number: int, wrong: WebMisbehaviour) -> DicomwebSimulator:
    """A hospital's archive with one study."""
    synthetic_ct(directory / "files", Label(f"P{number}", accession_number=f"A{number}"), slices=1, size=64)
    made = DicomwebSimulator(directory, wrong=wrong)
    stack.callback(made.stop)
    made.store((directory / "files").iterdir())
    return made


def sandbox(sites: dict[str, DicomwebSimulator]) -> SandboxProcess:
    """A hub over the sites."""
    sources = [text for name, one in sites.items() for text in ("--source", f"{name}=dicomweb:{one.dicomweb_url}")]
    return SandboxProcess("--open", *sources)


def search(http: httpx.Client, root: str, studies: int, *, missing: str = "") -> float:
    """Seconds until the answer. Raises RuntimeError when it lacks a study, or does not say who was late."""
    started = time.perf_counter()
    answer = http.get(f"{root}/studies", params=SEARCH, headers={"Accept": "application/dicom+json"})
    elapsed = time.perf_counter() - started
    found = len(answer.raise_for_status().json())
    named = f"{missing};state=late" in answer.headers.get("X-Maillage-Sources", "") if missing else True
    if found != studies or not named:
        raise RuntimeError(f"{found} studies of {studies}; {answer.headers.get('X-Maillage-Sources', '')}")
    return elapsed
