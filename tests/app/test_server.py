"""The web server on a real socket: TLS, the client's certificate in the scope, limits on the head."""

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hub.app.keys import pki
from hub.app.keys.tls import client_context, server_context
from hub.app.settings.nodes import Tls
from hub.app.web.http import build
from hub.app.web.server import CannotListen, WebServer
from tests.app.edge_hub import TOKEN, EdgeHub
from tests.waiting import until


async def tells_tls(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """An ASGI application that answers with what it sees of TLS."""
    tls = scope.get("extensions", {}).get("tls", {})
    body = orjson.dumps(
        {
            "der": tls.get("client_cert_der", b"").hex(),
            "chain": tls.get("client_cert_chain"),
            "v": tls.get("tls_version"),
        }
    )
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.init(directory)
    pki.issue(directory, "hub")
    pki.issue(directory, "his")
    return directory


def tls(directory: Path, node: str, **more: Any) -> Tls:
    return Tls(certificate=directory / f"{node}.crt", key=directory / f"{node}.key", ca=directory / "ca.crt", **more)


@pytest.fixture(params=["optional", "required"])
def secure(request: pytest.FixtureRequest, certificates: Path) -> Iterator[WebServer]:
    server = WebServer(
        tells_tls, "127.0.0.1", 0, server_context(tls(certificates, "hub", client_certificates=request.param))
    )
    server.start()
    yield server
    server.stop()


def test_the_client_certificate_reaches_the_scope(secure: WebServer, certificates: Path) -> None:
    with httpx.Client(verify=client_context(tls(certificates, "his"))) as client:
        for _ in range(2):  # the second on the same connection
            seen = client.get(secure.url).json()
            expected = pki.load(certificates / "his.crt").public_bytes(Encoding.DER)
            assert bytes.fromhex(seen["der"]) == expected
            assert ssl.PEM_cert_to_DER_cert(seen["chain"][0]) == expected
            assert seen["v"] == "TLSv1.3"


def test_a_stream_that_breaks_is_cut_off_within_tls(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub = EdgeHub(tmp_path)
    server = WebServer(build(hub), "127.0.0.1", 0, server_context(tls(certificates, "hub")))
    server.start()
    try:
        with httpx.Client(verify=client_context(tls(certificates, "his")), base_url=server.url) as client:
            with pytest.raises(httpx.TransportError):
                client.get("/dicom-web/things/stream?chunks=500&fail=400", headers={"Authorization": f"Bearer {TOKEN}"})
            until(lambda: hub.rooms.closed == ["stream"])
    finally:
        server.stop()
    told = [(item.name, item.getMessage()) for item in caplog.records if item.levelname in ("WARNING", "ERROR")]
    assert told == [("hub.app.web.edge", "an answer broke off: not-found")]


def test_without_a_certificate(secure: WebServer, certificates: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    with httpx.Client(verify=context) as client:
        if server_requires(secure):
            with pytest.raises(httpx.TransportError):
                client.get(secure.url)
        else:
            assert client.get(secure.url).json()["der"] == ""


def server_requires(server: WebServer) -> bool:
    return server.tls is not None and server.tls.verify_mode == ssl.CERT_REQUIRED


def test_a_certificate_of_another_authority_is_refused(secure: WebServer, certificates: Path, tmp_path: Path) -> None:
    pki.init(tmp_path, "another")
    pki.issue(tmp_path, "his")
    stranger = Tls(certificate=tmp_path / "his.crt", key=tmp_path / "his.key", ca=certificates / "ca.crt")
    with httpx.Client(verify=client_context(stranger)) as client, pytest.raises(httpx.TransportError):
        client.get(secure.url)


def test_port_zero_is_told_and_a_taken_port_is_refused() -> None:
    server = WebServer(tells_tls, "127.0.0.1", 0)
    server.start()
    try:
        assert httpx.get(server.url).json()["der"] == ""
        with pytest.raises(CannotListen):
            WebServer(tells_tls, "127.0.0.1", server.port)
    finally:
        server.stop()
    assert not server.running


def test_an_endless_head_is_cut_off() -> None:
    server = WebServer(tells_tls, "127.0.0.1", 0)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            answer = b""
            try:
                for number in range(200):
                    peer.sendall(b"X-%d: %s\r\n" % (number, b"a" * 4000))
                answer = peer.recv(4096)
            except (ConnectionResetError, BrokenPipeError):
                answer = b"HTTP/1.1 400 "
            assert answer.startswith(b"HTTP/1.1 400 ")
    finally:
        server.stop()


async def repeats(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """An ASGI application that answers with the path and the body."""
    body, more = scope["path"].encode() + b" ", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"


@pytest.mark.parametrize("pieces", [1, 7, 10_000])
def test_an_offer_of_another_protocol_is_ignored(pieces: int) -> None:
    """What Java's HTTP client sends first on every plain connection."""
    request = (
        b"POST /a HTTP/1.1\r\nHost: x\r\n" + OFFER + b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n"
        b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n" + OFFER + b"\r\nsecond"
        b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthird"
    )
    server = WebServer(repeats, "127.0.0.1", 0)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as peer:
            size = -(-len(request) // pieces)
            for start in range(0, len(request), size):
                peer.sendall(request[start : start + size])
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
    finally:
        server.stop()
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert [answer.find(body) > 0 for body in (b"\r\n/a first", b"\r\n/b second", b"\r\n/c third")] == [True] * 3


def test_no_proxy() -> None:
    server = WebServer(repeats, "127.0.0.1", 0)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as peer:
            peer.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
            assert peer.recv(4096).startswith(b"HTTP/1.1 400 ")
    finally:
        server.stop()
