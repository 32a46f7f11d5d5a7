"""Questions for stewards: asked once, kept when they are closed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from hub.patients.model import Task, TaskKind
from hub.patients.store_tables import IDENTITY, TASK, TASK_ABOUT
from hub.storage.engine import UnitOfWork, Values
from hub.storage.prepared import Prepared
from hub.values import PatientIdentifier, now


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be asked. ``fingerprint``: of what was compared."""

    kind: TaskKind
    identity: int
    others: tuple[int, ...]
    reason: str
    fingerprint: int = 0
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A stored task."""

    id: int
    kind: TaskKind
    identity: int
    others: tuple[int, ...]
    changed_at: datetime
    closed_at: datetime | None
    proposed: str
    proposed_other: int | None
    proposed_by: str
    fingerprint: int

    @property
    def everybody(self) -> frozenset[int]:
        """All identities that it is about."""
        return frozenset((self.identity, *self.others))


#: Note of a unit of work: the rows' ids of identities that it made and that no question is about yet.
UNASKED = "patients:unasked"
ABOUT_COLUMNS = tuple(
    TASK.c[name]
    for name in (
        *("id", "kind", "identity", "others", "changed_at", "closed_at"),
        *("proposed", "proposed_other", "proposed_by", "fingerprint"),
    )
)
_ABOUT = Prepared(
    lambda _dialect: (
        select(*ABOUT_COLUMNS)
        .join(TASK_ABOUT, TASK_ABOUT.c.task == TASK.c.id)
        .where(TASK_ABOUT.c.identity == bindparam("identity"))
    )
)
_ASKED = Prepared(
    lambda _dialect: select(TASK.c.others, TASK.c.closed_at, TASK.c.decided, TASK.c.fingerprint).where(
        TASK.c.identity == bindparam("identity"), TASK.c.kind == bindparam("kind")
    )
)
_GIVEN = (
    *("kind", "identity", "others", "reason", "evidence", "fingerprint", "message_id", "created_at", "changed_at"),
    *("proposed", "proposed_by", "decided", "decided_by", "decided_why"),
)
_ASK = Prepared(lambda _dialect: insert(TASK).returning(TASK.c.id), *_GIVEN)
#: With an id that was taken before.
ASK_AS = Prepared(lambda _dialect: insert(TASK).inline(), "id", *_GIVEN)
_ABOUT_WHOM = Prepared(lambda _dialect: insert(TASK_ABOUT), "identity", "task")


_CLOSE = Prepared(
    lambda _dialect: update(TASK).where(TASK.c.id == bindparam("task"), TASK.c.closed_at.is_(None)),
    *("closed_at", "decided", "decided_by", "decided_why"),
)
_FORGET = Prepared(lambda _dialect: delete(TASK_ABOUT).where(TASK_ABOUT.c.task == bindparam("task")))


@dataclass(frozen=True, slots=True)
class AskedRow:
    """What was asked of an identity once."""

    others: Sequence[int]
    closed_at: datetime | None
    decided: str
    fingerprint: int


def task_record(row: Any) -> TaskRecord:
    """From a row of ABOUT_COLUMNS."""
    key, kind, identity, others, *rest = row
    return TaskRecord(key, TaskKind(kind), identity, tuple(others), *rest)


class TaskStore:
    """Tasks, for changes."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    @property
    def _connection(self) -> Connection:
        """For questions and changes: what waits is written before."""
        self._work.flush()
        return self._work.connection

    def ask(self, question: Question, message_id: str = "") -> bool:
        """Ask, once; False when it is open already, or was decided for the same evidence."""
        everybody = {question.identity, *question.others}
        unasked: set[int] = self._work.notes.get(UNASKED, set())
        if not everybody & unasked and self._asked(question, everybody):
            return False
        unasked -= everybody
        self._add(question, message_id)
        return True

    def _add(self, question: Question, message_id: str) -> int:
        """Its row's id."""
        values = self._values(question, message_id)
        [(task,)] = _ASK.rows(self._work.connection, values)  # what waits may go on waiting: no row refers to it
        self._about_whom(task, question)
        return int(task)

    def _about_whom(self, task: int, question: Question) -> None:
        for key in {question.identity, *question.others}:
            self._work.later(_ABOUT_WHOM, {"identity": key, "task": task})

    @staticmethod
    def _values(question: Question, message_id: str) -> Values:
        at = now()
        return {
            "kind": question.kind.value, "identity": question.identity, "others": sorted(question.others),
            "reason": question.reason, "evidence": question.evidence, "fingerprint": question.fingerprint,
            "message_id": message_id, "created_at": at, "changed_at": at, "proposed": "", "proposed_by": "",
            "decided": "", "decided_by": "", "decided_why": "",
        }  # fmt: skip

    def _asked(self, question: Question, everybody: set[int]) -> bool:
        for identity in everybody:
            for row in self._asked_of(identity, question.kind):
                if {identity, *row.others} == everybody and (
                    row.closed_at is None or (row.decided and row.fingerprint == question.fingerprint)
                ):
                    return True
        return False

    def _asked_of(self, identity: int, kind: TaskKind) -> list[AskedRow]:
        rows = _ASKED.rows(self._connection, {"identity": identity, "kind": kind.value})
        return [AskedRow(*row) for row in rows]

    def about(self, identity: int) -> list[TaskRecord]:
        """Open tasks that name the identity."""
        return [task_record(row) for row in _ABOUT.rows(self._connection, {"identity": identity})]

    def get(self, task: int) -> TaskRecord | None:
        """One task; of two who want to decide it, the second waits."""
        row = self._connection.execute(select(*ABOUT_COLUMNS).where(TASK.c.id == task).with_for_update()).first()
        return task_record(row) if row else None

    def close(self, tasks: Iterable[int], *, decided: str = "", by: str = "", why: str = "") -> None:
        """Decided, or (with nothing said) the question went away."""
        ids = sorted(tasks)
        if ids:
            values = {"closed_at": now(), "decided": decided, "decided_by": by, "decided_why": why}
            self._write(_CLOSE, [{**values, "task": task} for task in ids])
            self._write(_FORGET, [{"task": task} for task in ids])

    def _write(self, statement: Prepared, rows: Sequence[Values]) -> None:
        """Execute what gives no rows, once a row."""
        statement.many(self._connection, rows)

    def changed(self, tasks: Iterable[int]) -> None:
        """What they are about changed: who looked at them before must look again."""
        ids = sorted(tasks)
        if ids:
            self._connection.execute(update(TASK).where(TASK.c.id.in_(ids)).values(changed_at=now()))

    def propose(self, task: int, verdict: str, other: int | None, by: str, why: str) -> None:
        """A first verdict, to be confirmed by somebody else; "": none any more."""
        values = {"proposed": verdict, "proposed_other": other, "proposed_by": by, "decided_why": why}
        self._connection.execute(update(TASK).where(TASK.c.id == task).values(values))


