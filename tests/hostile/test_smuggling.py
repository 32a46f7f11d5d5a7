"""Two ideas of where a request ends: the connection ends, and nothing of a body is carried out as a request."""

import socket

import pytest

from hub.app.wiring import Hub
from tests.hostile.conftest import clean
from tests.hostile.test_any_bytes import hub

__all__ = ["hub"]

INNER = b"GET /health/live?smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HEAD = b"POST /fhir/Patient/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = b"0\r\n\r\n" + INNER
#: What is wrong -> the bytes.
TRICKS = {
    "length and chunks": HEAD + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(CHUNKED) + CHUNKED,
    "chunks and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
    "a list of lengths": HEAD + b"Content-Length: 0, %d\r\n\r\n" % len(INNER) + INNER,
    "a length with a sign": HEAD + b"Content-Length: +0\r\n\r\n" + INNER,
    "a length with a letter": HEAD + b"Content-Length: 0x0\r\n\r\n" + INNER,
    "a length beyond all": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n" + INNER,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNKED,
    "another encoding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "a blank before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKED,
    "a folded header": HEAD + b"X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n\x00" + INNER,
    "a chunk's size that overflows": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff0\r\n" + INNER,
    "a chunk that lies": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabcdef\r\n" + CHUNKED,
    "a bare line feed": b"POST /fhir/Patient/_search HTTP/1.1\nHost: x\nTransfer-Encoding:\x0bchunked\n\n" + CHUNKED,
    "a null in a header": HEAD + b"X: \x00\r\nContent-Length: 0\r\n\r\n" + INNER,
}


def answers(hub: Hub, request: bytes) -> bytes:
    """All that comes until the hub closes: after what is no request, or as the inner request wants it."""
    host, _, port = hub.public_url().removeprefix("http://").partition(":")
    got = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        try:
            connection.sendall(request)
            while piece := connection.recv(65536):
                got += piece
        except ConnectionError:
            pass  # it closed first
    return got


@pytest.mark.parametrize("trick", sorted(TRICKS))
def test_a_body_is_no_request(hub: Hub, trick: str) -> None:
    got = answers(hub, TRICKS[trick])
    assert b'"alive"' not in got, got
    assert got.count(b"HTTP/1.1 ") <= 1, got
    assert b"HTTP/1.1 2" not in got, got
    clean(got.decode("latin-1"))


def test_what_is_honest_is_answered_twice(hub: Hub) -> None:
    """The yardstick: requests behind each other are no trick."""
    assert answers(hub, HEAD + b"Content-Length: 0\r\n\r\n" + INNER).count(b"HTTP/1.1 ") == 2
