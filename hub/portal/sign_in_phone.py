"""Signing in with the e-CPS on the phone (CIBA): the number, two digits to compare, the wait."""

import time

from starlette.responses import Response

from hub.access.sign_in_errors import SignInRefused
from hub.access.sign_in_model import Entered, Waiting
from hub.errors import HubError, NotAuthenticated
from hub.portal import actions
from hub.portal.doorway import (
    cookie,
    enter,
    forget_secret,
    form_key,
    keep_secret,
    new_secret,
    safe_target,
    secret_of,
    told,
)
from hub.portal.ports import PortalHub
from hub.portal.render import Renderer, see_other
from hub.portal.sign_in import SITUATION, SignIn, problem_of
from hub.portal.visit import FORM_COOKIE, Visit
from hub.portal.web import Route

PHONE = "/portal/sign-in/phone"


class Cancelled(SignInRefused):
    """Whoever waited for the phone waits no longer."""

    code = "sign-in-cancelled"
    title = "The sign-in was cancelled."


class Phone:
    """The pages of a sign-in that waits on somebody's phone."""

    def __init__(self, hub: PortalHub, renderer: Renderer, sign_in: SignIn) -> None:
        self.hub = hub
        self.render = renderer.page
        self.sign_in = sign_in

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module, where the provider can call phones."""
        provider = self.hub.ways_in.provider
        if provider is None or not provider.phone:
            return ()
        return (
            Route(PHONE, self.call, "POST", public=True),
            Route(PHONE, self.wait, public=True),
            Route(f"{PHONE}/cancel", self.cancel, "POST", public=True),
        )

    def call(self, visit: Visit) -> Response:
        """Ask on the phone of the person with this number."""
        started, secret = time.monotonic(), new_secret()
        number, target = visit.form.get("number", "")[:60], safe_target(visit.form.get("target", ""))
        try:
            self.sign_in.provider.call(secret, number, target)
        except HubError as error:
            told(self.hub, visit, actions.SIGN_IN, error, started, number)
            return self.sign_in.refused(visit, error, target)
        response = see_other(PHONE)
        keep_secret(visit, response, secret)
        return response

    def wait(self, visit: Visit) -> Response:
        """The two digits, until somebody has answered; then onwards. portal.js asks for a part of it."""
        if visit.principal is not None:
            return self._onwards(visit, "/portal")
        started, number = time.monotonic(), ""
        try:
            waiting = self.sign_in.provider.waiting(secret_of(visit))
            number = waiting.number
            entered = self.sign_in.provider.answered(secret_of(visit))
        except HubError as error:
            told(self.hub, visit, actions.SIGN_IN, error, started, number)
            return self._refused(visit, error)
        if entered is None:
            return self._page(visit, waiting)
        return self._entered(visit, entered, started)

    def _entered(self, visit: Visit, entered: Entered, started: float) -> Response:
        if not entered.session:
            return self._onwards(visit, SITUATION)
        done = self.sign_in.entered(visit, entered, started)
        if not visit.partial or visit.principal is None:
            return done
        path = entered.target or self.sign_in.home(visit).headers["location"]
        return enter(visit, self._onwards(visit, path), entered.session)

    def _refused(self, visit: Visit, error: HubError) -> Response:
        if visit.partial:
            return self._onwards(visit, f"/portal/sign-in?problem={problem_of(visit, error)}")
        response = self.sign_in.refused(visit, error)
        forget_secret(visit, response)
        return response

    def cancel(self, visit: Visit) -> Response:
        """Wait no longer."""
        started = time.monotonic()
        try:
            number = self.sign_in.provider.waiting(secret_of(visit)).number
        except NotAuthenticated:
            return see_other("/portal/sign-in")
        self.sign_in.provider.cancel(secret_of(visit))
        told(self.hub, visit, actions.SIGN_IN, Cancelled(), started, number)
        response = see_other("/portal/sign-in?problem=signin.error.sign-in-cancelled")
        forget_secret(visit, response)
        return response

    def _page(self, visit: Visit, waiting: Waiting) -> Response:
        key = form_key(visit)
        template = "partials/sign_in_phone.html" if visit.partial else "sign_in_phone.html"
        response = self.render(
            visit, template, message=waiting.message, every=int(waiting.interval) + 1, form_key=key, go=""
        )
        if not visit.partial:
            cookie(visit, response, FORM_COOKIE, key)
        return response

    def _onwards(self, visit: Visit, path: str) -> Response:
        if not visit.partial:
            return see_other(path)
        return self.render(visit, "partials/sign_in_phone.html", message="", every=0, form_key="", go=path)
