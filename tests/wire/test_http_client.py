import http.server
import ssl
import threading
from collections.abc import Iterator
from typing import ClassVar

import httpx
import pytest

from hub.wire.http_client import StreamingTransport

BODY = bytes(range(256)) * 4000


class Peer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, int]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.client_address[1]))
        if self.path == "/silent":
            return
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(BODY), 100_000):
                piece = BODY[start : start + 100_000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        if self.path == "/until-closed":
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(BODY) + 10 * (self.path == "/short")))
        self.end_headers()
        self.wfile.write(BODY)
        self.close_connection |= self.path == "/short"

    def do_POST(self) -> None:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size + 2)[:-2]
        self.rfile.readline()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Peer.seen.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(transport=StreamingTransport(max_connections=1), timeout=1.0) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/chunked", "/until-closed"])
def test_bodies_of_every_kind(client: httpx.Client, url: str, path: str) -> None:
    for _ in range(2):
        assert client.get(url + path).content == BODY


def test_connections_are_kept_unless_the_answer_was_not_read(client: httpx.Client, url: str) -> None:
    client.get(url + "/1")
    client.get(url + "/2")
    with client.stream("GET", url + "/3") as answer:
        next(answer.iter_raw())
    client.get(url + "/4")
    one, two, three, four = (port for _, port in Peer.seen)
    assert one == two == three != four


def test_a_streamed_request(client: httpx.Client, url: str) -> None:
    assert client.post(url, content=iter([b"one", b"", b"two"])).content == b"onetwo"


def test_what_ends_too_early_is_not_taken_for_the_whole(client: httpx.Client, url: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(url + "/short")
    assert client.get(url).content == BODY


def test_silence_full_pools_and_closed_ports(client: httpx.Client, url: str) -> None:
    with pytest.raises(httpx.PoolTimeout), client.stream("GET", url), client.stream("GET", url):
        pass
    with pytest.raises(httpx.ReadTimeout):
        client.get(url + "/silent")
    with pytest.raises(httpx.ConnectError):
        client.get("http://127.0.0.1:1")
    with pytest.raises(httpx.ConnectError) as caught:
        client.get(url.replace("http:", "https:"))
    assert isinstance(caught.value.__cause__, ssl.SSLError)


def test_an_error_of_the_requests_own_pieces_is_theirs(client: httpx.Client, url: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise LookupError

    with pytest.raises(LookupError):
        client.post(url, content=pieces())
    assert client.get(url).content == BODY
