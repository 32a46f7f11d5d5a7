import contextlib
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from hub.errors import HubError
from hub.wire.hl7v2.client import MllpClient, PeerSilent, PeerUnavailable
from hub.wire.hl7v2.errors import Hl7Malformed, Hl7TooLarge
from hub.wire.hl7v2.mllp import END, START, Framer, MllpServer, Peer, frame


class Echo:
    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate
        self.started = threading.Event()
        self.peers: list[Peer] = []

    def handle(self, raw: bytes, peer: Peer) -> bytes:
        self.peers.append(peer)
        self.started.set()
        if self.gate is not None:
            self.gate.wait(20)
        return b"AA:" + raw

    def reject(self, raw: bytes, error: HubError, peer: Peer) -> bytes:
        self.peers.append(peer)
        return f"AR:{error.code}:{len(raw)}".encode()


@contextlib.contextmanager
def serving(handler: Echo | None = None, **options: object) -> Iterator[MllpServer]:
    server = MllpServer(handler or Echo(), **options)  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        server.stop()


def connect(server: MllpServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def answers(connection: socket.socket, count: int) -> list[bytes]:
    data = b""
    while data.count(END) < count:
        received = connection.recv(65536)
        if not received:
            break
        data += received
    return [part.removeprefix(START) for part in data.split(END)[:-1]]


def test_one_message_one_answer() -> None:
    with serving() as server, MllpClient("127.0.0.1", server.port) as client:
        assert [client.send(b"one"), client.send(b"two")] == [b"AA:one", b"AA:two"]


def test_several_messages_in_one_packet_are_answered_in_order() -> None:
    with serving() as server, connect(server) as connection:
        connection.sendall(b"".join(frame(str(number).encode()) for number in range(200)))
        assert answers(connection, 200) == [f"AA:{number}".encode() for number in range(200)]


def test_one_message_over_many_packets() -> None:
    with serving() as server, connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(b"slow but whole"):
            connection.sendall(bytes([byte]))
        assert answers(connection, 1) == [b"AA:slow but whole"]


def test_bytes_outside_a_frame_are_answered_once_and_the_next_frame_is_read() -> None:
    with serving() as server, connect(server) as connection:
        connection.sendall(b"MSH|no frame at all\r")
        assert answers(connection, 1) == [b"AR:hl7-malformed:20"]
        connection.sendall(b"still no frame\r\n" + frame(b"framed"))
        assert answers(connection, 1) == [b"AA:framed"]


def test_line_ends_between_frames_are_ignored() -> None:
    with serving() as server, connect(server) as connection:
        connection.sendall(b"\r\n" + frame(b"one") + b"\r\n" + frame(b"two") + b"\n")
        assert answers(connection, 2) == [b"AA:one", b"AA:two"]


def test_too_large_is_answered_once_and_the_connection_lives() -> None:
    with serving(max_bytes=1000) as server, connect(server) as connection:
        connection.sendall(frame(b"x" * 500_000) + frame(b"small"))
        first, second = answers(connection, 2)
        assert first.startswith(b"AR:hl7-too-large:")
        assert second == b"AA:small"


def test_end_of_connection_inside_a_message_is_answered() -> None:
    with serving() as server, connect(server) as connection:
        connection.sendall(START + b"MSH|cut")
        connection.shutdown(socket.SHUT_WR)
        assert answers(connection, 1) == [b"AR:hl7-malformed:7"]
        assert connection.recv(1) == b""


def test_idle_timeout() -> None:
    with serving(idle_timeout=0.1) as server:
        with connect(server) as connection:
            assert connection.recv(1) == b""
        with connect(server) as connection:
            connection.sendall(START + b"never ends")
            assert answers(connection, 1) == [b"AR:hl7-malformed:10"]
            assert connection.recv(1) == b""


def test_a_message_that_takes_longer_than_the_idle_timeout_is_answered() -> None:
    gate = threading.Event()
    with serving(Echo(gate), idle_timeout=0.05) as server, connect(server) as connection:
        connection.sendall(frame(b"long"))
        threading.Timer(0.3, gate.set).start()
        assert answers(connection, 1) == [b"AA:long"]


def test_stop_finishes_what_runs() -> None:
    gate = threading.Event()
    echo = Echo(gate)
    server = MllpServer(echo)
    server.start()
    with connect(server) as connection:
        connection.sendall(frame(b"last"))
        assert echo.started.wait(10)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.05)
        gate.set()
        assert answers(connection, 1) == [b"AA:last"]
        stopping.join()
    with pytest.raises(ConnectionRefusedError):
        connect(server)


