"""What every process serves over HTTP: health and metrics; and how an error is told where no wire has its own way."""

from collections.abc import Mapping
from typing import Any, Protocol

import anyio.to_thread
import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.access.model import Credentials
from hub.app.running.health import Health
from hub.app.running.logs import correlation_id
from hub.app.running.metrics import MEDIA_TYPE, PrometheusMetrics
from hub.app.settings.model import LOOPBACK, Settings
from hub.app.web import edge
from hub.app.web.guard import Guard
from hub.app.web.replies import Replies
from hub.app.web.soap_inbox import SoapInbox
from hub.context import Context
from hub.errors import (
    AccessDenied,
    Category,
    HubError,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    TooLarge,
    Unavailable,
    Unsupported,
    lookup,
)
from hub.imaging.errors import TransferSyntaxNotPossible
from hub.pipeline.catalogue import Catalogue
from hub.pipeline.pipeline import Access, Pipeline
from hub.storage.content import ContentStore
from hub.values import new_key

#: HTTP status where no wire has its own table: health, metrics, unknown paths.
STATUS: Mapping[type[HubError], int] = {
    HubError: 500,
    Malformed: 400,
    Invalid: 400,
    TooLarge: 413,
    NotAuthenticated: 401,
    AccessDenied: 403,
    NotFound: 404,
    Unsupported: 404,
    TransferSyntaxNotPossible: 406,  # of a study's object, before the first byte of the answer is sent
    MethodNotAllowed: 405,
    Unavailable: 503,
}


class WebHub(Protocol):
    """What the application needs of the hub."""

    @property
    def settings(self) -> Settings:
        """All settings."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """All transactions."""
        ...

    @property
    def pipeline(self) -> Pipeline:
        """The one path."""
        ...

    @property
    def access(self) -> Access:
        """Who may."""
        ...

    @property
    def content(self) -> ContentStore:
        """Where attachments are spooled."""
        ...

    @property
    def soap_inbox(self) -> SoapInbox:
        """Whose feed a SOAP message is of."""
        ...

    @property
    def replies(self) -> Replies:
        """Answers to other places than the connection."""
        ...

    @property
    def metrics(self) -> PrometheusMetrics:
        """Counts and times."""
        ...

    def public_url(self) -> str:
        """Root URL under which others reach the hub, without a trailing slash."""
        ...

    def health(self) -> Health:
        """Readiness of this process's roles."""
        ...

    def capability(self) -> Mapping[str, Any]:
        """The FHIR CapabilityStatement."""
        ...


def build_operations(hub: WebHub) -> FastAPI:
    """Health and metrics only: for a process without the role ``web``."""
    application = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[Middleware(Guard)],
        exception_handlers={HubError: answer_error, 404: unknown, 405: unknown},
    )
    application.router.routes.extend(operations(hub))
    return application


def operations(hub: WebHub) -> list[Route]:
    """Health and metrics; all that a process without the role ``web`` serves."""

    async def live(_request: Request) -> Response:
        return Response(orjson.dumps({"status": "alive"}), media_type="application/json")

    async def ready(_request: Request) -> Response:
        health = await anyio.to_thread.run_sync(hub.health)
        body = orjson.dumps(health.document())
        return Response(body, 200 if health.ready else 503, media_type="application/json")

    async def metrics(request: Request) -> Response:
        credentials = edge.credentials_of(request, hub.settings.web.trusted_proxy, sessions=True)
        await anyio.to_thread.run_sync(_may_read_metrics, hub, credentials)
        text = await anyio.to_thread.run_sync(hub.metrics.text)
        return Response(text, media_type=MEDIA_TYPE)

    return [
        Route("/health/live", live, methods=["GET"]),
        Route("/health/ready", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


def _may_read_metrics(hub: WebHub, credentials: Credentials) -> None:
    if credentials.peer in LOOPBACK and not credentials.forwarded:  # who comes through a proxy is not from here
        return
    principal = hub.access.authenticate(credentials)
    hub.access.permit(principal, "operations.metrics", Context(principal=principal))


async def answer_error(_request: Request, error: Exception) -> Response:
    """An error that no wire answered, as JSON."""
    assert isinstance(error, HubError)
    context = Context(correlation_id=correlation_id.get() or new_key())
    body = {"code": error.code, "message": error.message, "correlation_id": context.correlation_id}
    status = lookup(STATUS, error)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    if error.category is Category.TRANSIENT:
        headers["retry-after"] = "5"
    return Response(orjson.dumps(body), status, headers, "application/json")


def missed(error: Exception) -> HubError:
    """What the framework found: no route, or none for this method."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        return MethodNotAllowed()
    return NotFound("There is nothing at this address.")


def allowed(request: Request) -> str:
    """Allow: the methods of the address, as the first route that fits writes it (``_search`` is no id)."""
    routes = [route for route in request.app.router.routes if isinstance(route, Route)]
    fit = [route for route in routes if route.path_regex.match(request.url.path)]
    return ", ".join(sorted({method for route in fit if route.path == fit[0].path for method in route.methods or ()}))


async def unknown(request: Request, error: Exception) -> Response:
    """No route."""
    told = missed(error)
    answer = await answer_error(request, told)
    if isinstance(told, MethodNotAllowed):
        answer.headers["allow"] = allowed(request)
    return answer
