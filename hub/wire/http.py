"""HTTP requests and answers as the transactions of the FHIR and DICOMweb wires see them: no framework inside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


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

    def parameters(self, name: str) -> tuple[str, ...]:
        """All values of a query parameter."""
        return tuple(value for key, value in self.query if key == name)

    def parameter(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next(iter(self.parameters(name)), default)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One answer; a streamed body is an iterator of bytes."""

    status: int = 200
    body: bytes | Iterator[bytes] = field(default=b"", repr=False)
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
