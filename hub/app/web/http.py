"""The HTTP application: every route is derived from the transactions' descriptors."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, cast

import anyio.to_thread
import orjson
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub import __version__
from hub.access.model import Credentials
from hub.access.scopes import INTERACTIONS
from hub.app.oauth import http as oauth_http
from hub.app.running.logs import correlation_id
from hub.app.web import edge
from hub.app.web.edge import Body
from hub.app.web.guard import Guard
from hub.app.web.lane import Lane
from hub.app.web.openapi import describe
from hub.app.web.operations import WebHub, allowed, answer_error, missed, operations, unknown
from hub.app.web.wsdl import description
from hub.context import Context
from hub.errors import HubError, MethodNotAllowed, NotFound
from hub.pipeline.catalogue import Bound
from hub.pipeline.transaction import Binding, Dicomweb, Direction, Fhir, Form, Kind, Soap
from hub.values import Oid, new_key
from hub.wire.fhir import formats
from hub.wire.fhir.body import is_batch_of
from hub.wire.http import HttpResponse
from hub.wire.saml.header import check_unique, shown
from hub.wire.soap.errors import MtomRequired
from hub.wire.soap.message import Limits, SoapMessage
from hub.wire.soap.reading import expect, parse_request, select
from hub.wire.soap.writing import refuse as soap_refuse
from hub.wire.soap.writing import render

MEGABYTE = 1024 * 1024
FHIR_ROOT = "/fhir"
DICOMWEB_ROOT = "/dicom-web"


class Edge:
    """Carries HTTP requests to the pipeline. All work on a request happens in one thread."""

    def __init__(self, hub: WebHub) -> None:
        self.hub = hub
        self.lane = Lane("web-lane")
        self.proxy = hub.settings.web.trusted_proxy
        self.community = Oid(hub.settings.region.home_community_id).urn
        web = hub.settings.web
        self.limits = Limits(
            envelope=web.max_message_mb * MEGABYTE, body=web.max_body_mb * MEGABYTE, spool=hub.content.incoming()
        )

    async def in_thread(
        self, work: Callable[[Context], HttpResponse], request: Request, body: Body, *, short: bool = False
    ) -> Response:
        """Run ``work`` in a thread; close the connection when part of the request was left unread.

        ``short``: it is expected to be, and has no need to wait for anything but the database."""
        context = Context(correlation_id=correlation_id.get() or new_key(), community=self.community)
        try:
            if short:
                answer = await self.lane.run(partial(work, context))
            else:
                answer = await anyio.to_thread.run_sync(work, context, limiter=edge.WORK)
        finally:
            body.close()
        response = edge.http_answer(answer, context)
        if not body.complete and (request.headers.get("content-length", "0") != "0"):
            response.headers["connection"] = "close"
        return response

    def admitted(self, bound: Iterable[Bound], credentials: Credentials) -> Credentials | None:
        """The credentials, looked at, of a caller who may carry out at least one of the transactions. None: nothing of
        it is read."""
        try:
            proven = self.hub.access.prove(credentials)
        except HubError:
            return None
        principal = self.hub.access.transmitter(proven)
        for item in bound:
            try:
                self.hub.access.permit(principal, item.transaction.permission, Context(item.id, principal))
            except HubError:
                continue
            return proven
        return None

    def soap(self, table: Mapping[str, tuple[Soap, Bound]]) -> Callable[[Request], Any]:
        """The endpoint of one path: dispatched on wsa:Action."""
        every = [bound for _, bound in table.values()]
        short = [action for action, (_, bound) in table.items() if _is_short(bound)]

        async def endpoint(request: Request) -> Response:
            body = Body(request, self.limits.body)
            credentials = edge.credentials_of(request, self.proxy, sessions=False)
            content_type = request.headers.get("content-type", "")
            arrived = body.arrived  # then it costs nothing to have it at hand, and one thread does everything
            proven: Credentials | None = None
            if not arrived:
                proven = await anyio.to_thread.run_sync(self.admitted, every, credentials, limiter=edge.WORK)
            if arrived or proven is not None:
                await body.prefetch()

            def work(context: Context) -> HttpResponse:
                shown = self.admitted(every, credentials) if arrived else proven
                if shown is None:
                    likely = next((bound for action, (_, bound) in table.items() if action in content_type), every[0])
                    return render(self.hub.pipeline.run(likely, "soap", None, credentials, context), None)
                return self._soap(table, request, body, shown, context)

            return await self.in_thread(work, request, body, short=arrived and body.mentions(short))

        return endpoint

    def _soap(
        self,
        table: Mapping[str, tuple[Soap, Bound]],
        request: Request,
        body: Body,
        credentials: Credentials,
        context: Context,
    ) -> HttpResponse:
        message: SoapMessage | None = None
        chosen: Bound | None = None
        told = False  # audited by the pipeline
        try:
            content_type = request.headers.get("content-type", "")
            message = parse_request(content_type, body, self.hub.content.receive, self.limits, elsewhere=True)
            message = replace(message, base=self.hub.public_url(), path=request.scope["path"])
            binding, bound = select(table, message)
            chosen = bound
            if binding.mtom and not message.mtom:
                raise MtomRequired()
            expect(message, binding.body)
            self.hub.replies.check(message, asynchronous=binding.asynchronous)
            if message.security is not None:
                check_unique(message.security)
                credentials = replace(credentials, saml=shown(message.security))
            context.source = self.hub.soap_inbox.source(message, bound)
            told = True
            answer = self.hub.pipeline.run(bound, "soap", message, credentials, context)
            return self.hub.replies.answer(answer, message, context)
        except HubError as error:  # before the pipeline had a transaction: what it raises it answers itself
            failure = error
            if not told:
                failure = self.hub.pipeline.turned_away(error, credentials, context, chosen)
            return render(soap_refuse(failure, message, context), message)
        finally:
            if message is not None:
                message.discard()

    def resource(
        self, binding: Fhir | Dicomweb, bound: Bound, root: str, batches: Mapping[str, Bound] = MappingProxyType({})
    ) -> Callable[[Request], Any]:
        """The endpoint of one FHIR interaction or DICOMweb resource. ``batches``: who takes batches of a resource."""
        every = (bound, *batches.values())
        letter = INTERACTIONS.get(binding.interaction) if isinstance(binding, Fhir) else None
        interaction = f"{binding.resource}.{letter}" if isinstance(binding, Fhir) and letter else ""

        async def endpoint(request: Request) -> Response:
            body = Body(request, self.limits.envelope)
            # A browser sends its cookie whatever page makes it call: sessions count for reading only.
            sessions = request.method in ("GET", "HEAD")
            credentials = edge.credentials_of(request, self.proxy, sessions=sessions)
            base = self.hub.public_url() + root
            xml = isinstance(binding, Fhir) and binding.xml and edge.in_xml(request)
            reads = request.method not in ("GET", "HEAD")
            if reads:
                proven = await anyio.to_thread.run_sync(self.admitted, every, credentials, limiter=edge.WORK)
                reads, credentials = proven is not None, proven or credentials
            if reads:
                await body.prefetch()

            def work(context: Context) -> HttpResponse:
                context.interaction = interaction
                message = edge.http_request(request, base)
                if reads:
                    message = replace(message, body=body.read())
                    if request.url.path.endswith("/_search"):
                        message = edge.with_form(message)
                if isinstance(binding, Fhir) and binding.xml:
                    message = formats.as_json(message, xml_wanted=xml)
                chosen = next((taker for kind, taker in batches.items() if is_batch_of(message.body, kind)), bound)
                return cast("HttpResponse", self.hub.pipeline.run(chosen, binding.wire, message, credentials, context))

            def safely(context: Context) -> HttpResponse:
                try:
                    return work(context)
                except HubError as error:  # the message could not be read: what the pipeline raises it answers itself
                    failure = self.hub.pipeline.turned_away(error, credentials, context, bound)
                    answer: HttpResponse = self.hub.pipeline.wires[binding.wire](failure, None, context)
                    return answer

            told = (lambda context: formats.as_xml(safely(context))) if xml else safely
            return await self.in_thread(told, request, body)

        return endpoint


def build(hub: WebHub) -> FastAPI:
    """The application of the role ``web``."""
    door = Edge(hub)
    application = _Application(
        title="Maillage",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would lead to whatever host the caller names
        middleware=[Middleware(Guard)],
        exception_handlers={HubError: answer_error, 404: _nothing_here(hub, door), 405: _nothing_here(hub, door)},
    )
    routes = application.router.routes
    soap = [*_soap_routes(hub, door)]
    routes += [*soap, *_form_routes(hub, door), *_resource_routes(hub, door), *operations(hub)]
    application.express = {
        route.path: Guard(_straight(route.endpoint)) for route in soap if route.methods and "POST" in route.methods
    }
    return application


class _Application(FastAPI):
    """``express``: endpoints that POST reaches without the framework's layers, which cost more than reading a query."""

    express: Mapping[str, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        posted = scope["type"] == "http" and scope["method"] == "POST"
        endpoint = self.express.get(scope["path"]) if posted else None
        if endpoint is None:
            await super().__call__(scope, receive, send)
        else:
            await endpoint(scope, receive, send)


def _straight(endpoint: Callable[[Request], Any]) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scope["endpoint"] = endpoint
        request = Request(scope, receive, send)
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            response: Response = await endpoint(request)
            await response(scope, receive, sending)
        except HubError as error:
            if started:
                raise
            await (await answer_error(request, error))(scope, receive, send)

    return application


def _is_short(bound: Bound) -> bool:
    """Whether it is a question to the registry itself: answered from the database, by nobody else."""
    return bound.transaction.kind is Kind.QUERY and bound.transaction.responder == "Document Registry"


def _bindings(hub: WebHub, kind: type[Binding]) -> Iterable[tuple[Any, Bound]]:
    for binding, bound in hub.catalogue.bindings(kind):
        if bound.transaction.direction is not Direction.INITIATOR:
            yield binding, bound


def _soap_routes(hub: WebHub, door: Edge) -> Iterable[Route]:
    tables: defaultdict[str, dict[str, tuple[Soap, Bound]]] = defaultdict(dict)
    for binding, bound in _bindings(hub, Soap):
        if binding.action in tables[binding.path]:
            raise TypeError(f"{binding.path} has the action {binding.action} twice")
        tables[binding.path][binding.action] = (binding, bound)
    for path, table in sorted(tables.items()):
        yield Route(path, door.soap(table), methods=["POST"])
        yield Route(path, description(path, table.values(), hub.public_url), methods=["GET"])


def _resource_routes(hub: WebHub, door: Edge) -> Iterable[Route]:
    yield Route(f"{FHIR_ROOT}/metadata", _capability(hub), methods=["GET"])
    yield Route("/openapi.json", _openapi(hub), methods=["GET"])
    found: list[tuple[str, Fhir | Dicomweb, Bound, str]] = []
    batches = {binding.bundles_of: bound for binding, bound in _bindings(hub, Fhir) if binding.bundles_of}
    for binding, bound in _bindings(hub, Fhir):
        if not binding.bundles_of:
            found.append((FHIR_ROOT + binding.path, binding, bound, FHIR_ROOT))
    for binding, bound in _bindings(hub, Dicomweb):
        found.append((binding.root + binding.path, binding, bound, binding.root))
    for path, binding, bound, root in sorted(found, key=lambda row: _specific_first(row[0])):
        others = batches if (path, binding.method) == (FHIR_ROOT, "POST") else {}
        endpoint = door.resource(binding, bound, root, others)
        yield Route(path, endpoint, methods=[binding.method])
        if path == FHIR_ROOT:  # a base has a slash at its end, or has none (FHIR R4: 3.1.0.1.2)
            yield Route(f"{path}/", endpoint, methods=[binding.method])


def _form_routes(hub: WebHub, door: Edge) -> Iterable[Route]:
    for binding, bound in _bindings(hub, Form):
        yield Route(binding.path, oauth_http.endpoint(door, binding, bound), methods=[binding.method])


def _specific_first(path: str) -> tuple[tuple[int, str], ...]:
    """Literal segments before parameters, so that ``/studies/{study}/metadata`` is not taken for a parameter."""
    return tuple((2 if ":path}" in part else 1 if part.startswith("{") else 0, part) for part in path.split("/"))


def _capability(hub: WebHub) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        found = HttpResponse(200, orjson.dumps(hub.capability()), "application/fhir+json")
        return edge.http_answer(formats.as_xml(found) if edge.in_xml(request) else found)

    return endpoint


def _openapi(hub: WebHub) -> Callable[[Request], Any]:
    async def endpoint(_request: Request) -> Response:
        document = describe(hub.catalogue, url=hub.public_url(), version=__version__, title=hub.settings.region.name)
        return Response(orjson.dumps(document), media_type="application/json")

    return endpoint


def _nothing_here(hub: WebHub, door: Edge) -> Callable[[Request, Exception], Any]:
    """No route, or none for the method: said in the wire's own way where the path belongs to one. Who tries to climb is
    in the trail."""
    wires = {FHIR_ROOT: "fhir", DICOMWEB_ROOT: "dicomweb", "/wado": "dicomweb"}

    async def handler(request: Request, error: Exception) -> Response:
        steps = request.url.path.split("/")
        wire = wires.get("/" + steps[1])
        context = Context(correlation_id=correlation_id.get() or new_key())
        if ".." in steps:
            climbed = NotFound("A path may not lead upwards.")
            credentials = edge.credentials_of(request, door.proxy, sessions=False)
            record = partial(hub.pipeline.turned_away, climbed, credentials, context)
            await anyio.to_thread.run_sync(record, limiter=edge.WORK)
        if wire is None:
            return await unknown(request, error)
        told = missed(error)
        refused = hub.pipeline.wires[wire](told, None, context)
        if isinstance(told, MethodNotAllowed):
            refused = replace(refused, headers={**refused.headers, "Allow": allowed(request)})
        return edge.http_answer(refused)

    return handler
