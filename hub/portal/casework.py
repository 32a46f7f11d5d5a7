"""The steward's questions as use cases: one permitted, audited access for everything that a page shows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from hub.context import Context
from hub.documents.model import APPROVED, DocumentEntry, QueryResult, StoredQuery
from hub.errors import HubError
from hub.imaging.model import FindStudies, StudyAnswer
from hub.patients.errors import UnknownIdentifier
from hub.patients.model import Identity, Link, Person, Task, TaskKind
from hub.patients.steward_model import ExplainPair, Explanation, FindTasks, GetTask, TaskPage
from hub.portal import actions
from hub.portal.ports import PortalHub
from hub.portal.visit import permitted
from hub.usecase import Dispatcher, use_case
from hub.values import PatientIdentifier, now

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"  #: ITI TF-2: 3.18.4.1.2.4
MOST_SIDES = 12  #: identities that are compared at once
NAMED = 3  #: identities of a task that the list names


@dataclass(frozen=True, slots=True)
class Line:
    """A task of the list, with the identities that it names, as far as they are in use."""

    task: Task
    identities: Sequence[tuple[PatientIdentifier, Identity | None]]


@dataclass(frozen=True, slots=True)
class Worklist:
    """A page of the list. ``open``: how many of each kind; ``proposed``: of these, how many await a second steward;
    ``orphans``: studies that nobody knows the patient of."""

    lines: Sequence[Line]
    cursor: str
    open: Mapping[TaskKind, int]
    orphans: int
    proposed: int = 0


@dataclass(frozen=True, slots=True)
class Belongings:
    """How many studies and documents somebody has; None where that could not be found out."""

    studies: int | None = None
    documents: int | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One identity in a comparison. ``named``: the task asks about it; else it is of the person of one that is."""

    identity: Identity
    named: bool
    has: Belongings


@dataclass(frozen=True, slots=True)
class Group:
    """A person and its identities, the named ones first. ``person`` None: the identity is in use no more."""

    person: Person | None
    sides: Sequence[Side]


@dataclass(frozen=True, slots=True)
class Case:
    """Everything about a question. ``explanations``: of the first identity with each of ``others``."""

    groups: Sequence[Group]
    others: Sequence[PatientIdentifier]
    explanations: Sequence[Explanation]
    seen_at: datetime
    task: Task | None = None
    left_out: int = 0  #: identities beyond those that are shown

    @property
    def sides(self) -> Sequence[Side]:
        """Of all groups, the identity in question first."""
        return [side for group in self.groups for side in group.sides]


@dataclass(frozen=True, slots=True)
class Edge:
    """A link of a person, with both identities as far as they are in use."""

    link: Link
    one: Identity | None
    other: Identity | None


@dataclass(frozen=True, slots=True)
class Why:
    """Why identities are one person. ``edges``: the newest first, the ended ones too."""

    edges: Sequence[Edge] = field(default_factory=tuple)

    @property
    def live(self) -> Sequence[Edge]:
        """What holds now: links and no-matches."""
        return [edge for edge in self.edges if edge.link.ended_at is None]

    @property
    def past(self) -> Sequence[Edge]:
        """What held once."""
        return [edge for edge in self.edges if edge.link.ended_at is not None]


