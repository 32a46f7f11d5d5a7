"""Streamed answers, written by their own thread or, with TLS, through the event loop: the same bytes either way."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from hub.app.keys import pki
from hub.app.keys.tls import client_context, server_context
from hub.app.settings.nodes import Tls
from hub.app.web import edge
from hub.app.web.direct import DirectWriter
from hub.app.web.edge import StreamedAnswer
from hub.app.web.server import WebServer
from hub.errors import InternalError
from hub.wire.pieces import Chunk, FilePiece, file_pieces, plain

MEGABYTE = 1024 * 1024
FILE = os.urandom(3 * MEGABYTE + 17)


class Application:
    """Streams what the path names; remembers which streams were closed."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "file"
        self.path.write_bytes(FILE)
        self.closed: list[str] = []

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        request = Request(scope, receive)
        name = request.url.path[1:]
        headers = {"Content-Length": str(len(FILE) + 6)} if request.query_params.get("length") else {}
        await StreamedAnswer(self._closing(name), 200, "a/b", headers)(scope, receive, send)

    def _closing(self, name: str) -> Iterator[Chunk]:
        try:
            yield from getattr(self, name)()
        finally:
            self.closed.append(name)

    def mixed(self) -> Iterator[Chunk]:
        yield b"a"
        with self.path.open("rb") as file:
            size = len(FILE)
            yield from file_pieces(file.fileno(), 0, size // 2)
            yield b""
            yield b"--"
            yield FilePiece(file.fileno(), size // 2, size - size // 2)
            yield FilePiece(file.fileno(), 0, 0)
        yield b"end"

    def short(self) -> Iterator[Chunk]:
        with self.path.open("rb") as file:
            yield FilePiece(file.fileno(), 0, len(FILE) + 1)

    def endless(self) -> Iterator[Chunk]:
        while True:
            yield bytes(100_000)


EXPECTED = b"a" + FILE[: len(FILE) // 2] + b"--" + FILE[len(FILE) // 2 :] + b"end"


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return Application(tmp_path)


@pytest.fixture(params=["plain", "tls"])
def client(request: pytest.FixtureRequest, application: Application, tmp_path: Path) -> Iterator[httpx.Client]:
    tls: ssl.SSLContext | None = None
    verify: ssl.SSLContext | bool = False
    if request.param == "tls":
        pki.init(tmp_path)
        pki.issue(tmp_path, "hub")
        node = Tls(certificate=tmp_path / "hub.crt", key=tmp_path / "hub.key", ca=tmp_path / "ca.crt")
        tls, verify = server_context(node), client_context(node)
    server = WebServer(application, "127.0.0.1", 0, tls)
    server.start()
    try:
        with httpx.Client(base_url=server.url, verify=verify, timeout=60, trust_env=False) as client:
            yield client
    finally:
        server.stop()


@pytest.mark.parametrize("query", ["", "?length=1"])
def test_files_and_bytes_arrive_in_order(client: httpx.Client, application: Application, query: str) -> None:
    for _ in range(3):  # on one connection
        answer = client.get(f"/mixed{query}")
        assert answer.content == EXPECTED
        assert ("content-length" in answer.headers) == bool(query)
    assert application.closed == ["mixed"] * 3


def test_the_head_alone(client: httpx.Client) -> None:
    answer = client.head("/mixed?length=1")
    assert answer.content == b""
    assert client.get("/mixed").content == EXPECTED


def test_a_file_that_became_shorter_ends_the_connection(client: httpx.Client) -> None:
    with pytest.raises(httpx.TransportError):
        client.get("/short")
    assert client.get("/mixed").content == EXPECTED


def test_a_peer_that_reads_slowly_gets_everything(application: Application) -> None:
    server = WebServer(application, "127.0.0.1", 0)
    server.start()
    try:
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            link.connect(("127.0.0.1", server.port))
            link.sendall(b"GET /mixed?length=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            time.sleep(0.3)  # the thread gives up waiting meanwhile; without this the test is only weaker
            got = bytearray()
            while piece := link.recv(50_000):
                got += piece
        assert bytes(got).partition(b"\r\n\r\n")[2] == EXPECTED
    finally:
        server.stop()


def test_the_next_request_may_come_before_the_answer_is_written(application: Application) -> None:
    server = WebServer(application, "127.0.0.1", 0)
    server.start()
    request = b"GET /mixed?length=1 HTTP/1.1\r\nHost: x\r\n%s\r\n"
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as link:
            link.sendall(request % b"" * 4 + request % b"Connection: close\r\n")
            got = bytearray()
            while piece := link.recv(1_000_000):
                got += piece
        assert bytes(got).count(EXPECTED) == 5
    finally:
        server.stop()


def test_a_peer_that_goes_ends_the_stream(application: Application) -> None:
    server = WebServer(application, "127.0.0.1", 0)
    server.start()
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", server.port)) as link:
            link.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            assert link.recv(1000)
    server.stop()  # waits for running requests: it would not end if a stream went on
    assert application.closed == ["endless"] * 2


def test_who_takes_nothing_is_let_go(
    client: httpx.Client, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that asks and never reads holds no stream, no thread and no file for ever."""
    monkeypatch.setattr(edge, "TAKEN_SECONDS", 0.5)
    with client.stream("GET", "/endless") as answer:
        assert answer.status_code == 200
        end = time.monotonic() + 60
        while not application.closed:
            assert time.monotonic() < end
            time.sleep(0.05)
    assert client.get("/mixed").content == EXPECTED


def test_the_writer_gives_the_thread_back() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        writer = DirectWriter(ours, iter([bytes(MEGABYTE)] * 4), chunked=False)
        assert not writer.run()  # nobody reads
        got = 0

        def read() -> None:
            nonlocal got
            while got < 4 * MEGABYTE:
                got += len(theirs.recv(MEGABYTE))

        reader = threading.Thread(target=read)
        reader.start()
        while not writer.run():
            pass
        reader.join()
        assert writer.complete
        assert (got, writer.size) == (4 * MEGABYTE, 4 * MEGABYTE)


def test_the_writer_stops() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        writer = DirectWriter(ours, iter([b"x"]), chunked=False)
        theirs.close()
        assert writer.run()
        assert not writer.complete


def test_pieces_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILE)
    with path.open("rb") as file:
        assert b"".join(plain(file_pieces(file.fileno(), 5, MEGABYTE + 3))) == FILE[5 : MEGABYTE + 8]
        with pytest.raises(InternalError):
            list(plain([FilePiece(file.fileno(), len(FILE) - 1, 2)]))
