"""python-hl7's own sender drives the MLLP server."""

import subprocess
import sys
from pathlib import Path

import pytest

from hub.context import Context
from hub.errors import HubError
from hub.patients.model import Traits
from hub.testing.hl7 import Patient, Sender, adt, local
from hub.wire.hl7v2.answers import acknowledge, refuse
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.mllp import MllpServer, Peer
from hub.wire.hl7v2.pid import identity

pytestmark = pytest.mark.interop
MLLP_SEND = Path(sys.executable).parent / "mllp_send"
PATIENT = Patient(identifier=local("1", "CHA", "1.2.3"), traits=Traits("LÉGER", "ZOÉ", birth_date="19790328", sex="F"))


class Reader:
    """Reads identities and acknowledges."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def handle(self, raw: bytes, peer: Peer) -> bytes:  # noqa: ARG002
        message = Hl7Message.salvage(raw)
        try:
            message = Hl7Message.parse(raw)
            self.names.append(identity(message).traits.birth_name)
        except HubError as error:
            return refuse(error, message, Context())
        return acknowledge(message)

    def reject(self, raw: bytes, error: HubError, peer: Peer) -> bytes:  # noqa: ARG002
        return refuse(error, Hl7Message.salvage(raw), Context())


def send(path: Path, *options: str) -> tuple[str, list[str]]:
    reader = Reader()
    server = MllpServer(reader)
    server.start()
    try:
        command = [str(MLLP_SEND), *options, "--file", str(path), "--port", str(server.port), "127.0.0.1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    finally:
        server.stop()
    return done.stdout, reader.names


def test_loose_file_of_several_messages(tmp_path: Path) -> None:
    path = tmp_path / "feed.hl7"
    messages = [adt(Sender(), PATIENT, control_id=f"m{number}") for number in range(3)]
    path.write_bytes(b"\n".join(message.replace(b"\r", b"\n") for message in messages))
    output, names = send(path, "--loose")
    assert names == ["LÉGER"] * 3
    for number in range(3):
        assert f"MSA|AA|m{number}" in output


def test_garbage_gets_a_nak(tmp_path: Path) -> None:
    path = tmp_path / "feed.hl7"
    bad = adt(Sender(), PATIENT, control_id="bad").replace(b"1^^^CHA", b"^^^CHA")
    path.write_bytes(b"\x0b" + bad + b"\x1c\r")
    output, names = send(path)
    assert names == []
    assert "MSA|AE|bad" in output
    assert "|PID^1^3^1^1|101^Required field missing^HL70357|E|" in output
