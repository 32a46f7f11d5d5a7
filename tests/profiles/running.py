"""A running hub of three hospitals, and HL7 v2 messages written by hand. hl7apy reads every answer."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from hub.app.settings.model import Authority, Security, Settings, Storage
from hub.app.wiring import Hub
from hub.patients.model import Person
from hub.testing.postgres import PostgresqlServer
from hub.values import PatientIdentifier
from hub.wire.hl7v2.client import MllpClient
from hub.wire.hl7v2.message import Hl7Message
from tests.loopback import PORTS

OIDS = {"A": "1.2.250.1.999.71", "B": "1.2.250.1.999.72", "C": "1.2.250.1.999.73"}
_NUMBERS = itertools.count(1)


def settings(database: str, content: Any, **more: Any) -> Settings:
    return Settings(
        authorities=tuple(Authority(namespace=f"HOSPITAL_{name}", oid=oid) for name, oid in OIDS.items()),
        **PORTS,
        security=Security(node_authentication=False),
        storage=Storage(database=database, content=content),
        **more,
    )


def cx(number: str, name: str = "A") -> str:
    return f"{number}^^^HOSPITAL_{name}&{OIDS[name]}&ISO^PI"


def pid(number: str, name: str = "A", **fields: str) -> str:
    """PID with PAM-FR's usual fields; ``pid_5="..."`` takes the place of one, "" leaves it out."""
    values = {
        3: cx(number, name),
        5: "LEGER^ZOE^ZOE MARIE^^^^L",
        7: "19520316",
        8: "F",
        11: "^^^^^^BDL^^75112",
        32: "VALI",
    }
    values |= {int(key[4:]): value for key, value in fields.items()}
    return "|".join(["PID", *(values.get(place, "") for place in range(1, 40))]).rstrip("|")


def message(
    event: str, *segments: str, recorded: str = "20260310110000", name: str = "A", charset: str = "UNICODE UTF-8"
) -> str:
    sender = f"HIS_{name}|HOSPITAL_{name}"
    msh = f"MSH|^~\\&|{sender}|HUB|REGION|{recorded}||{event}|m{next(_NUMBERS)}|P|2.5^FRA^2.11|||||FRA|{charset}"
    return "\r".join([msh, f"EVN||{recorded}", *segments, ""])


@dataclass
class Region:
    hub: Hub
    count: "itertools.count[int]" = field(default_factory=itertools.count)

    def fresh(self, letter: str = "P") -> str:
        """A number that nobody has."""
        return f"{letter}{next(self.count)}"

    def send(self, text: str | bytes) -> Hl7Message:
        raw = text.encode() if isinstance(text, str) else text
        with MllpClient("127.0.0.1", self.hub.mllp.port, timeout=120) as client:
            return answered(client.send(raw))

    def accepted(self, text: str | bytes) -> Hl7Message:
        reply = self.send(text)
        assert reply.require("MSA").value(1) == "AA", reply.raw
        return reply

    def refused(self, text: str | bytes, location: str, condition: str) -> None:
        reply = self.send(text)
        assert reply.require("MSA").value(1) == "AE", reply.raw
        err = reply.require("ERR")
        assert (err.field(2), err.value(3), err.value(4)) == (location, condition, "E")

    def person(self, number: str, name: str = "A") -> Person | None:
        return self.hub.patients.person(PatientIdentifier(number, OIDS[name]))

    def known(self, number: str, name: str = "A") -> Person:
        found = self.person(number, name)
        assert found is not None
        return found


def answered(raw: bytes) -> Hl7Message:
    """The answer, once hl7apy has found every segment where the standard has it."""
    reply = Hl7Message.parse(raw)
    text = raw.decode(reply.codec)
    if "RSP_ZV2" not in text:  # of IHE's own: hl7apy has no such structure
        parsed = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT)
        assert leaves(parsed) == [line[:3] for line in text.split("\r") if line]
    return reply


def leaves(element: Any) -> list[str]:
    found: list[str] = []
    for child in element.children:
        found += [child.name] if child.classname == "Segment" else leaves(child)
    return found


@contextlib.contextmanager
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A hub on an empty database of the kind that the fixture's parameter names."""
    content = tmp_path_factory.mktemp("hub")
    server: PostgresqlServer | None = None
    url, name = f"sqlite:///{content / 'hub.sqlite'}", ""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        name = server.create_database()
        url = server.url(name)
    hub = Hub(settings(url, content))
    hub.start()
    try:
        yield Region(hub)
    finally:
        hub.stop()
        if server is not None:
            server.drop_database(name)
