"""What a report's message says about the national record: DESTDMP, CONNEXION_SECRETE, ACK_RECEPTION (ZAM^Z01)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub.context import Context
from hub.imaging.sending_model import Outcome, Sending
from hub.storage.engine import Database
from hub.testing.dmp.pki import make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import APPROVED, DELETED
from tests.record.national import Nation, nation


@dataclass
class Heard:
    """Whoever tells senders."""

    outcomes: list[Outcome] = field(default_factory=list)

    def tell(self, outcome: Outcome, context: Context) -> None:  # noqa: ARG002
        self.outcomes.append(outcome)

    def words(self) -> list[tuple[str, str, bool, str]]:
        return [(item.told.value, item.control_id, item.good, item.code) for item in self.outcomes]


@dataclass
class Made:
    region: Nation
    heard: Heard

    def report(self, control_id: str = "1", **flags: bool) -> str:
        return self.region.report(
            sending=Sending({"DESTDMP": True, **flags}), control_id=control_id, document_id="1.2.250.1.999.80.1",
            status="D" if flags.pop("taken_back", False) else "F",
        )  # fmt: skip


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("dmp-pki"))


@pytest.fixture
def made(database: Database, tmp_path: Path, pki: Path) -> Iterator[Made]:
    with DmpSimulator(pki) as dmp:
        heard = Heard()
        region = nation(database, tmp_path, dmp, senders=heard)
        region.qualify()
        yield Made(region, heard)
        region.rooms.imaging.close()
        region.connector.close()


def test_what_is_not_for_the_record_does_not_go_there_nor_its_manifest(made: Made) -> None:
    made.report(DESTDMP=False, ACK_RECEPTION=True)
    made.region.work()
    assert made.region.states() == {"report": "not-asked-for", "manifest": "no-report"}
    assert made.region.there() == {}
    assert made.heard.words() == []
    made.report(ACK_RECEPTION=True)  # its next message says otherwise
    for row in made.region.publications():
        made.region.service.enqueue(row, Context())
    made.region.work()
    assert set(made.region.there(APPROVED)) == {"18748-4", "IMG-KOS"}


def test_a_secret_connection_is_held(made: Made) -> None:
    made.report(CONNEXION_SECRETE=True)
    made.region.work()
    assert made.region.states()["report"] == "secret-connection"
    assert made.region.there() == {}


def test_the_sender_is_told_what_became_of_it(made: Made) -> None:
    made.report("M-1", ACK_RECEPTION=True)
    made.region.work()
    assert made.heard.words() == [("Z01", "M-1", True, "")]
    made.report("M-2", ACK_RECEPTION=True, taken_back=True)
    made.region.work()
    assert made.heard.words()[1:] == [("Z01", "M-2", True, "")]
    assert made.region.there(DELETED)["18748-4"]


def test_a_refusal_is_told_once_with_the_records_code(made: Made) -> None:
    made.region.dmp.state.faults.fault = "DMPClosedRecord"
    made.report("M-1", ACK_RECEPTION=True)
    made.region.work()
    assert made.heard.words()[:1] == [("Z01", "M-1", False, "DMPClosedRecord")]
    assert len(made.heard.words()) == 1
