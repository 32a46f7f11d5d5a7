"""What stewards decide: links and no-matches between any two identities, and the worklist."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from hub.context import Context
from hub.patients import matching
from hub.patients.errors import (
    AmbiguousIdentifier,
    DecisionNeedsReason,
    InsConflict,
    InvalidCursor,
    LinkRefused,
    SecondStewardNeeded,
    TaskChanged,
    TaskClosed,
    TaskNotFound,
    UnknownIdentifier,
)
from hub.patients.linking import MERGE, RENUMBERED, Placed
from hub.patients.model import Identity, Link, Task, TaskKind
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
    Verdict,
    WithdrawProposal,
)
from hub.patients.stewarding import INS, StewardsWord
from hub.patients.store import Member, PatientStore
from hub.patients.store_links import NO_MATCH, Word
from hub.patients.store_search import PatientReader
from hub.patients.store_tasks import TaskReader, TaskRecord
from hub.storage.engine import UnitOfWork
from hub.usecase import use_case
from hub.values import PatientIdentifier

_MOST_TASKS = 500


class Stewardship:
    """The stewards' use cases; callers need the permission ``patients.steward``.

    ``four_eyes``: a task's verdict holds once a second steward has confirmed it."""

    def __init__(self, *, patients: PatientService, four_eyes: bool = False) -> None:
        self.patients = patients
        self.database = patients.database
        self.four_eyes = four_eyes

    @use_case
    def link(self, command: LinkIdentities, context: Context) -> Decided:
        """Two identities are one person. Raises UnknownIdentifier, DecisionNeedsReason, LinkRefused."""
        return self._decide_two(command.one, command.other, Verdict.SAME, command.reason, context)

    @use_case
    def unlink(self, command: UnlinkIdentities, context: Context) -> Decided:
        """Two identities are two persons. Raises UnknownIdentifier, DecisionNeedsReason, LinkRefused (their owner
        joined them)."""
        return self._decide_two(command.one, command.other, Verdict.DIFFERENT, command.reason, context)

    @use_case
    def explain(self, command: ExplainPair, context: Context) -> Explanation:
        """Why two identities are together or apart. Raises UnknownIdentifier."""
        with self.database.reading() as work:
            store = PatientStore(work)
            one, other = (self._member(work, store, item) for item in (command.one, command.other))
            if one.id == other.id:
                return self._same(work, store, one, command, context)
            links = tuple(_between(PatientReader(work), one, other))
            live = [link for link in links if link.ended_at is None]
            weighing = self.patients.weigh(work, store) if self.patients.weigh is not None else None
            score, keys = weighing.explain(one.identity, other.identity) if weighing else (None, ())
            rule = live[-1].rule if live else matching.basis(one.identity, other.identity) or ""
            if any(link.rule == NO_MATCH for link in live):
                rule, outcome = NO_MATCH, "apart"
            elif one.person == other.person:
                outcome = "link"
            else:
                outcome = "task" if TaskReader(work).shared(one.id, other.id) else "apart"
            for member in (one, other):
                context.touch("patient", store.person(member.person).identifier.cx)
        return Explanation(
            one=self._named(one),
            other=self._named(other),
            outcome=outcome,
            rule=rule,
            keys=tuple(dict.fromkeys((*_keys(one.identity, other.identity), *keys))),
            score=score,
            links=links,
            contradiction=matching.contradiction(one.identity, other.identity),
        )

    def _same(
        self, work: UnitOfWork, store: PatientStore, member: Member, command: ExplainPair, context: Context
    ) -> Explanation:
        """Two numbers of one identity: its owner said so (A40, A47), perhaps by way of a third."""
        numbers = (command.one, command.other)
        one, other = (store.identity(self.patients.resolved(item)) or member for item in numbers)
        gone = [item.id for item in (one, other) if item.id != member.id]
        links = tuple(link for link in PatientReader(work).links(gone) if link.rule in (MERGE, RENUMBERED))
        rule = next((link.rule for link in reversed(links) if link.ended_at is None), "")
        context.touch("patient", store.person(member.person).identifier.cx)
        return Explanation(self._named(one), self._named(other), "link", rule, links=links)

    @use_case
    def tasks(self, command: FindTasks, context: Context) -> TaskPage:  # noqa: ARG002
        """A page of open questions, the oldest first, and how many there are of each kind. Raises InvalidCursor."""
        if command.cursor and not (command.cursor.isdecimal() and len(command.cursor) < 19):
            raise InvalidCursor()
        limit = max(1, min(command.limit, _MOST_TASKS))
        with self.database.reading() as work:
            reader = TaskReader(work)
            found = reader.page(command.kind, int(command.cursor or 0), limit + 1, proposed=command.proposed)
            counts, proposed = reader.counts(), reader.proposed()
        cursor = str(found[limit - 1].id) if len(found) > limit else ""
        return TaskPage(tuple(self._task(item) for item in found[:limit]), cursor, tuple(counts.items()), proposed)

    @use_case
    def task(self, command: GetTask, context: Context) -> Task:
        """One task, open or closed. Raises TaskNotFound."""
        with self.database.reading() as work:
            found = TaskReader(work).get(command.task)
        if found is None:
            raise TaskNotFound()
        context.touch("task", str(found.id))
        return self._task(found)

    def waiting(self) -> Mapping[TaskKind, int]:
        """How many questions are open, by kind: for the operator's page and metrics."""
        with self.database.reading() as work:
            return TaskReader(work).counts()

    @use_case
    def decide(self, command: DecideTask, context: Context) -> Decided:
        """A verdict. Raises TaskNotFound, TaskClosed, TaskChanged, DecisionNeedsReason, LinkRefused,
        SecondStewardNeeded."""
        reason = _reason(command.reason)
        with self.database.transaction() as work:
            store = PatientStore(work)
            store.lock_links()
            task = _asked(store, command.task)
            other = self._other(work, store, task, command)
            _still_open(task, command.seen_at)
            context.touch("task", str(task.id))
            author = _author(context)
            if self.four_eyes and not _confirms(task, command.verdict, other.id, author):
                store.tasks.propose(task.id, command.verdict.value, other.id, author, reason)
                store.tasks.changed([task.id])
                return Decided(self._persons(store, [task.identity, other.id]), pending=True)
            store.tasks.close([task.id], decided=command.verdict.value, by=author, why=reason)
            if command.verdict is Verdict.LEAVE:
                return Decided(self._persons(store, [task.identity, other.id]))
            one = store.by_ids([task.identity])[0]
            return self._carry_out(work, (one, other), command.verdict, reason, context)

    @use_case
    def withdraw(self, command: WithdrawProposal, context: Context) -> Decided:
        """No proposal any more. Raises TaskNotFound, TaskClosed, TaskChanged."""
        with self.database.transaction() as work:
            store = PatientStore(work)
            store.lock_links()
            task = _asked(store, command.task)
            _still_open(task, command.seen_at)
            if not task.proposed or task.proposed_by != _author(context):
                raise TaskChanged()
            context.touch("task", str(task.id))
            store.tasks.propose(task.id, "", None, "", "")
            store.tasks.changed([task.id])
            return Decided(self._persons(store, sorted(task.everybody)))

    # Carrying out

    def _decide_two(
        self, one: PatientIdentifier, other: PatientIdentifier, verdict: Verdict, reason: str, context: Context
    ) -> Decided:
        reason = _reason(reason)
        with self.database.transaction() as work:
            store = PatientStore(work)
            store.lock_links()
            members = [self._member(work, store, item) for item in (one, other)]
            if members[0].id == members[1].id:
                raise LinkRefused("Both are the same identity.", why="same")
            return self._carry_out(work, (members[0], members[1]), verdict, reason, context)

    def _carry_out(
        self, work: UnitOfWork, pair: tuple[Member, Member], verdict: Verdict, reason: str, context: Context
    ) -> Decided:
        store, (one, other) = PatientStore(work), pair
        patients = self.patients
        weighing = patients.weigh(work, store) if patients.weigh is not None else None
        steward = StewardsWord(store, patients.affinity_domain, context, weighing)
        evidence = ""
        if weighing is not None:
            evidence = weighing.evidence(one.identity, other.identity)
        word = Word(_author(context), context.message_id, reason, evidence)
        try:
            decide = steward.link_two if verdict is Verdict.SAME else steward.part_two
            placed = decide(one, other, word)
        except InsConflict as conflict:
            work.on_rollback(partial(patients.keep_conflict, conflict, context))
            raise LinkRefused("They carry different qualified INS.", why=INS) from conflict
        self._tell(store, placed, [one, other], context)
        return Decided(self._persons(store, [one.id, other.id]), changed=placed.linked or placed.split)

    def _tell(self, store: PatientStore, placed: Placed, members: list[Member], context: Context) -> None:
        persons = placed.persons | {item.person for item in store.by_ids([item.id for item in members])}
        touched = self.patients.survivors(store, persons)
        self.patients.tell(store, touched, replace(placed, persons=persons), context)
        context.led_to("decision", placed.reason)

    def _persons(self, store: PatientStore, identities: list[int]) -> tuple[PatientIdentifier, ...]:
        found = [store.person(item.person).identifier for item in store.by_ids(identities)]
        return tuple(dict.fromkeys(self.patients.directory.named(item) for item in found))

    # Naming

    def _member(self, work: UnitOfWork, store: PatientStore, identifier: PatientIdentifier) -> Member:
        """The identity in use that an identifier names: a hospital's, or the only one of a person."""
        reader = PatientReader(work)
        resolved = self.patients.resolved(identifier)
        if resolved.authority not in self.patients.affinity_domains:
            found = store.identity(resolved)
            while found is not None and found.survivor is not None:
                found = store.by_ids([found.survivor])[0]
            if found is None or not found.identity.active:
                raise UnknownIdentifier()
            return found
        person = reader.regional(resolved)
        members = store.members(person) if person is not None else []
        if len(members) > 1:
            raise AmbiguousIdentifier("The person has several identities: name the one that is meant.")
        if not members:
            raise UnknownIdentifier()
        return members[0]

    def _other(self, work: UnitOfWork, store: PatientStore, task: TaskRecord, command: DecideTask) -> Member:
        other = self._member(work, store, command.other)
        if other.id not in (task.others or (task.identity,)):
            raise TaskNotFound("The task is not about this identity.")
        return other

    def _named(self, member: Member) -> Identity:
        identity, named = member.identity, self.patients.directory.named
        return replace(
            identity,
            identifier=named(identity.identifier),
            ins=named(identity.ins) if identity.ins is not None else None,
        )

    def _task(self, task: Task) -> Task:
        return replace(task, identifiers=tuple(self.patients.directory.named(item) for item in task.identifiers))


