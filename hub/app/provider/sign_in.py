"""Signing in with the provider: by redirection, by phone; the choice of a situation of exercise; the end."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from hub.access.model import Principal, Professional, Scheme
from hub.access.professions import roles_of
from hub.access.service import AccessService
from hub.access.sign_in import LIFE, SignInService
from hub.access.sign_in_errors import (
    LogoutRefused,
    NoRole,
    ProviderDeclined,
    ProviderUnavailable,
    SignInExpired,
    SignInRefused,
    StateMismatch,
    SubjectMismatch,
)
from hub.access.sign_in_model import Entered, Vouched, Waiting
from hub.access.tokens_errors import TokenIssuer
from hub.app.provider.client import Person, Provider
from hub.app.provider.tokens import PROVIDER, Held, ProviderTokens
from hub.errors import Invalid
from hub.wire.oidc import provider as answers
from hub.wire.oidc import request
from hub.wire.oidc.claims import NATIONAL_ID, national_id, situations
from hub.wire.sealed import NotSealedHere, seal, unseal

BACK = "/portal/sign-in/provider/back"
SIGNED_OUT = "/portal/sign-in?bye=1"
_PURPOSE = "sign-in"
_CODE, _PHONE, _CHOICE = "code", "phone", "choice"
#: CIBA Core 11: nobody has answered yet.
_WAITS = {"authorization_pending": 0.0, "slow_down": 5.0}


class NoSuchSituation(Invalid):
    """A situation of exercise was chosen that the provider does not tell of."""

    code = "no-such-situation"
    title = "This situation of exercise is not one of those to choose from."


class ProviderSignIn:
    """What the portal does with the provider. ``secret``: the browser's, 256 random bits of a cookie."""

    def __init__(
        self, provider: Provider, sign_ins: SignInService, access: AccessService, public_url: Callable[[], str]
    ) -> None:
        self.provider = provider
        self.tokens = ProviderTokens(provider, sign_ins)
        self.title = provider.settings.title
        self.phone = provider.settings.phone
        self._sign_ins = sign_ins
        self._access = access
        self._url = public_url
        access.keepers[PROVIDER] = self.tokens.keep

    # By redirection

    def begin(self, secret: str, target: str, language: str) -> str:
        """Where the browser goes. Raises ProviderUnavailable."""
        mine, settings = request.Secrets(), self.provider.settings
        url = request.authorisation(
            self.provider.endpoints.authorization_endpoint,
            mine,
            client_id=settings.client_id,
            redirect_uri=self._back,
            scope=settings.scope,
            acr_values=settings.acr[0],
            language=language,
        )
        record = {"nonce": mine.nonce, "verifier": mine.verifier, "target": target}
        self._sign_ins.begin(secret, _CODE, seal(secret, _PURPOSE, record), word=mine.state)
        return url

    def finish(self, secret: str, query: Mapping[str, str]) -> Entered:
        """The browser is back. Raises SignInRefused, TokenRefused, ProviderUnavailable."""
        record = self._opened(secret, self._sign_ins.take(secret, _CODE, query.get("state", "")))
        if query.get("iss", self.provider.issuer) != self.provider.issuer:  # RFC 9207
            raise TokenIssuer(location="iss")
        if "error" in query or not query.get("code"):
            raise answers.declined(query.get("error"))
        given = self.provider.exchange(query["code"], record["verifier"], self._back)
        return self._entered(secret, self.provider.person(given, record["nonce"]), record["target"])

    @property
    def _back(self) -> str:
        return f"{self._url()}{BACK}"

    # By phone (CIBA)

    def call(self, secret: str, number: str, target: str) -> None:
        """Ask on the phone of the person with this national id. Raises as ``finish``, and LockedOut."""
        number = number.replace(" ", "").strip()
        if not NATIONAL_ID.fullmatch(number):
            raise ProviderDeclined("This is no national id of a professional.", error="unknown_user_id")
        self._access.attempt(_attempts(number))
        message = f"{secrets.randbelow(100):02d}"
        called = self.provider.call_phone(number, message)
        record = {
            "id": called.auth_req_id,
            "message": message,
            "number": number,
            "interval": called.interval,
            "target": target,
        }
        life = min(timedelta(seconds=called.seconds), LIFE)
        self._sign_ins.begin(secret, _PHONE, seal(secret, _PURPOSE, record), life=life)

    def waiting(self, secret: str) -> Waiting:
        """What waits on a phone. Raises SignInExpired."""
        record = self._opened(secret, self._sign_ins.look(secret, _PHONE))
        return Waiting(record["message"], record["number"], record["interval"], record["target"])

    def answered(self, secret: str) -> Entered | None:
        """What became of it; None while nobody answered. Raises as ``finish``."""
        sealed = self._sign_ins.look(secret, _PHONE)
        record = self._opened(secret, sealed)
        if not self._sign_ins.turn(secret, _PHONE, record["interval"]):
            return None
        try:
            given = self.provider.phone_answer(record["id"])
        except ProviderDeclined as declined:
            code = declined.context["error"]
            if code in _WAITS:
                self._sign_ins.later(secret, _PHONE, record["interval"] + _WAITS[code])
                return None
            self._sign_ins.forget(secret, _PHONE)
            if code == "expired_token":
                raise SignInExpired() from declined
            raise
        except ProviderUnavailable:  # it is asked again, less often (CIBA Core 11); the request's own end ends it
            self._sign_ins.later(secret, _PHONE, record["interval"] * 2)
            return None
        if self._sign_ins.take(secret, _PHONE) != sealed:
            raise StateMismatch()
        person = self.provider.person(given, "")
        if national_id(person.claims) != record["number"]:
            raise SubjectMismatch()
        self._access.worked(_attempts(record["number"]))
        return self._entered(secret, person, record["target"])

    def cancel(self, secret: str) -> None:
        """Wait no longer. What is answered on the phone afterwards opens nothing."""
        self._sign_ins.forget(secret, _PHONE)

    # As whom

    def choices(self, secret: str) -> tuple[Professional, ...]:
        """The situations of exercise to choose from. Raises SignInExpired."""
        record = self._opened(secret, self._sign_ins.look(secret, _CHOICE))
        return tuple(_professional(row) for row in record["situations"])

    def target(self, secret: str) -> str:
        """Where the choice leads. Raises SignInExpired."""
        return str(self._opened(secret, self._sign_ins.look(secret, _CHOICE))["target"])

    def choose(self, secret: str, number: int) -> Entered:
        """A session in one of them. Raises SignInExpired, NoSuchSituation."""
        found = self.choices(secret)
        if not 0 <= number < len(found):
            raise NoSuchSituation()
        # One unit of work: of a provider that ends its session meanwhile the choice is found, or the session.
        with self._sign_ins.database.transaction():
            record = self._opened(secret, self._sign_ins.take(secret, _CHOICE))
            return self._open(_professional(record["situations"][number]), Held(**record["held"]), record)

    def _entered(self, secret: str, person: Person, target: str) -> Entered:
        found = tuple(one for one in situations(person.claims) if roles_of(one))
        if not found:
            raise NoRole()
        said = person.id_claims
        held = self.tokens.held(person.tokens, str(said["sub"]))
        level, session = said.get("acr"), said.get("sid")
        record: dict[str, Any] = {
            "target": target,
            "level": level if isinstance(level, str) else "",
            "session": session if isinstance(session, str) and session else held.subject,
        }
        if len(found) == 1:
            return self._open(found[0], held, record)
        record |= {"situations": [asdict(one) for one in found], "held": asdict(held)}
        vouched = Vouched(PROVIDER, held.subject, record["session"])
        self._sign_ins.begin(secret, _CHOICE, seal(secret, _PURPOSE, record), vouched=vouched)
        return Entered(found[0], situations=found, target=target)

    def _open(self, professional: Professional, held: Held, record: Mapping[str, Any]) -> Entered:
        principal = Principal(
            id=professional.id,
            name=f"{professional.given} {professional.family}".strip(),
            scheme=Scheme.PROVIDER,
            organisation=professional.structure_name or professional.structure,
            roles=roles_of(professional),
            person=True,
            professional=professional,
            level=record["level"],
        )
        with self._sign_ins.database.transaction():
            session = self._access.open_session(principal, provider=PROVIDER, provider_session=record["session"])
            self.tokens.bind(session, held)
        return Entered(professional, session, target=record["target"])

    # The end

    def leave(self, session: str) -> str:
        """The session is over. Where the browser goes to end the provider's as well, "" for nowhere."""
        held = self.tokens.forget(session)
        try:
            endpoint = self.provider.endpoints.end_session_endpoint
        except ProviderUnavailable:
            return ""
        if held is None or not endpoint:
            return ""
        mine = self.provider.settings.client_id
        return request.logout(endpoint, id_token=held.id, client_id=mine, back=f"{self._url()}{SIGNED_OUT}")

    def ended(self, logout_token: str) -> int:
        """The provider ended a session (OIDC Back-Channel Logout): how many of the hub's ended with it.

        Raises LogoutRefused, TokenRefused, ProviderUnavailable."""
        told = self.provider.logout(logout_token)
        until = told.until + timedelta(seconds=self.provider.settings.leeway)
        count = self._sign_ins.ended(PROVIDER, told.jti, until, session=told.session, subject=told.subject)
        if count is None:
            raise LogoutRefused("The logout token was used before.")
        return count

    @staticmethod
    def _opened(secret: str, sealed: str) -> dict[str, Any]:
        try:
            return unseal(secret, _PURPOSE, sealed)
        except NotSealedHere as error:
            raise SignInRefused() from error


def _professional(row: Mapping[str, Any]) -> Professional:
    return Professional(**{**row, "specialities": tuple(row["specialities"])})


def _attempts(number: str) -> str:
    return f"phone:{number}"
