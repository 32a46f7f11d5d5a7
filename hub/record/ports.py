"""What the record room needs of the others: small protocols that the real services fulfil."""

# ruff: noqa: D102  (the services that fulfil these say what their methods do)

from collections.abc import Iterable
from typing import Protocol

from hub.connector.record import KeepsRecords
from hub.documents.model import DocumentEntry, RetrievedDocument
from hub.patients.model import Person
from hub.values import PatientIdentifier


class Patients(Protocol):
    """The patients room."""

    def resolve(self, identifier: PatientIdentifier) -> PatientIdentifier | None: ...

    def person(self, identifier: PatientIdentifier) -> Person | None: ...

    def settled(self, number: PatientIdentifier) -> Person | None: ...


class Feeding(Protocol):
    """The access room, as far as it knows who opposes that documents are shared (Matter.FEEDING)."""

    def feeding(self, patient: PatientIdentifier) -> bool: ...


class Entries(Protocol):
    """The documents room: entries that stand, and what is in them."""

    def approved(self, entry_ids: Iterable[str]) -> tuple[DocumentEntry, ...]: ...


class Contents(Protocol):
    """The documents room, as far as it hands out documents."""

    def open_content(self, unique_id: str) -> RetrievedDocument: ...


class Manifests(Protocol):
    """The imaging room: manifests by the rules of DRIM-M."""

    def national(self, study_instance_uid: str, unique_id: str, deleted: int = ...) -> tuple[str, bytes] | None:
        """(SOPInstanceUID, bytes) of the manifest in its national form; None: the region's own one is that already."""
        ...


class Record(Protocol):
    """The connector, opened at first use."""

    def __call__(self) -> KeepsRecords: ...
