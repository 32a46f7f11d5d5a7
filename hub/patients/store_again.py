"""The store of identities that are looked at again together: what concerns them is read with few statements, what
comes of it is written at once.

It answers as ``PatientStore`` does; what it has not read, or no longer knows for certain, it asks the database for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from hub.patients import matching
from hub.patients.model import Identity, TaskKind
from hub.patients.store import ABSORB, Member
from hub.patients.store_batch import BatchStore
from hub.patients.store_links import NO_MATCH, Edge, LinkStore, Word
from hub.patients.store_tables import LINK, TASK
from hub.patients.store_tasks import ABOUT_COLUMNS, ASK_AS, AskedRow, Question, TaskRecord, TaskStore, task_record
from hub.patients.store_together import NEXT, READ_ROWS
from hub.storage.arrays import listed
from hub.storage.engine import UnitOfWork, Values
from hub.storage.prepared import Prepared, ask
from hub.values import now

_ENDS = ("one", "other")
_WAITS = 0  # id of an edge that is not written yet
_TASKS_AHEAD = 2  # new questions of an identity for which ids are taken
_AMONG = {
    "postgresql": "unnest((SELECT CAST(:keys AS bigint[]))) AS a(value)",
    "sqlite": "json_each(:keys) AS a",
}
_NO_MATCH = f"x.rule = '{NO_MATCH}' AND x.ended_at IS NULL"


def _edges(dialect: str) -> str:
    """(whose, edge) of the live edges and no-matches of identities."""
    columns = "a.value, x.id, x.one, x.other, x.rule"
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {_AMONG[dialect]} "  # noqa: S608 (our own names)
        f"CROSS JOIN patients_link AS x WHERE x.{end} = a.value AND x.ended_at IS NULL"
        for end in _ENDS
    )


def _apart(dialect: str) -> str:
    """The persons of whose identities somebody said that they are somebody else's; numbers out of use count."""
    ends = " OR ".join(
        f"EXISTS (SELECT 1 FROM patients_link AS x WHERE x.{end} = m.id AND {_NO_MATCH})"  # noqa: S608
        for end in _ENDS
    )
    return f"""
        SELECT a.value FROM {_AMONG[dialect]} CROSS JOIN patients_identity AS m
        WHERE m.person = a.value AND ({ends})
    """  # noqa: S608


def _tasks(dialect: str) -> str:
    """The questions of identities, also those that are closed."""
    return f"""
        SELECT x.identity, x.id, x.kind, x.others, x.closed_at, x.decided, x.fingerprint
        FROM {_AMONG[dialect]} CROSS JOIN patients_task AS x WHERE x.identity = a.value
    """  # noqa: S608


def _about(dialect: str) -> str:
    """(whom it is about, open question)."""
    columns = ", ".join(f"x.{column.name}" for column in ABOUT_COLUMNS)
    return f"""
        SELECT a.value, {columns} FROM {_AMONG[dialect]} CROSS JOIN patients_task_about AS b
        CROSS JOIN patients_task AS x WHERE b.identity = a.value AND x.id = b.task
    """  # noqa: S608


_ASKED_COLUMNS = tuple(TASK.c[name] for name in ("id", "kind", "others", "closed_at", "decided", "fingerprint"))
_EDGES = Prepared(lambda dialect: text(_edges(dialect)))
_APART = Prepared(lambda dialect: text(_apart(dialect)))
_TASKS = Prepared(lambda dialect: text(_tasks(dialect)).columns(TASK.c.identity, *_ASKED_COLUMNS))
_ABOUT = Prepared(lambda dialect: text(_about(dialect)).columns(LINK.c.one, *ABOUT_COLUMNS))


class KnownLinks(LinkStore):
    """The edges of some identities, and the no-matches of their persons."""

    def __init__(self, work: UnitOfWork) -> None:
        super().__init__(work)
        self.forget()

    def forget(self) -> None:
        """The database knows."""
        self._edges: dict[int, list[Edge]] = {}
        self._free: set[int] = set()  # persons without no-matches

    def took(self, identities: Iterable[int], rows: Iterable[Any], persons: Iterable[int], barred: set[int]) -> None:
        """What was read: of the identities, and which of the persons have no-matches."""
        self._edges = {identity: [] for identity in identities}
        for whose, *edge in rows:
            self._edges[whose].append(Edge(*edge))
        self._free = set(persons) - barred

    def absorbed(self, lost: int, survivor: int) -> None:
        """One person became another."""
        if lost not in self._free:
            self._free.discard(survivor)

    def add(self, one: int, other: int, rule: str, word: Word) -> None:
        """As the base's."""
        super().add(one, other, rule, word)
        for identity in {one, other} & self._edges.keys():
            self._edges[identity].append(Edge(_WAITS, one, other, rule))
        if rule == NO_MATCH:
            self.forget()

    def end(self, edges: Iterable[int], why: str, by: str = "") -> None:
        """As the base's."""
        ids = set(edges)
        if _WAITS in ids:
            raise ValueError("an edge that is not written yet has no id")
        super().end(ids, why, by)
        self.forget()

    def edges(self, identities: Iterable[int]) -> list[Edge]:
        """As the base's."""
        ids = list(identities)
        if len(ids) != 1 or ids[0] not in self._edges:
            return super().edges(ids)
        return [edge for edge in self._edges[ids[0]] if edge.rule != NO_MATCH]

    def barred(self, identity: int) -> set[int]:
        """As the base's."""
        if identity not in self._edges:
            return super().barred(identity)
        return {edge.far(identity) for edge in self._edges[identity] if edge.rule == NO_MATCH}

    def apart(self, person: int, other: int) -> list[Edge]:
        """As the base's."""
        return [] if not {person, other}.isdisjoint(self._free) else super().apart(person, other)