def test_a_fast_sender_is_slowed_down_not_dropped() -> None:
    with serving(max_bytes=2000) as server, connect(server) as connection:
        sender = threading.Thread(target=connection.sendall, args=(frame(b"x" * 1500) * 1000,))
        sender.start()
        assert answers(connection, 1000) == [b"AA:" + b"x" * 1500] * 1000
        sender.join()


def test_too_many_connections() -> None:
    with serving(max_connections=1) as server, connect(server) as first:
        first.sendall(frame(b"1"))
        assert answers(first, 1) == [b"AA:1"]
        with connect(server) as second:
            second.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert second.recv(1) == b""
        first.sendall(frame(b"2"))
        assert answers(first, 1) == [b"AA:2"]


def test_random_bytes_never_get_silence() -> None:
    generator = random.Random(7)  # the same bytes every time
    with serving() as server:
        for _ in range(100):
            noise = generator.randbytes(generator.randrange(1, 300))
            with connect(server) as connection:
                connection.sendall(frame(noise.replace(END, b"")))
                assert answers(connection, 1)
            with connect(server) as connection:
                connection.sendall(b"?" + noise)
                connection.shutdown(socket.SHUT_WR)
                assert answers(connection, 1)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_framer_does_not_depend_on_the_packets(size: int) -> None:
    data = b"noise" + frame(b"a") + frame(b"b\x1cb\rb") + b"\r\n" + frame(b"x" * 200) + frame(b"c") + START + b"rest"
    framer = Framer(100)
    items = [item for start in range(0, len(data), size) for item in framer.feed(data[start : start + size])]
    messages = [item for item in items if isinstance(item, bytes)]
    errors = [item[1] for item in items if not isinstance(item, bytes)]
    assert messages == [b"a", b"b\x1cb\rb", b"c"]
    assert [type(error) for error in errors] == [Hl7Malformed, Hl7TooLarge]
    assert framer.unfinished == b"rest"


def test_framer_holds_no_more_than_the_limit() -> None:
    framer = Framer(1000)
    list(framer.feed(START))
    for _ in range(1000):
        list(framer.feed(b"x" * 1000))
    assert len(framer._buffer) <= 2001


def test_nobody_listens(free_port: int) -> None:
    with MllpClient("127.0.0.1", free_port, timeout=2) as client, pytest.raises(PeerUnavailable):
        client.send(b"x")


def test_a_silent_peer() -> None:
    gate = threading.Event()
    with serving(Echo(gate)) as server:
        with MllpClient("127.0.0.1", server.port, timeout=0.2) as client, pytest.raises(PeerSilent):
            client.send(b"x")
        gate.set()


def test_a_peer_that_answers_byte_by_byte_has_no_more_time() -> None:
    gone = threading.Event()

    def answer(listener: socket.socket) -> None:
        peer = listener.accept()[0]
        with peer, contextlib.suppress(OSError):
            for byte in START + b"A" * 30 + END:
                if gone.wait(0.1):
                    return
                peer.sendall(bytes([byte]))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        with MllpClient("127.0.0.1", listener.getsockname()[1], timeout=0.5) as client, pytest.raises(PeerSilent):
            client.send(b"x")
        gone.set()
        thread.join()


def test_client_opens_again_after_a_broken_connection() -> None:
    with serving(idle_timeout=0.05) as server, MllpClient("127.0.0.1", server.port) as client:
        assert client.send(b"1") == b"AA:1"
        time.sleep(0.3)
        with pytest.raises(PeerUnavailable):
            client.send(b"2")
        assert client.send(b"3") == b"AA:3"


