"""Bearer tokens that are not listed: the hub's own signed ones, and those of a provider."""

from collections.abc import Callable, Iterable

from hub.access.model import Client, Credentials, Principal, Scheme
from hub.access.service import AccessService
from hub.access.tokens import TokenService
from hub.access.tokens_errors import (
    ClientRefused,
    TokenAudience,
    TokenBinding,
    TokenClaims,
    TokenPast,
)
from hub.access.tokens_errors import (
    TokenIssuer as ForeignIssuer,
)
from hub.app.keys.changing import Changing
from hub.app.oauth.exchange import TokenExchange
from hub.app.oauth.issuer import Claims, TokenIssuer, read_file, scopes_of
from hub.app.oauth.peers import Peer, Recent
from hub.app.oauth.server import AuthorisationService
from hub.app.settings.model import Settings
from hub.app.settings.nodes import Tls
from hub.app.settings.oauth import Issuer
from hub.pipeline.catalogue import discover
from hub.storage.engine import Database
from hub.wire.jose import jwt
from hub.wire.jose.keys import Keys, public_keys


def build(
    settings: Settings, database: Database, access: AccessService, clients: Iterable[Client], url: Callable[[], str]
) -> AuthorisationService:
    """The authorisation server; and let in who has a token of its own, or of another one that is trusted.

    ``url``: the hub's public URL, once it is known."""
    oauth = settings.oauth
    tokens = TokenService(
        database=database, clients=clients, scopes=scopes_of(discover()), unlisted=oauth.unlisted_permissions
    )
    issuer = TokenIssuer(oauth, tokens, url)
    if issuer.active:
        access.token_doors.append(OwnTokens(issuer))
        access.client_doors.append(Clients(issuer, access))
    for other in oauth.issuers:
        access.token_doors.append(ForeignTokens(other, issuer, settings.tls))
    return AuthorisationService(issuer, TokenExchange(oauth.exchange, issuer, settings.tls))


class OwnTokens:
    """Tokens of the hub's own authorisation server."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self.issuer = issuer

    def enter(self, credentials: Credentials, node: Principal) -> Principal | None:  # noqa: ARG002
        """See ``hub.access.service.Door``. Raises TokenRefused."""
        claims = self.issuer.read(credentials.bearer)
        if claims is None:
            return None
        check_binding(claims, credentials)
        return self.issuer.tokens.principal(claims)


class ForeignTokens:
    """Tokens of one other server: signed ones by its keys, others by asking it."""

    def __init__(self, settings: Issuer, issuer: TokenIssuer, tls: Tls) -> None:
        self.settings = settings
        self.issuer = issuer
        self._keys: Callable[[], Keys] | None = None
        self._ask: Callable[[str], Claims] | None = None
        if settings.jwks is not None:
            file = settings.jwks
            self._keys = Changing((file,), lambda: public_keys(read_file(file)))
        if settings.introspection is not None:
            peer = Peer(tls, client_id=settings.client_id, secret=settings.client_secret, ca=settings.ca)
            self._ask = Recent(lambda token: peer.introspect(str(settings.introspection), token))

    def enter(self, credentials: Credentials, node: Principal) -> Principal | None:  # noqa: ARG002
        """See ``hub.access.service.Door``. Raises TokenRefused, IssuerSilent."""
        token = credentials.bearer
        signed = jwt.looks_signed(token)
        if signed and jwt.peek(token).get("iss") != self.settings.issuer:
            return None
        keys = self._keys() if self._keys is not None and signed else None
        claims = self._verified(token, keys) if keys is not None else self._introspected(token)
        if claims is None:
            return None
        check_binding(claims, credentials)
        return self.issuer.tokens.foreign(claims, self.settings.permissions)

    @property
    def _audiences(self) -> frozenset[str]:
        return frozenset({self.settings.audience}) if self.settings.audience else self.issuer.audiences

    def _verified(self, token: str, keys: Keys) -> Claims:
        own = self.issuer.settings
        rules = jwt.Rules(self.settings.issuer, self._audiences, algorithms=own.algorithms, leeway=own.leeway)
        return jwt.read(token, keys, rules, self.issuer.tokens.clock())

    def _introspected(self, token: str) -> Claims | None:
        """None when the server does not know the token: another one might."""
        if len(token) > jwt.MAX_TOKEN or self._ask is None:
            return None
        claims = self._ask(token)
        if not claims.get("active"):
            return None
        at = self.issuer.tokens.clock()
        end = jwt.instant(claims, "exp", at)
        if end is None or end <= at:
            raise TokenPast()
        if claims.get("iss", self.settings.issuer) != self.settings.issuer:
            raise ForeignIssuer()
        if not jwt.audiences(claims) & self._audiences:
            raise TokenAudience()
        return {**claims, "iss": self.settings.issuer}


class Clients:
    """Who asks for a token: by a signed assertion, or by the certificate of a configured system."""

    def __init__(self, issuer: TokenIssuer, access: AccessService) -> None:
        self.issuer = issuer
        self.access = access

    def enter(self, credentials: Credentials, node: Principal) -> Principal | None:  # noqa: ARG002
        """See ``hub.access.service.Door``. Raises ClientRefused, TokenRefused."""
        if credentials.client_assertion:
            client = self.issuer.prove(credentials.client_assertion, credentials.client_id)
            found = self.access.named(client.name)
            return found or Principal(client.name, name=client.name, scheme=Scheme.TOKEN)
        if not credentials.certificate:
            raise ClientRefused("Sign an assertion (private_key_jwt), or show a certificate.")
        shown = Credentials(certificate=credentials.certificate, forwarded=credentials.forwarded, peer=credentials.peer)
        found = self.access.transmitter(shown)
        if found.id != credentials.client_id:
            raise ClientRefused("The certificate is not that of the client which the request names.")
        return found


def check_binding(claims: Claims, credentials: Credentials) -> None:
    """A token that is bound to a certificate is good with that one only (RFC 8705 3). Raises TokenBinding."""
    confirmation = claims.get("cnf")
    if confirmation is None:
        return
    if not isinstance(confirmation, dict) or set(confirmation) != {"x5t#S256"}:
        raise TokenClaims("The token is bound in a way that is not supported (cnf).", location="cnf")
    if not credentials.certificate or confirmation["x5t#S256"] != jwt.thumbprint(credentials.certificate):
        raise TokenBinding()
