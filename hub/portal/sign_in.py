"""Signing in with the provider (Pro Santé Connect) and with a card; as whom, where there are several answers."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import quote

from starlette.responses import Response

from hub.access.model import Credentials, Professional, Scheme
from hub.access.sign_in_errors import SignInRefused
from hub.access.sign_in_model import Entered
from hub.context import Context
from hub.drimbox.model import WishedSituation
from hub.errors import HubError, Invalid, NotAuthenticated, Unavailable
from hub.portal import actions
from hub.portal.doorway import (
    CALL,
    cookie,
    enter,
    form_key,
    keep_secret,
    new_secret,
    onwards,
    safe_target,
    secret_of,
    told,
)
from hub.portal.ports import PortalHub, ProviderSignIn
from hub.portal.render import Renderer, see_other
from hub.portal.visit import FORM_COOKIE, Visit
from hub.portal.web import Route

SITUATION = "/portal/sign-in/situation"


class NoCard(SignInRefused):
    """The browser showed no certificate, or one that is not a person's."""

    code = "no-card"
    title = "No professional's card was shown."


class Form(Protocol):
    """The sign-in page."""

    def __call__(
        self, visit: Visit, *, code: int = 200, notice: str = "", problem: str = "", login: str = "", target: str = ""
    ) -> Response:
        """It, with what is to be said on it."""
        ...


class SignIn:
    """``form``: the sign-in page, where every failure is shown; ``home``: where a session begins."""

    def __init__(self, hub: PortalHub, renderer: Renderer, form: Form, home: Callable[[Visit], Response]) -> None:
        self.hub = hub
        self.render = renderer.page
        self.form = form
        self.home = home

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module: those of the ways that are offered."""
        card = (Route("/portal/card", self.card, "POST", public=True),)
        provider = (
            Route("/portal/sign-in/provider", self.begin, public=True),
            Route("/portal/sign-in/provider/back", self.back, public=True),
            Route(SITUATION, self.situations, public=True),
            Route(SITUATION, self.choose, "POST", public=True),
        )
        ways = self.hub.ways_in
        return (*(card if ways.card else ()), *(provider if ways.provider else ()))

    @property
    def provider(self) -> ProviderSignIn:
        """The one that is configured."""
        provider = self.hub.ways_in.provider
        assert provider is not None
        return provider

    # By redirection

    def begin(self, visit: Visit) -> Response:
        """To the provider, from the hub's own page only: no other site can begin a sign-in for somebody."""
        target = safe_target(visit.query.get("target", ""))
        if visit.principal is not None:
            return self.home(visit)
        if visit.foreign:
            return see_other("/portal/sign-in")
        started, secret = time.monotonic(), new_secret()
        try:
            url = self.provider.begin(secret, target, visit.phrases.language)
        except HubError as error:
            told(self.hub, visit, actions.SIGN_IN, error, started)
            return self.refused(visit, error, target)
        response = see_other(url)
        keep_secret(visit, response, secret)
        return response

    def back(self, visit: Visit) -> Response:
        """From the provider, with a code or with an error."""
        started = time.monotonic()
        try:
            entered = self.provider.finish(secret_of(visit), visit.query)
        except HubError as error:
            told(self.hub, visit, actions.SIGN_IN, error, started)
            return self.refused(visit, error)
        if not entered.session:
            return onwards(visit, SITUATION)
        return self.entered(visit, entered, started)

    # As whom

    def situations(self, visit: Visit, *, code: int = 200, problem: str = "") -> Response:
        """The situations of exercise to choose from."""
        if visit.principal is not None:
            return self.home(visit)
        try:
            found = self.provider.choices(secret_of(visit))
            wished = self._wished(visit, found, self.provider.target(secret_of(visit)))
        except NotAuthenticated as error:
            return self.refused(visit, error)
        key = form_key(visit)
        response = self.render(
            visit, "sign_in_situation.html", code=code, situations=found, wished=wished, shown=shown,
            problem=problem, form_key=key,
        )  # fmt: skip
        cookie(visit, response, FORM_COOKIE, key)
        return response

    @staticmethod
    def _wished(visit: Visit, found: Sequence[Professional], target: str) -> int | None:
        """The one that a contextual call names by its structure; the person still decides."""
        if not target.startswith(CALL):
            return None
        told: str = visit.pipeline.dispatch(WishedSituation(target.removeprefix(CALL)), Context(peer=visit.peer))
        wanted = told.strip().casefold()
        named = [number for number, one in enumerate(found) if wanted in _names(one)] if wanted else []
        return named[0] if len(named) == 1 else None

    def choose(self, visit: Visit) -> Response:
        """A session in the situation that was chosen."""
        started = time.monotonic()
        number = visit.form.get("situation", "")
        try:
            if not number.isascii() or not number.isdigit() or len(number) > 3:
                raise Invalid("No situation of exercise was chosen.")
            entered = self.provider.choose(secret_of(visit), int(number))
        except Invalid:
            return self.situations(visit, code=400, problem="situation.choose_one")
        except HubError as error:
            told(self.hub, visit, actions.SIGN_IN, error, started)
            return self.refused(visit, error)
        return self.entered(visit, entered, started)

    # By card

    def card(self, visit: Visit) -> Response:
        """A session for the holder of the card that the browser showed."""
        started = time.monotonic()
        target = safe_target(visit.form.get("target", ""))
        credentials = Credentials(certificate=visit.certificate, forwarded=visit.forwarded, peer=visit.peer)
        try:
            if not visit.certificate:
                raise NoCard()
            principal = self.hub.access.authenticate(credentials)
            if not principal.person or principal.scheme is not Scheme.CARD:
                raise NoCard()
            session = self.hub.access.open_session(principal, provider="card")
        except HubError as error:
            told(self.hub, visit, actions.SIGN_IN, error, started)
            return self.refused(visit, error, target)
        professional = principal.professional or Professional(principal.id)
        return self.entered(visit, Entered(professional, session, target=target), started)

    # What they lead to

    def entered(self, visit: Visit, entered: Entered, started: float) -> Response:
        """The session is there."""
        visit.token = entered.session
        try:
            visit.principal = self.hub.access.authenticate(Credentials(session=entered.session, peer=visit.peer))
        except HubError as error:
            told(self.hub, visit, actions.SIGN_IN, error, started, entered.professional.id)
            return self.refused(visit, error, entered.target)
        told(self.hub, visit, actions.SIGN_IN, None, started, entered.professional.id, visit.principal)
        path = entered.target or self.home(visit).headers["location"]
        return enter(visit, onwards(visit, path), entered.session)

    def refused(self, visit: Visit, error: HubError, target: str = "") -> Response:
        """The sign-in page, with what went wrong in words."""
        visit.principal, visit.token = None, ""
        code = 503 if isinstance(error, Unavailable) else 401
        return self.form(visit, code=code, problem=problem_of(visit, error), target=target)


