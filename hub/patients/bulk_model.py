"""Imports of many identities, as values."""

from dataclasses import dataclass
from datetime import datetime

from hub.errors import HubError
from hub.patients.forms import Forms
from hub.usecase import Command


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a file. ``record`` counts from 1, ``line`` is where it begins; either a command or an error.

    ``forms``: of the traits of a FeedIdentity, where they were reckoned ahead."""

    record: int
    line: int
    command: Command | None = None
    error: HubError | None = None
    forms: Forms | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that was refused: the error's code and the field at fault, never a value."""

    record: int
    line: int
    code: str
    field: str


@dataclass(frozen=True, slots=True)
class Imported:
    """How far an import is: ``position`` records were read; each was taken or refused.

    Of those taken: ``created`` made a person, ``linked`` joined one, ``known`` were there before, ``other`` merged
    or moved."""

    id: str
    position: int = 0
    taken: int = 0
    created: int = 0
    linked: int = 0
    known: int = 0
    other: int = 0
    refused: int = 0
    done_at: datetime | None = None
