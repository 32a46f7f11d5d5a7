"""Images that another region keeps, a hospital's contextual calls, exports to a local archive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

from hub.context import Context
from hub.drimbox.model import (
    Export,
    ExportState,
    ExportStudy,
    ListExports,
    OpenCall,
    OpenedCall,
    OpenedRemote,
    OpenRemote,
    Sought,
)
from hub.errors import NotAuthenticated, NotFound
from hub.imaging.manifest import read_manifest
from hub.patients.model import GetPerson, Person
from hub.portal import actions, timeline
from hub.portal.account import Account
from hub.portal.clinical import Clinical
from hub.portal.doorway import CALL
from hub.portal.record_read import NationalPages
from hub.portal.render import PRIVATE, SECURITY_HEADERS, Renderer, see_other
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import PatientIdentifier

#: A browser that comes from another site keeps the session's cookie back; the page's own reload sends it.
_AGAIN = '<!doctype html><html lang="en"><meta http-equiv="refresh" content="0"><title>Maillage</title></html>'
_GOES_ON = (ExportState.FETCHING, ExportState.SENDING)


@dataclass(frozen=True, slots=True)
class Exports:
    """What a study's page says of exports. ``archives``: (name, title) of where it may go."""

    archives: Sequence[tuple[str, str]]
    action: str  #: where the form is sent
    watched: str  #: where the rows are asked for again
    rows: Sequence[Export]

    @property
    def goes_on(self) -> bool:
        """Whether something will change by itself."""
        return any(row.state in _GOES_ON for row in self.rows)


class ExportPages:
    """The button, and how far it is. ``archives``: name -> title."""

    def __init__(self, clinical: Clinical, renderer: Renderer, archives: Mapping[str, str]) -> None:
        self.clinical = clinical
        self.render = renderer.page
        self.archives = archives

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route("/portal/study/{study}/export", self.of_region, "POST"),
            Route("/portal/exports/{exports}", self.rows),
        )

    def of(self, visit: Visit, person: Person, study: str, action: str, at: str = "") -> Exports | None:
        """For a study's page; None for who may not. ``at``: where the study is already."""
        if not visit.may(actions.EXPORT.permission):
            return None
        handle = visit.handles.seal("exports", study, person.regional.value, person.regional.authority)
        rows = self._rows(visit, person.regional, study)
        archives = [(name, title) for name, title in self.archives.items() if name != at]
        return Exports(archives, action, f"/portal/exports/{handle}", rows)

    def rows(self, visit: Visit) -> Response:
        """A fragment: how far the exports of a study are."""
        study, value, authority = visit.handles.open("exports", visit.parameters["exports"])
        rows = self._rows(visit, PatientIdentifier(value, authority), study)
        exports = Exports((), "", f"/portal/exports/{visit.parameters['exports']}", rows)
        return self.render(visit, "partials/export_rows.html", exports=exports)

    def of_region(self, visit: Visit) -> Response:
        """A study of the region."""
        person, uid, source = self.clinical.opened_study(visit)
        self.clinical.found(visit, person, uid, source)
        self.begin(visit, person, uid)
        return see_other(f"/portal/study/{visit.parameters['study']}")

    def begin(self, visit: Visit, person: Person, study: str) -> None:
        """What the form asks for. Raises as ExportStudy."""
        visit.perform(actions.EXPORT, ExportStudy(person.regional, study, visit.form.get("archive", "")[:100]))

    @staticmethod
    def _rows(visit: Visit, person: PatientIdentifier, study: str) -> Sequence[Export]:
        """Part of a page that is audited itself, asked for again every few seconds."""
        context = Context(principal=visit.who, peer=visit.peer, session=visit.token)
        found: Sequence[Export] = visit.pipeline.dispatch(ListExports(person, study), context)
        return found


class RemotePages:
    """A study of the national record whose images another region keeps."""

    def __init__(self, clinical: Clinical, national: NationalPages, exports: ExportPages | None) -> None:
        self.clinical = clinical
        self.national = national
        self.exports = exports

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        document = "/portal/national/{document}"
        export = (Route(f"{document}/export", self.export, "POST"),) if self.exports is not None else ()
        return (Route(f"{document}/images", self.images), *export)

    def images(self, visit: Visit) -> Response:
        """To the viewer when every box answers; else to the page that says what each one said."""
        person, found = self.national.opened(visit)
        if found.mime_type != timeline.DICOM:
            raise NotFound
        manifest = read_manifest(found.content)
        entry = found.entry
        command = OpenRemote(
            person.regional,
            manifest,
            found.content,
            entry.title,
            entry.service_start_time,
            tuple(code.value for code in entry.event_codes if code.value.isupper() and len(code.value) <= 16),
        )
        opened: OpenedRemote = visit.perform(actions.REMOTE, command)
        viewer = f"/ohif/viewer?StudyInstanceUIDs={quote(manifest.study_instance_uid, safe='.')}"
        if opened.whole and self.clinical.hub.settings.viewer is not None:
            return see_other(viewer)
        usable = viewer if opened.usable and self.clinical.hub.settings.viewer is not None else ""
        code = 200 if opened.usable else 502
        return self.national.study_page(visit, person, found, opened=opened.statuses, viewer=usable, code=code)

    def export(self, visit: Visit) -> Response:
        """Once it is open: the caller reads the images from the other box, and the archive gets them."""
        person, found = self.national.opened(visit)
        if found.mime_type != timeline.DICOM or self.exports is None:
            raise NotFound
        self.exports.begin(visit, person, read_manifest(found.content).study_instance_uid)
        return see_other(f"/portal/national/{visit.parameters['document']}")


class CallPages:
    """Where a contextual call leads. ``national``: the hub has a national record."""

    def __init__(self, account: Account, clinical: Clinical, *, national: bool) -> None:
        self.account = account
        self.clinical = clinical
        self.national = national

    @property
    def routes(self) -> tuple[Route, ...]:
        """The page of this module."""
        return (Route(f"{CALL}{{call}}", self.call, public=True),)

    def call(self, visit: Visit) -> Response:
        """Who comes by the address says who they are first; then the patient is shown, with what is looked for."""
        if visit.principal is None:
            if visit.foreign and not visit.token:
                return HTMLResponse(_AGAIN, headers={**SECURITY_HEADERS, **PRIVATE})
            refused = Context(transaction=actions.PAGE.id, peer=visit.peer)
            self.account.hub.audit.record(actions.PAGE, refused, NotAuthenticated(), 0)
            return self.account.form(visit, target=visit.path)
        found: OpenedCall = visit.perform(actions.CALL, OpenCall(visit.parameters["call"]))
        person: Person = visit.perform(actions.PERSON, GetPerson(found.person))
        handle = self.clinical.handle(visit, person)
        if not self.national:
            return see_other(f"/portal/person/{handle}")
        return see_other(f"/portal/person/{handle}/national{_narrowed(visit, found.sought)}")


def _narrowed(visit: Visit, sought: Sought) -> str:
    if not sought:
        return ""
    values = (sought.study_instance_uid, sought.accession_number, sought.modality, sought.region, sought.started)
    return f"?sought={visit.handles.seal('sought', *values)}"
