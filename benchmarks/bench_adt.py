"""Acknowledged ADT/s over MLLP, against a bare insert-and-commit loop on the same database in the same run."""

import random
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from benchmarks.figures import Figure
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.postgres import PostgresqlMissing, PostgresqlServer
from hub.testing.sandbox import SandboxProcess
from hub.wire.hl7v2.client import MllpClient

SENDERS = 8
NAMES = ("MARTIN", "BERNARD", "DUBOIS", "THOMAS", "ROBERT", "RICHARD", "PETIT", "DURAND", "LEROY", "MOREAU")
GIVEN = ("MARIE", "JEAN", "PIERRE", "LOUISE", "PAUL", "JEANNE", "LOUIS", "ANNE", "JACQUES", "SOPHIE")


def run(*, quick: bool) -> Iterator[Figure]:
    count = 400 if quick else 6000
    with tempfile.TemporaryDirectory() as folder:
        yield _figure(
            "SQLite", f"sqlite:///{folder}/hub.sqlite", sqlite_loop(Path(folder) / "bare.sqlite", count), count
        )
    try:
        server = PostgresqlServer(durable=True)
    except PostgresqlMissing as error:
        yield Figure("adt", "PostgreSQL", 0.0, "msg/s", note=f"not measured: {error.message}")
        return
    with server:
        hub, bare_url = server.url(server.create_database()), server.url(server.create_database())
        yield _figure("PostgreSQL", hub, postgresql_loop(bare_url, count), count)


def _figure(name: str, url: str, bare: float, count: int) -> Figure:
    value = hub_rate(url, count)
    return Figure(
        "adt", f"acknowledged ADT^A28, {name}, {SENDERS} connections", value, "msg/s",
        f"bare insert and commit, one connection, {name}", bare, "at least 0.5", value >= 0.5 * bare,
        "each message: raw bytes, identity, regional identifier, links and audit record on disk before AA",
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


def hub_rate(url: str, count: int) -> float:
    with tempfile.TemporaryDirectory() as data, SandboxProcess("--open", "--db", url, "--data", data) as box:
        host, _, port = box["mllp"].rpartition(":")
        share = count // SENDERS
        batches = [messages(number, share) for number in range(SENDERS)]
        failures: list[bytes] = []
        gate = threading.Barrier(SENDERS + 1)

        def send(batch: list[bytes]) -> None:
            with MllpClient(host, int(port), timeout=120) as client:
                failures.extend(answer for answer in [client.send(batch[0])] if b"|AA|" not in answer)
                gate.wait()
                failures.extend(answer for message in batch[1:] if b"|AA|" not in (answer := client.send(message)))

        threads = [threading.Thread(target=send, args=(batch,)) for batch in batches]
        for thread in threads:
            thread.start()
        gate.wait()
        started = time.perf_counter()
        for thread in threads:
            thread.join()
        elapsed = time.perf_counter() - started
        if failures:
            raise RuntimeError(f"{len(failures)} messages were not acknowledged: {failures[0][:300]!r}")
        return (share - 1) * SENDERS / elapsed


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
