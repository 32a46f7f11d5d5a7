# ruff: noqa: D102  (the services that fulfil these say what their methods do)
"""What the subscriptions room needs of the other rooms."""

from collections.abc import Iterable
from typing import Protocol

from hub.access.model import Principal
from hub.context import Context
from hub.patients.model import Person
from hub.values import PatientIdentifier


class Patients(Protocol):
    """The patients room."""

    def equivalents(self, identifier: PatientIdentifier) -> tuple[PatientIdentifier, ...]: ...

    def resolve(self, identifier: PatientIdentifier) -> PatientIdentifier | None: ...

    def registered(self, identifier: PatientIdentifier) -> bool: ...


class Persons(Protocol):
    """The patients room, where persons themselves are told of."""

    def person(self, identifier: PatientIdentifier) -> Person | None: ...

    def with_details(self, persons: Iterable[Person]) -> tuple[Person, ...]: ...


class Access(Protocol):
    """The access room."""

    def permit(self, principal: Principal, permission: str, context: Context) -> None: ...

    def named(self, principal_id: str) -> Principal | None: ...
