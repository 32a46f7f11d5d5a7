"""Pages for stewards: the worklist, a question with everything that its answer needs, studies without a patient."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.responses import Response

from hub.errors import Conflict, HubError, Invalid, NotFound
from hub.imaging.model import FindOrphans, OrphanPage
from hub.patients.errors import DecisionNeedsReason, LinkRefused, TaskChanged, TaskClosed
from hub.patients.model import FindPersons, Identity, PersonPage, Task, TaskKind
from hub.patients.steward_model import (
    Decided,
    DecideTask,
    Explanation,
    FindTasks,
    LinkIdentities,
    TaskPage,
    UnlinkIdentities,
    Verdict,
    WithdrawProposal,
)
from hub.portal import actions, comparison, formats
from hub.portal.casework import Case, Edge, Worklist
from hub.portal.ports import PortalHub
from hub.portal.render import Renderer, see_other
from hub.portal.timeline import Names
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import PatientIdentifier

ROOT = "/portal/steward"
PAGE = 25
LONGEST_REASON = 500
_AHEAD = 50  #: tasks that are looked at for the next one


class Stewards:
    """What a steward looks at and decides."""

    def __init__(self, hub: PortalHub, renderer: Renderer, names: Names) -> None:
        self.hub = hub
        self.render = renderer.page
        self.names = names

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route(ROOT, self.worklist),
            Route(f"{ROOT}/next", self.next),
            Route(f"{ROOT}/orphans", self.orphans),
            Route(f"{ROOT}/task/{{id}}", self.task),
            Route(f"{ROOT}/task/{{id}}", self.decide, "POST"),
            Route(f"{ROOT}/task/{{id}}/withdraw", self.withdraw, "POST"),
            Route(f"{ROOT}/pair/{{pair}}", self.pair),
            Route(f"{ROOT}/pair/{{pair}}", self.decide_pair, "POST"),
            Route("/portal/person/{person}/link", self.candidates, "POST"),
        )

    # the list

    def worklist(self, visit: Visit) -> Response:
        """Open tasks, the oldest first, by kind."""
        kind, cursor, proposed = _kind(visit), visit.query.get("cursor", ""), "proposed" in visit.query
        found: Worklist = visit.perform(actions.WORKLIST, actions.ListTasks(kind, PAGE, cursor, proposed=proposed))
        return self.render(
            visit,
            "steward_worklist.html",
            found=found,
            kind=kind,
            kinds=list(TaskKind),
            proposed=proposed,
            total=sum(found.open.values()),
            before=cursor,
            names=self.names,
            notice=notice(visit),
        )

    def orphans(self, visit: Visit) -> Response:
        """Studies that are held back because nobody knows whose they are."""
        offset = min(int(digits(visit.query.get("from", "")) or 0), 1_000_000)
        page: OrphanPage = visit.perform(actions.ORPHANS, FindOrphans(PAGE, offset))
        more = offset + PAGE if offset + PAGE < page.total else 0
        return self.render(visit, "steward_orphans.html", page=page, more=more, offset=offset, names=self.names)

    def next(self, visit: Visit) -> Response:
        """To the next open task of the kind, after ``after`` where it is given; round again at the end."""
        return see_other(self._next(visit, _kind(visit), visit.query.get("after", "")))

    def _next(self, visit: Visit, kind: TaskKind | None, after: str, **told: str) -> str:
        """Where the next task is that this steward may decide; the list where there is none."""
        number = int(digits(after) or 0)
        for cursor in (str(number), "") if number else ("",):
            page: TaskPage = visit.perform(actions.WORKLIST, FindTasks(kind, _AHEAD, cursor))
            for task in page.tasks:
                if task.id != number and not mine(visit, task):
                    return _address(f"{ROOT}/task/{task.id}", kind=kind, after=digits(after), **told)
        return _address(ROOT, kind=kind, after=digits(after) if told else "", **told)

    # one question

    def task(self, visit: Visit) -> Response:
        """A task: its identities side by side, why they are asked about, and the decision."""
        case: Case = visit.perform(actions.TASK, actions.ShowTask(_number(visit)))
        return self._case(visit, case, notice=notice(visit))

    def decide(self, visit: Visit) -> Response:
        """A verdict on a task; then the next one. Back to the task, with the reason why, when it is not taken."""
        number, kind = _number(visit), _kind(visit)
        here = _address(f"{ROOT}/task/{number}", kind=kind, other=digits(visit.query.get("other", "")))
        asked, other, seen_at = _asked(visit, str(number))
        verdict, reason = _verdict(visit), visit.form.get("reason", "").strip()[:LONGEST_REASON]
        if verdict is None or not reason:
            problem = "steward.no_reason" if verdict else "steward.no_verdict"
            return self._again(visit, number, problem, verdict, reason)
        if verdict is Verdict.SAME and visit.form.get("confirmed") != "yes":
            case: Case = visit.perform(actions.TASK, actions.ShowTask(number))
            if contradicting := _contradictions(case, other):
                return self._case(visit, case, verdict=verdict, reason=reason, confirm=contradicting, asked=asked)
        command = DecideTask(number, other, verdict, reason, seen_at)
        try:
            decided: Decided = visit.perform(actions.DECIDE, command)
        except (TaskChanged, TaskClosed) as error:
            return see_other(_address(here, told=error.code))
        except (Conflict, DecisionNeedsReason) as error:
            return self._again(visit, number, problem_of(error), verdict, reason)
        told = "proposed" if decided.pending else str(verdict)
        return see_other(self._next(visit, kind, str(number), told=told))

    def withdraw(self, visit: Visit) -> Response:
        """Take one's own proposal back; the question again."""
        number = _number(visit)
        _, _, seen_at = _asked(visit, str(number))
        try:
            visit.perform(actions.WITHDRAW, WithdrawProposal(number, seen_at))
            told = "withdrawn"
        except (TaskChanged, TaskClosed) as error:
            told = error.code
        return see_other(_address(f"{ROOT}/task/{number}", kind=_kind(visit), told=told))

    def _again(self, visit: Visit, number: int, problem: str, verdict: Verdict | None, reason: str) -> Response:
        case: Case = visit.perform(actions.TASK, actions.ShowTask(number))
        return self._case(visit, case, code=422, problem=problem, verdict=verdict, reason=reason)

    # two identities

    def pair(self, visit: Visit) -> Response:
        """Two identities that somebody wants to compare, to link or to part."""
        one, other = self._pair(visit)
        case: Case = visit.perform(actions.PAIR, actions.ShowPair(one, other))
        return self._case(visit, case, notice=notice(visit))

    def decide_pair(self, visit: Visit) -> Response:
        """Link or part them; then the person's page."""
        one, other = self._pair(visit)
        verdict, reason = _verdict(visit), visit.form.get("reason", "").strip()[:LONGEST_REASON]
        case: Case = visit.perform(actions.PAIR, actions.ShowPair(one, other))
        if verdict not in (Verdict.SAME, Verdict.DIFFERENT) or not reason:
            problem = "steward.no_reason" if verdict else "steward.no_verdict"
            return self._case(visit, case, code=422, problem=problem, verdict=verdict, reason=reason)
        unsure = verdict is Verdict.SAME and visit.form.get("confirmed") != "yes"
        if unsure and (contradicting := _contradictions(case, other)):
            return self._case(visit, case, verdict=verdict, reason=reason, confirm=contradicting)
        same = verdict is Verdict.SAME
        command = LinkIdentities(one, other, reason) if same else UnlinkIdentities(one, other, reason)
        try:
            visit.perform(actions.LINK if same else actions.UNLINK, command)
        except (Conflict, Invalid) as error:
            return self._case(visit, case, code=422, problem=problem_of(error), verdict=verdict, reason=reason)
        person = visit.handles.seal("person", one.value, one.authority)
        return see_other(f"/portal/person/{person}?told={'linked' if same else 'parted'}#why")

    def candidates(self, visit: Visit) -> Response:
        """Identities that have a number: each can be compared with one of the person's."""
        value, authority = visit.handles.open("identity", visit.form.get("identity", ""))
        one = PatientIdentifier(value, authority)
        number = formats.typed_identifier(visit.form.get("number", "")[:120])
        found: list[Identity] = []
        if number:
            try:
                page: PersonPage = visit.perform(actions.SEARCH, FindPersons(identifier_value=number, limit=PAGE))
            except Invalid:
                page = PersonPage(())
            for person in page.persons:
                exact = [each for each in person.identities if each.identifier.value == number]
                found += [each for each in exact or person.identities if each.identifier != one]
        return self.render(
            visit,
            "steward_candidates.html",
            person_handle=visit.parameters["person"],
            number=number,
            identity=visit.form.get("identity", ""),
            rows=[(pair_handle(visit, one, each.identifier), each) for each in found],
            names=self.names,
        )

    def _pair(self, visit: Visit) -> tuple[PatientIdentifier, PatientIdentifier]:
        one, its, other, theirs = visit.handles.open("pair", visit.parameters["pair"])
        return PatientIdentifier(one, its), PatientIdentifier(other, theirs)

    # shared

    def _case(self, visit: Visit, case: Case, *, code: int = 200, **told: Any) -> Response:
        """The page of a question. ``told``: what became of an attempt to answer it."""
        sides = case.sides
        first = sides[0].identity if sides else None
        about = case.task.proposed_about if case.task else None
        proposed = case.others.index(about) if about in case.others else 0
        chosen = int(digits(visit.query.get("other", "")) or proposed)
        chosen = chosen if chosen < len(case.explanations) else 0
        other = case.others[chosen] if case.explanations else first.identifier if first else None
        task, kind = case.task, _kind(visit)
        explanation = case.explanations[chosen] if case.explanations else None
        values: dict[str, Any] = {
            "case": case,
            "task": task,
            "first": first,
            "chosen": chosen,
            "explanation": explanation,
            "rows": comparison.rows(first, [side.identity for side in sides[1:]]) if first else (),
            "bars": comparison.bars(explanation.score) if explanation and explanation.score else (),
            "kind": kind,
            "query": f"&kind={kind.value}" if kind else "",
            "mine": task is not None and mine(visit, task),
            "asked": _seal(visit, case, other) if other else "",
            "names": self.names,
            "person": lambda person: visit.handles.seal("person", person.regional.value, person.regional.authority),
            "comparison": comparison,
            "Verdict": Verdict,
            "verdicts": _verdicts(explanation, task),
            "reasons": [visit.phrases(f"steward.because.{key}") for key in BECAUSE],
            "notice": None,
            "problem": "",
            "reason": "",
            "verdict": None,
            "confirm": (),
        }
        return self.render(visit, "steward_case.html", code=code, **(values | told))


