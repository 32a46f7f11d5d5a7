"""multipart/related as a stream (RFC 2046, RFC 2387): MTOM packages and DICOMweb answers, never held in memory."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import overload

from hub.errors import Malformed, TooLarge
from hub.wire.pieces import Chunk
from hub.wire.searching import Search

MAX_PARTS = 100_000
MAX_HEADER_BYTES = 16 * 1024
_MAX_PREAMBLE = 64 * 1024
_CARRIAGE_RETURN = 13
_AFTER_DELIMITER = b"-\r\n \t"
_KNOWN = 256  #: characters of a Content-Type that is remembered
_MAX_DIGITS = 18  #: of a length: more is none
_TOKEN = re.compile(r"[^\s;=\"]+")
_PARAMETER = re.compile(r"\s*;\s*(?:([^\s;=\"]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;\"\s]*)))?")


@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type header: media type in lower case, parameters by lower-case name."""

    media_type: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join((self.media_type, *(f'{name}="{_quote(text)}"' for name, text in self.parameters.items())))


@dataclass(frozen=True, slots=True)
class Part:
    """One part. Header names are lower case when read, and sent as given when written."""

    headers: Mapping[str, str]
    chunks: Iterator[bytes] = field(repr=False)

    @property
    def content_id(self) -> str:
        """Content-ID without its angle brackets, "" when there is none."""
        return strip_brackets(self.headers.get("content-id", ""))

    @property
    def content_type(self) -> ContentType:
        """The part's type; application/octet-stream when it says nothing."""
        return parse_content_type(self.headers.get("content-type") or "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Sent:
    """One part to send, of which some may lie in files."""

    headers: Mapping[str, str]
    chunks: Iterator[Chunk] = field(repr=False)
    size: int | None = None  #: bytes of the content, where it is known


def strip_brackets(content_id: str) -> str:
    """``<a@b>`` -> ``a@b``; tolerates a missing pair."""
    return content_id.strip().removeprefix("<").removesuffix(">").strip()


def parse_content_type(text: str) -> ContentType:
    """Read a Content-Type header, quoted or not. Raises Malformed."""
    return _known_type(text) if len(text) <= _KNOWN else _content_type(text)


@lru_cache(maxsize=256)
def _known_type(text: str) -> ContentType:
    return _content_type(text)


def _content_type(text: str) -> ContentType:
    head = _TOKEN.match(text.strip())
    if head is None or "/" not in head.group():
        raise Malformed("The Content-Type header is not readable.", location="Content-Type")
    parameters: dict[str, str] = {}
    rest = text.strip()[head.end() :]
    position = 0
    while rest[position:].strip():
        match = _PARAMETER.match(rest, position)
        if match is None:
            raise Malformed("The Content-Type header is not readable.", location="Content-Type")
        name, quoted, plain = match.groups()
        if name:
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            parameters.setdefault(name.lower(), value)
        position = match.end()
    return ContentType(head.group().lower(), parameters)


def read(
    chunks: Iterable[bytes], content_type: str, *, max_parts: int = MAX_PARTS, max_header_bytes: int = MAX_HEADER_BYTES
) -> Iterator[Part]:
    """The parts of a multipart body, one at a time.

    A part's chunks are read before the next part is asked for; what is left of them is skipped. Line ends may be CRLF
    or LF. Raises Malformed (no boundary, a part or the body ends too early) and TooLarge (parts, header bytes).
    """
    parsed = parse_content_type(content_type)
    boundary = parsed.parameters.get("boundary", "")
    if not parsed.media_type.startswith("multipart/") or not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise Malformed("A multipart message needs a boundary of 1 to 70 ASCII characters.", location="Content-Type")
    return _Reader(chunks, boundary.encode("ascii"), max_header_bytes).parts(max_parts)


@overload
def write(parts: Iterable[Part], boundary: str) -> Iterator[bytes]: ...


@overload
def write(parts: Iterable[Sent], boundary: str) -> Iterator[Chunk]: ...


def write(parts: Iterable[Part] | Iterable[Sent], boundary: str) -> Iterator[Chunk]:
    """A multipart body, chunk by chunk as the parts give them."""
    lead = f"--{boundary}\r\n"
    for part in parts:
        yield _head(part, lead)
        yield from part.chunks
        lead = f"\r\n--{boundary}\r\n"
    yield f"\r\n--{boundary}--\r\n".encode()


def size_of(parts: Iterable[Sent], boundary: str) -> int | None:
    """Bytes of the body that ``write`` makes of the parts; None when one does not know its size."""
    size = len(f"\r\n--{boundary}--\r\n")
    lead = f"--{boundary}\r\n"
    for part in parts:
        if part.size is None:
            return None
        size += len(_head(part, lead)) + part.size
        lead = f"\r\n--{boundary}\r\n"
    return size


def _head(part: Part | Sent, lead: str) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in part.headers.items())
    return f"{lead}{headers}\r\n".encode()


def _quote(text: str) -> str:
    return re.sub(r'(["\\\\])', r"\\\1", text)


