"""The content store, as the services of documents see it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from hub.storage.content import ReceivedFile


class Spool(Protocol):
    """The content store, as it is seen here."""

    def receive(self, chunks: Iterable[bytes]) -> ReceivedFile:
        """Spool bytes."""
        ...

    def path(self, address: str) -> Path:
        """Where the content is. Raises NotFound."""
        ...
