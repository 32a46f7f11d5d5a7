"""Other DRIMboxes: a trusted operator's certificate, and the token of the professional who asks (Pro Santé Connect)."""

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.access.model import Credentials, Principal, Professional, Purpose, Scheme
from hub.access.professions import roles_of
from hub.access.roles import permissions_of
from hub.access.sign_in_errors import ClaimsUnusable
from hub.access.tokens_errors import TokenAudience, TokenClaims, TokenEnded, TokenIssuer, TokenPast, TokenRefused
from hub.app.doors.trust_list import TrustList
from hub.app.keys.certificates import Certificates
from hub.app.oauth.exchange import provider_of_professionals
from hub.app.oauth.peers import Claims
from hub.app.settings.drimbox import Drimbox
from hub.app.settings.nodes import Tls
from hub.app.settings.oauth import Exchange
from hub.errors import Misconfigured
from hub.values import now
from hub.wire.jose import jwt
from hub.wire.oidc.claims import situations

if TYPE_CHECKING:
    from hub.app.rooms import Rooms

#: All that another DRIMbox may do, if the professional may.
PERMISSIONS = frozenset({"imaging.retrieve"})


def open_door(rooms: "Rooms") -> None:
    """Where a list of trusted DRIMboxes is configured, to others' requests.

    Raises Misconfigured without the provider of the tokens, unless the hub itself only asks other boxes."""
    settings, trusted = rooms.settings, rooms.trust_list
    if trusted is None:
        return
    if not settings.oauth.exchange.issuer:
        if settings.drimbox.asks:
            return
        raise Misconfigured("drimbox.white_list needs the provider of professionals' tokens: oauth.exchange.issuer.")
    provider = Provider(settings.oauth.exchange, settings.tls)
    door = DrimboxDoor(settings.drimbox, trusted, rooms.certificates, provider)
    rooms.access.token_doors.insert(0, door)


class Provider:
    """Asks the provider about each token, each time: what it revoked is refused at the next request."""

    def __init__(self, settings: Exchange, tls: Tls) -> None:
        self.settings = settings
        self._peer = provider_of_professionals(settings, tls)

    def claims(self, token: str) -> Claims:
        """What it says of the professional. Raises TokenRefused, IssuerSilent."""
        settings = self.settings
        if len(token) > jwt.MAX_TOKEN:
            raise TokenRefused()
        claims = self._peer.introspect(str(settings.introspection), token)
        if not claims["active"]:
            raise TokenEnded("The provider says that the professional's token is not valid (any more).")
        if claims.get("iss", settings.issuer) != settings.issuer:
            raise TokenIssuer()
        end = jwt.instant(claims, "exp", now())
        if end is None or end <= now():
            raise TokenPast()
        if settings.audience and settings.audience not in jwt.audiences(claims):
            raise TokenAudience()
        if settings.userinfo and "SubjectNameID" not in claims:
            issued_to = str(claims.get("client_id") or claims.get("azp") or "")
            told = self._peer.userinfo(settings.userinfo, token, issued_to=issued_to)
            if not claims.get("sub") or told.get("sub") != claims["sub"]:
                raise TokenClaims("The provider's claims are about somebody else.", location="sub")
            claims = {**told, **claims}
        if settings.acr and claims.get("acr") not in settings.acr:
            raise TokenClaims("The professional was not authenticated strongly enough.", location="acr")
        return claims


class DrimboxDoor:
    """Lets in the professional for whom a trusted DRIMbox asks; who shows another certificate goes to other doors."""

    def __init__(self, settings: Drimbox, trusted: TrustList, certificates: Certificates, provider: Provider) -> None:
        self.settings = settings
        self.trusted = trusted
        self.certificates = certificates
        self.provider = provider

    def enter(self, credentials: Credentials, node: Principal) -> Principal | None:  # noqa: ARG002
        """See ``hub.access.service.Door``. Raises TokenRefused, IssuerSilent."""
        if not credentials.certificate:
            return None
        certificate = self.certificates.known(credentials)
        box = self.trusted.operator(certificate)
        if box is None or not self.certificates.vouched(certificate, self.settings.operators):
            return None
        claims = self.provider.claims(credentials.bearer)
        professional = acting(claims)
        roles = roles_of(professional)
        return Principal(
            id=professional.id,
            name=f"{professional.given} {professional.family}".strip() or professional.id,
            scheme=Scheme.PROVIDER,
            organisation=professional.structure_name or professional.structure,
            roles=roles,
            permissions=PERMISSIONS & permissions_of(roles),
            person=True,
            professional=professional,
            purpose=Purpose.NORMAL,
            node=f"drimbox {box.id}",
            level=str(claims.get("acr") or ""),
            by_manifest=True,
        )


def acting(claims: Claims) -> Professional:
    """Who asks. The token does not say in which situation of exercise: of several, what they have in common.

    Raises TokenClaims when not even the profession is the same."""
    try:
        first, *others = situations(claims)
    except ClaimsUnusable as error:
        raise TokenClaims("The provider does not say who the professional is.", location=error.location) from error
    for other in others:
        if other.profession != first.profession:
            raise TokenClaims("The professional has several professions; the token does not say which is meant.")
        same = other.structure == first.structure
        first = replace(
            first,
            specialities=tuple(one for one in first.specialities if one in other.specialities),
            structure=first.structure if same else "",
            structure_name=first.structure_name if same else "",
            sector=first.sector if other.sector == first.sector else "",
        )
    return first
