"""A professional's token (Pro Santé Connect) for one of the hub's (RFC 8693): the provider is asked each time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hub.access.model import Client, Professional
from hub.access.sign_in_errors import ClaimsUnusable
from hub.access.tokens_errors import (
    ClientNotAllowed,
    GrantRefused,
    TokenRefused,
    TokenRequestInvalid,
    TokenTypeUnsupported,
)
from hub.access.tokens_model import ACCESS_TOKEN_TYPE, JWT_TYPE
from hub.app.oauth.issuer import TokenIssuer
from hub.app.oauth.peers import Peer, Signing
from hub.app.settings.nodes import Tls
from hub.app.settings.oauth import Exchange
from hub.errors import Misconfigured
from hub.wire.jose import jwt
from hub.wire.oauth.form import one
from hub.wire.oidc.claims import situations

Claims = Mapping[str, Any]

#: What an actor token says of the software (draft of the provider): shown in ``act``, believed for nothing.
ACTOR = ("lps_nom", "lps_id", "lps_version")
SITUATION = "situation_exercice"
MAX_TEXT = 100


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Whom the provider vouches for. ``left``: how long its token is still good."""

    professional: Professional
    level: str
    left: timedelta
    actor: Mapping[str, str] = field(default_factory=dict)


def provider_of_professionals(settings: Exchange, tls: Tls) -> Peer:
    """The provider of the professionals' tokens, as the settings say how to reach and believe it."""
    return Peer(
        tls,
        client_id=settings.client_id,
        secret=settings.client_secret,
        ca=settings.ca,
        timeout=settings.timeout,
        signing=Signing(
            settings.issuer, str(settings.jwks or ""), tuple(settings.algorithms), required=settings.signed_claims
        ),
    )


class TokenExchange:
    """Asks the provider."""

    def __init__(self, settings: Exchange, issuer: TokenIssuer, tls: Tls) -> None:
        self.settings = settings
        self.issuer = issuer
        unknown = [name for name in settings.clients if issuer.tokens.client(name) is None]
        if unknown:
            raise Misconfigured(f"oauth.exchange.clients names {unknown[0]}, which is none of clients.")
        self._peer = provider_of_professionals(settings, tls)

    @property
    def active(self) -> bool:
        """Whether tokens are exchanged."""
        return bool(self.settings.issuer)

    def exchange(self, client: Client, form: Mapping[str, tuple[str, ...]], *, bound: bool) -> Exchanged:
        """Who the professional is. Raises ClientNotAllowed, TokenRequestInvalid, GrantRefused, IssuerSilent."""
        theirs = self.settings.clients.get(client.name, ())
        if not theirs:
            raise ClientNotAllowed("This client may not exchange tokens (oauth.exchange.clients).")
        if not bound:
            raise ClientNotAllowed("A token is exchanged over mutual TLS only: show the client's certificate.")
        token = one(form, "subject_token")
        if not token or len(token) > jwt.MAX_TOKEN:
            raise TokenRequestInvalid("The parameter subject_token is missing or too long.", location="subject_token")
        if one(form, "subject_token_type") not in (ACCESS_TOKEN_TYPE, JWT_TYPE):
            raise TokenTypeUnsupported("The subject token is an access token of the provider.")
        actor = self._actor(client, form)
        claims = self._ask(token, theirs)
        return Exchanged(
            professional=self._professional(claims, actor),
            level=str(claims.get("acr") or ""),
            left=self._left(claims),
            actor={name: str(actor[name])[:MAX_TEXT] for name in ACTOR if isinstance(actor.get(name), str)},
        )

    def _actor(self, client: Client, form: Mapping[str, tuple[str, ...]]) -> Claims:
        token = one(form, "actor_token")
        if not token:
            return {}
        if one(form, "actor_token_type") != JWT_TYPE:
            raise TokenTypeUnsupported("The actor token is a JWT.")
        try:
            return self.issuer.actor(token, client)
        except TokenRefused as error:
            raise GrantRefused(f"The actor token is not accepted: {error.message}") from error

    def _ask(self, token: str, theirs: tuple[str, ...]) -> Claims:
        settings = self.settings
        claims = self._peer.introspect(str(settings.introspection), token)
        if not claims["active"]:
            raise GrantRefused("The provider says that the professional's token is not valid (any more).")
        if claims.get("iss", settings.issuer) != settings.issuer:
            raise GrantRefused("The professional's token is another provider's.")
        issued_to = claims.get("client_id") or claims.get("azp")
        if issued_to not in theirs:
            raise GrantRefused("The professional's token was issued to another client.")
        if settings.audience and settings.audience not in _audience(claims):
            raise GrantRefused("The professional's token was made for another audience.")
        if settings.userinfo and "SubjectNameID" not in claims:
            told = self._told(token, str(issued_to))
            if not claims.get("sub") or told.get("sub") != claims["sub"]:
                raise GrantRefused("The provider's claims are about somebody else.")
            claims = {**told, **claims}
        if settings.acr and claims.get("acr") not in settings.acr:
            raise GrantRefused("The professional was not authenticated strongly enough (acr).")
        return claims

    def _told(self, token: str, issued_to: str) -> Claims:
        """What the provider says of the person, signed or not. Raises GrantRefused, IssuerSilent."""
        try:
            return self._peer.userinfo(str(self.settings.userinfo), token, issued_to=issued_to)
        except TokenRefused as error:
            raise GrantRefused(f"The provider's claims are not accepted: {error.message}") from error

    def _left(self, claims: Claims) -> timedelta:
        at = self.issuer.tokens.clock()
        end = _instant(claims, at)
        if end <= at:
            raise GrantRefused("The professional's token has expired.")
        return end - at

    @staticmethod
    def _professional(claims: Claims, actor: Claims) -> Professional:
        """In the situation of exercise that the actor token names; else in the only one that there is."""
        try:
            found = situations(claims)
        except ClaimsUnusable as error:
            raise GrantRefused("The provider does not say who the professional is.") from error
        wanted = actor.get(SITUATION)
        if wanted:
            found = tuple(one for one in found if wanted in (one.structure, one.structure_name))
        if len(found) != 1:
            raise GrantRefused(f"Say in which situation the professional acts: actor_token with {SITUATION}.")
        return found[0]


def _audience(claims: Claims) -> tuple[object, ...]:
    value = claims.get("aud")
    return tuple(value) if isinstance(value, list) else (value,)


def _instant(claims: Claims, at: datetime) -> datetime:
    try:
        end = jwt.instant(claims, "exp", at)
    except TokenRefused as error:
        raise GrantRefused("The provider does not say until when the token is good.") from error
    if end is None:
        raise GrantRefused("The provider does not say until when the token is good.")
    return end