class KnownTasks(TaskStore):
    """The questions of and about some identities."""

    def __init__(self, work: UnitOfWork) -> None:
        super().__init__(work)
        self.forget()

    def forget(self) -> None:
        """The database knows."""
        self._ids: Iterator[int] = iter(())
        self._of: dict[int, dict[int, tuple[TaskKind, AskedRow]]] = {}
        self._about: dict[int, list[TaskRecord]] = {}

    def took(
        self,
        of: Iterable[int],
        rows: Iterable[Any],
        about: Iterable[int],
        open_rows: Iterable[Any],
        ids: Iterable[int],
    ) -> None:
        """What was read: questions of identities, and open ones about identities; ``ids`` for new ones."""
        self._ids = iter(ids)
        self._of = {identity: {} for identity in of}
        self._about = {identity: [] for identity in about}
        for identity, task, kind, *row in rows:
            self._of[identity][task] = (TaskKind(kind), AskedRow(*row))
        for identity, *row in open_rows:
            self._about[identity].append(task_record(row))

    def _write(self, statement: Prepared, rows: Sequence[Values]) -> None:
        for row in rows:
            self._work.later(statement, row)

    def about(self, identity: int) -> list[TaskRecord]:
        """As the base's."""
        found = self._about.get(identity)
        return super().about(identity) if found is None else found

    def _asked_of(self, identity: int, kind: TaskKind) -> list[AskedRow]:
        found = self._of.get(identity)
        if found is None:
            return super()._asked_of(identity, kind)
        return [row for its, row in found.values() if its is kind]

    def _add(self, question: Question, message_id: str) -> int:
        task = next(self._ids, None)
        if task is None:
            self._work.flush()
            task = super()._add(question, message_id)
        else:
            self._work.later(ASK_AS, {**self._values(question, message_id), "id": task})
            self._about_whom(task, question)
        if question.identity in self._of:
            self._of[question.identity][task] = (
                question.kind, AskedRow(question.others, None, "", question.fingerprint)
            )  # fmt: skip
        for identity in (question.identity, *question.others):
            self._about.pop(identity, None)
        return task

    def close(self, tasks: Iterable[int], *, decided: str = "", by: str = "", why: str = "") -> None:
        """As the base's."""
        gone = set(tasks)
        if not gone:
            return
        super().close(gone, decided=decided, by=by, why=why)
        for identity, found in self._about.items():
            self._about[identity] = [task for task in found if task.id not in gone]
        for rows in self._of.values():
            for task in gone.intersection(rows):
                kind, row = rows[task]
                rows[task] = (kind, replace(row, closed_at=now(), decided=decided))


class AgainStore(BatchStore):
    """See the module. For who holds the links' lock, and changes nothing but links, persons and questions."""

    links: KnownLinks
    tasks: KnownTasks

    def __init__(self, work: UnitOfWork, authority: str) -> None:
        super().__init__(work, authority)
        self.links, self.tasks = KnownLinks(work), KnownTasks(work)
        self._again: list[int] = []

    def revise(self, identities: Sequence[int]) -> None:
        """Read who they are, and whom they meet by the rules. ``meet`` is to follow."""
        found = super().by_ids(identities)
        self._again = [item.id for item in found]
        self._expected = [(item.identity, matching.strict_key(item.identity)) for item in found]
        self._read()

    def strangers(self) -> list[Identity]:
        """All of them are compared."""
        return [identity for identity, _ in self._expected]

    def meet(self, ids: Iterable[int], again: Callable[[], None]) -> None:
        """Read whom they are compared with, all of their persons, and what was said or asked of them."""
        self._readers = [again]
        known, connection = self._known, self._connection
        wanted = {*ids, *self._again}.difference(known.members)
        if wanted:
            self._took(READ_ROWS.rows(connection, {"keys": listed(connection, sorted(wanted))}))
        its, persons, everybody = (
            {"keys": listed(connection, sorted(keys))} for keys in (self._again, known.members_of, known.members)
        )
        count = _TASKS_AHEAD * len(self._again)
        edges, barred, tasks, about, free = ask(
            connection,
            [(_EDGES, its), (_APART, persons), (_TASKS, everybody), (_ABOUT, its), (NEXT[TASK.name], {"count": count})],
        )
        self.links.took(self._again, edges, known.members_of, {person for (person,) in barred})
        self.tasks.took(known.members, tasks, self._again, about, self._numbers(free, count))

    def cool(self) -> None:
        """As the base's."""
        super().cool()
        self.links.forget()
        self.tasks.forget()

    def by_ids(self, ids: Iterable[int]) -> list[Member]:
        """As the base's."""
        wanted = sorted(ids)
        found = [item for key in wanted if (item := self._known.members.get(key)) is not None]
        return found if len(found) == len(wanted) else super().by_ids(wanted)

    def absorb(self, lost: int, survivor: int) -> None:
        """As the base's; who is of which person stays known."""
        known = self._known.members_of
        if lost not in known or survivor not in known:
            super().absorb(lost, survivor)
            return
        for statement in ABSORB:
            self._write(statement, {"lost": lost, "survivor": survivor})
        self._known.absorb(lost, survivor)
        self.links.absorbed(lost, survivor)
