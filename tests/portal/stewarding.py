# ruff: noqa: ARG002
"""Stewards' questions of the small region in memory: one of each kind, hostile names, twins, four eyes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hub.context import Context
from hub.imaging.model import FindOrphans, IndexedStudy, OrphanPage, Study, StudyState
from hub.patients import matching
from hub.patients.errors import (
    LinkRefused,
    SecondStewardNeeded,
    TaskChanged,
    TaskClosed,
    TaskNotFound,
    UnknownIdentifier,
)
from hub.patients.model import Identity, IdentityStatus, Link, Person, Task, TaskKind, Traits
from hub.patients.scoring.scorer import Scorer
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
from hub.usecase import use_case
from hub.values import PatientIdentifier, Uid, now
from tests.portal.made_up import INS, MARTIN, OTHER, REGION, A, B

C = "1.2.250.1.71.4.2.3"
START = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
ARABIC = "الحسيني"
TURNED = "DU\u202ePONT"  #: with a right-to-left override, which would turn the text after it around
HOME = {"address": "12 rue de la République", "postal_code": "13100", "city": "AIX-EN-PROVENCE", "phone": "0442000001"}


def _born(name: str, given: str, born: str, sex: str, place: str = "13055", **more: Any) -> Traits:
    return Traits(name, given, **{"given_names": given, "birth_date": born, "sex": sex, "birth_place": place} | more)


def _of(
    number: str, authority: str, traits: Traits, status: str = "VALI", ins: str = "", *, doubt: str = ""
) -> Identity:
    names = {A: "CHA", B: "CSR", C: "CHD"}
    return Identity(
        PatientIdentifier(number, authority, "PI", names[authority]),
        traits,
        IdentityStatus(status),
        attributes=frozenset(doubt.split()),
        ins=PatientIdentifier(ins, INS, "INS") if ins else None,
        updated_at=START - timedelta(days=3),
    )


NGUYEN = _born("NGUYEN", "THI HOA", "19830714", "F", "99243", used_name="LEFÈVRE", **HOME)
HOA = replace(NGUYEN, birth_given="HOA", given_names="HOA", phone="04 42 00 00 01", used_name="")
MANON = _born("DUPUIS", "MANON", "20190403", "F", mother_name="ROUX", **HOME)
#: (person, identity): those of one person stand together
PEOPLE: tuple[tuple[str, Identity], ...] = (
    ("R1", _of("A-201", A, NGUYEN)),
    ("R2", _of("A-884", A, HOA, "PROV")),
    ("R3", _of("A-310", A, MANON)),
    ("R4", _of("55-17", B, replace(MANON, birth_given="MARION", given_names="MARION"))),
    ("R5", _of("A-412", A, _born("LE GOFF", "Hervé", "19470829", "M", "29019"), "QUAL", "147082901900110")),
    ("R6", _of("55-90", B, _born("LEGOFF", "HERVE", "19470928", "M", "29019"), "QUAL", "147082901900110")),
    ("R7", _of("D-7", C, _born("MOREAU", "CHLOÉ", "19910102", "F", "75112", **HOME))),
    ("R8", _of("A-501", A, _born("MOREAU", "CHLOE", "19910102", "F", "75056"))),
    ("R8", _of("55-41", B, _born("MOREAU", "CHLOE", "19910102", "F", "75112"))),
    ("R9", _of("A-502", A, _born("MOREAU", "CHLOÉ ANNE", "19910101", "F", "75112"))),
    ("R10", _of("A-600", A, _born("BERNARD", "LUC", "19700101", "M"))),
    ("R10", _of("55-60", B, _born("BERNARD", "LUCE", "19700101", "F"))),
    ("R11", _of("A-700", A, _born("GARNIER", "SOPHIE", "19881123", "F"), "QUAL")),
    ("R11", _of("D-70", C, _born("GARNIER", "SOPHIE", "19881124", "F"), "QUAL")),
    ("R12", _of("A-800", A, _born("FABRE", "JEAN", "19600606", "M"), "QUAL", "160061305500151")),
    ("R13", _of("55-80", B, _born("FABRE", "JEAN", "19600606", "M"), "QUAL", "160061305500250")),
    ("R14", _of("A-900", A, _born(HOSTILE, TURNED, "19800229", "F"), doubt="DOUT HOMO")),
    ("R15", _of("55-99", B, _born(ARABIC, "مريم", "1980", "F", "99352"))),
)  # fmt: skip
QUESTIONS: tuple[tuple[TaskKind, tuple[str, ...], str], ...] = (
    (TaskKind.DUPLICATE, ("A-201", "A-884"), "same INS or strict traits within one authority"),
    (TaskKind.POSSIBLE, ("A-310", "55-17"), "The score is high, a rule forbids to decide."),
    (TaskKind.COLLISION, ("A-412", "55-90"), "same INS, contradicting strict traits"),
    (TaskKind.BRIDGE, ("D-7", "A-501", "A-502"), "matches an identity whose person it may not join"),
    (TaskKind.WRONG_JOIN, ("A-600", "55-60"), ""),
    (TaskKind.STRICT_TRAITS, ("A-700", "D-70"), ""),
    (TaskKind.INS_CONFLICT, ("A-800", "55-80"), ""),
    (TaskKind.POSSIBLE, ("A-900", "55-99"), ""),
)


@cache
def scorer() -> Scorer:
    """The real one, with its default weights."""
    return Scorer()


class Index:
    """Persons, links and questions; ``four_eyes`` as the setting."""

    def __init__(self, persons: Sequence[Person] = ()) -> None:
        self.four_eyes = False
        self.identities = {one.identifier: one for person in persons for one in person.identities}
        self.homes = {one.identifier: person.regional for person in persons for one in person.identities}
        self.insured = {person.regional: person for person in persons}
        for home, identity in PEOPLE:
            self.identities[identity.identifier] = identity
            self.homes[identity.identifier] = PatientIdentifier(home, REGION)
        self.edges = [
            self._edge("A-501", "55-41", "strict-traits"),
            self._edge("A-600", "55-60", "score", model_version="default-1", evidence='{"weight": 13.2}'),
            self._edge("A-700", "D-70", "steward", author="Marc Vidal", reason="Pièce d'identité vérifiée"),
            replace(self._edge("A-310", "55-17", "score"), ended_at=START + timedelta(days=1), ended_why="basis-gone"),
        ]
        self.questions = [
            Task(
                number, kind, tuple(self.number(value) for value in values), reason, START + timedelta(hours=7 * number)
            )
            for number, (kind, values, reason) in enumerate(QUESTIONS, start=1)
        ]
        self.changed_at = START

    def number(self, value: str) -> PatientIdentifier:
        return next(identifier for identifier in self.identities if identifier.value == value)

    def _edge(self, one: str, other: str, rule: str, **more: Any) -> Link:
        return Link(self.number(one), self.number(other), rule, START - timedelta(days=30), **more)

    def person(self, identifier: PatientIdentifier) -> Person | None:
        regional = self.homes.get(identifier, identifier)
        members = tuple(one for key, one in self.identities.items() if self.homes[key] == regional)
        if regional in self.insured:
            return replace(self.insured[regional], identities=members)
        if not members:
            return None
        first = members[0]
        return Person(regional, first.traits, first.status, members, ins=first.ins)

    def links(self, identifier: PatientIdentifier) -> Sequence[Link]:
        person = self.person(identifier)
        if person is None:
            raise UnknownIdentifier
        theirs = {one.identifier for one in person.identities}
        return [edge for edge in self.edges if {edge.one, edge.other} & theirs]


class Stewardship:
    """What the room does, in a few lines."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def waiting(self) -> Mapping[TaskKind, int]:
        return Counter(task.kind for task in self.index.questions if task.closed_at is None)

    @use_case
    def tasks(self, command: FindTasks, context: Context) -> TaskPage:
        after = int(command.cursor or 0)
        found = [
            task
            for task in self.index.questions
            if task.closed_at is None and task.id > after and command.kind in (None, task.kind)
            if task.proposed or not command.proposed
        ]
        shown = tuple(found[: command.limit])
        cursor = str(shown[-1].id) if len(found) > len(shown) else ""
        awaiting = sum(bool(task.proposed) for task in self.index.questions if task.closed_at is None)
        return TaskPage(shown, cursor, tuple(self.waiting().items()), awaiting)

    @use_case
    def task(self, command: GetTask, context: Context) -> Task:
        for task in self.index.questions:
            if task.id == command.task:
                return task
        raise TaskNotFound

    @use_case
    def explain(self, command: ExplainPair, context: Context) -> Explanation:
        if not {command.one, command.other} <= self.index.identities.keys():
            raise UnknownIdentifier
        one, other = self.index.identities[command.one], self.index.identities[command.other]
        edges = tuple(edge for edge in self.index.edges if {edge.one, edge.other} == {command.one, command.other})
        mine = set(scorer().keys(one))
        keys = tuple(dict.fromkeys(name for name, key in scorer().keys(other) if (name, key) in mine))
        rule = matching.basis(one, other) or ""
        contradiction = matching.contradiction(one, other)
        score = scorer().score(one, other)
        return Explanation(one, other, "link" if rule else "task", rule, keys, score, edges, contradiction)

    @use_case
    def link(self, command: LinkIdentities, context: Context) -> Decided:
        one, other = self.index.identities[command.one], self.index.identities[command.other]
        if one.ins and other.ins and one.ins != other.ins:
            raise LinkRefused(why="ins")
        self._end(command.one, command.other, "link")
        kept, lost = self.index.homes[command.one], self.index.homes[command.other]
        for identifier, home in self.index.homes.items():
            if home == lost:
                self.index.homes[identifier] = kept
        self._add(command.one, command.other, "steward", command.reason, context)
        return Decided((kept,), changed=True)

    @use_case
    def unlink(self, command: UnlinkIdentities, context: Context) -> Decided:
        self._end(command.one, command.other, "unlink")
        self.index.homes[command.other] = PatientIdentifier(f"R9{len(self.index.edges)}", REGION)
        self._add(command.one, command.other, "no-match", command.reason, context)
        return Decided((self.index.homes[command.one], self.index.homes[command.other]), changed=True)

    @use_case
    def decide(self, command: DecideTask, context: Context) -> Decided:
        place = next(i for i, one in enumerate(self.index.questions) if one.id == command.task)
        task = self.index.questions[place]
        if task.closed_at is not None:
            raise TaskClosed
        if command.seen_at is None or command.seen_at < self.index.changed_at:
            raise TaskChanged
        who = context.principal.name
        if self.index.four_eyes and task.proposed != command.verdict:
            self.index.questions[place] = replace(task, proposed=command.verdict, proposed_by=who)
            return Decided(pending=True)
        if self.index.four_eyes and task.proposed_by == who:
            raise SecondStewardNeeded
        if command.verdict is Verdict.SAME:
            self.link(LinkIdentities(task.identifiers[0], command.other, command.reason), context)
        if command.verdict is Verdict.DIFFERENT:
            self.unlink(UnlinkIdentities(task.identifiers[0], command.other, command.reason), context)
        closed = replace(task, closed_at=now(), decided=command.verdict, decided_by=who, decided_why=command.reason)
        self.index.questions[place] = closed
        return Decided(changed=True)

    @use_case
    def withdraw(self, command: WithdrawProposal, context: Context) -> Decided:
        place = next(i for i, one in enumerate(self.index.questions) if one.id == command.task)
        task = self.index.questions[place]
        if task.proposed_by != context.principal.name:
            raise TaskChanged
        self.index.questions[place] = replace(task, proposed="", proposed_by="")
        return Decided()

    def _end(self, one: PatientIdentifier, other: PatientIdentifier, why: str) -> None:
        for place, edge in enumerate(self.index.edges):
            if edge.ended_at is None and {edge.one, edge.other} == {one, other}:
                self.index.edges[place] = replace(edge, ended_at=now(), ended_why=why)

    def _add(self, one: PatientIdentifier, other: PatientIdentifier, rule: str, why: str, context: Context) -> None:
        self.index.edges.append(Link(one, other, rule, now(), author=context.principal.name, reason=why))


class Orphans:
    """Thirty studies that nobody knows the patient of."""

    def __init__(self) -> None:
        study = Study(
            Uid("1.2.3"),
            "PACS_B",
            "55-404",
            patient_name=f"{HOSTILE}^ANNE",
            started="20260301101500",
            modalities=("CT",),
        )
        held = IndexedStudy(study, None, StudyState.HELD, "The patient's number is not known to the hub yet.")
        self.studies = [
            replace(held, study=replace(study, study_instance_uid=Uid(f"1.2.3.{number}")), updated_at=START)
            for number in range(1, 31)
        ]

    @use_case
    def find(self, command: FindOrphans, context: Context) -> OrphanPage:
        page = self.studies[command.offset : command.offset + command.limit]
        return OrphanPage(tuple(page), len(self.studies))

    def count(self) -> int:
        return len(self.studies)


def region() -> Index:
    """With the persons whom everybody else's tests know."""
    return Index((MARTIN, OTHER))
