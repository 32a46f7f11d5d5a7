"""The national record beside the region's timeline: what it says of a person, a document read, a study opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from starlette.responses import Response

from hub.connector.record import Authorisation, Standing
from hub.documents.model import DocumentEntry
from hub.errors import HubError, NotFound
from hub.imaging.manifest import Manifest, read_manifest
from hub.imaging.model import FindStudies, IndexedStudy, SourceStatus, StudyAnswer
from hub.patients.model import GetPerson, Person
from hub.portal import actions, cda, timeline
from hub.portal.clinical import Clinical, Rows
from hub.portal.documents import CONTENT_HEADERS, INLINE, SHOWN, SUFFIXES, XML, decoded
from hub.portal.render import Renderer, see_other
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.record.reading_model import (
    AuthoriseNational,
    Change,
    ChangeNational,
    Narrow,
    NationalAnswer,
    NationalDocument,
    ReadNational,
    SearchNational,
)
from hub.values import PatientIdentifier

#: Shown at once; the rest on request.
BATCH = 20
_TOLD = {"authorised": "good", "withdrawn": "good", "changed": "good"}
CHANGES = frozenset(str(change) for change in Change)


@dataclass(frozen=True, slots=True)
class Row:
    """A document of the record. ``here``: where the region has the same, "" where it has not."""

    entry: DocumentEntry
    link: str
    here: str = ""
    own: bool = False  #: this region has sent it

    @property
    def study(self) -> bool:
        """Whether it opens like a study."""
        return self.entry.mime_type == timeline.DICOM

    @property
    def masked(self) -> tuple[str, ...]:
        """Words that hide it from somebody."""
        return tuple(code.value for code in self.entry.confidentiality_codes if code.value in MASKS)


MASKS = ("MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX")


class ExportsOf(Protocol):
    """What a study's page says of exports; None for nothing."""

    def __call__(self, visit: Visit, person: Person, study: str, action: str) -> Any: ...  # noqa: D102


