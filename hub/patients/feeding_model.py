"""What feeds of several changes say, and what became of each (PIXm: ITI-104, PMIR: ITI-93). Frozen values."""

from dataclasses import dataclass

from hub.patients.model import FeedIdentity, MergeIdentities, Person
from hub.patients.steward_model import WithdrawIdentity
from hub.usecase import Command
from hub.values import PatientIdentifier

Change = FeedIdentity | MergeIdentities | WithdrawIdentity


@dataclass(frozen=True, slots=True)
class ReceiveIdentities(Command):
    """What a source says of its own identities, in order. Outcome: tuple of Received, one each.

    ``shown``: they tell what is kept."""

    changes: tuple[Change, ...]
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one change. ``created``: the number was not known; ``regional`` None: it was withdrawn before.

    ``doubts``: codes of what of it is not kept (``doubts_model``). ``kept``: the identity as it is now, where that was
    asked for: a person of that one identity, for who feeds a number need not know what other hospitals say."""

    regional: PatientIdentifier | None
    created: bool = False
    doubts: tuple[str, ...] = ()
    kept: Person | None = None
