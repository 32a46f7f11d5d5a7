"""The patient index at 100,000 and 3,000,000 identities, on both databases: PIX, PDQ, feeds with matching, imports.

At the service's boundary, and questions through MLLP as well. ``--quick`` fills small indexes."""

import itertools
import random
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text

from benchmarks import import_file, relink_index
from benchmarks.figures import Figure, percentile
from benchmarks.patient_filler import AFFINITY_DOMAIN, MADE, SEED, fill
from hub.app.patients.matching import weigh
from hub.app.settings.model import Matching
from hub.context import Context
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import CrossReference, FeedIdentity, FindPersons, Identity
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.testing import hl7
from hub.testing.population import AUTHORITY, population
from hub.testing.postgres import PostgresqlMissing, PostgresqlServer
from hub.testing.sandbox import SandboxProcess
from hub.values import PatientIdentifier
from hub.wire.hl7v2.mllp import END, frame

PIX_MS, PDQ_MS = 5.0, 30.0
FEED = {"SQLite": 2_500.0, "PostgreSQL": 800.0}
FLAT = 1.5
TOGETHER = (8, 64)  #: feeds that share a unit of work: eight connections' messages, and the most that the hub takes
_NEW = 0.5  #: share of the messages about persons that nobody knows yet
_FREQUENT = 5
_OTHERS = 50  #: hospitals that begin to announce persons of the index


@dataclass(frozen=True, slots=True)
class Known:
    """What is asked about."""

    numbers: Sequence[PatientIdentifier]
    people: Sequence[tuple[str, str, str]]  #: name, given name, birth date
    frequent: Sequence[str]  #: the most frequent names


def run(*, quick: bool) -> Iterator[Figure]:
    sizes = (2_000, 20_000) if quick else (100_000, 3_000_000)
    count = 200 if quick else 4_000
    with tempfile.TemporaryDirectory() as folder:
        yield from _database("SQLite", [f"sqlite:///{folder}/{size}.sqlite" for size in sizes], sizes, count)
    try:
        server = PostgresqlServer(durable=True)
    except PostgresqlMissing as error:
        yield Figure("patients", "PostgreSQL", 0.0, "ms", note=f"not measured: {error.message}")
        return
    with server:
        yield from _database("PostgreSQL", [server.url(server.create_database()) for _ in sizes], sizes, count)