def test_tls_with_client_certificate(tmp_path_factory: pytest.TempPathFactory) -> None:
    files = certificates(tmp_path_factory.mktemp("pki"))
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(files["cert"], files["key"])
    server_tls.load_verify_locations(files["cert"])
    server_tls.verify_mode = ssl.CERT_OPTIONAL
    client_tls = ssl.create_default_context(cafile=files["cert"])
    client_tls.check_hostname = False
    client_tls.load_cert_chain(files["cert"], files["key"])
    echo = Echo()
    with serving(echo, tls=server_tls) as server:
        with MllpClient("127.0.0.1", server.port, tls=client_tls) as client:
            assert client.send(b"secret") == b"AA:secret"
        with pytest.raises(PeerUnavailable), MllpClient("127.0.0.1", server.port, timeout=2) as client:
            client.send(b"in the clear")
    der = ssl.PEM_cert_to_DER_cert(open(files["cert"]).read())  # noqa: PTH123, SIM115
    assert [peer.certificate for peer in echo.peers] == [der]


def certificates(folder: object) -> dict[str, str]:
    from datetime import timedelta
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from hub.values import now

    directory = Path(str(folder))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now() - timedelta(hours=1))
        .not_valid_after(now() + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {"cert": str(directory / "cert.pem"), "key": str(directory / "key.pem")}


def test_a_handler_that_raises_leaves_no_peer_waiting() -> None:
    class Broken(Echo):
        def handle(self, raw: bytes, peer: Peer) -> bytes:
            if raw == b"bad":
                raise RuntimeError("a defect")
            return super().handle(raw, peer)

    def together(items: object) -> list[bytes | None]:
        raise RuntimeError("a defect as well")

    for shared in (None, together):
        with serving(Broken(), together=shared) as server, connect(server) as first, connect(server) as second:
            first.sendall(frame(b"bad") + frame(b"good"))
            assert first.recv(100) == b""
            second.sendall(frame(b"good"))
            assert answers(second, 1) == [b"AA:good"]


def test_an_answer_that_cannot_be_handed_over_keeps_nobody_elses() -> None:
    """The peers of one batch do not depend on each other, whatever happens to a connection."""

    class Odd(bytes):
        def __radd__(self, other: bytes) -> bytes:
            raise RuntimeError("can't be framed")

    def together(items: Sequence[tuple[bytes, Peer]]) -> list[bytes | None]:
        return [Odd(b"AA") if raw == b"odd" else b"AA:" + raw for raw, _ in items]

    with serving(together=together) as server, contextlib.ExitStack() as opened:
        peers = [opened.enter_context(connect(server)) for _ in range(8)]
        for round_ in range(20):
            for number, peer in enumerate(peers[1:]):
                peer.sendall(frame(b"%d" % number))
            if not round_:
                peers[0].sendall(frame(b"odd"))
            for number, peer in enumerate(peers[1:]):
                assert answers(peer, 1) == [b"AA:%d" % number]
        assert peers[0].recv(1) == b"", "it would wait for ever"


def test_many_peers_that_come_and_go_are_all_answered() -> None:
    """No wake-up is lost between batches of every size, refusals of the batch, and peers that hang up."""
    chance = random.Random(1)

    def together(items: Sequence[tuple[bytes, Peer]]) -> list[bytes | None]:
        if len(items) % 5 == 4:
            raise RuntimeError("this time not")
        return [None if len(raw) % 3 == 0 else b"AA:" + raw for raw, _ in items]

    def talk(seed: int, failures: list[BaseException]) -> None:
        own = random.Random(seed)
        try:
            for _ in range(15):
                with connect(server) as connection:
                    for _ in range(own.randrange(1, 6)):
                        burst = [b"x" * own.randrange(1, 9) for _ in range(own.randrange(1, 12))]
                        connection.sendall(b"".join(map(frame, burst)))
                        if own.random() < 0.2:
                            break
                        assert answers(connection, len(burst)) == [b"AA:" + raw for raw in burst]
        except BaseException as error:
            failures.append(error)

    with serving(together=together) as server:
        failures: list[BaseException] = []
        peers = [threading.Thread(target=talk, args=(chance.random(), failures)) for _ in range(24)]
        for peer in peers:
            peer.start()
        for peer in peers:
            peer.join(120)
        assert not failures
        assert not any(peer.is_alive() for peer in peers)
