"""The portal's router: pages, their files, the viewer."""

import copy
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from hub.drimbox.model import ExportStudy, OpenCall, OpenRemote
from hub.errors import NotFound
from hub.mail.model import ListLetters
from hub.portal import elsewhere, invoke, letters, mail, record, record_read, record_web, rights, sign_in_end
from hub.portal.account import Account
from hub.portal.casework import Casework
from hub.portal.clinical import Clinical
from hub.portal.desk import Desk
from hub.portal.document_life import Life
from hub.portal.documents import Documents
from hub.portal.operator import Operator
from hub.portal.packages import Packages
from hub.portal.ports import PortalHub
from hub.portal.render import SECURITY_HEADERS, Renderer, see_other
from hub.portal.stewards import Stewards
from hub.portal.timeline import Names
from hub.portal.trail import TrailPages
from hub.portal.viewer import Viewer
from hub.portal.visit import Visit
from hub.portal.web import Front, Route
from hub.record.model import ListPublications
from hub.record.reading_model import SearchNational
from hub.record.web_access import OpenWebPage
from hub.usecase import Dispatcher

Endpoint = Callable[[Request], Awaitable[Response]]
STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Pages(Protocol):
    """A module of pages."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """Its pages."""
        ...


class PortalDispatcher(Dispatcher):
    """The hub's use cases, and the portal's own beside them."""

    def __init__(self, hub: PortalHub, rooms: Dispatcher) -> None:
        super().__init__([Desk(hub), Casework(hub, rooms)])
        self._handlers = {**rooms.handlers, **self._handlers}


def build(hub: PortalHub) -> APIRouter:
    """Everything under ``/portal`` and ``/ohif``, and the way there from ``/``."""
    hub = _Served(hub)
    names = Names(
        {source.name: source.title for source in hub.settings.sources},
        {authority.oid: authority.name or authority.namespace for authority in hub.settings.authorities},
    )
    renderer = Renderer(hub.settings.region.name)
    front = Front(hub, renderer)
    router = APIRouter()
    account = Account(hub, renderer)
    clinical, documents = Clinical(hub, renderer, names), Documents(hub, renderer, names)
    pages: list[Pages] = [
        account,
        clinical,
        documents,
        Life(hub, renderer, names),
        Packages(hub),
        Stewards(hub, renderer, names),
        Operator(hub, renderer),
        TrailPages(hub, renderer),
        rights.RightsPages(renderer, names),
    ]
    if ListPublications in hub.pipeline.dispatch.handlers:  # a hub with a national record
        renderer.menu_operator = (*renderer.menu_operator, record.MENU)
        pages.append(record.RecordPages(renderer))
    pages += _beyond_the_region(hub, renderer, account, clinical)
    if ListLetters in hub.pipeline.dispatch.handlers:  # a hub with secure mail
        renderer.menu_operator = (*renderer.menu_operator, mail.MENU)
        renderer.mails = True
        pages += [mail.MailPages(renderer, account, documents), letters.LetterPages(renderer, clinical)]
    for module in pages:
        for route in module.routes:
            router.add_route(route.path, front.endpoint(route), methods=[route.method], include_in_schema=False)
    for path, endpoint in sign_in_end.End(hub, front).routes:
        router.add_route(path, endpoint, methods=["POST"], include_in_schema=False)
    for path, endpoint in invoke.Invoke(hub, front, account).routes:
        router.add_route(path, endpoint, methods=["GET"], include_in_schema=False)
    router.add_route("/portal/static/{name}", static, methods=["GET"], include_in_schema=False)
    for path, endpoint in Viewer(hub.settings.viewer, hub.access, hub.settings.web.trusted_proxy).routes:
        router.add_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)
    for method in ("GET", "POST"):  # last: whatever no page has taken
        nothing = _climbers_apart(front.endpoint(Route("/portal/{path:path}", _nothing_here, method)))
        router.add_route("/portal/{path:path}", nothing, methods=[method], include_in_schema=False)
    return router


def _nothing_here(visit: Visit) -> Response:
    """An address under ``/portal`` that no page has: the portal's own page says so, to those who are signed in."""
    if visit.path == "/portal/":
        return see_other("/portal")
    raise NotFound


def _climbers_apart(endpoint: Endpoint) -> Endpoint:
    """Whoever tries to climb is for the application, which tells the trail."""

    async def answer(request: Request) -> Response:
        if ".." in request.url.path.split("/"):
            raise HTTPException(404)
        return await endpoint(request)

    return answer


def _beyond_the_region(hub: PortalHub, renderer: Renderer, account: Account, clinical: Clinical) -> Iterator[Pages]:
    """The national record, the boxes of other regions, what is taken over from there."""
    can = hub.pipeline.dispatch.handlers
    exports: elsewhere.ExportPages | None = None
    if ExportStudy in can:
        titles = {source.name: source.title or source.name for source in hub.settings.sources}
        archives = {name: titles.get(name, name) for name in hub.settings.drimbox.export_to}
        exports = elsewhere.ExportPages(clinical, renderer, archives)
        clinical.exports = exports.of
        yield exports
    if SearchNational in can:
        renderer.read_with = frozenset(hub.settings.record.read_with)
        exported = exports.of if exports is not None else None
        web = record_web.PAGES if OpenWebPage in can else ()
        national = record_read.NationalPages(
            clinical, renderer, remote=OpenRemote in can, exports=exported, web=tuple(web)
        )
        yield national
        if web:
            yield record_web.NationalWebPages(clinical)
        if OpenRemote in can:
            yield elsewhere.RemotePages(clinical, national, exports)
    if OpenCall in can:
        yield elsewhere.CallPages(account, clinical, national=SearchNational in can)


class _Served:
    """The hub with a pipeline that also carries out the desk's commands."""

    def __init__(self, hub: PortalHub) -> None:
        self.settings = hub.settings
        self.catalogue = hub.catalogue
        self.access = hub.access
        self.ways_in = hub.ways_in
        self.audit = hub.audit
        self.exchange = hub.exchange
        self.sources = hub.sources
        self.subscriptions = hub.subscriptions
        self.life = hub.life
        self.patients = hub.patients
        self.details = hub.details
        self.stewardship = hub.stewardship
        self.orphans = hub.orphans
        self.vocabulary_problem = hub.vocabulary_problem
        self.pipeline = copy.copy(hub.pipeline)
        self.pipeline.wires = {**hub.pipeline.wires, "page": invoke.refusal}
        self.pipeline.dispatch = PortalDispatcher(hub, hub.pipeline.dispatch)


async def static(request: Request) -> Response:
    """Style, script, logo: the package's own files and nothing else."""
    path = STATIC / request.path_params["name"]
    if path.parent != STATIC or path.suffix not in MEDIA_TYPES or not path.is_file():
        return PlainTextResponse("Not found", 404)
    headers = {**SECURITY_HEADERS, "Cache-Control": "no-cache"}
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=headers)
