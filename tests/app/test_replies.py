"""Answers that go elsewhere: what is kept, what is sent again, what is given up."""

import os
import ssl
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from lxml import etree

from hub.app.web.replies import KEPT_DAYS, REPLY, Replies
from hub.context import Context
from hub.errors import NotAuthenticated, PeerRefused, Unavailable
from hub.exchange.model import Delivery
from hub.testing.ports import free_port
from hub.wire.soap.errors import HeaderRequired, OnlyAnonymousAddress
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.writing import refuse


class Outbox:
    """Remembers what is to be delivered."""

    def __init__(self) -> None:
        self.queued: list[Mapping[str, Any]] = []
        self.broken = False

    def __call__(self, destination: str, kind: str, payload: Mapping[str, Any], context: Context) -> str:  # noqa: ARG002
        if self.broken:
            raise Unavailable()
        assert (destination, kind) == ("reply:" + payload["address"].rpartition("/")[0], REPLY)
        self.queued.append(payload)
        return "1"


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def replies(tmp_path: Path, outbox: Outbox) -> Replies:
    return Replies(tmp_path / "replies", ("127.0.0.1",), outbox, ssl.create_default_context, seconds=20)


@pytest.fixture
def peer() -> Iterator[tuple[str, list[int], list[bytes]]]:
    """Its address, what it says to the next messages, what it took."""
    statuses: list[int] = []
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x", statuses, taken
    server.shutdown()
    server.server_close()
    thread.join(30)


def message(**addresses: str) -> SoapMessage:
    return SoapMessage("urn:ask", etree.Element("Ask"), message_id="urn:uuid:1", **addresses)  # type: ignore[arg-type]


def response() -> SoapResponse:
    return SoapResponse(etree.Element("Answer"), "urn:answer")


def kept(replies: Replies) -> list[Path]:
    return list(replies.directory.iterdir()) if replies.directory.is_dir() else []


def delivery(payload: Mapping[str, Any]) -> Delivery:
    return Delivery("1", "reply:x", REPLY, payload)


def test_an_answer_is_kept_until_it_is_taken(
    replies: Replies, outbox: Outbox, peer: tuple[str, list[int], list[bytes]]
) -> None:
    address, statuses, taken = peer
    assert replies.answer(response(), message(reply_to=address), Context()).status == 202
    (payload,) = outbox.queued
    assert "Answer" not in str(payload), "the outbox's rows hold no content"
    assert [file.stat().st_mode & 0o777 for file in kept(replies)] == [0o600]
    statuses += [500, 503, 429]
    for _ in range(3):
        with pytest.raises(Unavailable):
            replies.deliver(delivery(payload), Context())
    replies.deliver(delivery(payload), Context())
    assert len(set(taken)) == 1
    assert kept(replies) == []
    replies.deliver(delivery(payload), Context())  # the worker died before it could say that it was sent
    assert len(taken) == 4


@pytest.mark.parametrize("status", [302, 400, 403, 404])
def test_a_peer_that_will_not_have_it(
    replies: Replies, outbox: Outbox, peer: tuple[str, list[int], list[bytes]], status: int
) -> None:
    address, statuses, taken = peer
    replies.answer(response(), message(reply_to=address), Context())
    statuses.append(status)
    with pytest.raises(PeerRefused):
        replies.deliver(delivery(outbox.queued[0]), Context())
    assert (len(taken), len(kept(replies))) == (1, 1), "an operator may have it tried again"


def test_a_peer_that_is_down(replies: Replies, outbox: Outbox) -> None:
    replies.answer(response(), message(reply_to=f"http://127.0.0.1:{free_port()}/x"), Context())
    with pytest.raises(Unavailable):
        replies.deliver(delivery(outbox.queued[0]), Context())


def test_a_host_that_is_no_longer_permitted(replies: Replies, outbox: Outbox, tmp_path: Path) -> None:
    replies.answer(response(), message(reply_to="http://127.0.0.1:1/x"), Context())
    closed = Replies(tmp_path / "replies", (), outbox, ssl.create_default_context)
    with pytest.raises(PeerRefused):
        closed.deliver(delivery(outbox.queued[0]), Context())


def test_what_may_go_where(replies: Replies) -> None:
    anonymous = "http://www.w3.org/2005/08/addressing/anonymous"
    replies.check(message(), asynchronous=False)
    replies.check(message(reply_to=anonymous, fault_to=anonymous), asynchronous=False)
    replies.check(message(reply_to="http://127.0.0.1:1/x"), asynchronous=True)
    for addresses, asynchronous in (
        ({"reply_to": "http://127.0.0.1:1/x"}, False),
        ({"reply_to": "http://127.0.0.1.example/x"}, True),
        ({"reply_to": "http://127.0.0.1:1/x", "fault_to": "https://elsewhere.example/"}, True),
    ):
        with pytest.raises(OnlyAnonymousAddress):
            replies.check(message(**addresses), asynchronous=asynchronous)
    nameless = SoapMessage("urn:ask", etree.Element("Ask"), reply_to="http://127.0.0.1:1/x")
    with pytest.raises(HeaderRequired):
        replies.check(nameless, asynchronous=True)


def test_who_is_turned_away_learns_it_on_the_connection(replies: Replies, outbox: Outbox) -> None:
    refused = refuse(NotAuthenticated(), None, Context())
    answer = replies.answer(refused, message(reply_to="http://127.0.0.1:1/x"), Context())
    assert (answer.status, outbox.queued, kept(replies)) == (401, [], [])


def test_nothing_is_left_when_it_cannot_be_queued(replies: Replies, outbox: Outbox) -> None:
    outbox.broken = True
    with pytest.raises(Unavailable):
        replies.answer(response(), message(reply_to="http://127.0.0.1:1/x"), Context())
    assert kept(replies) == []


def test_what_nobody_took_goes(replies: Replies) -> None:
    for _ in range(2):
        replies.answer(response(), message(reply_to="http://127.0.0.1:1/x"), Context())
    old, new = kept(replies)
    long_ago = time.time() - (KEPT_DAYS + 1) * 86400
    os.utime(old, (long_ago, long_ago))
    replies.sweep()
    assert kept(replies) == [new]
