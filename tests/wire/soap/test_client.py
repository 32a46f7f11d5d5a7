import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from hub.context import Context
from hub.errors import DeadlineExceeded, Malformed, Unavailable
from hub.wire.http import HttpResponse
from hub.wire.soap.client import SoapClient, SoapFault, spool_to
from hub.wire.soap.errors import ActionNotSupported
from hub.wire.soap.message import Outgoing, SoapMessage, SoapResponse, include
from hub.wire.soap.names import ANONYMOUS, SOAP_TYPE
from hub.wire.soap.reading import parse_request
from hub.wire.soap.writing import refuse, render

ACTION = "urn:test:Echo"


class Peer:
    """Answers every document of a request with the same document; ``answer`` replaces that."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.answer: HttpResponse | None = None
        self.received: list[SoapMessage] = []

    def respond(self, content_type: str, body: bytes) -> HttpResponse:
        if self.answer is not None:
            return self.answer
        message = parse_request(content_type, [body], spool_to(self.directory))
        self.received.append(message)
        if message.action != ACTION:
            return render(refuse(ActionNotSupported(), message, Context()), message)
        echo = etree.Element("{urn:test}Echo")
        parts = []
        for number, document in enumerate(message.body):
            include(etree.SubElement(echo, "{urn:test}Document"), f"{number}@echo")
            parts.append(Outgoing(f"{number}@echo", "a/b", [message.content(document).path.read_bytes()]))
        return render(SoapResponse(echo, f"{ACTION}Response", tuple(parts)), message)


@contextmanager
def serving(peer: Peer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            answer = peer.respond(self.headers["Content-Type"], self._body())
            body = b"".join(answer.chunks())
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers["Content-Length"]))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[SoapClient]:
    with SoapClient(httpx.Client(timeout=10), spool_to(tmp_path)) as client:
        yield client


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    return Peer(tmp_path)


def _asking(*content_ids: str) -> Any:
    body = etree.Element("{urn:test}Ask")
    for content_id in content_ids:
        include(etree.SubElement(body, "{urn:test}Document"), content_id)
    return body


def test_documents_there_and_back(client: SoapClient, peer: Peer) -> None:
    contents = [b"", b"x" * 300_000]
    parts = [Outgoing(f"{number}@x", "a/b", [content]) for number, content in enumerate(contents)]
    with serving(peer) as url:
        answer = client.call(url, ACTION, _asking("0@x", "1@x"), iter(parts))
        assert peer.received[0].to == url
    assert (answer.mtom, answer.action, answer.relates_to) == (True, f"{ACTION}Response", peer.received[0].message_id)
    assert peer.received[0].reply_to == ANONYMOUS
    assert [answer.content(document).path.read_bytes() for document in answer.body] == contents


@pytest.mark.parametrize("mtom", [True, False])
def test_without_documents(client: SoapClient, peer: Peer, mtom: bool) -> None:
    with serving(peer) as url:
        assert client.call(url, ACTION, _asking(), mtom=mtom).mtom is mtom


@pytest.mark.parametrize("mtom", [True, False])
def test_a_fault_is_raised(client: SoapClient, peer: Peer, mtom: bool) -> None:
    with serving(peer) as url, pytest.raises(SoapFault) as caught:
        client.call(url, "urn:test:Other", _asking(), mtom=mtom)
    assert (caught.value.fault_code, caught.value.subcode, caught.value.status) == ("Sender", "ActionNotSupported", 400)
    assert caught.value.reason
    assert caught.value.reason not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (HttpResponse(502, b"<html>", "text/html"), Unavailable),
        (HttpResponse(200, b"<html>", "text/html"), Malformed),
        (HttpResponse(200, b"", SOAP_TYPE), Malformed),
        (HttpResponse(200, b"--b\r\n", 'multipart/related; type="application/xop+xml"; boundary=b'), Malformed),
    ],
)
def test_a_peer_that_answers_nonsense(
    client: SoapClient, peer: Peer, answer: HttpResponse, error: type[Exception]
) -> None:
    peer.answer = answer
    with serving(peer) as url, pytest.raises(error):
        client.call(url, ACTION, _asking())


def test_a_peer_that_is_not_there_or_silent(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        SoapClient(httpx.Client(timeout=0.2), spool_to(tmp_path)) as client,
    ):
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(DeadlineExceeded):
            client.call(url, ACTION, _asking())
        silent.close()
        with pytest.raises(Unavailable):
            client.call(url, ACTION, _asking())
