"""HTTP requests and answers as the transactions of the FHIR and DICOMweb wires see them: no framework inside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hub.wire.pieces import Chunk, plain


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
        """What the inbox keeps of it."""
        return self.body

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

    def chunks(self) -> Iterator[bytes]:
        """The body as bytes, whatever it is made of."""
        return plain((self.body,) if isinstance(self.body, bytes) else self.body)
