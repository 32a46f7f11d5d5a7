"""Signing in and out, the language switch, the way home."""

import time

from starlette.responses import Response

from hub.access.model import Credentials, Principal
from hub.errors import NotAuthenticated
from hub.portal import actions
from hub.portal.doorway import cookie, enter, form_key, safe_target, told
from hub.portal.ports import PortalHub
from hub.portal.render import MENU_CLINICAL, MENU_OPERATOR, Renderer, see_other
from hub.portal.sign_in import SignIn, beginning
from hub.portal.sign_in_phone import Phone
from hub.portal.texts import LANGUAGES
from hub.portal.visit import FORM_COOKIE, LANGUAGE_COOKIE, SESSION_COOKIE, Visit
from hub.portal.web import Route

WORKLIST = "/portal/steward"  #: a steward's first page
YEAR = 365 * 24 * 3600


class Account:
    """Who the visitor is, and in which language they read."""

    def __init__(self, hub: PortalHub, renderer: Renderer) -> None:
        self.hub = hub
        self.render = renderer.page
        self.ways = hub.ways_in
        self.sign_in_elsewhere = SignIn(hub, renderer, self._form, self.home)
        self.phone = Phone(hub, renderer, self.sign_in_elsewhere)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        return (
            Route("/", self.home, public=True),
            Route("/portal", self.home, public=True),
            Route("/portal/sign-in", self.form, public=True),
            *((Route("/portal/sign-in", self.sign_in, "POST", public=True),) if self.ways.password else ()),
            Route("/portal/sign-out", self.sign_out, "POST"),
            Route("/portal/language/{language}", self.language, public=True),
            *self.sign_in_elsewhere.routes,
            *self.phone.routes,
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
        problem = visit.query.get("problem", "")  # of a page that could not say it itself
        problem = problem if problem.startswith("signin.error.") and visit.phrases.maybe(problem, "") else ""
        return self._form(visit, notice=notice, problem=problem, target=target)

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
        key, provider = form_key(visit), self.ways.provider
        response = self.render(
            visit,
            "sign_in.html",
            code=code,
            notice=notice,
            problem=problem,
            login=login,
            form_key=key,
            target=target,
            ways=self.ways,
            provider=provider,
            beginning=beginning(target),
        )
        cookie(visit, response, FORM_COOKIE, key)
        return response

    def sign_in(self, visit: Visit) -> Response:
        """Opens a session; success and failure are audited."""
        login = visit.form.get("login", "").strip()[:120]
        target = safe_target(visit.form.get("target", ""))
        started = time.monotonic()
        try:
            token = self.hub.access.sign_in(login, visit.form.get("password", "")[:1000])
            principal = self.hub.access.authenticate(Credentials(session=token, peer=visit.peer))
        except NotAuthenticated as error:
            told(self.hub, visit, actions.SIGN_IN, error, started, login)
            problem = "signin.too_many" if "many" in error.code else "signin.failed"
            return self._form(visit, code=401, problem=problem, login=login, target=target)
        told(self.hub, visit, actions.SIGN_IN, None, started, login, principal)
        visit.principal, visit.token = principal, token
        return enter(visit, see_other(target) if target else self.home(visit), token)

    def sign_out(self, visit: Visit) -> Response:
        """Ends the session, here, on the server, and at the provider that it came from."""
        principal: Principal = visit.who
        started = time.monotonic()
        elsewhere = self.ways.provider.leave(visit.token) if self.ways.provider else ""
        self.hub.access.sign_out(visit.token)
        told(self.hub, visit, actions.SIGN_OUT, None, started, principal.id, principal)
        response = see_other("/portal/sign-in?bye=1")
        if elsewhere:
            visit.principal, visit.token = None, ""
            response = self.render(visit, "sign_out.html", url=elsewhere)
        response.delete_cookie(SESSION_COOKIE, path="/")
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    def language(self, visit: Visit) -> Response:
        """Keeps the visitor's choice for a year, and goes back to where they were."""
        target = visit.query.get("next", "")
        response = see_other(target if target.startswith("/portal/") and "\\" not in target else "/portal")
        if visit.parameters["language"] in LANGUAGES:
            cookie(visit, response, LANGUAGE_COOKIE, visit.parameters["language"], max_age=YEAR)
        return response
