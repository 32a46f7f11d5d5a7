"""What stewards and owners decide about identities, and why two of them are one person or not. Frozen values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.access.rights_model import Said
from hub.patients.model import Identity, Link, Task, TaskKind
from hub.usecase import Command
from hub.values import PatientIdentifier


class Verdict(StrEnum):
    """A steward's answer to a task."""

    SAME = "same"  #: one person: linked, whatever the score says
    DIFFERENT = "different"  #: two persons: edges between them end, a no-match stands against automatic links
    LEAVE = "leave"  #: nothing changes, and the question is not asked again for the same evidence


@dataclass(frozen=True, slots=True)
class FieldWeight:
    """What one comparison contributes to a score. ``weight``: bits (log2 of the Bayes factor)."""

    field: str
    level: str
    weight: float


@dataclass(frozen=True, slots=True)
class Score:
    """Fellegi-Sunter: the sum of the fields' weights and the prior's. ``vetoes``: why it may not decide anyhow."""

    weight: float
    probability: float
    fields: tuple[FieldWeight, ...] = ()
    vetoes: tuple[str, ...] = ()
    model_version: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why two identities are one person, or are not. ``rule``: what decides, as in ``Link.rule``, or "" for nothing.

    ``outcome``: "link", "task" or "apart". ``keys``: names of the blocking keys on which they meet."""

    one: Identity
    other: Identity
    outcome: str
    rule: str
    keys: tuple[str, ...] = ()
    score: Score | None = None
    links: tuple[Link, ...] = ()  #: the edges and no-matches between the two, past ones too
    contradiction: str = ""  #: the first strict trait that contradicts


@dataclass(frozen=True, slots=True)
class Decided:
    """Outcome of a decision. ``pending``: a second steward must confirm it first (four eyes)."""

    persons: tuple[PatientIdentifier, ...] = ()  #: regional identifiers of the persons concerned, as they are now
    changed: bool = False
    pending: bool = False


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Open questions, the oldest first; ``cursor`` "" at the end; ``open`` counts all by kind.

    ``proposed``: how many of all await a second steward."""

    tasks: tuple[Task, ...]
    cursor: str = ""
    open: tuple[tuple[TaskKind, int], ...] = ()
    proposed: int = 0


@dataclass(frozen=True, slots=True)
class LinkIdentities(Command):
    """A steward says that two identities are one person (``Patient/$link``). Outcome: Decided.

    Raises UnknownIdentifier, DecisionNeedsReason, LinkRefused (two of one authority; two different qualified INS)."""

    one: PatientIdentifier
    other: PatientIdentifier
    reason: str


@dataclass(frozen=True, slots=True)
class UnlinkIdentities(Command):
    """A steward says that two identities are two persons (``Patient/$unlink``). Outcome: Decided.

    Raises UnknownIdentifier, DecisionNeedsReason."""

    one: PatientIdentifier
    other: PatientIdentifier
    reason: str


@dataclass(frozen=True, slots=True)
class ExplainPair(Command):
    """Why two identities are together or apart (``Patient/$explain``). Outcome: Explanation.

    Raises UnknownIdentifier."""

    one: PatientIdentifier
    other: PatientIdentifier


@dataclass(frozen=True, slots=True)
class FindTasks(Command):
    """The stewards' worklist. ``kind`` None: every kind. Outcome: TaskPage."""

    kind: TaskKind | None = None
    limit: int = 50
    cursor: str = ""  #: a page's, or a task's number as text: what comes after that task
    proposed: bool = False  #: only those whose proposed answer awaits a second steward


@dataclass(frozen=True, slots=True)
class GetTask(Command):
    """One task, open or closed. Outcome: Task. Raises TaskNotFound."""

    task: int


@dataclass(frozen=True, slots=True)
class DecideTask(Command):
    """A steward answers a task, about the identity and one of the others it names. Outcome: Decided.

    Raises TaskNotFound, TaskClosed, DecisionNeedsReason, SecondStewardNeeded (four eyes: the same person twice)."""

    task: int
    other: PatientIdentifier
    verdict: Verdict
    reason: str
    seen_at: datetime | None = None  #: when the steward saw it: refused (TaskChanged) if it changed since


@dataclass(frozen=True, slots=True)
class WithdrawProposal(Command):
    """A steward takes back the answer that they proposed and nobody has confirmed (four eyes). Outcome: Decided.

    Raises TaskNotFound, TaskClosed, TaskChanged (also where the proposal is not theirs)."""

    task: int
    seen_at: datetime | None = None  #: as of ``DecideTask``


@dataclass(frozen=True, slots=True)
class OwnerLink(Command):
    """An owner says that two numbers of its own domain are one person (A24). Both stay in use. Outcome: Fed.

    ``details``: as of ``FeedDetails``, of the one and of the other; ``said``: as of ``FeedIdentity``, likewise."""

    one: Identity
    other: Identity
    details: tuple[Mapping[str, str], Mapping[str, str]] = field(default_factory=lambda: ({}, {}))
    said: tuple[Sequence[Said], Sequence[Said]] = ((), ())


@dataclass(frozen=True, slots=True)
class OwnerUnlink(Command):
    """An owner takes its A24 back (A37). ``said``: as of ``OwnerLink``. Outcome: Fed. Raises UnknownIdentifier."""

    one: PatientIdentifier
    other: PatientIdentifier
    said: tuple[Sequence[Said], Sequence[Said]] = ((), ())


@dataclass(frozen=True, slots=True)
class ChangeIdentifier(Command):
    """An owner gives an identity another number (A47): ``old`` stays an alias, never given again.

    ``details``: as of ``FeedDetails``; ``said``: as of ``FeedIdentity``. Outcome: Fed."""

    identity: Identity  #: with its new number
    old: PatientIdentifier
    details: Mapping[str, str] = field(default_factory=dict)
    said: Sequence[Said] = ()


@dataclass(frozen=True, slots=True)
class WithdrawIdentity(Command):
    """An owner deletes an identity (A29) or takes back its announcement (A11 of a first A01). Outcome: Fed."""

    identifier: PatientIdentifier