class Casework:
    """What stewards look at. ``ask``: the rooms' own use cases."""

    def __init__(self, hub: PortalHub, ask: Dispatcher) -> None:
        self.hub = hub
        self.ask = ask

    @use_case
    def worklist(self, command: actions.ListTasks, context: Context) -> Worklist:
        """Open tasks, the oldest first, with the names that they are about."""
        asked = FindTasks(command.kind, command.limit, command.cursor, proposed=command.proposed)
        page: TaskPage = self.ask(asked, context)
        lines = [Line(task, self._identities(task.identifiers[:NAMED], context)) for task in page.tasks]
        return Worklist(lines, page.cursor, dict(page.open), self.hub.orphans.count(), page.proposed)

    @use_case
    def task(self, command: actions.ShowTask, context: Context) -> Case:
        """A task, its identities and every member of their persons, and why. Raises TaskNotFound."""
        seen_at = now()
        task: Task = self.ask(GetTask(command.task), context)
        context.touch("task", str(task.id))
        return replace(self._case(task.identifiers[0], task.identifiers[1:], context, seen_at), task=task)

    @use_case
    def pair(self, command: actions.ShowPair, context: Context) -> Case:
        """Two identities whom no task asks about. Raises UnknownIdentifier."""
        return self._case(command.one, (command.other,), context, now())

    @use_case
    def why(self, command: actions.ShowLinks, context: Context) -> Why:
        """Every link that a person's identities have, and had."""
        context.touch("patient", command.person.cx)
        links = self.hub.patients.links(command.person)
        known: dict[PatientIdentifier, Identity | None] = {}
        for identifier in dict.fromkeys(end for link in links for end in (link.one, link.other)):
            known[identifier] = self._identity(identifier, context)
        edges = [Edge(link, known[link.one], known[link.other]) for link in links]
        return Why(sorted(edges, key=lambda edge: edge.link.ended_at or edge.link.since, reverse=True))

    # parts

    def _case(
        self,
        first: PatientIdentifier,
        others: Sequence[PatientIdentifier],
        context: Context,
        seen_at: datetime,
    ) -> Case:
        explanations = []
        known: dict[PatientIdentifier, Identity] = {}
        for other in others:
            try:
                told: Explanation = self.ask(ExplainPair(first, other), context)
            except UnknownIdentifier:  # its owner has taken it back since the task was made
                continue
            explanations.append(told)
            known |= {first: told.one, other: told.other}
        if first not in known and (alone := self._identity(first, context)) is not None:
            known[first] = alone
        named = [first, *(other for other in others if other in known)]
        groups, left_out = self._groups([known[one] for one in named if one in known], context)
        return Case(groups, named[1:], tuple(explanations), seen_at, left_out=left_out)

    def _groups(self, named: Sequence[Identity], context: Context) -> tuple[Sequence[Group], int]:
        """By person, the first identity's first; the named ones always, their company as far as there is room."""
        persons: dict[PatientIdentifier, tuple[Person | None, list[Identity]]] = {}
        for identity in named:
            person = self.hub.patients.person(identity.identifier) if identity.active else None
            key = person.regional if person is not None else identity.identifier
            persons.setdefault(key, (person, []))[1].append(identity)
        room, left_out, groups = MOST_SIDES - len(named), 0, []
        for person, theirs in persons.values():
            if person is not None:
                context.touch("patient", person.regional.cx)
            company = [one for one in (person.identities if person else ()) if one not in theirs]
            has = self._belongings(person, context) if person is not None else {}
            shown = [*((one, True) for one in theirs), *((one, False) for one in company[:room])]
            sides = [Side(one, is_named, has.get(one.identifier, Belongings())) for one, is_named in shown]
            left_out += len(company) - len(company[:room])
            room -= len(company[:room])
            groups.append(Group(person, sides))
        return groups, left_out

    def _belongings(self, person: Person, context: Context) -> Mapping[PatientIdentifier, Belongings]:
        """What bears each number. A room that can't say leaves it open, and so does one whose content the rules hide
        from the steward: nothing shown is not nothing there."""
        studies = self._studies(person, context) if permitted(self.hub.access, "imaging.query", context) else None
        documents = self._documents(person, context) if permitted(self.hub.access, "documents.query", context) else None
        return {
            one.identifier: Belongings(
                None if studies is None else studies[one.identifier],
                None if documents is None else documents[one.identifier],
            )
            for one in person.identities
        }

    def _studies(self, person: Person, context: Context) -> Counter[PatientIdentifier] | None:
        try:
            answer: StudyAnswer = self.ask(FindStudies(person=person.regional, limit=500), context)
        except HubError:
            return None
        theirs = {source.name: self._authority(source.authority or source.name) for source in self.hub.settings.sources}
        told = (indexed.study for indexed in answer.studies)
        return Counter(PatientIdentifier(one.patient_id, one.issuer or theirs.get(one.source, "")) for one in told)

    def _authority(self, namespace: str) -> str:
        """The OID of a configured authority."""
        return next((one.oid for one in self.hub.settings.authorities if namespace in (one.namespace, one.oid)), "")

    def _documents(self, person: Person, context: Context) -> Counter[PatientIdentifier] | None:
        parameters = {"$XDSDocumentEntryPatientId": ((person.regional.cx,),), "$XDSDocumentEntryStatus": ((APPROVED,),)}
        try:
            result: QueryResult = self.ask(StoredQuery(FIND_DOCUMENTS, parameters), context)
            entries = [item for item in result.objects if isinstance(item, DocumentEntry) and item.source_patient_id]
            return Counter(PatientIdentifier.from_cx(entry.source_patient_id) for entry in entries)
        except HubError:
            return None

    def _identities(
        self, identifiers: Iterable[PatientIdentifier], context: Context
    ) -> Sequence[tuple[PatientIdentifier, Identity | None]]:
        return [(identifier, self._identity(identifier, context)) for identifier in identifiers]

    def _identity(self, identifier: PatientIdentifier, context: Context) -> Identity | None:
        person = self.hub.patients.person(identifier)
        if person is None:
            return None
        context.touch("patient", person.regional.cx)
        return next((one for one in person.identities if one.identifier == identifier), None)