class _Reader:
    """A window on the stream: ``_buffer`` from ``_position`` on is not read yet."""

    def __init__(self, chunks: Iterable[bytes], boundary: bytes, max_header_bytes: int) -> None:
        self._source = iter(chunks)
        self._delimiter = b"\n--" + boundary
        self._search = Search(self._delimiter)
        self._max_header_bytes = max_header_bytes
        # As if a line had just ended: the first delimiter may be the very first bytes.
        self._buffer = b"\n"
        self._position = 0
        #: The last part that said how long it is was so long: the next ones that say it are not searched.
        self._truthful = False

    def parts(self, max_parts: int) -> Iterator[Part]:
        size = 0
        for chunk in self._content():
            size += len(chunk)
            if size > _MAX_PREAMBLE:
                raise Malformed("The multipart message does not start with its boundary.")
        count = 0
        while not self._at_end():
            count += 1
            if count > max_parts:
                raise TooLarge(f"The multipart message has more than {max_parts} parts.")
            headers = self._headers()
            content = self._of_length(_announced(headers))
            yield Part(headers, content)
            for _ in content:  # what the caller left
                pass

    def _fill(self) -> bool:
        """Append the next chunk to the window; False at the end of the stream."""
        for chunk in self._source:
            if chunk:
                rest = self._buffer[self._position :]
                self._buffer = rest + chunk if rest else bytes(chunk)
                self._position = 0
                return True
        return False

    def _need(self, count: int) -> None:
        while len(self._buffer) - self._position < count:
            if not self._fill():
                raise Malformed("The multipart message ends before its final boundary.")

    def _at_end(self) -> bool:
        """After a delimiter: the final one? Moves past the delimiter's line."""
        self._need(2)
        if self._buffer.startswith(b"--", self._position):
            return True
        self._line()
        return False

    def _line(self) -> bytes:
        """The next line without its end."""
        searched = self._position
        while (end := self._buffer.find(b"\n", searched)) < 0:
            waiting = len(self._buffer) - self._position
            if waiting > self._max_header_bytes:
                raise TooLarge(f"A part's headers are larger than {self._max_header_bytes} bytes.")
            if not self._fill():
                raise Malformed("The multipart message ends within a part's headers.")
            searched = self._position + waiting
        line = self._buffer[self._position : end]
        self._position = end + 1
        return line.rstrip(b"\r")

    def _headers(self) -> dict[str, str]:
        lines: list[str] = []
        size = 0
        while line := self._line():
            size += len(line)
            if size > self._max_header_bytes:
                raise TooLarge(f"A part's headers are larger than {self._max_header_bytes} bytes.")
            text = line.decode("utf-8", "replace")
            if text[0] in " \t" and lines:
                lines[-1] += " " + text.strip()
            else:
                lines.append(text)
        self._position -= 1  # the blank line's end may be the beginning of the delimiter of an empty part
        headers: dict[str, str] = {}
        for text in lines:
            name, colon, value = text.partition(":")
            if not colon or not name.strip():
                raise Malformed("A part has an unreadable header line.")
            headers.setdefault(name.strip().lower(), value.strip())
        return headers

    def _of_length(self, announced: int) -> Iterator[bytes]:
        """The content of a part that says how long it is (0: it does not).

        Content-Length means nothing within multipart (RFC 2046: 5.1), but some servers send it, and searching every
        byte for the boundary is most of a reader's work: so it is checked with the first part, then relied on."""
        if not self._truthful or not announced:
            size = 0
            for piece in self._content():
                size += len(piece)
                yield piece
            self._truthful = size == announced > 0
            return
        self._position += 1  # the line feed
        left = announced
        while left:
            piece = self._buffer[self._position : self._position + left]
            self._position += len(piece)
            left -= len(piece)
            if piece:
                yield piece
            elif not self._fill():
                raise Malformed("The multipart message ends before its final boundary.")
        self._need(len(self._delimiter) + 2)
        if self._buffer[self._position] == _CARRIAGE_RETURN:
            self._position += 1
            self._need(len(self._delimiter) + 1)
        end = self._position + len(self._delimiter)
        if not self._buffer.startswith(self._delimiter, self._position) or self._buffer[end] not in _AFTER_DELIMITER:
            raise Malformed("A part has another length than it says.", location="Content-Length")
        self._position = end

    def _content(self) -> Iterator[bytes]:
        """Everything up to the next delimiter, without the line feed that the window starts with."""
        delimiter = self._delimiter
        skip, searched = 1, 0  # relative to the window's beginning: what is not content, what holds no delimiter
        while True:
            found = self._search.find(self._buffer, self._position + searched)
            after = found + len(delimiter)
            if found >= 0 and len(self._buffer) >= after + 2:
                if self._buffer[after] in _AFTER_DELIMITER:
                    begin, self._position = self._position + skip, after
                    end = found - 1 if found > begin and self._buffer[found - 1] == _CARRIAGE_RETURN else found
                    if end > begin:
                        yield self._buffer[begin:end]
                    return
                searched = after - self._position  # a longer line that only begins like the boundary
                continue
            # Kept back: a delimiter that has only begun, and the carriage return before it. Mostly there is neither,
            # and a chunk goes on as it came, without being copied.
            safe = found if found >= 0 else self._begun()
            if safe > self._position and self._buffer[safe - 1] == _CARRIAGE_RETURN:
                safe -= 1
            if safe > self._position + skip:
                piece = self._buffer[self._position + skip : safe]
                self._position, skip, searched = safe, 0, 0
                yield piece
            if not self._fill():
                raise Malformed("The multipart message ends before its final boundary.")

    def _begun(self) -> int:
        """Where the window's end could be the beginning of a delimiter; the end itself when it is not."""
        size = len(self._buffer)
        start = self._buffer.find(b"\n", max(self._position, size - len(self._delimiter) - 1))
        while start >= 0 and not self._delimiter.startswith(self._buffer[start : start + len(self._delimiter)]):
            start = self._buffer.find(b"\n", start + 1)
        return start if start >= 0 else size


def _announced(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else 0
