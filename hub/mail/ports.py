"""What the mail room needs of the others: small protocols that the real services fulfil."""

# ruff: noqa: D102  (the services that fulfil these say what their methods do)

from collections.abc import Iterable
from typing import Protocol

from hub.access.rights_model import Choice, Matter
from hub.documents.model import DocumentEntry, RetrievedDocument
from hub.mail.model import Outgoing
from hub.patients.model import Person
from hub.values import PatientIdentifier


class Patients(Protocol):
    """The patients room."""

    def person(self, identifier: PatientIdentifier) -> Person | None: ...

    def settled(self, number: PatientIdentifier) -> Person | None: ...


class Words(Protocol):
    """The access room, as far as it knows what a patient said to everybody."""

    def said(self, patient: PatientIdentifier, matter: Matter) -> Choice: ...


class Entries(Protocol):
    """The documents room: entries that stand."""

    def approved(self, entry_ids: Iterable[str]) -> tuple[DocumentEntry, ...]: ...


class Contents(Protocol):
    """The documents room, as far as it hands out documents."""

    def open_content(self, unique_id: str) -> RetrievedDocument: ...


class Post(Protocol):
    """The mail server."""

    def send(self, letter: Outgoing) -> None:
        """Raises MailUnavailable, MailMisconfigured, RecipientRefused, MessageRefused, MailTooLarge."""
        ...
