"""What feeds of several changes say, and what became of each (PIXm: ITI-104, PMIR: ITI-93). Frozen values."""

from dataclasses import dataclass

from hub.patients.model import FeedIdentity, MergeIdentities
from hub.patients.steward_model import WithdrawIdentity
from hub.usecase import Command
from hub.values import PatientIdentifier

Change = FeedIdentity | MergeIdentities | WithdrawIdentity


@dataclass(frozen=True, slots=True)
class ReceiveIdentities(Command):
    """What a source says of its own identities, in order. Outcome: tuple of Received, one each."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one change. ``created``: the number was not known; ``regional`` None: it was withdrawn before."""

    regional: PatientIdentifier | None
    created: bool = False