def problem_of(visit: Visit, error: HubError) -> str:
    """The key of the sentence that says what went wrong, of the error or of what it is a kind of."""
    codes = [str(getattr(kind, "code", "")) for kind in type(error).__mro__]
    detail = error.context.get("error", "")
    keys = [f"signin.error.{codes[0]}.{detail}", *(f"signin.error.{code}" for code in codes)]
    return next((key for key in keys if visit.phrases.maybe(key, "")), "signin.error.sign-in-refused")


def beginning(target: str) -> str:
    """Where the provider's button leads."""
    return f"/portal/sign-in/provider?target={quote(target, safe='')}" if target else "/portal/sign-in/provider"


def _names(situation: Professional) -> set[str]:
    """What a calling system may call it: its structure's number, with or without its kind, or name."""
    number, name = situation.structure, situation.structure_name
    return {text.strip().casefold() for text in (number, number[1:], name) if text.strip()}


def shown(visit: Visit, situation: Professional) -> Mapping[str, str]:
    """A situation of exercise in words; a code that has none stands for itself."""
    words = visit.phrases.maybe
    return {
        "profession": words(f"profession.{situation.profession}", situation.profession),
        "speciality": ", ".join(words(f"speciality.{code}", code) for code in situation.specialities),
        "place": situation.structure_name or situation.structure,
        "structure": situation.structure if situation.structure_name else "",
        "sector": words(f"sector.{situation.sector}", situation.sector),
    }
