"""Signing in and out, the language switch, the way home."""

import secrets
import time

from starlette.responses import Response

from hub.access.model import Credentials, Principal
from hub.context import Context
from hub.errors import HubError, NotAuthenticated
from hub.pipeline.transaction import Transaction
from hub.portal import actions
from hub.portal.ports import PortalHub
from hub.portal.render import MENU_CLINICAL, MENU_OPERATOR, Renderer, see_other
from hub.portal.texts import LANGUAGES
from hub.portal.visit import FORM_COOKIE, LANGUAGE_COOKIE, SESSION_COOKIE, Visit
from hub.portal.web import Route

INVOKED = "/IHEInvokeImageDisplay?"  #: where other systems' links lead (RAD-106)
WORKLIST = "/portal/steward"  #: a steward's first page
YEAR = 365 * 24 * 3600


class Account:
    """Who the visitor is, and in which language they read."""

    def __init__(self, hub: PortalHub, renderer: Renderer) -> None:
        self.hub = hub
        self.render = renderer.page

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route("/", self.home, public=True),
            Route("/portal", self.home, public=True),
            Route("/portal/sign-in", self.form, public=True),
            Route("/portal/sign-in", self.sign_in, "POST", public=True),
            Route("/portal/sign-out", self.sign_out, "POST"),
            Route("/portal/language/{language}", self.language, public=True),
        )

    def home(self, visit: Visit) -> Response:
        """To the first page that the visitor may see."""
        if visit.principal is None:
            return see_other("/portal/sign-in")
        if visit.may("patients.steward") and not visit.may("imaging.query"):
            return see_other(WORKLIST)
        allowed = (path for _, path, permission in (*MENU_CLINICAL, *MENU_OPERATOR) if visit.may(permission))
        return see_other(next(allowed, "/portal/search"))

    def form(self, visit: Visit, target: str = "") -> Response:
        """The sign-in form. ``target``: where another system's link leads afterwards."""
        if visit.principal is not None:
            return self.home(visit)
        notice = "signin.expired" if "expired" in visit.query else ""
        if "bye" in visit.query:
            notice = "signin.signed_out"
        return self._form(visit, notice=notice, target=target)

    def _form(
        self,
        visit: Visit,
        *,
        code: int = 200,
        notice: str = "",
        problem: str = "",
        login: str = "",
        target: str = "",
    ) -> Response:
        key = visit.cookies.get(FORM_COOKIE, "") or secrets.token_urlsafe(24)
        response = self.render(
            visit, "sign_in.html", code=code, notice=notice, problem=problem, login=login, form_key=key, target=target
        )
        _cookie(visit, response, FORM_COOKIE, key)
        return response

    def sign_in(self, visit: Visit) -> Response:
        """Opens a session; success and failure are audited."""
        login = visit.form.get("login", "").strip()[:120]
        target = visit.form.get("target", "")
        target = target if target.startswith(INVOKED) else ""  # never another site
        context = Context(peer=visit.peer)
        started = time.monotonic()
        try:
            token = self.hub.access.sign_in(login, visit.form.get("password", "")[:1000])
            principal = self.hub.access.authenticate(Credentials(session=token, peer=visit.peer))
        except NotAuthenticated as error:
            self._audit(actions.SIGN_IN, context, error, started, login)
            problem = "signin.too_many" if "many" in error.code else "signin.failed"
            return self._form(visit, code=401, problem=problem, login=login, target=target)
        context.principal = principal
        self._audit(actions.SIGN_IN, context, None, started, login)
        visit.principal, visit.token = principal, token
        response = see_other(target) if target else self.home(visit)
        _cookie(visit, response, SESSION_COOKIE, token)
        response.delete_cookie(FORM_COOKIE, path="/")
        return response

    def sign_out(self, visit: Visit) -> Response:
        """Ends the session, here and on the server."""
        principal: Principal = visit.who
        started = time.monotonic()
        self.hub.access.sign_out(visit.token)
        self._audit(actions.SIGN_OUT, Context(peer=visit.peer, principal=principal), None, started, principal.id)
        response = see_other("/portal/sign-in?bye=1")
        response.delete_cookie(SESSION_COOKIE, path="/")
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    def language(self, visit: Visit) -> Response:
        """Keeps the visitor's choice for a year, and goes back to where they were."""
        target = visit.query.get("next", "")
        response = see_other(target if target.startswith("/portal/") and "\\" not in target else "/portal")
        if visit.parameters["language"] in LANGUAGES:
            _cookie(visit, response, LANGUAGE_COOKIE, visit.parameters["language"], max_age=YEAR)
        return response

    def _audit(
        self, transaction: Transaction, context: Context, error: HubError | None, started: float, login: str
    ) -> None:
        context.transaction = transaction.id
        context.touch("user", login)
        self.hub.audit.record(transaction, context, error, int((time.monotonic() - started) * 1000))


def _cookie(visit: Visit, response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
    response.set_cookie(name, value, max_age=max_age, path="/", secure=visit.secure, httponly=True, samesite="strict")
