"""Who is told when persons are joined and parted: consumers of ITI-10 (python-hl7), ITI-46 and ITI-93 at once, one that
is down. Stewards decide by ``$link`` and ``$unlink``; hospitals by A40, A24, A37 and A47. All over real sockets."""

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from hub.app.settings.model import Authority, Security, Settings, Storage
from hub.app.settings.sharing import NotificationRecipient, Subscriptions
from hub.app.wiring import Hub
from hub.exchange.model import DeliveryState, Page
from tests.interop.test_hl7v3 import Consumer as Soap
from tests.interop.test_pix_notifications import Consumer as Mllp2
from tests.interop.test_pix_notifications import numbers
from tests.loopback import PORTS
from tests.profiles.fhir_patients.conftest import Consumer as Fhir
from tests.profiles.fhir_patients.messages import JSON, parameters, subscription
from tests.profiles.running import OIDS, Region, cx, message, pid
from tests.waiting import until
from tests.wire.hl7v3.messages import every, ids

pytestmark = pytest.mark.interop
REGION = "1.2.250.1.999.1.1"
ALL = tuple(OIDS.values())


@dataclass
class World:
    """A hub, those who listen, and what they were told last."""

    region: Region
    all: Mllp2
    only_a: Mllp2
    soap: Soap
    fhir: Fhir
    down: str

    @property
    def hub(self) -> Hub:
        return self.region.hub

    def send(self, event: str, *segments: str, name: str = "A") -> None:
        self.region.accepted(message(f"ADT^{event}", *segments, name=name))

    def announce(self, number: str, name: str, **fields: str) -> None:
        self.send("A28", pid(number, name, **fields), name=name)

    def decide(self, verdict: str, *pairs: tuple[str, str]) -> None:
        rows = [
            ("identifier", "valueIdentifier", {"system": f"urn:oid:{OIDS[name]}", "value": number})
            for number, name in pairs
        ]
        body = parameters(*rows, ("reason", "valueString", "both came with their papers"))
        answer = httpx.post(f"{self.hub.public_url()}/fhir/Patient/${verdict}", json=body, headers=JSON, timeout=120)
        assert answer.status_code == 200, answer.text

    def told(self) -> tuple[list[list[str]], list[list[str]], list[list[str]]]:
        """Lists of numbers: to whom every domain matters by MLLP, by SOAP, and to whom only A matters."""
        by_soap = [
            sorted(n for n, _ in ids(every(m, "patient/id") + every(m, "asOtherIDs/id"))) for m in self.soap.received
        ]
        return (
            [sorted(numbers(m)) for m in self.all.received],
            by_soap,
            [sorted(numbers(m)) for m in self.only_a.received],
        )

    def hears(self, step: Callable[[], None], *lists: Sequence[str], only_a: Sequence[Sequence[str]] = ()) -> None:
        """After the step, everybody hears of these lists, in any order, and of nothing else."""
        before = [len(item) for item in self.told()]
        step()
        wanted = [sorted(map(sorted, lists)), sorted(map(sorted, lists)), sorted(map(sorted, only_a))]

        def heard() -> list[list[list[str]]]:
            return [sorted(item[count:]) for item, count in zip(self.told(), before, strict=True)]

        until(lambda: [len(item) for item in heard()] == [len(item) for item in wanted])
        assert heard() == wanted

    def person(self, number: str, name: str) -> set[str]:
        """Who this number is, with whom: the same by ITI-9, ITI-83 and ITI-78."""
        v2 = self.region.send(
            f"MSH|^~\\&|P|P|HUB|REGION|20260310110000||QBP^Q23^QBP_Q21|q|P|2.5\rQPD|IHE PIX Query|q|{cx(number, name)}"
            f"|{'~'.join(f'^^^&{oid}&ISO' for oid in ALL)}\rRCP|I\r"
        )
        first = v2.first("PID")
        found = {item.value(1) for item in first.repetitions(3)} if first is not None else set()
        asked = {"sourceIdentifier": f"urn:oid:{OIDS[name]}|{number}"}
        fhir = f"{self.hub.public_url()}/fhir"
        pixm = httpx.get(f"{fhir}/Patient/$ihe-pix", params=asked, timeout=120).json()
        local = {f"urn:oid:{oid}" for oid in ALL}
        values = [row["valueIdentifier"] for row in pixm.get("parameter", ()) if "valueIdentifier" in row]
        assert {row["value"] for row in values if row["system"] in local} == found - {number}
        bundle = httpx.get(
            f"{fhir}/Patient", params={"identifier": f"urn:oid:{OIDS[name]}|{number}"}, timeout=120
        ).json()
        (patient,) = [row["resource"] for row in bundle["entry"]]
        assert {row["value"] for row in patient["identifier"] if row.get("system") in local} >= found
        return found | {number}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with socket.socket() as closed:  # bound, never listened on: whoever calls is refused
        closed.bind(("127.0.0.1", 0))
        down = f"127.0.0.1:{closed.getsockname()[1]}"
        everybody, only_a, soap = Mllp2(), Mllp2(), Soap()
        recipients = [
            NotificationRecipient(name="DOWN", address=down, tls=False, domains=ALL),
            NotificationRecipient(name="RIS", address=f"127.0.0.1:{everybody.port}", tls=False, domains=ALL),
            NotificationRecipient(name="ONLY_A", address=f"127.0.0.1:{only_a.port}", tls=False, domains=(OIDS["A"],)),
            NotificationRecipient(name="EHR", kind="hl7v3", address=soap.url, device="1.2.250.1.999.60.5", domains=ALL),
        ]
        settings = Settings(
            authorities=tuple(Authority(namespace=f"HOSPITAL_{name}", oid=oid) for name, oid in OIDS.items()),
            notifications=tuple(recipients),
            subscriptions=Subscriptions(consumers=("127.0.0.1",)),
            **PORTS,
            security=Security(node_authentication=False),
            storage=Storage(database=request.getfixturevalue(f"{request.param}_url"), content=tmp_path / "content"),
        )
        hub = Hub(settings)
        hub.exchange.backoff = 0.1
        hub.worker.poll = 0.1
        with Fhir() as fhir:
            hub.start()
            yield World(Region(hub), everybody, only_a, soap, fhir, down)
            hub.stop()
        everybody.stop()
        only_a.stop()
        soap.server.shutdown()
        soap.server.server_close()