def _between(reader: PatientReader, one: Member, other: Member) -> list[Link]:
    pair = {one.identity.identifier, other.identity.identifier}
    return [link for link in reader.links([one.id]) if {link.one, link.other} == pair]


def _keys(one: Identity, other: Identity) -> list[str]:
    """On which of the rules' own keys the two meet."""
    found = [matching.SAME_INS] if one.ins is not None and one.ins == other.ins else []
    key = matching.strict_key(one)
    return found + ([matching.STRICT_TRAITS] if key is not None and key == matching.strict_key(other) else [])


def _reason(text: str) -> str:
    if not text.strip():
        raise DecisionNeedsReason()
    return text.strip()


def _author(context: Context) -> str:
    return context.principal.name or context.principal.id


def _asked(store: PatientStore, number: int) -> TaskRecord:
    task = store.tasks.get(number)
    if task is None:
        raise TaskNotFound()
    return task


def _still_open(task: TaskRecord, seen_at: datetime | None) -> None:
    if task.closed_at is not None:
        raise TaskClosed()
    if seen_at is not None and task.changed_at > seen_at:
        raise TaskChanged()


def _confirms(task: TaskRecord, verdict: Verdict, other: int, author: str) -> bool:
    """Four eyes: whether it is what somebody else proposed. Raises SecondStewardNeeded."""
    if (task.proposed, task.proposed_other) != (verdict.value, other):
        return False
    if task.proposed_by == author:
        raise SecondStewardNeeded()
    return True
