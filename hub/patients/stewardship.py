"""What stewards decide: links and no-matches between any two identities, and the worklist."""

from collections.abc import Mapping

from hub.context import Context
from hub.errors import Unsupported
from hub.patients.model import Task, TaskKind
from hub.patients.service import PatientService
from hub.patients.steward_model import (
    Decided,
    DecideTask,
    ExplainPair,
    Explanation,
    FindTasks,
    GetTask,
    LinkIdentities,
    TaskPage,
    UnlinkIdentities,
)
from hub.usecase import use_case


class Stewardship:
    """The stewards' use cases; callers need the permission ``patients.steward``.

    ``four_eyes``: a task's verdict holds once a second steward has confirmed it."""

    def __init__(self, *, patients: PatientService, four_eyes: bool = False) -> None:
        self.patients = patients
        self.four_eyes = four_eyes

    @use_case
    def link(self, command: LinkIdentities, context: Context) -> Decided:
        """Two identities are one person. Raises UnknownIdentifier, DecisionNeedsReason, LinkRefused."""
        raise Unsupported()

    @use_case
    def unlink(self, command: UnlinkIdentities, context: Context) -> Decided:
        """Two identities are two persons. Raises UnknownIdentifier, DecisionNeedsReason."""
        raise Unsupported()

    @use_case
    def explain(self, command: ExplainPair, context: Context) -> Explanation:
        """Why two identities are together or apart. Raises UnknownIdentifier."""
        raise Unsupported()

    @use_case
    def tasks(self, command: FindTasks, context: Context) -> TaskPage:
        """A page of open questions, the oldest first, and how many there are of each kind. Raises InvalidCursor."""
        raise Unsupported()

    @use_case
    def task(self, command: GetTask, context: Context) -> Task:
        """One task, open or closed. Raises TaskNotFound."""
        raise Unsupported()

    def waiting(self) -> Mapping[TaskKind, int]:
        """How many questions are open, by kind: for the operator's page and metrics."""
        raise Unsupported()

    @use_case
    def decide(self, command: DecideTask, context: Context) -> Decided:
        """A verdict. Raises TaskNotFound, TaskClosed, TaskChanged, DecisionNeedsReason, LinkRefused,
        SecondStewardNeeded."""
        raise Unsupported()
