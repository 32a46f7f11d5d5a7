"""SIGKILL at random moments, under load: what was acknowledged is there, once in effect; the rest may come again."""

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hub.audit.service import AuditService
from hub.storage.engine import Database
from hub.testing.sandbox import SandboxProcess
from hub.testing.simulators.dicomweb import DicomwebSimulator, WebMisbehaviour
from tests.crash.load import Feed, Source
from tests.hostile.hospital import KOS, Hospital
from tests.interop.by_hand import DEPRECATED, Integrator, oid

pytestmark = pytest.mark.slow
ROUNDS, STUDIES = 4, 6
SLOW = Hospital(name="SLOW", oid="1.2.250.1.999.70")


@pytest.fixture
def hospitals(tmp_path: Path) -> list[Hospital]:
    """Patients whose study lies in the slow archive."""
    return [
        replace(SLOW, number=f"S-{index}", family=f"LENT{'ABCDEFGH'[index]}", accession=f"ACC-S{index}",
                study_uid=f"1.2.250.1.999.70.{index + 1}")
        for index in range(STUDIES)
    ]  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path, hospitals: list[Hospital]) -> Iterator[DicomwebSimulator]:
    """Slow enough to be in the middle of a delivery at every kill."""
    site = DicomwebSimulator(tmp_path / "pacs", wrong=WebMisbehaviour(delay=0.15))
    for hospital in hospitals:
        _, files = hospital.files(tmp_path / hospital.number)
        site.store(files)
    yield site
    site.stop()


