"""Associations: against pynetdicom on both sides, and against bytes that are no DICOM."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification

from hub.errors import Malformed, TooLarge
from hub.wire.dimse import client, command, contexts, pdu
from hub.wire.dimse.association import Association
from hub.wire.dimse.errors import AssociationFailed, AssociationRejected, NoContext, PeerSilent
from hub.wire.dimse.server import Server

CT = "1.2.840.10008.5.1.4.1.1.2"


def serve(association: Association) -> None:
    request = association.read_request()
    if request.called != "HUB":
        association.reject(1, 1, 7)
        return
    association.accept(request, *contexts.accept(request))
    while (message := association.receive()) is not None:
        if message.has_data:
            association.read_data(1 << 16)
        association.send(message.context, command.response(message.command, 0))


@pytest.fixture
def port() -> Iterator[int]:
    server = Server("127.0.0.1", 0, serve, max_associations=2, idle=5)
    server.start()
    yield server.port
    server.stop(grace=0)


def connect(port: int, called: str = "HUB", **options: object) -> Association:
    return Association.request(
        ("127.0.0.1", port), called=called, calling="TEST", idle=5,
        proposals=contexts.for_services([contexts.VERIFICATION]), **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_echo_and_release(port: int) -> None:
    with connect(port) as association:
        assert client.echo(association) == 0
        assert client.echo(association) == 0
    assert not association.open


def test_pynetdicom_is_understood(port: int) -> None:
    entity = AE("TEST")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", port, ae_title="HUB")
    assert association.is_established
    assert association.send_c_echo().Status == 0
    association.release()


def test_pynetdicom_is_asked() -> None:
    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        assert event.identifier.PatientID == "P"
        for number in range(3):
            found = Dataset()
            found.StudyInstanceUID = f"1.2.{number}"
            yield 0xFF00, found

    entity = AE("PACS")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.PatientID = "STUDY", "P"
    try:
        with Association.request(
            ("127.0.0.1", server.socket.getsockname()[1]), called="PACS", calling="HUB", idle=5,
            proposals=contexts.for_services([contexts.STUDY_FIND]),
        ) as association:  # fmt: skip
            found = list(client.find(association, contexts.STUDY_FIND, identifier))
        assert [item.StudyInstanceUID for item in found] == ["1.2.0", "1.2.1", "1.2.2"]
    finally:
        server.shutdown()


def test_rejections_are_told(port: int) -> None:
    with pytest.raises(AssociationRejected, match="called AE title not recognised"):
        connect(port, called="OTHER")


def test_too_many_associations(port: int) -> None:
    first, second = connect(port), connect(port)
    with pytest.raises(AssociationFailed, match="local limit"):
        connect(port)
    first.release()
    second.release()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(AssociationFailed):
        connect(port)


def test_no_time_left(port: int) -> None:
    with pytest.raises(PeerSilent):
        connect(port, deadline=time.monotonic() - 1)


def test_nothing_common(port: int) -> None:
    proposals = contexts.for_services(["1.2.840.10008.5.1.4.31"])  # modality worklist
    with pytest.raises(NoContext):
        Association.request(("127.0.0.1", port), called="HUB", calling="TEST", proposals=proposals, idle=5)


def _request() -> bytes:
    return pdu.encode_request("HUB", "TEST", contexts.for_services([contexts.VERIFICATION]), 1 << 16)


def _data(*values: bytes) -> bytes:
    return pdu.frame(pdu.DATA, b"".join(values))


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff" + b"\0" * 64,
        pdu.frame(pdu.ASSOCIATE_RQ, b"\0" * 20),
        pdu.frame(pdu.ASSOCIATE_RQ, b"\0" * 68 + b"\x20\0\xff\xff"),
        _request() + _data(b"\xff\xff\xff\xff\x01\x03"),
        _request() + _data(struct.pack(">LBB", 2, 1, 3)),
        _request() + _data(struct.pack(">LBB", 12, 1, 3), b"\x08\0\0\0\xff\xff\xff\xff\0\0"),
        _request() + _data(struct.pack(">LBB", 6, 1, 2), b"data"),
        _request() + _data(struct.pack(">LBB", 6, 9, 3), b"\0\0\0\0"),
    ],
)
def test_garbage_ends_the_association_and_nothing_else(port: int, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(raw)
        with contextlib.suppress(OSError):  # the server may have hung up already: reset, or no longer connected
            link.shutdown(socket.SHUT_WR)
            while link.recv(4096):
                pass
    with connect(port) as association:
        assert client.echo(association) == 0


def _message(kind: int, value: bytes | None = None) -> bytes:
    told = {"CommandField": kind, "MessageID": 1, "CommandDataSetType": 0x0101 if value is None else 1}
    raw = command.encode(told)
    whole = _data(struct.pack(">LBB", 2 + len(raw), 1, 3), raw)
    for last, half in enumerate((value[: len(value) // 2], value[len(value) // 2 :]) if value is not None else ()):
        whole += _data(struct.pack(">LBB", 2 + len(half), 1, 2 * last), half)
    return whole


@pytest.mark.parametrize("cut", [1, 3, 5, 6, 7, 100, 1_000_000])
def test_messages_however_the_network_cuts_them(cut: int) -> None:
    ours, theirs = socket.socketpair()
    association = Association(ours, idle=30)
    association.contexts = {1: pdu.Accepted(1, CT, "1.2.840.10008.1.2")}
    values = [bytes([number]) * (3_000 * number + 1) for number in range(1, 4)]
    raw = b"".join(_message(command.C_STORE, value) for value in values) + pdu.frame(pdu.RELEASE_RQ)

    def send() -> None:
        for start in range(0, len(raw), cut):
            theirs.sendall(raw[start : start + cut])

    sender = threading.Thread(target=send)
    sender.start()
    got = []
    while association.receive() is not None:
        got.append(association.read_data(1 << 20))
    sender.join()
    theirs.close()
    assert got == values


def test_a_cancel_is_seen_though_its_beginning_came_along_before() -> None:
    ours, theirs = socket.socketpair()
    association = Association(ours, idle=30)
    association.contexts = {1: pdu.Accepted(1, CT, "1.2.840.10008.1.2")}
    theirs.sendall(_message(command.C_FIND) + _message(command.C_CANCEL))
    assert association.receive() is not None
    assert association.cancelled()
    theirs.sendall(_message(command.C_ECHO))
    assert not association.cancelled()
    association.abort()
    theirs.close()


def test_limits_on_what_is_read() -> None:
    ours, theirs = socket.socketpair()
    association = Association(ours, idle=5)
    association.contexts = {1: pdu.Accepted(1, CT, "1.2.840.10008.1.2")}
    endless = _data(struct.pack(">LBB", 2 + 30_000, 1, 1), b"\0" * 30_000)
    sender = threading.Thread(target=lambda: theirs.sendall(endless * 4))
    sender.start()
    with pytest.raises(TooLarge):
        association.receive()
    sender.join()
    theirs.close()


def test_a_silent_peer() -> None:
    ours, theirs = socket.socketpair()
    with pytest.raises(PeerSilent):
        Association(ours, idle=0.05).receive()
    theirs.close()


def test_command_sets_survive_the_way_there_and_back() -> None:
    sent: command.Command = {
        "AffectedSOPClassUID": CT,
        "CommandField": command.C_STORE,
        "MessageID": 7,
        "AffectedSOPInstanceUID": "1.2.3",
        "MoveOriginatorApplicationEntityTitle": "PACS",
        "OffendingElement": (0x0020000D,),
        "CommandDataSetType": 1,
    }
    assert command.decode(command.encode(sent)) == sent
    failed = b"\x08\0\x58\0\4\0\0\0001.2\0"  # Orthanc lists behind a C-GET's counts what it could not send
    assert command.decode(command.encode(sent) + failed) == sent
    with pytest.raises(Malformed):
        command.decode(b"\x08\0\0\0\4\0\0\0abcd")
    with pytest.raises(Malformed):
        command.decode(b"")


def test_contexts_stay_within_the_limit() -> None:
    assert len(contexts.for_storage([CT])) == len(contexts.COMPRESSED) + 1
    rare_together = contexts.for_storage(contexts.STORAGE[:5], room=127)
    assert len(rare_together) == 5 * (len(contexts.COMPRESSED) - len(contexts.RARE) + 2)
    for count in (3, 20, 60, 200):
        assert len(contexts.for_storage(contexts.STORAGE[:count], room=127)) <= 127
    assert contexts.is_storage("1.3.12.2.1107.5.9.1")  # Siemens' own
    assert not contexts.is_storage("1.2.840.10008.5.1.4.31")
    assert CT in contexts.STORAGE
