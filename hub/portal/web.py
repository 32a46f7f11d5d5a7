"""HTTP to visits: session, language, form token; and errors to pages."""

import ipaddress
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import Response

from hub.access.model import ANONYMOUS, Credentials
from hub.context import Context
from hub.errors import (
    AccessDenied,
    Ambiguous,
    Conflict,
    HubError,
    InternalError,
    Invalid,
    Malformed,
    NotAuthenticated,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
    lookup,
)
from hub.portal import actions
from hub.portal.certificate import certificate_of
from hub.portal.ports import PortalHub
from hub.portal.render import Renderer, see_other
from hub.portal.texts import choose
from hub.portal.visit import FORM_COOKIE, LANGUAGE_COOKIE, SESSION_COOKIE, Forged, Phrases, Visit
from hub.wire import nul

log = logging.getLogger(__name__)

MAX_FORM = 64 * 1024
MAX_FIELDS = 400  #: a person's page has a box for each document
STATUS: Mapping[type[HubError], int] = {
    HubError: 500,
    NotAuthenticated: 401,
    AccessDenied: 403,
    NotFound: 404,
    Invalid: 400,
    Malformed: 400,
    TooLarge: 413,
    Conflict: 409,
    Ambiguous: 409,
    Unsupported: 501,
    Unavailable: 503,
}

Function = Callable[[Visit], Response]


def peer_of(request: Request, trusted_proxy: str) -> str:
    """The caller's address: what the trusted proxy says, or the socket's.

    The last of all that the header says: a proxy adds its own line behind what its caller may have written."""
    address = request.client.host if request.client else ""
    if trusted_proxy and address == trusted_proxy:
        forwarded = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
        try:
            return str(ipaddress.ip_address(forwarded.partition("%")[0]))
        except ValueError:  # no text of a caller's own gets into the trail
            pass
    return address


def here(request: Request) -> str:
    """Path and query of the page that the visitor sees: what answers a form may have no page of its own."""
    url = request.url
    if request.method == "POST":
        before = URL(request.headers.get("referer", ""))
        if before.netloc == request.headers.get("host") and before.path.startswith("/portal/"):
            url = before
    own = url.path.startswith("/portal/")  # what others wrote into an address is not repeated
    return f"{url.path}?{url.query}" if own and url.query else url.path


@dataclass(frozen=True, slots=True)
class Route:
    """A page: where, how, and the function that answers."""

    path: str
    function: Function
    method: str = "GET"
    public: bool = False  #: reachable without a session


class Front:
    """Turns requests into visits, carries the page's function out in a thread, turns errors into pages."""

    def __init__(self, hub: PortalHub, renderer: Renderer) -> None:
        self.hub = hub
        self.renderer = renderer

    def endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        """The ASGI endpoint of a route."""

        async def answer(request: Request) -> Response:
            form = await read_form(request) if route.method == "POST" else {}
            return await run_in_threadpool(self._answer, route, request, form)

        return answer

    def _answer(self, route: Route, request: Request, form: Mapping[str, str] | None) -> Response:
        visit = self.visit(request, form or {})
        try:
            if form is None:
                raise TooLarge
            if nul.in_texts((*visit.form.values(), *visit.query.values(), *visit.parameters.values())):
                raise Malformed
            visit.certificate, visit.forwarded = certificate_of(request, self.hub.settings.web.trusted_proxy)
            self._identify(visit)
            if visit.principal is None and not route.public:
                return self._to_sign_in(visit, NotAuthenticated())
            if route.method == "POST":
                _check_form(visit)
            return route.function(visit)
        except NotAuthenticated as error:
            return self._to_sign_in(visit, error)
        except Forged as error:
            context = Context(transaction=actions.FORGED.id, peer=visit.peer, principal=visit.principal or ANONYMOUS)
            self.hub.audit.record(actions.FORGED, context, error, 0)
            return self.refusal(visit, error)
        except HubError as error:
            return self.refusal(visit, error)
        except Exception:
            log.exception("a portal page failed", extra={"correlation_id": visit.correlation_id})
            return self.refusal(visit, InternalError())

    def visit(self, request: Request, form: Mapping[str, str] = MappingProxyType({})) -> Visit:
        """A request as pages see it; nobody is identified yet."""
        language = choose(request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", ""))
        return Visit(
            pipeline=self.hub.pipeline,
            phrases=Phrases(language),
            path=request.url.path,
            here=here(request),
            peer=peer_of(request, self.hub.settings.web.trusted_proxy),
            secure=request.url.scheme == "https" or self.hub.settings.web.public_url.startswith("https:"),
            foreign=request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "same-site", "none"),
            partial=request.headers.get("x-requested-with") == "portal",
            token=request.cookies.get(SESSION_COOKIE, ""),
            parameters=dict(request.path_params),
            query=dict(request.query_params),
            form=form,
            cookies=request.cookies,
        )

    def _identify(self, visit: Visit) -> None:
        if not visit.token:
            return
        try:
            visit.principal = self.hub.access.authenticate(Credentials(session=visit.token, peer=visit.peer))
        except NotAuthenticated:
            visit.token = ""

    def _to_sign_in(self, visit: Visit, error: NotAuthenticated) -> Response:
        self.hub.audit.record(actions.PAGE, Context(transaction=actions.PAGE.id, peer=visit.peer), error, 0)
        if visit.partial:  # portal.js reloads the page, which then leads to the sign-in
            return Response(status_code=401, headers={"Cache-Control": "no-store"})
        expired = "?expired=1" if visit.cookies.get(SESSION_COOKIE) else ""
        response = see_other(f"/portal/sign-in{expired}")
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    def refusal(self, visit: Visit, error: HubError) -> Response:
        """The error as a page: its sentence in the visitor's language, and the reference that finds it in the log."""
        template = "partials/error.html" if visit.partial else "error.html"
        visit.here = visit.path  # what was asked of an address that failed is not repeated
        sentence = visit.phrases.maybe(f"error.{error.code}", "")
        for ancestor in type(error).__mro__:
            sentence = sentence or visit.phrases.maybe(f"error.{getattr(ancestor, 'code', '')}", "")
        detail = error.message if error.message not in (error.title, sentence) else ""
        return self.renderer.page(
            visit, template, code=lookup(STATUS, error), error=error, sentence=sentence, detail=detail
        )


async def read_form(request: Request) -> Mapping[str, str] | None:
    """The URL-encoded form's fields; None when it is too large or no form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return None
    try:
        return dict(
            parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MAX_FIELDS)
        )
    except ValueError:
        return {}


def _check_form(visit: Visit) -> None:
    """Every POST proves that its form came from this session (or, before one, from this browser)."""
    offered = visit.form.get("csrf", "")
    if visit.principal is not None:
        genuine = visit.handles.genuine(offered)
    else:
        expected = visit.cookies.get(FORM_COOKIE, "")
        genuine = bool(expected) and secrets.compare_digest(offered.encode(), expected.encode())
    if not genuine:
        raise Forged
