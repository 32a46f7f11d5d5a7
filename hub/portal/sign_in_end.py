"""The provider ends a session of its own (OIDC Back-Channel Logout 1.0): those of the hub that hang on it end as well.

No browser calls here, so that there is neither a session nor a form's key: the signed logout token is the proof."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.errors import HubError, Malformed, Unavailable
from hub.portal import actions
from hub.portal.doorway import told
from hub.portal.ports import PortalHub
from hub.portal.web import Front, read_form

PATH = "/portal/sign-in/provider/logout"
_HEADERS = {"Cache-Control": "no-store"}


class End:
    """The endpoint that the provider is told of (``backchannel_logout_uri``)."""

    def __init__(self, hub: PortalHub, front: Front) -> None:
        self.hub = hub
        self.front = front

    @property
    def routes(self) -> Sequence[tuple[str, Callable[[Request], Awaitable[Response]]]]:
        """Path and endpoint, where there is a provider."""
        return [(PATH, self.endpoint)] if self.hub.ways_in.provider is not None else []

    async def endpoint(self, request: Request) -> Response:
        """200: the sessions are over. 400: the token is no good (2.8)."""
        form = await read_form(request)
        return await run_in_threadpool(self._answer, request, form or {})

    def _answer(self, request: Request, form: Mapping[str, str]) -> Response:
        visit, started, failure = self.front.visit(request), time.monotonic(), None
        provider = self.hub.ways_in.provider
        assert provider is not None
        try:
            token = form.get("logout_token", "")
            if not token:
                raise Malformed("There is no logout_token.")
            provider.ended(token)
        except HubError as error:
            failure = error
        told(self.hub, visit, actions.ENDED, failure, started)
        if failure is None:
            return Response(status_code=200, headers=_HEADERS)
        code = 503 if isinstance(failure, Unavailable) else 400
        answer = {"error": "invalid_request", "error_description": failure.message}
        return JSONResponse(answer, code, headers=_HEADERS)
