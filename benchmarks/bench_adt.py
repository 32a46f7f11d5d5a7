"""Acknowledged ADT/s over MLLP, against a bare insert-and-commit loop on the same database in the same run."""

import multiprocessing
import os
import random
import selectors
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.figures import Figure
from benchmarks.slow_flush import slow_flushes
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.postgres import PostgresqlMissing, PostgresqlServer
from hub.testing.sandbox import SandboxProcess
from hub.wire.hl7v2.mllp import END, frame

SENDERS = 8
#: What a flush costs longer in the second half: a millisecond is good network storage.
FLUSH_MILLISECONDS = 1.0
WARM = 20  #: messages that each sends before the clock runs
NAMES = ("MARTIN", "BERNARD", "DUBOIS", "THOMAS", "ROBERT", "RICHARD", "PETIT", "DURAND", "LEROY", "MOREAU")
GIVEN = ("MARIE", "JEAN", "PIERRE", "LOUISE", "PAUL", "JEANNE", "LOUIS", "ANNE", "JACQUES", "SOPHIE")


def run(*, quick: bool) -> Iterator[Figure]:
    count = 160 if quick else 6000
    yield from _sqlite("", count)
    yield from _postgresql("", count)
    with slow_flushes(FLUSH_MILLISECONDS) as possible:
        if not possible:
            yield Figure("adt", "a disk whose flushes cost time", 0.0, "msg/s", note="not measured: no C compiler")
            return
        disk = f", flushes {FLUSH_MILLISECONDS:g} ms later"
        yield from _sqlite(disk, count)
        yield from _postgresql(disk, count)


def _sqlite(disk: str, count: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        bare = _elsewhere(sqlite_loop, Path(folder) / "bare.sqlite", count)
        yield _figure(f"SQLite{disk}", f"sqlite:///{folder}/hub.sqlite", bare, count)


def _postgresql(disk: str, count: int) -> Iterator[Figure]:
    try:
        server = PostgresqlServer(durable=True)
    except PostgresqlMissing as error:
        yield Figure("adt", f"PostgreSQL{disk}", 0.0, "msg/s", note=f"not measured: {error.message}")
        return
    with server:
        bare = _elsewhere(postgresql_loop, server.url(server.create_database()), count)
        for processes in (1, 2):
            yield _figure(f"PostgreSQL{disk}", server.url(server.create_database()), bare, count, processes)


def _elsewhere(loop: Callable[[Any, int], float], where: Any, count: int) -> float:
    """What the loop does in a process of its own: one that sees the same disk as the hub's."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(loop, where, count).result()


def _figure(name: str, url: str, bare: float, count: int, processes: int = 1) -> Figure:
    value, milliseconds = hub_rate(url, count, processes)
    several = f", {processes} processes" if processes > 1 else ""
    return Figure(
        "adt", f"acknowledged ADT^A28, {name}{several}, {SENDERS} connections", value, "msg/s",
        f"bare insert and commit, one connection, {name}", bare, "at least 0.5", value >= 0.5 * bare,
        "each message: raw bytes, identity, regional identifier, links and audit record on disk before AA; "
        f"the hub's own CPU: {milliseconds:.2f} ms a message, which is the limit while others use the cores",
    )  # fmt: skip


def messages(sender: int, count: int) -> list[bytes]:
    choose = random.Random(sender)
    site = hl7.Sender(application=f"HIS{sender}", facility=f"H{sender}")
    made = []
    for index in range(count):
        traits = Traits(
            birth_name=f"{choose.choice(NAMES)} {choose.choice(NAMES)}", birth_given=choose.choice(GIVEN),
            birth_date=f"{choose.randint(1930, 2020)}{choose.randint(1, 12):02d}{choose.randint(1, 28):02d}",
            sex=choose.choice("MF"), birth_place=f"{choose.randint(1001, 95999):05d}",
        )  # fmt: skip
        patient = hl7.Patient(
            identifier=hl7.local(f"{index}", f"H{sender}", f"1.2.250.1.999.8.{sender + 1}"), traits=traits
        )
        made.append(hl7.adt(site, patient, "A28"))
    return made


def hub_rate(url: str, count: int, processes: int = 1) -> tuple[float, float]:
    """Messages a second, and the hub's own milliseconds of CPU for each."""
    with ExitStack() as stack:
        boxes = [_box(stack, url) for _ in range(processes)]
        share = count // SENDERS
        senders = [
            _sender(stack, boxes[number % processes], messages(number, share + WARM)) for number in range(SENDERS)
        ]
        _send(senders, WARM)
        before, started = sum(_cpu(box.process.pid) for box in boxes), time.perf_counter()
        _send(senders, share)
        elapsed = time.perf_counter() - started
        used = sum(_cpu(box.process.pid) for box in boxes) - before
        return share * SENDERS / elapsed, used * 1000 / (share * SENDERS)


def _box(stack: ExitStack, url: str) -> SandboxProcess:
    data = stack.enter_context(tempfile.TemporaryDirectory())
    return stack.enter_context(SandboxProcess("--open", "--db", url, "--data", data))


def _sender(stack: ExitStack, box: SandboxProcess, batch: list[bytes]) -> "_Sender":
    host, _, port = box["mllp"].rpartition(":")
    sender = _Sender(host, int(port), batch)
    stack.callback(sender.socket.close)
    return sender


class _Sender:
    """One feed: its next message goes out when the one before is acknowledged. As little work as can be: both sides
    share the cores."""

    def __init__(self, host: str, port: int, batch: list[bytes]) -> None:
        self.frames = iter([frame(message) for message in batch])
        self.socket = socket.create_connection((host, port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.left = 0

    def send(self) -> None:
        self.socket.sendall(next(self.frames))

    def receive(self) -> bool:
        """Whether the answer is whole."""
        data = self.socket.recv(65536)
        self.answer += data
        if not data or (self.answer.endswith(END) and b"|AA|" not in self.answer):
            raise RuntimeError(f"a message was not acknowledged: {self.answer[:300]!r}")
        if not self.answer.endswith(END):
            return False
        self.answer = b""
        self.left -= 1
        return True


def _send(senders: list[_Sender], count: int) -> None:
    """Each sends so many, all at the same time."""
    with selectors.DefaultSelector() as waiting:
        for sender in senders:
            waiting.register(sender.socket, selectors.EVENT_READ, sender)
            sender.left = count
            sender.send()
        while waiting.get_map():
            for key, _ in waiting.select(120):
                sender = key.data
                if sender.receive():
                    if sender.left:
                        sender.send()
                    else:
                        waiting.unregister(sender.socket)


def _cpu(process: int) -> float:
    """Seconds of CPU that a process has used, in the kernel as well."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sqlite_loop(path: Path, count: int) -> float:
    """The limit: one row a commit, with the durability that the hub's own database has."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE raw (id INTEGER PRIMARY KEY, message BLOB)")
    batch = messages(0, count)
    started = time.perf_counter()
    for message in batch:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO raw (message) VALUES (?)", (message,))
        connection.execute("COMMIT")
    elapsed = time.perf_counter() - started
    connection.close()
    return count / elapsed


def postgresql_loop(url: str, count: int) -> float:
    batch = messages(0, count)
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        connection.execute("CREATE TABLE raw (id SERIAL PRIMARY KEY, message BYTEA)")
        connection.commit()
        started = time.perf_counter()
        for message in batch:
            connection.execute("INSERT INTO raw (message) VALUES (%s)", (message,))
            connection.commit()
        return count / (time.perf_counter() - started)
