"""What a DICOMweb server answers is passed through without what names the server; and what it can't make is told."""

import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hub.connector.contract import ConnectorError, Environment, PassesThrough, SourceLied, SourceUnavailable
from hub.connector.loader import SourceConfig, Sources
from hub.imaging.model import InstanceRequest, PassedThrough
from hub.wire import multipart

FRAME = b"\x01\x02\r\n--inne\r\n" * 4000
WANTED = InstanceRequest("1.2", "1.2.3", "1.2.3.4")
MULTIPART = 'multipart/related; type="image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"; boundary="inner"'
Answer = tuple[int, Mapping[str, str], bytes]


@pytest.fixture
def passed() -> Iterator[Callable[[Answer], PassedThrough]]:
    """The connector's answer where an archive gives this one."""
    told: list[Answer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = told[-1]
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not wanted."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/dicom-web"
    sources = Sources([SourceConfig("PACS", "dicomweb", config={"url": url})], Environment("MAILLAGE", None))

    def ask(answer: Answer) -> PassedThrough:
        told.append(answer)
        connector = sources.get("PACS").connector
        assert isinstance(connector, PassesThrough)
        return connector.pass_through(WANTED, "frames/1,2", (), "", timeout=20)

    yield ask
    sources.close()
    server.shutdown()
    server.server_close()


def parts_of(answer: PassedThrough) -> list[tuple[Mapping[str, str], bytes]]:
    return [(part.headers, b"".join(part.chunks)) for part in multipart.read(answer.chunks, answer.media_type)]


def body(*, whole: bool = True) -> bytes:
    head = b"Content-Location: http://inside.example/x\r\nContent-Type: image/jpeg\r\nContent-Length: 52000\r\n\r\n"
    return b"".join(b"--inner\r\n" + head + FRAME + b"\r\n" for _ in range(2)) + (b"--inner--\r\n" if whole else b"")


def test_where_a_part_lies_is_not_passed_on(passed: Callable[[Answer], PassedThrough]) -> None:
    answer = passed((200, {"Content-Type": MULTIPART}, body()))
    assert multipart.parse_content_type(answer.media_type).parameters["type"] == "image/jpeg"
    assert answer.headers == {}
    assert parts_of(answer) == [({"content-type": "image/jpeg"}, FRAME)] * 2


def test_what_is_one_part_is_passed_as_it_is(passed: Callable[[Answer], PassedThrough]) -> None:
    answer = passed((200, {"Content-Type": "image/jpeg", "Content-Length": str(len(FRAME))}, FRAME))
    assert (answer.media_type, dict(answer.headers)) == ("image/jpeg", {"Content-Length": str(len(FRAME))})
    assert b"".join(answer.chunks) == FRAME


def test_an_answer_that_ends_too_early_is_no_whole_one(passed: Callable[[Answer], PassedThrough]) -> None:
    answer = passed((200, {"Content-Type": MULTIPART}, body(whole=False)))
    with pytest.raises(SourceLied):
        parts_of(answer)
    with pytest.raises(SourceLied):
        b"".join(passed((200, {"Content-Type": "multipart/related"}, body())).chunks)


@pytest.mark.parametrize(("status", "away"), [(500, False), (406, False), (503, True)])
def test_who_fails_at_this_one_thing_is_not_away(
    passed: Callable[[Answer], PassedThrough], status: int, away: bool
) -> None:
    with pytest.raises(ConnectorError, match=str(status)) as told:
        passed((status, {}, b""))
    assert isinstance(told.value, SourceUnavailable) is away
