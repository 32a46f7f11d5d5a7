"""What the imaging room needs of the other rooms: small protocols that the real services fulfil."""

# ruff: noqa: D102  (the services that fulfil these say what their methods do)

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from hub.connector.contract import Connector
from hub.context import Context
from hub.documents.model import DocumentEntry, ProvideDocuments, Registered, RetrievedDocument
from hub.imaging.sending_model import Outcome
from hub.patients.model import Person
from hub.values import PatientIdentifier


class Sources(Protocol):
    """All configured sources, with a note of how each one does."""

    def get(self, name: str) -> Connector:
        """The open connector. Raises HubError when there is none of this name, or it can't be opened."""
        ...

    def contacted(self, name: str) -> None: ...

    def failed(self, name: str, reason: str, code: str = ...) -> None: ...


class Patients(Protocol):
    """The patients room."""

    def resolve(self, identifier: PatientIdentifier) -> PatientIdentifier | None: ...

    def settle(self, *numbers: PatientIdentifier) -> None: ...

    def equivalents(self, identifier: PatientIdentifier) -> tuple[PatientIdentifier, ...]: ...

    def person(self, identifier: PatientIdentifier) -> Person | None: ...

    def meant_by(self, number: str) -> PatientIdentifier | None: ...


class ListensToPatients(Protocol):
    """A patients room that tells about changes."""

    @property
    def listeners(self) -> list[Callable[[PatientIdentifier, Iterable[PatientIdentifier], Context], None]]: ...

    @property
    def expecting(self) -> list[Callable[[Iterable[PatientIdentifier]], None]]: ...

    @property
    def regrouped(self) -> list[Callable[[Sequence[PatientIdentifier], Context], None]]: ...


class Documents(Protocol):
    """The documents room."""

    def provide(self, command: ProvideDocuments, context: Context) -> Registered: ...

    def hold_persons(self) -> None: ...


class Withdrawals(Protocol):
    """The documents room, as far as it takes back what was published."""

    def withdraw(self, entry_ids: Iterable[str], context: Context) -> tuple[str, ...]: ...

    def approved(self, entry_ids: Iterable[str]) -> tuple[DocumentEntry, ...]: ...


class Published(Protocol):
    """The documents room, as far as it hands out what was published."""

    def open_content(self, unique_id: str) -> RetrievedDocument: ...


class Senders(Protocol):
    """Whoever tells senders how far their documents came; who is not to be told is not."""

    def tell(self, outcome: Outcome, context: Context) -> None:
        """In the open unit of work."""
        ...


class Spooled(Protocol):
    """A file in the content store's spool."""

    @property
    def path(self) -> Path: ...
    @property
    def size(self) -> int: ...
    @property
    def sha1(self) -> str: ...


class Contents(Protocol):
    """The content store."""

    def receive(self, chunks: Iterable[bytes]) -> Spooled: ...

    def put(self, path: Path, sha1: str) -> str: ...

    def path(self, address: str) -> Path: ...
