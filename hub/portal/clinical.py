"""Pages for clinicians: search, a person's timeline, a study, the way to the viewer."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from hub.documents.model import APPROVED, DocumentEntry, QueryResult, StoredQuery
from hub.errors import HubError, Invalid, NotFound
from hub.imaging.model import FindStudies, IndexedStudy, SourceState, SourceStatus, StudyAnswer
from hub.patients.model import FindPersons, GetPerson, Person, PersonPage
from hub.portal import actions, formats, rights, stewards, timeline
from hub.portal.ports import PortalHub
from hub.portal.render import Renderer, see_other
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import PatientIdentifier
from hub.wire.invoke import ViewerMissing

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"  #: ITI TF-2: 3.18.4.1.2.4
CRITERIA = ("identifier", "name", "given", "birth_date")
_MOST_PAGES = 20  #: of studies that are looked through for the reports of later pages


class Clinical:
    """Search and timeline."""

    def __init__(self, hub: PortalHub, renderer: Renderer, names: timeline.Names) -> None:
        self.hub = hub
        self.render = renderer.page
        self.names = names
        #: What a study's page says of exports, where there are any.
        self.exports: Callable[[Visit, Person, str, str, str], Any] | None = None

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route("/portal/search", self.form),
            Route("/portal/search", self.search, "POST"),
            Route("/portal/search/{handle}", self.results),
            Route("/portal/person/{person}", self.person),
            Route("/portal/person/{person}/source/{source}", self.source),
            Route("/portal/study/{study}", self.study),
            Route("/portal/study/{study}/images", self.images),
        )

    def form(self, visit: Visit) -> Response:
        """The empty search form."""
        return self.render(visit, "search.html", criteria=dict.fromkeys(CRITERIA, ""), page=None, problem="")

    def search(self, visit: Visit) -> Response:
        """Seals what was typed into a handle: the results' address says nothing about a patient."""
        criteria = {name: visit.form.get(name, "").strip()[:120] for name in CRITERIA}
        problem = ""
        if not any(criteria.values()):
            problem = "search.empty_form"
        elif formats.typed_date(criteria["birth_date"]) is None:
            problem = "search.bad_date"
        if problem:
            return self.render(visit, "search.html", code=422, criteria=criteria, page=None, problem=problem)
        return see_other(f"/portal/search/{visit.handles.seal('search', *criteria.values(), '')}")

    def results(self, visit: Visit) -> Response:
        """Persons that match."""
        *values, cursor = visit.handles.open("search", visit.parameters["handle"])
        criteria = dict(zip(CRITERIA, values, strict=True))
        command = FindPersons(
            identifier_value=formats.typed_identifier(criteria["identifier"]),
            name=criteria["name"],
            given=criteria["given"],
            birth_date=formats.typed_date(criteria["birth_date"]) or "",
            limit=25,
            cursor=cursor,
        )
        try:
            page: PersonPage = visit.perform(actions.SEARCH, command)
            if not page.persons and not cursor and len(criteria["name"].split()) > 1:  # LE GOFF may be kept as LEGOFF
                page = visit.perform(actions.SEARCH, replace(command, name="".join(criteria["name"].split())))
        except Invalid as error:  # SearchTooBroad and its like: the form says what to do
            problem = "search.too_broad" if "broad" in error.code else "error.invalid"
            return self.render(visit, "search.html", code=422, criteria=criteria, page=None, problem=problem)
        more = visit.handles.seal("search", *criteria.values(), page.cursor) if page.cursor else ""
        rows = [(self.handle(visit, person), person) for person in page.persons]
        return self.render(
            visit, "search.html", criteria=criteria, page=page, rows=rows, more=more, names=self.names, problem="",
            first=visit.handles.seal("search", *criteria.values(), "") if cursor else "",
        )  # fmt: skip

    def handle(self, visit: Visit, person: Person) -> str:
        """A person's handle in this session."""
        return visit.handles.seal("person", person.regional.value, person.regional.authority)

    def opened(self, visit: Visit) -> Person:
        """The person that the address means."""
        value, authority = visit.handles.open("person", visit.parameters["person"])
        person: Person = visit.perform(actions.PERSON, GetPerson(PatientIdentifier(value, authority)))
        return person

    def person(self, visit: Visit, *, ticked: Collection[str] = (), problem: str = "", code: int = 200) -> Response:
        """Traits, identifiers and the timeline from index and registry; the archives' answers stream in after it.

        ``ticked``: uniqueIds of documents whose boxes are ticked, for a letter; ``problem``: what is wrong with it."""
        person, steward = self.opened(visit), visit.may("patients.steward")
        start = _offset(visit)  # further pages are the index's: the archives were asked with the first one
        indexed, index_status = self.indexed(visit, person, start)
        entries, documents_status = self.documents(visit, person)
        statuses = [index_status, documents_status] if not start else [index_status]
        asks = visit.may("imaging.query") and not start
        live = [source.name for source in self.hub.settings.sources] if asks else []
        found = list(indexed)
        if visit.query.get("live"):  # without JavaScript: everything in one page
            for name in live:
                more, status = self.asked(visit, person, name)
                known = {indexed.study.study_instance_uid for indexed in found}
                found += [indexed for indexed in more if indexed.study.study_instance_uid not in known]
                statuses.append(status)
            live = []
        after = start + len(indexed) if index_status.state is SourceState.CUT and indexed else 0
        later = self._later(visit, person, after) if after and not start else ()
        items = timeline.build(found, entries, self.names, later=later)
        return self.render(
            visit,
            "person.html",
            code=code,
            ticked=ticked,
            problem=problem,
            person=person,
            person_handle=visit.parameters["person"],
            items=[item for item in items if item.study] if start else items,
            start=start,
            after=after,
            statuses=statuses,
            live=live,
            row=Rows(visit, person),
            names=self.names,
            details=self.hub.details.of_person(person.regional),
            record=visit.may("imaging.query") or visit.may("documents.query"),
            why=visit.perform(actions.LINKS, actions.ShowLinks(person.regional)) if steward else None,
            sealed=stewards.Sealed(visit),
            notice=stewards.notice(visit),
            rights_told=rights.told(visit),
        )

    def source(self, visit: Visit) -> Response:
        """A fragment: one archive's own answer, and the rows that the index doesn't have."""
        value, authority = visit.handles.open("person", visit.parameters["person"])
        name = visit.parameters["source"]
        if name not in {source.name for source in self.hub.settings.sources}:
            raise NotFound
        person = PatientIdentifier(value, authority)
        studies, status = self.asked(visit, person, name)
        return self.render(
            visit,
            "partials/source.html",
            status=status,
            items=[timeline.of_study(indexed, self.names, live=indexed.updated_at is None) for indexed in studies],
            row=Rows(visit, person),
            names=self.names,
        )

    def indexed(self, visit: Visit, person: Person, start: int = 0) -> tuple[Sequence[IndexedStudy], SourceStatus]:
        """The index's answer, and how it went."""
        command = FindStudies(person=person.regional, limit=500, offset=start)
        try:
            answer: StudyAnswer = visit.perform(actions.STUDIES, command)
        except HubError as error:
            return (), SourceStatus("index", SourceState.FAILED, reason=error.title)
        return answer.studies, counted_index(answer)

    def _later(self, visit: Visit, person: Person, after: int) -> list[IndexedStudy]:
        """The studies of the pages that follow, where their reports stand with them."""
        found: list[IndexedStudy] = []
        for _ in range(_MOST_PAGES):
            studies, status = self.indexed(visit, person, after + len(found))
            found += studies
            if status.state is not SourceState.CUT or not studies:
                break
        return found

    def asked(
        self, visit: Visit, person: Person | PatientIdentifier, source: str
    ) -> tuple[Sequence[IndexedStudy], SourceStatus]:
        """One archive's answer, and how it went; a failure is part of the answer."""
        identifier = person.regional if isinstance(person, Person) else person
        command = FindStudies(person=identifier, sources=(source,), live=True, limit=500)
        try:
            answer: StudyAnswer = visit.perform(actions.STUDIES, command)
        except HubError as error:
            return (), SourceStatus(source, SourceState.FAILED, reason=error.title)
        for status in answer.statuses:
            if status.source == source:
                cut = answer.more and status.whole
                return answer.studies, replace(status, state=SourceState.CUT) if cut else status
        return answer.studies, SourceStatus(source, SourceState.ANSWERED, len(answer.studies))

    def documents(self, visit: Visit, person: Person) -> tuple[Sequence[DocumentEntry], SourceStatus]:
        """The registry's approved documents of a person; what fails is said, and the rest of the page stands."""
        command = StoredQuery(
            FIND_DOCUMENTS,
            {
                "$XDSDocumentEntryPatientId": ((person.regional.cx,),),
                "$XDSDocumentEntryStatus": ((APPROVED,),),
            },
        )
        try:
            result: QueryResult = visit.perform(actions.DOCUMENTS, command)
        except HubError as error:
            return (), SourceStatus("documents", SourceState.FAILED, reason=error.title)
        entries = tuple(item for item in result.objects if isinstance(item, DocumentEntry))
        shown = sum(1 for entry in entries if timeline.is_report(entry))
        return entries, SourceStatus("documents", SourceState.INDEX, shown)

    def study(self, visit: Visit) -> Response:
        """One study: series, reports, the button to the viewer."""
        person, uid, source = self.opened_study(visit)
        indexed = self.found(visit, person, uid, source)
        entries, status = self.documents(visit, person)
        return self.render(
            visit,
            "study.html",
            person=person,
            person_handle=self.handle(visit, person),
            item=timeline.of_study(indexed, self.names, timeline.reports_of(indexed, entries)),
            documents_status=status,
            study_handle=visit.parameters["study"],
            viewer_installed=self.hub.settings.viewer is not None,
            exports=self._exports(visit, person, indexed),
            row=Rows(visit, person),
            names=self.names,
        )

    def _exports(self, visit: Visit, person: Person, indexed: IndexedStudy) -> Any:
        if self.exports is None or indexed.person is None or indexed.updated_at is None:
            return None
        study = indexed.study
        action = f"/portal/study/{visit.parameters['study']}/export"
        return self.exports(visit, person, study.study_instance_uid, action, study.source)

    def opened_study(self, visit: Visit) -> tuple[Person, str, str]:
        """The person, StudyInstanceUID and source that the address means."""
        uid, source, value, authority = visit.handles.open("study", visit.parameters["study"])
        person: Person = visit.perform(actions.PERSON, GetPerson(PatientIdentifier(value, authority)))
        return person, uid, source

    def found(self, visit: Visit, person: Person, uid: str, source: str) -> IndexedStudy:
        """The study from the index, else from the archive that told of it. Raises NotFound."""
        indexed = FindStudies(person=person.regional, study_instance_uids=(uid,), level="SERIES")
        live = FindStudies(
            person=person.regional, study_instance_uids=(uid,), level="SERIES", sources=(source,), live=True
        )
        for command in (indexed, live):
            answer: StudyAnswer = visit.perform(actions.STUDY, command)
            for study in answer.studies:
                if study.study.study_instance_uid == uid:
                    return study
        raise NotFound(visit.phrases("study.not_found"))

    def images(self, visit: Visit) -> Response:
        """To the viewer, with exactly one study, once the right is checked and audited."""
        person, uid, _ = self.opened_study(visit)
        if self.hub.settings.viewer is None:
            raise ViewerMissing()
        visit.perform(actions.VIEWER, FindStudies(person=person.regional, study_instance_uids=(uid,)))
        return see_other(f"/ohif/viewer?StudyInstanceUIDs={quote(uid, safe='.')}")


