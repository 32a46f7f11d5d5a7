"""HTTP requests and answers as the transactions of the FHIR and DICOMweb wires see them: no framework inside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, urlencode

from hub.wire.pieces import Chunk, plain

_LINED = ("PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. Header names are lower case; ``query`` keeps order and repetition."""

    method: str
    path: str
    base: str = ""  #: absolute URL of the service root, without a trailing slash
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def raw(self) -> bytes:
        """What the inbox keeps of it: the body, and the request's line where that says what the body is about."""
        if self.method not in _LINED:
            return self.body
        query = urlencode(self.query)
        return f"{self.method} {self.path}?{query} HTTP/1.1\r\n\r\n".encode() + self.body

    @classmethod
    def of_raw(cls, raw: bytes, headers: Mapping[str, str]) -> Self:
        """The request that was kept."""
        line, _, body = raw.partition(b"\r\n\r\n")
        method, _, rest = line.partition(b" ")
        if method.decode("ascii", "replace") not in _LINED:
            return cls("POST", "", headers=headers, body=raw)
        path, _, query = rest.decode().removesuffix(" HTTP/1.1").partition("?")
        return cls(method.decode(), path, query=tuple(parse_qsl(query)), headers=headers, body=body)

    @property
    def control_id(self) -> str:
        """HTTP has none: the same bytes twice are two requests."""
        return ""

    @property
    def event(self) -> str:
        """What is done to what: never the path's ids."""
        return self.method

    def parameters(self, name: str) -> tuple[str, ...]:
        """All values of a query parameter."""
        return tuple(value for key, value in self.query if key == name)

    def parameter(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next(iter(self.parameters(name)), default)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One answer; a streamed body is an iterator of bytes and stretches of files."""

    status: int = 200
    body: bytes | Iterator[Chunk] = field(default=b"", repr=False)
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    lasting: bool = False  #: its source may still fail while it is sent: how it ended is told by whoever sends it

    def chunks(self) -> Iterator[bytes]:
        """The body as bytes, whatever it is made of."""
        return plain((self.body,) if isinstance(self.body, bytes) else self.body)
