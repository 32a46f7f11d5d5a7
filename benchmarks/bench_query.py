"""ITI-18 over HTTP, by kind of query, at 1,000,000 entries on both databases: cost must not depend on how many there
are."""

import itertools
import random
import re
import selectors
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from sqlalchemy import Engine, create_engine, select

from benchmarks.figures import Figure, cpu_seconds, percentile
from benchmarks.registry_filler import ACCESSION, AFFINITY_DOMAIN, PER_PATIENT, fill, patient_number
from hub.documents.model import APPROVED
from hub.documents.queries import QUERIES
from hub.documents.store import ENTRY, SUBMISSION_SET
from hub.testing.postgres import PostgresqlMissing, PostgresqlServer
from hub.testing.sandbox import SandboxProcess
from hub.wire.ebxml.queries import write_query
from hub.wire.soap.names import ANONYMOUS
from hub.wire.soap.writing import build_envelope, plain_type
from hub.wire.xml import serialise

ACTION = "urn:ihe:iti:2007:RegistryStoredQuery"
LIMIT_MS = 25.0
RATE = 300.0
CONNECTIONS = 8
PROCESSES = 2
PDF = "urn:ihe:iti:xds-sd:pdf:2008^^1.3.6.1.4.1.19376.1.2.3"
_IDS = {query.name: query.id for query in QUERIES.values()}