class NationalPages:
    """One person's national record. ``remote``: other regions' images can be read. ``exports``: to local archives.
    ``web``: the record's own pages that can be opened."""

    def __init__(
        self,
        clinical: Clinical,
        renderer: Renderer,
        *,
        remote: bool = False,
        exports: "ExportsOf | None" = None,
        web: Sequence[str] = (),
    ) -> None:
        self.clinical = clinical
        self.render = renderer.page
        self.remote = remote
        self.exports = exports
        self.web = tuple(web)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        person, document = "/portal/person/{person}/national", "/portal/national/{document}"
        return (
            Route(person, self.search),
            Route(f"{person}/authorise", self.authorise, "POST"),
            Route(document, self.document),
            Route(f"{document}/original", self.original),
            Route(f"{document}/body", self.body),
            Route(f"{document}/change", self.change, "POST"),
        )

    def search(self, visit: Visit) -> Response:
        """The first years, everything with ``?whole=1``; a fragment where the patient's page asks for it."""
        person = self.clinical.opened(visit)
        shown = visit.query.get("shown", "")
        most = min(int(shown), 10_000) if shown.isdecimal() and len(shown) < 6 else BATCH
        whole, sought = bool(visit.query.get("whole")), visit.query.get("sought", "")
        archived = bool(visit.query.get("archived"))
        narrow = Narrow(*visit.handles.open("sought", sought)) if sought else None
        answer, problem = NationalAnswer(), ""
        rows: list[Row] = []
        try:
            command = SearchNational(person.regional, whole=whole, narrow=narrow, archived=archived)
            answer = visit.perform(actions.NATIONAL, command)
            problem = problem_of(answer)
            rows = self._rows(visit, person, answer)
        except HubError as error:
            problem = said(visit, error)
        return self.render(
            visit,
            "partials/national.html" if visit.partial else "person_national.html",
            person=person,
            person_handle=visit.parameters["person"],
            answer=answer,
            problem=problem,
            rows=rows[:most],
            total=len(rows),
            more=most + BATCH if len(rows) > most else 0,
            whole=whole,
            archived=archived,
            kept=kept(whole=whole, archived=archived, sought=sought),
            narrow=narrow,
            web=self.web,
            declares=answer.status is not None
            and answer.status.standing is Standing.OPEN
            and answer.status.authorisation is Authorisation.NONE,
            authorised=answer.status is not None and answer.status.authorisation is Authorisation.VALID,
            told=told(visit),
            timeline=timeline,
        )

    def _rows(self, visit: Visit, person: Person, answer: NationalAnswer) -> list[Row]:
        if not answer.entries:
            return []
        addresses = Rows(visit, person)
        registered, _ = self.clinical.documents(visit, person)
        indexed, _ = self.clinical.indexed(visit, person)
        documents = {entry.unique_id: addresses.document(entry) for entry in registered if timeline.is_report(entry)}
        studies = {str(item.study.study_instance_uid): addresses.study(item) for item in indexed}
        rows = []
        for entry in answer.entries:
            uid = study_of(entry) if entry.mime_type == timeline.DICOM else ""
            here = studies.get(uid, "") if uid else documents.get(entry.unique_id, "")
            rows.append(Row(entry, addresses.national(entry.unique_id), here, entry.unique_id in answer.own))
        return rows

    def authorise(self, visit: Visit) -> Response:
        """TD0.3: the visitor says that they take part in the person's care, or no longer."""
        person, withdraw = self.clinical.opened(visit), bool(visit.form.get("withdraw"))
        visit.perform(actions.NATIONAL_AUTHORISE, AuthoriseNational(person.regional, withdraw=withdraw))
        word = "withdrawn" if withdraw else "authorised"
        return see_other(f"/portal/person/{visit.parameters['person']}/national?told={word}")

    def document(self, visit: Visit) -> Response:
        """A report as the region's own are shown; a manifest leads to its study."""
        person, found = self.opened(visit)
        if found.mime_type == timeline.DICOM:
            return self.study_page(visit, person, found)
        view: cda.ClinicalDocument | None = None
        text, problem = "", ""
        if len(found.content) > SHOWN:
            problem = "document.not_shown"
        elif found.mime_type in XML:
            try:
                view = cda.read(found.content)
            except HubError:
                problem = "document.unreadable"
        elif found.mime_type == "text/plain":
            text = decoded(found.content)
        elif found.mime_type not in INLINE:
            problem = "document.not_shown"
        return self.render(
            visit,
            "document.html",
            person=person,
            person_handle=self.clinical.handle(visit, person),
            handle=visit.parameters["document"],
            base=f"/portal/national/{visit.parameters['document']}",
            national=found,
            masked=Row(found.entry, "").masked,
            told=told(visit),
            entry=found.entry,
            view=view,
            text=text,
            problem=problem,
            mime_type=found.mime_type,
            inline=INLINE,
            names=self.clinical.names,
            timeline=timeline,
        )

    def study_page(
        self,
        visit: Visit,
        person: Person,
        found: NationalDocument,
        *,
        opened: Sequence[SourceStatus] = (),
        viewer: str = "",
        code: int = 200,
    ) -> Response:
        """To the study where its images are the region's own; else what the manifest says of it.

        ``opened``: what the boxes said that keep the images; ``viewer``: where what can be had is seen."""
        manifest = read_manifest(found.content)
        uid = manifest.study_instance_uid
        answer: StudyAnswer = visit.perform(
            actions.STUDIES, FindStudies(person=person.regional, study_instance_uids=(uid,))
        )
        own: Sequence[IndexedStudy] = [  # in the index: not what is open here from elsewhere
            item for item in answer.studies if item.study.study_instance_uid == uid and item.updated_at is not None
        ]
        if own and not visit.query.get("manifest"):
            return see_other(Rows(visit, person).study(own[0]))
        here = Rows(visit, person).study(own[0]) if own else ""
        exports = None
        if self.exports is not None and not here:
            action = f"/portal/national/{visit.parameters['document']}/export"
            exports = self.exports(visit, person, uid, action)
        return self.render(
            visit,
            "national_study.html",
            code=code,
            person=person,
            person_handle=self.clinical.handle(visit, person),
            handle=visit.parameters["document"],
            entry=found.entry,
            national=found,
            masked=Row(found.entry, "").masked,
            told=told(visit),
            manifest=manifest,
            hosts=hosts(manifest),
            here=here,
            opened=opened,
            viewer=viewer,
            remote=self.remote and not here and visit.may("imaging.retrieve"),
            exports=exports,
            timeline=timeline,
        )

    def original(self, visit: Visit) -> Response:
        """The bytes: a download, or what the page's own frame shows."""
        _, found = self.opened(visit)
        inline = found.mime_type in INLINE and "inline" in visit.query
        suffix = ".dcm" if found.mime_type == timeline.DICOM else SUFFIXES.get(found.mime_type, ".bin")
        disposition = "inline" if inline else f'attachment; filename="document{suffix}"'
        media_type = found.mime_type if found.mime_type in SUFFIXES else "application/octet-stream"
        return Response(
            found.content, media_type=media_type, headers={**CONTENT_HEADERS, "Content-Disposition": disposition}
        )

    def body(self, visit: Visit) -> Response:
        """The PDF or image that a CDA carries in its nonXMLBody."""
        _, found = self.opened(visit)
        if len(found.content) > SHOWN or found.mime_type not in XML:
            raise NotFound
        view = cda.read(found.content)
        if view.media_type not in INLINE:
            raise NotFound
        headers = {**CONTENT_HEADERS, "Content-Disposition": "inline"}
        return Response(view.body, media_type=view.media_type, headers=headers)

    def change(self, visit: Visit) -> Response:
        """TD3.3, for what this region has sent. The record has the last word."""
        unique_id, person = self._who(visit)
        word = visit.form.get("change", "")
        if word not in CHANGES:
            raise NotFound
        change = Change(word)
        found: Person = visit.perform(actions.PERSON, GetPerson(person))
        visit.perform(actions.NATIONAL_CHANGE, ChangeNational(found.regional, unique_id, change))
        if change in (Change.DELETE, Change.ARCHIVE):
            return see_other(f"/portal/person/{self.clinical.handle(visit, found)}/national?told=changed")
        return see_other(f"/portal/national/{visit.parameters['document']}?told=changed&manifest=1")

    def opened(self, visit: Visit) -> tuple[Person, NationalDocument]:
        """The person and the document that the address means."""
        unique_id, number = self._who(visit)
        person: Person = visit.perform(actions.PERSON, GetPerson(number))
        found: NationalDocument = visit.perform(actions.NATIONAL_DOCUMENT, ReadNational(person.regional, unique_id))
        return person, found

    @staticmethod
    def _who(visit: Visit) -> tuple[str, PatientIdentifier]:
        unique_id, value, authority = visit.handles.open("national", visit.parameters["document"])
        return unique_id, PatientIdentifier(value, authority)