class TaskReader:
    """Tasks, for questions."""

    def __init__(self, work: UnitOfWork) -> None:
        self._connection = work.connection

    def newest(self, limit: int, *, closed: bool) -> list[Task]:
        """The newest first; ``closed``: also those."""
        query = select(TASK).order_by(TASK.c.id.desc()).limit(limit)
        return self._tasks(query if closed else query.where(TASK.c.closed_at.is_(None)))

    def page(self, kind: TaskKind | None, after: int, limit: int, *, proposed: bool = False) -> list[Task]:
        """Open ones, the oldest first; ``proposed``: those that await a second steward."""
        query = select(TASK).where(TASK.c.closed_at.is_(None), TASK.c.id > after)
        if kind is not None:
            query = query.where(TASK.c.kind == kind.value)
        if proposed:
            query = query.where(TASK.c.proposed != "")
        return self._tasks(query.order_by(TASK.c.id).limit(limit))

    def get(self, task: int) -> Task | None:
        """One, open or closed."""
        found = self._tasks(select(TASK).where(TASK.c.id == task))
        return found[0] if found else None

    def counts(self) -> dict[TaskKind, int]:
        """How many are open, by kind: from the index of open ones alone."""
        query = select(TASK.c.kind, func.count()).where(TASK.c.closed_at.is_(None)).group_by(TASK.c.kind)
        found = {row[0]: row[1] for row in self._connection.execute(query)}
        return {kind: found.get(kind.value, 0) for kind in TaskKind}

    def proposed(self) -> int:
        """How many open ones await a second steward."""
        query = select(func.count()).where(TASK.c.closed_at.is_(None), TASK.c.proposed != "").select_from(TASK)
        return self._connection.scalar(query) or 0

    def shared(self, one: int, other: int) -> bool:
        """Whether an open task is about both."""
        mine, theirs = TASK_ABOUT.alias(), TASK_ABOUT.alias()
        query = select(mine.c.task).join(theirs, theirs.c.task == mine.c.task)
        query = query.where(mine.c.identity == one, theirs.c.identity == other).limit(1)
        return self._connection.execute(query).first() is not None

    def _tasks(self, query: Any) -> list[Task]:
        rows = self._connection.execute(query).mappings().all()
        names = self._names({key for row in rows for key in (row["identity"], *row["others"])})
        return [
            _task(
                row,
                [names[key] for key in (row["identity"], *row["others"]) if key in names],
                names.get(row["proposed_other"]) if row["proposed"] else None,
            )
            for row in rows
        ]

    def _names(self, ids: Iterable[int]) -> dict[int, PatientIdentifier]:
        query = select(IDENTITY.c.id, IDENTITY.c.value, IDENTITY.c.authority).where(IDENTITY.c.id.in_(sorted(ids)))
        return {key: PatientIdentifier(value, oid) for key, value, oid in self._connection.execute(query)}


def _task(row: Any, identifiers: Sequence[PatientIdentifier], about: PatientIdentifier | None) -> Task:
    return Task(
        id=row["id"],
        kind=TaskKind(row["kind"]),
        identifiers=tuple(identifiers),
        reason=row["reason"],
        created_at=row["created_at"],
        closed_at=row["closed_at"],
        evidence=row["evidence"],
        proposed=row["proposed"],
        proposed_by=row["proposed_by"],
        proposed_about=about,
        decided=row["decided"],
        decided_by=row["decided_by"],
        decided_why=row["decided_why"],
    )