@dataclass(frozen=True, slots=True)
class Sample:
    """A patient, and one of its entries and submission sets."""

    patient: str
    entry: str
    unique_id: str
    submission_set: str
    reference: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of question: how it is asked of a sample, and how many objects answer it."""

    query: str
    about: str
    parameters: Callable[[Sample], dict[str, str | list[str]]]
    objects: int
    leaf_class: bool = True

    @property
    def name(self) -> str:
        return f"{self.query}{self.about}"

    def body(self, sample: Sample) -> bytes:
        asked = write_query(_IDS[self.query], self.parameters(sample), leaf_class=self.leaf_class)
        return serialise(build_envelope(asked, ACTION, reply_to=ANONYMOUS))


def _of(kind: str, **more: str | list[str]) -> Callable[[Sample], dict[str, str | list[str]]]:
    return lambda sample: {f"$XDS{kind}PatientId": sample.patient, f"$XDS{kind}Status": [APPROVED], **more}


_MINE = _of("DocumentEntry")
KINDS = (
    Kind("FindDocuments", "", _MINE, PER_PATIENT),
    Kind("FindDocuments", ", ObjectRef", _MINE, PER_PATIENT, leaf_class=False),
    Kind(
        "FindDocuments", ", by format",
        lambda sample: {**_MINE(sample), "$XDSDocumentEntryFormatCode": [PDF]},
        PER_PATIENT // 4,
    ),
    Kind(
        "FindDocumentsByReferenceId", "",
        lambda sample: {**_MINE(sample), "$XDSDocumentEntryReferenceIdList": [sample.reference]}, 1,
    ),
    Kind("FindSubmissionSets", "", _of("SubmissionSet"), PER_PATIENT // 4),
    Kind("GetDocuments", "", lambda sample: {"$XDSDocumentEntryUniqueId": [sample.unique_id]}, 1),
    Kind("GetDocumentsAndAssociations", "", lambda sample: {"$XDSDocumentEntryEntryUUID": [sample.entry]}, 2),
    Kind("GetSubmissionSetAndContents", "", lambda sample: {"$XDSSubmissionSetEntryUUID": sample.submission_set}, 9),
)  # fmt: skip


def run(*, quick: bool) -> Iterator[Figure]:
    sizes = (1_000, 10_000) if quick else (10_000, 1_000_000)
    questions = 40 if quick else 300
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            yield from _measured("SQLite", f"sqlite:///{folder}/{size}.sqlite", size, sizes[-1], questions)
    try:
        server = PostgresqlServer()
    except PostgresqlMissing as error:
        yield Figure("query", "PostgreSQL", 0.0, "ms", note=f"not measured: {error.message}")
        return
    with server:
        yield from _measured("PostgreSQL", server.url(server.create_database()), sizes[-1], sizes[-1], questions)


def _measured(database: str, url: str, size: int, largest: int, questions: int) -> Iterator[Figure]:
    started = time.perf_counter()
    fill(url, size)
    print(
        f"   {database}: {size:,} entries written in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True
    )
    engine = create_engine(url)
    found = samples(engine, size, questions)
    engine.dispose()
    where = f"{database}, {size:,} entries"
    with ExitStack() as stack:
        options = ("--open", "--db", url, "--affinity-domain", AFFINITY_DOMAIN)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        boxes = [
            stack.enter_context(SandboxProcess(*options, "--data", f"{folder}/{number}"))
            for number in range(PROCESSES if size == largest else 1)
        ]
        for kind in KINDS if size == largest else KINDS[:1]:
            used = cpu_seconds(boxes[0].process.pid)
            times = ask(boxes[0]["xds_registry"], kind, found)
            used = (cpu_seconds(boxes[0].process.pid) - used) * 1000 / len(times)
            p99 = percentile(times, 0.99) * 1000
            yield Figure(
                "query", f"{kind.name}, p99, {where}", p99, "ms", goal=f"under {LIMIT_MS:.0f} ms", met=p99 < LIMIT_MS,
                note=f"{len(times)} questions, one connection, {kind.objects} objects in the answer; median "
                f"{percentile(times, 0.5) * 1000:.1f} ms; the hub's own CPU: {used:.1f} ms a question",
            )  # fmt: skip
        if size == largest:
            rate, used = throughput(boxes, found)
            yield Figure(
                "query", f"all kinds in turn, {CONNECTIONS} connections, {where}", rate, "requests/s",
                goal=f"at least {RATE:.0f} requests/s", met=rate >= RATE,
                note=f"{PROCESSES} processes on one database; their CPU: {used:.1f} ms a request",
            )  # fmt: skip


def samples(engine: Engine, size: int, count: int) -> list[Sample]:
    """Of patients here and there."""
    choose = random.Random(size)
    found = []
    with engine.connect() as connection:
        for _ in range(count):
            patient = f"{patient_number(choose.randrange(size // PER_PATIENT))}^^^&{AFFINITY_DOMAIN}&ISO"
            entry = connection.execute(
                select(ENTRY.c.id, ENTRY.c.unique_id, ENTRY.c.reference_ids)
                .where(ENTRY.c.patient == patient).order_by(ENTRY.c.id)
            ).first()  # fmt: skip
            submission_set = connection.execute(
                select(SUBMISSION_SET.c.id).where(SUBMISSION_SET.c.patient == patient).order_by(SUBMISSION_SET.c.id)
            ).first()
            if entry is None or submission_set is None:
                raise RuntimeError("a patient has no documents")
            number = entry.reference_ids.strip("\x1f").partition("^")[0]
            reference = f"{number}^^^&1.2.250.1.999.8.2&ISO^{ACCESSION}"
            found.append(Sample(patient, entry.id, entry.unique_id, submission_set.id, reference))
    return found


def ask(url: str, kind: Kind, of: Sequence[Sample]) -> list[float]:
    """Seconds that each answer took; the first ones are not counted."""
    bodies = [kind.body(sample) for sample in of]
    warm = len(bodies) // 10
    return _ask(url, ((kind, body) for body in bodies[:warm] + bodies))[warm:]


def _ask(url: str, questions: Iterable[tuple[Kind, bytes]]) -> list[float]:
    with _Caller(url, questions) as caller:
        while caller.ask():
            while not caller.answered():
                pass
        return caller.times


class _Caller:
    """One connection: its next question goes out when the one before is answered. As little work as can be, since both
    sides share the cores."""

    def __init__(self, url: str, questions: Iterable[tuple[Kind, bytes]]) -> None:
        place = urlsplit(url)
        about = {"Host": place.netloc, "Content-Type": plain_type(ACTION)}
        fields = [f"{name}: {text}" for name, text in about.items()]
        self.head = "\r\n".join([f"POST {place.path} HTTP/1.1", *fields, "Content-Length: "])
        self.questions = iter(questions)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.times: list[float] = []
        self._kind = KINDS[0]
        self._started = 0.0
        self._received = bytearray()
        self._size = 0  # of the whole answer, once its head is there

    def ask(self) -> bool:
        """Send the next question; False when there is none."""
        question = next(self.questions, None)
        if question is None:
            return False
        self._kind, body = question
        self._received, self._size = bytearray(), 0
        self._started = time.perf_counter()
        self.socket.sendall(b"%b%d\r\n\r\n%b" % (self.head.encode(), len(body), body))
        return True

    def answered(self) -> bool:
        """Receive; whether the answer is whole. Raises RuntimeError when it is not what it should be."""
        data = self.socket.recv(1024 * 1024)
        self._received += data
        if not self._size and (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"content-length: (\d+)", bytes(self._received[:end]), re.IGNORECASE)
            self._size = end + 4 + int(length[1]) if length else -1
        if data and (not self._size or len(self._received) < self._size):
            return False
        self.times.append(time.perf_counter() - self._started)
        kind = self._kind
        if self._received.count(b"<rim:VersionInfo " if kind.leaf_class else b"<rim:ObjectRef ") != kind.objects:
            raise RuntimeError(f"{kind.name} was not answered with {kind.objects} objects: {self._received[:1000]!r}")
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.socket.close()


def throughput(boxes: Sequence[SandboxProcess], of: Sequence[Sample]) -> tuple[float, float]:
    """Requests a second of all connections together, and the hub's milliseconds of CPU for each."""
    questions = [(kind, kind.body(sample)) for sample, kind in zip(of, itertools.cycle(KINDS), strict=False)]
    callers = [_Caller(boxes[number % len(boxes)]["xds_registry"], questions) for number in range(CONNECTIONS)]
    before, started = sum(cpu_seconds(box.process.pid) for box in boxes), time.perf_counter()
    with ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for caller in callers:
            waiting.register(stack.enter_context(caller).socket, selectors.EVENT_READ, caller)
            caller.ask()
        while waiting.get_map():
            for key, _ in waiting.select(60):
                caller = key.data
                if caller.answered() and not caller.ask():
                    waiting.unregister(caller.socket)
    elapsed = time.perf_counter() - started
    used = sum(cpu_seconds(box.process.pid) for box in boxes) - before
    count = sum(len(caller.times) for caller in callers)
    return count / elapsed, used * 1000 / count