class Region:
    """The systems around one hub that is killed again and again."""

    def __init__(self, database: str, data: Path, archive: DicomwebSimulator, hospitals: list[Hospital]) -> None:
        self.database, self.data = Database(database), data
        self.arguments = (
            "--open", "--data", str(data), "--db", database, "--source", f"SLOW=dicomweb:{archive.dicomweb_url}",
        )  # fmt: skip
        self.feeds = [
            Feed("SITE1", "1.2.250.1.999.81"),
            Feed("SITE2", "1.2.250.1.999.82"),
            Feed("SITE3", "1.2.250.1.999.83", accept="AL"),
            Feed("SITE4", "1.2.250.1.999.84", hospitals=list(hospitals)),
        ]
        self.reported = hospitals
        self.sources: list[Source] = []

    def round(self, seconds: float) -> tuple[int, int]:
        """Start, send again what was lost, load, SIGKILL. How many came again, how many were taken."""
        box = SandboxProcess(*self.arguments).start()
        with Integrator(box) as system:
            if not self.sources:
                domain = box["affinity_domain"]
                self.sources = [Source(system.announce(f"P{index}{oid()[-9:]}", domain)) for index in range(2)]
            lost = self.again(system)
            stop, systems = threading.Event(), [Integrator(box) for _ in self.sources]
            work = [threading.Thread(target=feed.run, args=(system.mllp, stop)) for feed in self.feeds]
            work += [
                threading.Thread(target=source.run, args=(one, stop))
                for source, one in zip(self.sources, systems, strict=True)
            ]
            for thread in work:
                thread.start()
            time.sleep(seconds)
            box.kill()
            stop.set()
            for thread in work:
                thread.join(60)
            assert not any(thread.is_alive() for thread in work)
            assert not any(feed.unanswered for feed in self.feeds)
            assert not any(source.unanswered for source in self.sources)
            for one in systems:
                one.close()
            box.stop()
        return lost, self.acknowledged

    @property
    def acknowledged(self) -> int:
        taken = [message.acknowledged for feed in self.feeds for message in feed.sent]
        return sum(taken) + sum(one.acknowledged for source in self.sources for one in source.sent)

    def again(self, system: Integrator) -> int:
        with system.mllp() as connection:
            lost = sum(feed.again(connection) for feed in self.feeds)
        return lost + sum(source.again(system) for source in self.sources)

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.database.engine.connect() as connection:
            return list(connection.execute(text(statement), values))

    # what must hold

    def check_acknowledged(self) -> None:
        """After a kill, before anything is sent again: nothing that was acknowledged is missing, nothing is double."""
        inbox = Counter(row[0] for row in self.rows("SELECT control_id FROM exchange_message WHERE wire = 'hl7v2'"))
        numbers = Counter(row[0] for row in self.rows("SELECT value FROM patients_identity"))
        waiting = {row[0] for row in self.rows("SELECT control_id FROM exchange_message WHERE state = 'received'")}
        for feed in self.feeds:
            for message in feed.sent:
                assert inbox[message.control_id] == 1 or not message.acknowledged, message.control_id
                if message.number and message.acknowledged and message.control_id not in waiting:
                    assert numbers[message.number] == 1, message.control_id
        assert set(inbox.values()) <= {1}
        assert set(numbers.values()) <= {1}
        self.check_documents(every=False)

    def check_documents(self, *, every: bool) -> None:
        rows = self.rows("SELECT unique_id, content FROM documents_entry")
        taken = Counter(row[0] for row in rows)
        assert set(taken.values()) <= {1}
        for one in (one for source in self.sources for one in source.sent if every or one.acknowledged):
            assert taken[one.uid] == 1
        sets = self.rows("SELECT unique_id, count(*) FROM documents_submission_set GROUP BY unique_id")
        assert {count for _, count in sets} <= {1}
        content = self.data / "content"
        for _, address in rows:  # whatever is registered is whole
            data = (content / address[:2] / address[2:4] / address).read_bytes()
            assert hashlib.sha1(data).hexdigest() == address
        for path in content.glob("??/??/*"):
            assert hashlib.sha1(path.read_bytes()).hexdigest() == path.name

    def settle(self, seconds: float = 60) -> None:
        """Until nothing is left to do."""
        end = time.monotonic() + seconds
        while True:
            left = self.rows(
                "SELECT 'message', state, reason, source FROM exchange_message WHERE state = 'received' UNION ALL "
                "SELECT kind, state, reason, destination FROM exchange_delivery WHERE state IN ('waiting', 'running')"
            )
            if not left:
                return
            assert time.monotonic() < end, left
            time.sleep(0.1)

    def check_effects(self) -> None:
        """Everything was sent, some of it more than once, and each took effect once."""
        states = Counter(row[0] for row in self.rows("SELECT state FROM exchange_message"))
        assert set(states) == {"processed"}, states
        inbox = Counter(row[0] for row in self.rows("SELECT control_id FROM exchange_message WHERE wire = 'hl7v2'"))
        sent = {message.control_id for feed in self.feeds for message in feed.sent}
        assert {control_id: inbox[control_id] for control_id in sent if inbox[control_id] != 1} == {}
        announced = {message.number for feed in self.feeds for message in feed.sent if message.number}
        identities = [row[0] for row in self.rows("SELECT value FROM patients_identity")]
        assert len(identities) == len(set(identities)) == len(announced) + len(self.sources)
        assert announced <= set(identities)
        persons = self.rows("SELECT count(*) FROM patients_person WHERE survivor IS NULL")[0][0]
        assert persons == len(identities)
        self.check_documents(every=True)
        dead = self.rows("SELECT kind, reason FROM exchange_delivery WHERE state = 'dead'")
        assert not dead

    def check_manifests(self, system: Integrator) -> None:
        """Each reported study was published with one manifest and one report, however often a kill interrupted it."""
        from tests.hostile.hospital import formats, regional

        reported = {m.control_id.removesuffix(".R") for m in self.feeds[-1].sent if m.control_id.endswith(".R")}
        assert len(reported) == STUDIES
        for hospital in self.reported:
            patient = regional(system, hospital)
            found = formats(system, patient)
            assert found.count(KOS) == 1, hospital.number
            assert len(found) == 2, found
            assert formats(system, patient, DEPRECATED) == [], hospital.number


@pytest.mark.timeout(900)  # five starts, each of which takes long where many tests run; a hang is seen by the systems
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_killed_under_load(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path, archive: DicomwebSimulator, hospitals: list[Hospital]
) -> None:
    region = Region(request.getfixturevalue(f"{kind}_url"), tmp_path / "data", archive, hospitals)
    chance = random.Random()
    taken = 0
    for _ in range(ROUNDS):
        lost, acknowledged = region.round(chance.uniform(0.3, 2.0))
        interrupted = region.rows("SELECT count(*) FROM exchange_delivery WHERE state = 'running'")[0][0]
        print(f"{acknowledged - taken} acknowledged, {lost} sent again, {interrupted} deliveries interrupted")
        assert acknowledged > taken
        taken = acknowledged
        region.check_acknowledged()
    with SandboxProcess(*region.arguments) as box, Integrator(box) as system:
        region.again(system)
        with system.mllp() as connection:  # studies whose report had no turn yet
            feed = region.feeds[-1]
            messages = feed.messages()
            while feed.hospitals:
                feed.sent.append(next(messages))
                feed.again(connection)
        region.settle()
        region.check_effects()
        region.check_manifests(system)
        if kind == "sqlite":
            assert region.rows("PRAGMA integrity_check")[0][0] == "ok"
    audit = AuditService(database=region.database)
    state = audit.verify()
    assert state.intact, state
    assert state.records >= region.acknowledged
    region.database.dispose()