def test_all_hear_of_links_their_end_merges_and_changed_numbers(world: World) -> None:
    asked = subscription(world.fhir.url)
    made = httpx.post(f"{world.hub.public_url()}/fhir/Subscription", json=asked, headers=JSON, timeout=120)
    assert made.status_code == 201, made.text
    other = {"pid_7": "19520317"}

    world.announce("A1", "A")
    world.hears(lambda: world.announce("B1", "B"), ["A1", "B1"])
    assert world.person("A1", "A") == {"A1", "B1"}

    world.hears(lambda: world.decide("unlink", ("A1", "A"), ("B1", "B")), ["A1"], ["B1"])
    assert (world.person("A1", "A"), world.person("B1", "B")) == ({"A1"}, {"B1"})
    world.hears(lambda: world.announce("B1", "B"))  # a no-match beats the rule
    assert world.person("B1", "B") == {"B1"}
    world.hears(lambda: world.decide("link", ("B1", "B"), ("A1", "A")), ["A1", "B1"])

    world.announce("A2", "A", **other)
    nameless = {"pid_5": "", "pid_7": ""}
    pair = (pid("A1", **nameless), "PV1||N", pid("A2", **nameless))
    world.hears(lambda: world.send("A24", *pair), ["A1", "A2", "B1"], only_a=[["A1", "A2"]])
    world.hears(lambda: world.send("A37", *pair), ["A1", "B1"], ["A2"], only_a=[["A1"], ["A2"]])
    assert (world.person("A2", "A"), world.person("B1", "B")) == ({"A2"}, {"A1", "B1"})

    world.hears(lambda: world.send("A47", pid("A3"), f"MRG|{cx('A1')}"), ["A3", "B1"])
    assert world.person("B1", "B") == {"A3", "B1"}

    world.announce("C1", "C", **other)  # the same traits as A2
    until(lambda: world.told()[0][-1] == ["A2", "C1"] and world.told()[1][-1] == ["A2", "C1"])
    merged = (pid("A3"), f"MRG|{cx('A2')}")
    world.hears(lambda: world.send("A40^ADT_A39", *merged), ["C1"])  # the list of A3 is as it was
    assert world.person("B1", "B") == {"A3", "B1"}
    assert world.person("C1", "C") == {"C1"}

    until(lambda: len(world.fhir.taken) >= 1)
    assert all(row["resourceType"] == "Bundle" and row["type"] == "message" for row in world.fhir.taken)

    waiting = [item for item in world.hub.exchange.deliveries(Page(limit=200)) if item.destination == "notify:DOWN"]
    assert waiting, "what is for who is down waits for them, and for nobody else"
    assert {item.state for item in waiting} <= {DeliveryState.WAITING, DeliveryState.DEAD}
