"""The content store and other communities, as the services of documents see them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hub.context import Context
from hub.documents.model import DocumentRequest, RegistryObject, RetrievedDocument, StoredQuery
from hub.documents.sharing_model import CommunityStatus
from hub.storage.content import ReceivedFile


class Spool(Protocol):
    """The content store, as it is seen here."""

    def receive(self, chunks: Iterable[bytes]) -> ReceivedFile:
        """Spool bytes."""
        ...

    def path(self, address: str) -> Path:
        """Where the content is. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class ToldElsewhere:
    """What other communities answered to a stored query; every object has its home."""

    objects: tuple[RegistryObject, ...]
    statuses: tuple[CommunityStatus, ...]


class Elsewhere(Protocol):
    """Other communities (XCA), each by its homeCommunityId and by a short key that ids can carry."""

    def meant(self, named: Sequence[str]) -> tuple[str, ...]:
        """The others that a search asks: of those that it names, or of all."""
        ...

    def home_of(self, key: str) -> str:
        """Raises UnknownCommunity."""
        ...

    def key_of(self, home: str) -> str:
        """The key of a community."""
        ...

    def query(self, query: StoredQuery, homes: Sequence[str], context: Context) -> ToldElsewhere:
        """Ask these communities, within their deadlines (ITI-38)."""
        ...

    def retrieve(self, request: DocumentRequest, context: Context) -> RetrievedDocument:
        """A document of another community (ITI-39). Raises why it can't be had."""
        ...
