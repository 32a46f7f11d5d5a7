"""The content store, as the services of documents see it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class Received(Protocol):
    """A spooled file."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def sha1(self) -> str:
        """Hexadecimal."""
        ...

    @property
    def sha256(self) -> str:
        """Hexadecimal."""
        ...


class Spool(Protocol):
    """The content store, as it is seen here."""

    def receive(self, chunks: Iterable[bytes]) -> Received:
        """Spool bytes."""
        ...

    def path(self, sha256: str) -> Path:
        """Where the content is. Raises NotFound."""
        ...