BECAUSE = ("document", "hospital", "ins", "twins", "family", "typing", "moved")  #: usual reasons, offered while typing


def mine(visit: Visit, task: Task) -> bool:
    """Whether the task waits for somebody else than this steward, who proposed its verdict."""
    return bool(task.proposed) and task.proposed_by in (visit.who.id, visit.who.name)


def pair_handle(visit: Visit, one: PatientIdentifier, other: PatientIdentifier) -> str:
    """The sealed name of two identities."""
    return visit.handles.seal("pair", one.value, one.authority, other.value, other.authority)


class Sealed:
    """What the addresses and forms of a person's page say instead of numbers."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def pair(self, edge: Edge) -> str:
        """The address of the two identities of a link."""
        return f"{ROOT}/pair/{pair_handle(self._visit, edge.link.one, edge.link.other)}"

    def identity(self, identity: Identity) -> str:
        """An identity in a form."""
        return self._visit.handles.seal("identity", identity.identifier.value, identity.identifier.authority)


def problem_of(error: HubError) -> str:
    """The key of what is said about a decision that was not taken."""
    return f"refused.{error.context.get('why', '')}" if isinstance(error, LinkRefused) else f"error.{error.code}"


def digits(text: str) -> str:
    """A number out of an address, "" for anything else."""
    return text if text.isascii() and text.isdecimal() and len(text) < 16 else ""


def _number(visit: Visit) -> int:
    text = digits(visit.parameters["id"])
    if not text:
        raise NotFound
    return int(text)


def _kind(visit: Visit) -> TaskKind | None:
    value = visit.query.get("kind", "")
    return TaskKind(value) if value in set(TaskKind) else None


def _verdict(visit: Visit) -> Verdict | None:
    value = visit.form.get("verdict", "")
    return Verdict(value) if value in set(Verdict) else None


def _address(path: str, *, kind: TaskKind | None = None, **query: str) -> str:
    pairs = [("kind", kind.value if kind else ""), *query.items()]
    text = "&".join(f"{name}={value}" for name, value in pairs if value)
    return path + (("&" if "?" in path else "?") + text if text else "")


def _verdicts(told: Explanation | None, task: Task | None) -> Sequence[Verdict]:
    """What may be answered: nobody but their owner joins two numbers of one hospital; of one alone nothing is said."""
    if told is None:
        return (Verdict.LEAVE,)
    owners = told.one.identifier.authority == told.other.identifier.authority
    every = (Verdict.SAME, Verdict.DIFFERENT, Verdict.LEAVE)
    return tuple(
        one for one in every if (one, owners) != (Verdict.SAME, True) and (task is not None or one is not Verdict.LEAVE)
    )


def _seal(visit: Visit, case: Case, other: PatientIdentifier) -> str:
    """What a decision is about, and when the steward saw it."""
    about = str(case.task.id) if case.task is not None else ""
    return visit.handles.seal("asked", about, other.value, other.authority, case.seen_at.isoformat())


def _asked(visit: Visit, number: str) -> tuple[str, PatientIdentifier, datetime]:
    sealed = visit.form.get("asked", "")
    about, value, authority, seen_at = visit.handles.open("asked", sealed)
    if about != number:
        raise NotFound
    return sealed, PatientIdentifier(value, authority), datetime.fromisoformat(seen_at)


def _contradictions(case: Case, other: PatientIdentifier) -> Sequence[str]:
    for told in case.explanations:
        if told.other.identifier == other:
            return comparison.contradictions(told.one, told.other)
    return ()


_NOTICES: Mapping[str, str] = {
    "same": "good",
    "different": "good",
    "leave": "good",
    "proposed": "good",
    "withdrawn": "good",
    "linked": "good",
    "parted": "good",
    TaskChanged.code: "bad",
    TaskClosed.code: "bad",
}


def notice(visit: Visit) -> tuple[str, str] | None:
    """(kind, text) of what a decision did, on this page or the one before."""
    told = visit.query.get("told", "")
    if told not in _NOTICES:
        return None
    return _NOTICES[told], visit.phrases(f"steward.told.{told}", number=digits(visit.query.get("after", "")))