def problem_of(answer: NationalAnswer) -> str:
    """Key of the sentence that says why there is nothing to see; "" where there is."""
    if answer.status is None:
        return "national.no_number"
    if answer.status.standing is not Standing.OPEN:
        return f"national.standing.{answer.status.standing}"
    if answer.status.authorisation is Authorisation.FORBIDDEN:
        return "national.forbidden"
    return ""


def said(visit: Visit, error: HubError) -> str:
    """Key of the sentence for an error; what nobody knows: the record does not answer."""
    for kind in type(error).__mro__:
        code = getattr(kind, "code", "")
        for key in (f"national.error.{code}", f"error.{code}"):
            if code.startswith(("record-", "source-")) and visit.phrases.maybe(key, ""):
                return key
    return "national.failed"


def kept(*, whole: bool, archived: bool, sought: str) -> Callable[..., str]:
    """What links to the same search say, with changes: ``kept(whole="1")``."""
    now = {"whole": "1" if whole else "", "archived": "1" if archived else "", "sought": sought}

    def query(**changes: object) -> str:
        return urlencode({name: value for name, value in {**now, **changes}.items() if value})

    return query


def told(visit: Visit) -> tuple[str, str] | None:
    """(kind, text) of what the last form did."""
    word = visit.query.get("told", "")
    return (_TOLD[word], visit.phrases(f"national.told.{word}")) if word in _TOLD else None


def study_of(entry: DocumentEntry) -> str:
    """The StudyInstanceUID that an entry refers to, "" when it says none."""
    return next((item.value for item in entry.reference_ids if item.type_code == timeline.STUDY_INSTANCE_UID), "")


def hosts(manifest: Manifest) -> tuple[str, ...]:
    """Where the images are, by name, each once."""
    found = (urlsplit(series.retrieve_url).hostname or "" for series in manifest.series)
    return tuple(host for host in dict.fromkeys(found) if host)
