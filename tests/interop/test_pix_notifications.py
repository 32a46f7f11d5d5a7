"""ITI-10: what the hub tells a consumer that is python-hl7's own MLLP server; hl7apy referees the messages."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hl7
import pytest
from hl7.mllp import start_hl7_server
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from hub.app.settings.model import Authority, Security, Settings, Storage
from hub.app.settings.sharing import NotificationRecipient
from hub.app.wiring import Hub
from hub.exchange.model import DeliveryState, Page
from hub.patients.model import Traits
from hub.testing import hl7 as made
from hub.wire.hl7v2.client import MllpClient
from tests.loopback import PORTS
from tests.waiting import until

pytestmark = pytest.mark.interop
OIDS = {"A": "1.2.250.1.999.71", "B": "1.2.250.1.999.72"}
TRAITS = Traits(birth_name="LEGER", birth_given="ZOE", birth_date="19520316", sex="F", birth_place="75112")


class Consumer:
    """Acknowledges with ``codes`` in turn, then with AA."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.codes: list[str] = []
        self.loop = asyncio.new_event_loop()
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        server = await start_hl7_server(self._connected, "127.0.0.1", 0, encoding="utf-8")
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()

    async def _connected(self, reader: Any, writer: Any) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await reader.readmessage()
                self.received.append(str(message))
                writer.writemessage(message.create_ack(self.codes.pop(0) if self.codes else "AA"))
                await writer.drain()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    consumer = Consumer()
    yield consumer
    consumer.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def hub(request: pytest.FixtureRequest, tmp_path: Path, consumer: Consumer) -> Iterator[Hub]:
    told = NotificationRecipient(
        name="RIS_B",
        address=f"127.0.0.1:{consumer.port}",
        tls=False,
        application="RIS",
        facility="HOSPITAL_B",
        domains=tuple(OIDS.values()),
    )
    settings = Settings(
        authorities=tuple(Authority(namespace=f"HOSPITAL_{name}", oid=oid) for name, oid in OIDS.items()),
        notifications=(told,),
        **PORTS,
        security=Security(node_authentication=False),
        storage=Storage(database=request.getfixturevalue(f"{request.param}_url"), content=tmp_path / "content"),
    )
    hub = Hub(settings)
    hub.exchange.backoff = 0.1
    hub.start()
    yield hub
    hub.stop()


def announce(hub: Hub, name: str, number: str, traits: Traits = TRAITS) -> None:
    patient = made.Patient(identifier=made.local(number, f"HOSPITAL_{name}", OIDS[name]), traits=traits)
    sender = made.Sender(application=f"HIS_{name}", facility=f"HOSPITAL_{name}")
    with MllpClient("127.0.0.1", hub.mllp.port) as client:
        assert b"MSA|AA|" in client.send(made.adt(sender, patient))


def numbers(text: str) -> list[str]:
    return [str(repetition[0]) for repetition in hl7.parse(text).segment("PID")[3]]


def test_a_consumer_learns_of_links_and_of_their_end(hub: Hub, consumer: Consumer) -> None:
    announce(hub, "A", "A1")
    announce(hub, "B", "B1")
    until(lambda: len(consumer.received) == 1)
    announce(hub, "B", "B1", replace(TRAITS, birth_date="19520317"))
    until(lambda: len(consumer.received) == 3)
    assert sorted(numbers(consumer.received[0])) == ["A1", "B1"]
    assert sorted([numbers(consumer.received[1]), numbers(consumer.received[2])]) == [["A1"], ["B1"]]
    for text in consumer.received:
        assert "|| \r" in text, "the name is one blank, which hl7apy takes for none"
        parsed = parse_message(text.replace("|| \r", "||X\r"), validation_level=VALIDATION_LEVEL.STRICT)
        assert parsed.validate()
        assert parsed.msh.message_type.value == "ADT^A31^ADT_A05"
        assert (parsed.msh.msh_5.value, parsed.msh.msh_6.value) == ("RIS", "HOSPITAL_B")
        assert parsed.pv1.pv1_2.value == "N"
        assert "LEGER" not in text
        assert "19520316" not in text
        assert f"HOSPITAL_A&{OIDS['A']}&ISO^PI" in text or "A1" not in numbers(text)


def test_a_refusal_is_seen_and_a_busy_consumer_is_asked_again(hub: Hub, consumer: Consumer) -> None:
    consumer.codes = ["AR", "AE"]
    announce(hub, "A", "A1")
    announce(hub, "B", "B1")
    until(lambda: len(consumer.received) == 2)
    assert consumer.received[0].split("PID")[1] == consumer.received[1].split("PID")[1]
    first, second = (str(hl7.parse(text).segment("MSH")[10]) for text in consumer.received)
    assert first == second, "sent again it is the same message, so that a consumer can tell"

    def dead() -> bool:
        return [item.state for item in hub.exchange.deliveries(Page())] == [DeliveryState.DEAD]

    until(dead)
