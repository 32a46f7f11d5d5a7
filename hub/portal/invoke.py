"""Links from other systems (RAD-106): after the sign-in they lead to the viewer, a study's page, a person's record."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.access.model import Credentials
from hub.context import Context
from hub.errors import HubError, NotAuthenticated
from hub.imaging.model import StudyAnswer
from hub.pipeline.catalogue import Bound
from hub.pipeline.transaction import Page
from hub.portal.account import Account
from hub.portal.clinical import Rows
from hub.portal.ports import PortalHub
from hub.portal.render import PRIVATE, SECURITY_HEADERS, see_other
from hub.portal.visit import Visit
from hub.portal.web import Front
from hub.wire.http import HttpRequest
from hub.wire.invoke import Display, ViewerMissing

#: A browser that comes from another site keeps the session's cookie back; the page's own reload sends it.
_AGAIN = '<!doctype html><html lang="en"><meta http-equiv="refresh" content="0"><title>Maillage</title></html>'


def refusal(error: HubError, message: HttpRequest, context: Context) -> HubError:  # noqa: ARG001 - the pipeline's
    """The wire's way to say no: the error itself, which the portal makes a page of."""
    return error


class Invoke:
    """The pages that the catalogue's transactions declare."""

    def __init__(self, hub: PortalHub, front: Front, account: Account) -> None:
        self.hub = hub
        self.front = front
        self.account = account

    @property
    def routes(self) -> Sequence[tuple[str, Callable[[Request], Awaitable[Response]]]]:
        """Paths and endpoints."""
        return [(binding.path, self.endpoint(bound)) for binding, bound in self.hub.catalogue.bindings(Page)]

    def endpoint(self, bound: Bound) -> Callable[[Request], Awaitable[Response]]:
        """The ASGI endpoint of one transaction. What there is no page for is refused before it is in the trail."""
        encoded = bound.encode

        def encode(outcome: StudyAnswer, message: HttpRequest, context: Context) -> Display:
            found: Display = encoded(outcome, message, context)
            if self.hub.settings.viewer is None and found.person is None:
                raise ViewerMissing()
            return found

        bound = replace(bound, encode=encode)

        async def answer(request: Request) -> Response:
            return await run_in_threadpool(self._answer, bound, request)

        return answer

    def _answer(self, bound: Bound, request: Request) -> Response:
        visit = self.front.visit(request)
        if not visit.token and request.headers.get("sec-fetch-site") == "cross-site":
            return HTMLResponse(_AGAIN, headers={**SECURITY_HEADERS, **PRIVATE})
        message = HttpRequest(request.method, request.url.path, query=tuple(request.query_params.multi_items()))
        context = Context(peer=visit.peer)
        visit.correlation_id = context.correlation_id
        credentials = Credentials(session=visit.token, peer=visit.peer)
        here = f"{request.url.path}?{request.url.query}"
        if not visit.token:  # an open hub takes programs without a session, never a person
            refused = Context(transaction=bound.id, peer=visit.peer)
            self.hub.audit.record(bound.transaction, refused, NotAuthenticated(), 0)
            return self.account.form(visit, target=here)
        found: Display | HubError = self.hub.pipeline.run(bound, "page", message, credentials, context)
        visit.principal = context.principal if context.principal.authenticated else None
        if isinstance(found, NotAuthenticated):
            visit.principal, visit.token = None, ""
            return self.account.form(visit, target=here)
        if isinstance(found, HubError):
            return self.front.refusal(visit, found)
        return self._shown(visit, found)

    def _shown(self, visit: Visit, found: Display) -> Response:
        person = found.person
        if person is None or (self.hub.settings.viewer is not None and not found.listed):
            uids = ",".join(item.study.study_instance_uid for item in found.studies)
            return see_other(f"/ohif/viewer?StudyInstanceUIDs={quote(uids, safe='.,')}")
        if len(found.studies) == 1 and not found.listed:
            return see_other(Rows(visit, person).study(found.studies[0]))
        return see_other(f"/portal/person/{visit.handles.seal('person', person.value, person.authority)}")