def _database(name: str, urls: Sequence[str], sizes: Sequence[int], count: int) -> Iterator[Figure]:
    costs: list[float] = []
    for url, size in zip(urls, sizes, strict=True):
        started = time.perf_counter()
        fill(url, size)
        spent = time.perf_counter() - started
        print(f"   {name}: {size:,} identities written in {spent:.0f} s", file=sys.stderr, flush=True)
        where = f"{name}, {size:,} identities"
        database = Database(url)
        patients = index(database)
        try:
            known = look(database, size)
            yield from questions(patients, known, where, count)
            commands = [FeedIdentity(item) for item in arrivals(size, len(TOGETHER) * count)]
            for place, together in enumerate(TOGETHER):
                figure, cost = feeds(patients, commands[place * count :][:count], together, name, where)
                if not place:
                    costs.append(cost)
                yield figure
            yield import_file.figure(url, size, where, 15 * count)  # so many that starting is not the measure
        finally:
            database.dispose()
        if size == sizes[-1]:
            yield from relink_index.figures(url, where)
            yield from through_mllp(url, known, where, count // 4)
    ratio = costs[-1] / costs[0]
    yield Figure(
        "patients", f"cost of a message, {sizes[-1]:,} to {sizes[0]:,} identities, {name}", ratio, "times",
        goal=f"at most {FLAT}", met=ratio <= FLAT,
        note=f"the process's CPU: {costs[0]:.2f} ms and {costs[-1]:.2f} ms a message, the database's own not counted "
        "where it is another process",
    )  # fmt: skip


def index(database: Database) -> PatientService:
    patients = PatientService(
        database=database,
        directory=AuthorityDirectory(database=database, accept_new=True),
        affinity_domain=AFFINITY_DOMAIN,
    )
    patients.weigh = weigh(Matching(enabled=True))
    return patients


def look(database: Database, size: int, count: int = 1_000) -> Known:
    """Numbers and people from everywhere in the index, and its most frequent names."""
    step = max(1, size // count)
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT value, authority, birth_date, given FROM patients_identity WHERE id % :step = 1 AND active"),
            {"step": step},
        ).all()
        names: dict[int, str] = dict(
            connection.execute(
                text("SELECT identity, min(key) FROM patients_name WHERE identity % :step = 1 GROUP BY identity"),
                {"step": step},
            ).all()
        )
        ids = connection.execute(
            text("SELECT id FROM patients_identity WHERE id % :step = 1 AND active"), {"step": step}
        ).scalars().all()  # fmt: skip
        top = connection.execute(
            text("SELECT key FROM patients_name GROUP BY key ORDER BY count(*) DESC LIMIT :most"), {"most": _FREQUENT}
        ).scalars().all()  # fmt: skip
    people = [
        (names[key], row.given.split()[0] if row.given.split() else "", row.birth_date)
        for key, row in zip(ids, rows, strict=True)
        if key in names and len(row.birth_date) == 8
    ]
    return Known([PatientIdentifier(row.value, row.authority) for row in rows], people, top)


def kinds(known: Known) -> dict[str, tuple[float | None, Callable[[int], Any]]]:
    """Kind of question -> goal in ms, and the n-th question."""

    def person(number: int) -> tuple[str, str, str]:
        return known.people[number % len(known.people)]

    def frequent(number: int) -> str:
        return known.frequent[number % len(known.frequent)]

    return {
        "PIX": (PIX_MS, lambda n: CrossReference(known.numbers[n % len(known.numbers)])),
        "PDQ, name and birth date": (PDQ_MS, lambda n: FindPersons(name=person(n)[0], birth_date=person(n)[2])),
        "PDQ, frequent name and birth date": (
            PDQ_MS, lambda n: FindPersons(name=frequent(n), birth_date=person(n)[2]),
        ),
        "PDQ, three letters and birth date": (
            PDQ_MS, lambda n: FindPersons(name=person(n)[0][:3], birth_date=person(n)[2]),
        ),
        "PDQ, frequent name, first page": (None, lambda n: FindPersons(name=frequent(n), limit=20)),
        "PDQ, frequent name and given name": (
            None, lambda n: FindPersons(name=frequent(n), given=person(n)[1], limit=20),
        ),
        "PDQ, two letters and given name": (
            None, lambda n: FindPersons(name=person(n)[0][:2].strip().ljust(2, "A"), given=person(n)[1], limit=20),
        ),
    }  # fmt: skip


def questions(patients: PatientService, known: Known, where: str, count: int) -> Iterator[Figure]:
    for kind, (goal, make) in kinds(known).items():
        number = count if goal is not None else max(20, count // 20)
        asked = [make(n) for n in range(number + number // 10)]
        times, used = [], time.process_time()
        for question in asked:
            started = time.perf_counter()
            if isinstance(question, CrossReference):
                patients.cross_reference(question, Context())
            else:
                patients.find(question, Context())
            times.append(time.perf_counter() - started)
        used = (time.process_time() - used) * 1000 / len(asked)
        yield _latency(f"{kind}, p99, {where}", times[number // 10 :], goal, f"the process's CPU: {used:.2f} ms")


def _latency(name: str, times: Sequence[float], goal: float | None, note: str) -> Figure:
    p99 = percentile(times, 0.99) * 1000
    return Figure(
        "patients", name, p99, "ms", goal=f"under {goal:.0f} ms" if goal else "", met=p99 < goal if goal else None,
        note=f"{len(times)} questions, one after the other; median {percentile(times, 0.5) * 1000:.2f} ms; {note}",
    )  # fmt: skip


def arrivals(size: int, count: int) -> list[Identity]:
    """Messages to come: half of them other hospitals' about persons of the index, half about new persons."""
    choose = random.Random(size)
    known = itertools.islice(population(SEED, min(size, MADE)), count * 2)
    again = [
        replace(item, identifier=PatientIdentifier(f"F{number}", f"{AUTHORITY}.{100 + number % _OTHERS}", "PI"))
        for number, (_, item) in enumerate(known)
    ]
    new = [
        replace(item, identifier=replace(item.identifier, value=f"N{item.identifier.value}"))
        for _, item in population(SEED + 1, count)
    ]
    chosen = choose.sample(again, int(count * (1 - _NEW))) + choose.sample(new, int(count * _NEW))
    choose.shuffle(chosen)
    return chosen


def feeds(
    patients: PatientService, commands: Sequence[FeedIdentity], together: int, name: str, where: str
) -> tuple[Figure, float]:
    """Messages a second, several in a unit of work as messages of several connections are; ms of CPU for each."""
    used, started = time.process_time(), time.perf_counter()
    for start in range(0, len(commands), together):
        calls = [(command, Context(source=f"S{place}")) for place, command in enumerate(commands[start:][:together])]
        with patients.database.transaction():
            patients.ahead(calls)
            for command, context in calls:
                patients.feed(command, context)
    elapsed, used = time.perf_counter() - started, time.process_time() - used
    rate, cost = len(commands) / elapsed, used * 1000 / len(commands)
    figure = Figure(
        "patients", f"feed with matching, {together} together, {where}", rate, "msg/s",
        goal=f"at least {FEED[name]:.0f} msg/s", met=rate >= FEED[name],
        note=f"rules and score, {together} messages a durable commit, one thread; the process's CPU: {cost:.2f} ms a "
        f"message, {1000 / cost:.0f} a second",
    )  # fmt: skip
    return figure, cost


def through_mllp(url: str, known: Known, where: str, count: int) -> Iterator[Figure]:
    """The same questions at the HL7 v2 port of a process of its own."""
    with tempfile.TemporaryDirectory() as data:
        options = ("--open", "--db", url, "--affinity-domain", AFFINITY_DOMAIN, "--data", data)
        with SandboxProcess(*options) as box:
            host, _, port = box["mllp"].rpartition(":")
            sender = hl7.Sender()
            with socket.create_connection((host, int(port)), timeout=120) as connection:
                pix = [hl7.pix_query(sender, number) for number in known.numbers[:count]]
                yield _latency(f"PIX through MLLP, p99, {where}", _ask(connection, pix), PIX_MS, "")
                pdq = [
                    hl7.pdq_query(sender, {"@PID.5.1.1": name, "@PID.7.1": born})
                    for name, _, born in known.people[:count]
                ]
                name = f"PDQ through MLLP, name and birth date, p99, {where}"
                yield _latency(name, _ask(connection, pdq), PDQ_MS, "")


def _ask(connection: socket.socket, messages: Sequence[bytes]) -> list[float]:
    times = []
    for message in messages:
        started = time.perf_counter()
        connection.sendall(frame(message))
        answer = b""
        while not answer.endswith(END):
            answer += connection.recv(65536)
        times.append(time.perf_counter() - started)
        if b"|AA|" not in answer:
            raise RuntimeError(f"a question was not answered: {answer[:300]!r}")
    return times[len(times) // 10 :]
