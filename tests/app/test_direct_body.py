"""Large request bodies, read past the event loop: the same bytes, the same refusals, the same connection."""

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread
import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub.app.keys import pki
from hub.app.keys.tls import client_context, server_context
from hub.app.settings.nodes import Tls
from hub.app.web import direct_body, edge
from hub.app.web.edge import Body
from hub.app.web.server import WebServer
from hub.errors import HubError

MEGABYTE = 1024 * 1024
BODY = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(3 * MEGABYTE // 32)) * 3 + b"end"
LIMIT = 16 * MEGABYTE
PATIENCE = 60.0


class Application:
    """``/whole`` gives the body's hash back, ``/part`` reads a piece and no more."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.takes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        source = scope["extensions"].get(direct_body.EXTENSION)
        if source is not None:
            take = source.take

            async def counted() -> object:
                self.takes += 1
                return await take()

            source.take = counted
        request = Request(scope, receive)
        body = Body(request, LIMIT)
        await body.prefetch()

        def work() -> str:
            try:
                if request.url.path == "/part":
                    next(iter(body))
                    return "part"
                return hashlib.sha256(body.read()).hexdigest()
            except HubError as error:
                return error.code

        try:
            told = await anyio.to_thread.run_sync(work)
        finally:
            body.close()
        self.outcomes.append(told)
        headers = {} if body.complete else {"connection": "close"}
        await Response(told, 200, headers)(scope, receive, send)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def server(application: Application) -> Iterator[WebServer]:
    server = WebServer(application, "127.0.0.1", 0)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def connect(server: WebServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def head(size: int, path: str = "/whole", more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {size}\r\n\r\n".encode()


def answer(link: socket.socket) -> tuple[bytes, bytes]:
    """One answer: head and body, by its Content-Length."""
    got = bytearray()
    while b"\r\n\r\n" not in got:
        piece = link.recv(1)
        assert piece
        got += piece
    size = int(next(line for line in got.split(b"\r\n") if line.lower().startswith(b"content-length")).split(b":")[1])
    body = bytearray()
    while len(body) < size:
        body += link.recv(size - len(body))
    return bytes(got), bytes(body)


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def outcome(application: Application) -> str:
    end = time.monotonic() + PATIENCE
    while not application.outcomes:
        assert time.monotonic() < end
        time.sleep(0.02)
    return application.outcomes[0]


@pytest.mark.parametrize("kind", ["plain", "tls", "chunked"])
def test_the_same_bytes_however_they_come(kind: str, application: Application, tmp_path: Path) -> None:
    tls: ssl.SSLContext | None = None
    verify: ssl.SSLContext | bool = False
    if kind == "tls":
        pki.init(tmp_path)
        pki.issue(tmp_path, "hub")
        node = Tls(certificate=tmp_path / "hub.crt", key=tmp_path / "hub.key", ca=tmp_path / "ca.crt")
        tls, verify = server_context(node), client_context(node)
    server = WebServer(application, "127.0.0.1", 0, tls)
    server.start()
    try:
        with httpx.Client(base_url=server.url, verify=verify, timeout=PATIENCE, trust_env=False) as client:
            for size in (10, 200_000, len(BODY)):
                sent = BODY[:size]
                content = iter([sent]) if kind == "chunked" else sent
                assert client.post("/whole", content=content).content == digest(sent)
    finally:
        server.stop()
    assert application.takes == (1 if kind == "plain" else 0)


def test_several_on_one_connection_and_all_sent_at_once(server: WebServer, application: Application) -> None:
    """Nothing of the next request is taken for the body, nor of the body for a request."""
    inside = head(len(BODY)) + b"GET /part HTTP/1.1\r\n\r\n"  # looks like requests, and is content
    bodies = [BODY, b"small", inside * 40_000, BODY[: 2 * MEGABYTE]]
    with connect(server) as link:
        sender = threading.Thread(target=link.sendall, args=(b"".join(head(len(it)) + it for it in bodies),))
        sender.start()
        for body in bodies:
            said, got = answer(link)
            assert b"connection: close" not in said
            assert got == digest(body)
        sender.join()
    assert application.takes == 3
    assert len(application.outcomes) == 4


def test_in_many_small_pieces(server: WebServer) -> None:
    with connect(server) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(head(len(BODY)))
        for start in range(0, len(BODY), 9_973):
            link.sendall(BODY[start : start + 9_973])
        assert answer(link)[1] == digest(BODY)


def test_who_waits_to_be_asked_is_asked(server: WebServer) -> None:
    with connect(server) as link:
        link.sendall(head(len(BODY), more="Expect: 100-continue\r\n"))
        assert link.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.sendall(BODY)
        assert answer(link)[1] == digest(BODY)
        link.sendall(head(5) + b"small")
        assert answer(link)[1] == digest(b"small")


@pytest.mark.parametrize("come", [70_000, 5 * MEGABYTE])
def test_who_goes_midway(server: WebServer, application: Application, come: int) -> None:
    with connect(server) as link:
        link.sendall(head(len(BODY)) + BODY[:come])
    assert outcome(application) == "malformed"


def test_who_stops_midway(server: WebServer, application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BATCH_SECONDS", 0.5)
    with connect(server) as link:
        link.sendall(head(len(BODY)) + BODY[: 5 * MEGABYTE])
        said, got = answer(link)
        assert got == b"deadline-exceeded"
        assert b"connection: close" in said
        assert not link.recv(1)


def test_who_sends_too_much_is_refused_before_it_is_read(server: WebServer, application: Application) -> None:
    with connect(server) as link:
        link.sendall(head(LIMIT + 1))
        assert answer(link)[1] == b"too-large"
    assert not application.takes


def test_what_is_not_read_is_no_request(server: WebServer, application: Application) -> None:
    """Whoever is refused midway loses the connection: the rest of the body is never looked at."""
    smuggled = head(5) + b"small"
    with connect(server) as link:
        body = bytes(2 * MEGABYTE) + smuggled * 10_000
        try:
            link.sendall(head(len(body), "/part") + body)
            while link.recv(100_000):
                pass
        except ConnectionError:
            pass  # closed with unread bytes in its buffer
    assert outcome(application) == "part"
    server.stop()
    assert application.outcomes == ["part"]


def test_a_stop_does_not_wait_for_who_sends_nothing(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.app.web.server.GRACE", 1)
    server = WebServer(application, "127.0.0.1", 0)
    server.start()
    with connect(server) as link:
        link.sendall(head(len(BODY)) + BODY[: 5 * MEGABYTE])
        end = time.monotonic() + PATIENCE
        while not application.takes:
            assert time.monotonic() < end
            time.sleep(0.02)
        monkeypatch.setattr("hub.app.web.server.GRACE", PATIENCE)  # this machine may be slow
        server.stop()
        assert not server.running
