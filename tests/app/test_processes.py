"""``web.processes``, ``mllp.processes``: real processes on one port, of which one is killed, and then the parent."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from hub.audit.model import AuditSearch
from hub.audit.service import AuditService
from hub.patients.model import Traits
from hub.storage.engine import Database
from hub.testing import hl7
from hub.testing.ports import free_port
from hub.wire.hl7v2.client import MllpClient
from tests.waiting import until

SECONDS = 120.0


class Parent:
    """``maillage serve`` with two processes of one role."""

    def __init__(self, folder: Path, url: str, role: str = "web") -> None:
        self.health = free_port(4)
        self.port = self.health + 3
        ports = {"web": 0, "mllp": 0, "dimse": 0, role: self.port}
        tables = "".join(
            f"[{name}]\nport = {port}\n{'processes = 2' if name == role else ''}\n" for name, port in ports.items()
        )
        file = folder / "maillage.toml"
        file.write_text(
            f"{tables}[health]\nport = {self.health}\n[storage]\ndatabase = '{url}'\ncontent = '{folder}/content'\n"
            "[security]\nnode_authentication = false\naccept_new_authorities = true\n"
        )
        command = [
            sys.executable,
            "-c",
            "from hub.app.commands.entry import main; main()",
            "serve",
            "--settings",
            str(file),
        ]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)

    def children(self) -> set[int]:
        pid = self.process.pid
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return {int(child) for task in tasks for child in task.read_text().split()}

    def ready(self, port: int) -> bool:
        """Whether everything behind a port is."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=10, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def all_ready(self) -> bool:
        return all(self.ready(port) for port in (self.port, self.health, self.health + 1, self.health + 2))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def parent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Parent]:
    running = Parent(tmp_path, request.getfixturevalue(f"{request.param}_url"))
    yield running
    running.process.kill()
    running.process.wait()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_child_that_is_killed_is_started_again_and_all_end_with_the_parent(parent: Parent) -> None:
    until(parent.all_ready)
    first = parent.children()
    assert len(first) == 2
    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    until(lambda: parent.ready(parent.port))  # the other one answers
    until(lambda: killed not in parent.children() and len(parent.children()) == 2)
    until(parent.all_ready)
    parent.process.send_signal(signal.SIGTERM)
    assert parent.process.wait(SECONDS) == 0
    assert all(gone(pid) for pid in first)


@pytest.mark.parametrize("parent", ["sqlite"], indirect=True)
def test_children_end_when_the_parent_is_killed(parent: Parent) -> None:
    until(parent.all_ready)
    children = parent.children()
    parent.process.kill()
    until(lambda: all(gone(pid) for pid in children))


@pytest.mark.postgresql
def test_feeds_of_several_processes_are_one_chain_of_commits(postgresql_url: str, tmp_path: Path) -> None:
    """Eight hospitals announce the same persons to two processes: each person once, one audit trail."""
    running = Parent(tmp_path, postgresql_url, "mllp")
    try:
        until(lambda: all(running.ready(running.health + child) for child in (1, 2)))
        failures: list[Exception] = []

        def feed(number: int) -> None:
            site = hl7.Sender(application=f"HIS{number}", facility=f"H{number}")
            try:
                for person in range(6):
                    with MllpClient("127.0.0.1", running.port, timeout=SECONDS) as client:
                        answer = client.send(hl7.adt(site, patient(number, person), "A28"))
                    assert b"|AA|" in answer
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=feed, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        assert failures == []
    finally:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(SECONDS)
    database = Database(postgresql_url)
    try:
        with database.engine.connect() as connection:
            counted = text("SELECT count(*), count(DISTINCT person) FROM patients_identity")
            assert connection.execute(counted).one() == (48, 6)
        audit = AuditService(database=database)
        assert audit.verify().intact
        assert audit.count(AuditSearch(transaction="ITI-30")) == 48
        audit.stop()
    finally:
        database.dispose()


def patient(number: int, person: int) -> hl7.Patient:
    traits = Traits(
        birth_name=f"MARTIN {chr(65 + person)}", birth_given="LOUISE", birth_date="19620216", sex="F",
        birth_place="75056",
    )  # fmt: skip
    return hl7.Patient(identifier=hl7.local(f"{person}", f"H{number}", f"1.2.250.1.999.8.{number + 1}"), traits=traits)