class Rows:
    """Addresses of what a timeline's row links to."""

    def __init__(self, visit: Visit, person: Person | PatientIdentifier) -> None:
        self._seal = visit.handles.seal
        self._person = person.regional if isinstance(person, Person) else person

    def study(self, indexed: IndexedStudy) -> str:
        """The study's page."""
        study = indexed.study
        values = (study.study_instance_uid, study.source, self._person.value, self._person.authority)
        return f"/portal/study/{self._seal('study', *values)}"

    def document(self, entry: DocumentEntry) -> str:
        """The document's page."""
        return f"/portal/document/{self.handle(entry)}"

    def handle(self, entry: DocumentEntry) -> str:
        """The document's handle."""
        values = (entry.repository_unique_id, entry.unique_id, self._person.value, self._person.authority)
        return self._seal("document", *values)

    def national(self, unique_id: str) -> str:
        """The page of the national record's document of that uniqueId."""
        return f"/portal/national/{self._seal('national', unique_id, self._person.value, self._person.authority)}"

    def key(self, item: timeline.Item) -> str:
        """Tells rows apart without saying what they are."""
        return self._seal("row", item.key)[:22]


def _offset(visit: Visit) -> int:
    text = visit.query.get("offset", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0


def counted_index(answer: StudyAnswer) -> SourceStatus:
    """What the index said, and whether it holds more than the page."""
    for status in answer.statuses:
        if status.source == "index":
            found = status
            break
    else:
        found = SourceStatus("index", SourceState.INDEX, len(answer.studies))
    return replace(found, state=SourceState.CUT) if answer.more else found
