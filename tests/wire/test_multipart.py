import os
import random
from collections.abc import Iterator

import pytest

from hub.errors import Malformed, TooLarge
from hub.wire.multipart import ContentType, Part, Sent, parse_content_type, read, size_of, strip_brackets, write
from hub.wire.pieces import plain

TYPE = 'multipart/related; boundary="b0undary"; type="application/dicom"'


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def _all(data: bytes, size: int = 7, content_type: str = TYPE) -> list[tuple[dict[str, str], bytes]]:
    return [(dict(part.headers), b"".join(part.chunks)) for part in read(_cut(data, size), content_type)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 64, 1000, 100_000])
def test_what_is_written_is_read_whatever_the_chunks(size: int) -> None:
    bodies = [b"", b"\r\n", b"\n", b"\r", b"\r\n--b0undaryX\r\n", b"\r\n--b0undar", os.urandom(3000), b"x\r"]
    bodies.append(b"\r\n--b0undary" + b"Y\r\n--b0undary" * 3 + b"Z")
    parts = [Part({"Content-ID": f"<{n}>", "Content-Type": "a/b"}, iter([body])) for n, body in enumerate(bodies)]
    result = _all(b"".join(write(parts, "b0undary")), size)
    assert [headers["content-id"] for headers, _ in result] == [f"<{n}>" for n in range(len(bodies))]
    assert [body for _, body in result] == bodies


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_the_size_is_known_before(count: int) -> None:
    parts = [Sent({"N": str(n)}, iter([bytes(n)]), n) for n in range(count)]
    assert size_of(parts, "b0undary") == len(b"".join(plain(write(parts, "b0undary"))))
    assert size_of([*parts, Sent({}, iter(()))], "b0undary") is None


def _announcing(bodies: list[bytes], lengths: list[str]) -> bytes:
    told = zip(bodies, lengths, strict=True)
    return b"".join(write([Part({"Content-Length": text}, iter([body])) for body, text in told], "b0undary"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 100_000])
def test_parts_that_say_how_long_they_are(size: int) -> None:
    bodies = [b"first", b"\r\n", b"", b"\n", os.urandom(3000), b"holds\r\n--b0undary\r\n in its midst", b"last\r"]
    data = _announcing(bodies, [str(len(body)) for body in bodies])
    assert [body for _, body in _all(data, size)] == bodies
    assert [body for _, body in _all(data.replace(b"\r\n--b0undary--", b"\n--b0undary--"), size)] == bodies


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("wrong", ["", "3", "5", "1000000", "-4", "x", "٤", "9" * 40])
def test_lengths_that_are_wrong_from_the_beginning_are_not_minded(size: int, wrong: str) -> None:
    bodies = [b"abcd", b"efgh", b"ijkl"]
    assert [body for _, body in _all(_announcing(bodies, [wrong] * 3), size)] == bodies


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("wrong", ["3", "6", "7", "1000000"])
def test_a_length_that_becomes_wrong_is_an_error(size: int, wrong: str) -> None:
    with pytest.raises(Malformed):
        _all(_announcing([b"abcd", b"efgh", b"ijkl"], ["4", wrong, "4"]), size)


def test_random_content_survives_random_cuts() -> None:
    rng = random.Random(7)
    bodies = [rng.randbytes(rng.randrange(0, 5000)).replace(b"b0undary", b"") for _ in range(40)]
    data = b"".join(write([Part({}, iter([body])) for body in bodies], "b0undary"))
    for _ in range(10):
        cuts = sorted(rng.randrange(len(data)) for _ in range(50))
        chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert [b"".join(part.chunks) for part in read(chunks, TYPE)] == bodies


def test_line_feeds_alone_a_preamble_padding_and_an_epilogue_are_accepted() -> None:
    data = b"hello\n--b0undary \t\nContent-ID: <a@b>\nX-Long: one\n two\n\nabc\n--b0undary--\nbye"
    assert _all(data) == [({"content-id": "<a@b>", "x-long": "one two"}, b"abc")]


def test_an_empty_part_whose_blank_line_belongs_to_the_delimiter() -> None:
    assert _all(b"--b0undary\r\nA: 1\r\n\r\n--b0undary\r\n\r\nx\r\n--b0undary--") == [({"a": "1"}, b""), ({}, b"x")]


def test_no_part_at_all() -> None:
    assert _all(b"--b0undary--\r\n") == []


def test_what_is_not_read_is_skipped() -> None:
    data = b"".join(write([Part({"N": str(n)}, iter([bytes(5000)])) for n in range(5)], "b0undary"))
    assert [part.headers["n"] for part in read(_cut(data, 64), TYPE)] == list("01234")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"--b0undary",
        b"--b0undary\r\n",
        b"--b0undary\r\nA: 1\r\n",
        b"--b0undary\r\nA: 1\r\n\r\nabc",
        b"--b0undary\r\nA: 1\r\n\r\nabc\r\n--b0undary",
        b"--b0undary\r\nA: 1\r\n\r\nabc\r\n--b0undary\r\n",
        b"--b0undary\r\nno colon\r\n\r\nabc\r\n--b0undary--",
        b"preamble without an end" * 5000,
    ],
)
def test_what_ends_too_early_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        _all(data, 50)


def test_limits() -> None:
    many = b"".join(write([Part({}, iter([b"x"])) for _ in range(11)], "b0undary"))
    with pytest.raises(TooLarge):
        list(read([many], TYPE, max_parts=10))
    long = b"--b0undary\r\nA: " + b"x" * 100_000 + b"\r\n\r\n"
    with pytest.raises(TooLarge):
        list(read(_cut(long, 1000), TYPE, max_header_bytes=5000))
    with pytest.raises(TooLarge):
        list(read([b"--b0undary\r\n" + b"A: x\r\n" * 5000], TYPE, max_header_bytes=5000))


@pytest.mark.parametrize(
    "text", ["", "text", "multipart/related", "multipart/related; boundary=", "text/xml; boundary=b"]
)
def test_a_header_without_a_boundary_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read([], text)


def test_content_types() -> None:
    text = (
        'Multipart/Related; boundary=uuid:1+2=; type=application/xop+xml;start="<a@b>" ; '
        'start-info="application/soap+xml; action=\\"urn:x\\"";'
    )
    parsed = parse_content_type(text.replace("uuid:1+2=", "uuid:1+2"))
    assert parsed.media_type == "multipart/related"
    assert parsed.parameters == {
        "boundary": "uuid:1+2",
        "type": "application/xop+xml",
        "start": "<a@b>",
        "start-info": 'application/soap+xml; action="urn:x"',
    }
    assert parse_content_type(str(parsed)) == parsed
    assert str(ContentType("a/b", {"c": 'd"e'})) == 'a/b; c="d\\"e"'
    assert strip_brackets(" <a@b> ") == strip_brackets("a@b") == "a@b"
    with pytest.raises(Malformed):
        parse_content_type('a/b; c="never ends')


def test_memory_stays_flat() -> None:
    largest = 0

    def source() -> Iterator[bytes]:
        yield b"--b0undary\r\n\r\n"
        for _ in range(400):
            yield bytes(65536)
        yield b"\r\n--b0undary--"

    for part in read(source(), TYPE):
        for chunk in part.chunks:
            largest = max(largest, len(chunk))
    assert 0 < largest <= 2 * 65536
