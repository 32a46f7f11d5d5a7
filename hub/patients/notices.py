"""Tells the consumers of cross-references which lists of numbers changed (ITI TF-2: 3.10, 3.46): decides, and queues.

A notice is queued in the commit that changed the list, so none is lost and none is told of what was taken back."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.context import Context
from hub.patients.model import Person
from hub.patients.service import PatientService
from hub.patients.store_notices import NoticeStore
from hub.storage.engine import Database
from hub.values import PatientIdentifier

#: Kind of the deliveries that carry a notice.
NOTICE = "cross-reference-notice"

#: ``ExchangeService.enqueue``
Enqueue = Callable[[str, str, Mapping[str, Any], Context], str]


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is told. ``domains``: OIDs of the domains of interest."""

    name: str
    domains: frozenset[str]


@dataclass(frozen=True, slots=True)
class Notice:
    """The whole list of one person's numbers in the domains of interest, as it is now. ``regional``: the person."""

    recipient: str
    regional: PatientIdentifier
    identifiers: tuple[PatientIdentifier, ...]

    @property
    def payload(self) -> dict[str, Any]:
        """As JSON values."""
        every = [[item.value, item.authority, item.type_code, item.namespace] for item in self.identifiers]
        return {
            "recipient": self.recipient,
            "regional": [self.regional.value, self.regional.authority],
            "identifiers": every,
        }

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Notice":
        """From ``payload``."""
        every = tuple(PatientIdentifier(*item) for item in payload["identifiers"])
        return cls(payload["recipient"], PatientIdentifier(*payload["regional"]), every)


class Notices:
    """A listener of the patients room. A recipient is told when a list of two numbers or more comes to be, changes, or
    falls apart; not of a number that stands alone, nor of a name that changed."""

    def __init__(
        self, *, database: Database, patients: PatientService, enqueue: Enqueue, recipients: Sequence[Recipient]
    ) -> None:
        self.database = database
        self.patients = patients
        self.enqueue = enqueue
        self.recipients = tuple(recipients)

    def changed(self, regional: PatientIdentifier, numbers: Iterable[PatientIdentifier], context: Context) -> None:  # noqa: ARG002
        """A person changed: within the unit of work that changed it."""
        person = self.patients.person(regional) if self.recipients else None
        if person is None:
            return
        for recipient in self.recipients:
            listed = _listed(person, recipient.domains)
            if listed:
                self._tell(recipient.name, person.regional, listed, context)

    def _tell(
        self, recipient: str, regional: PatientIdentifier, listed: tuple[PatientIdentifier, ...], context: Context
    ) -> None:
        with self.database.transaction() as work:
            store = NoticeStore(work, recipient)
            before, now = store.told(listed), _hash(listed)
            if len(listed) == 1:
                if not before:
                    return
                store.forget(listed)
            elif len(before) == len(listed) and set(before.values()) == {now}:
                return
            else:
                store.remember(listed, now)
            self.enqueue(f"notify:{recipient}", NOTICE, Notice(recipient, regional, listed).payload, context)
            context.led_to("notice", recipient)


def _listed(person: Person, domains: frozenset[str]) -> tuple[PatientIdentifier, ...]:
    every = [person.regional, *([person.ins] if person.ins else [])]
    every += [identity.identifier for identity in person.identities]
    return tuple(dict.fromkeys(item for item in every if item.authority in domains))


def _hash(listed: Iterable[PatientIdentifier]) -> int:
    text = "~".join(sorted(f"{item.value}^{item.authority}" for item in listed))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
