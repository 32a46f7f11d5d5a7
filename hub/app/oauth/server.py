"""The authorisation server, on authlib: grants, introspection, revocation. The path has proven the client before."""

import re
from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749.grants import BaseGrant, ClientCredentialsGrant, TokenEndpointMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from hub.access.model import Client, Principal
from hub.access.tokens_errors import (
    ClientNotAllowed,
    GrantUnsupported,
    TokenRefused,
    TokenRequestInvalid,
    TokenTypeUnsupported,
)
from hub.access.tokens_model import (
    ACCESS_TOKEN_TYPE,
    CLIENT_CREDENTIALS,
    JWT_TYPE,
    TOKEN_EXCHANGE,
    DescribeServer,
    GetToken,
    IntrospectToken,
    IssuedToken,
    RevokeToken,
    ShowKeys,
    TokenFacts,
)
from hub.app.oauth.exchange import Exchanged, TokenExchange
from hub.app.oauth.issuer import Claims, TokenIssuer
from hub.context import Context
from hub.errors import HubError, InternalError, NotFound
from hub.usecase import use_case
from hub.wire.oauth.form import one

#: What authlib finds wrong by itself, as the hub's own errors.
ERRORS: Mapping[str, type[HubError]] = {
    "invalid_request": TokenRequestInvalid,
    "unsupported_grant_type": GrantUnsupported,
    "unsupported_token_type": TokenTypeUnsupported,
    "unauthorized_client": ClientNotAllowed,
}
_GRANT = re.compile(r"[A-Za-z0-9:._-]{1,100}")


class Request(OAuth2Request):  # type: ignore[misc]
    """A request whose client is known."""

    def __init__(
        self, path: str, parameters: Mapping[str, tuple[str, ...]], client: "Party", thumbprint: str = ""
    ) -> None:
        super().__init__("POST", path)
        self.parameters = parameters
        self.payload = BasicOAuth2Payload({name: values[0] for name, values in parameters.items()})
        self.client = client
        self.thumbprint = thumbprint

    @property
    def form(self) -> Mapping[str, str]:
        """The fields, as authlib reads them."""
        fields: Mapping[str, str] = self.payload.data
        return fields


class Party:
    """A client as authlib asks for it."""

    def __init__(self, client: Client | None, principal: Principal) -> None:
        self.client = client
        self.principal = principal

    def check_grant_type(self, _grant_type: str) -> bool:
        """Only systems of [[clients]] get tokens."""
        return self.client is not None

    @property
    def configured(self) -> Client:
        """The system. Raises ClientNotAllowed."""
        if self.client is None:
            raise ClientNotAllowed("Tokens are for systems that are listed in clients.")
        return self.client


class Server(AuthorizationServer):  # type: ignore[misc]
    """authlib's server below the pipeline: errors are the hub's own."""

    def __init__(self, issuer: TokenIssuer, exchange: TokenExchange) -> None:
        super().__init__()
        self.issuer = issuer
        self.exchange = exchange
        self.register_grant(ClientCredentials)
        if exchange.active:
            self.register_grant(Exchange)
        self.register_endpoint(Introspection(self))
        self.register_endpoint(Revocation(self))

    def create_oauth2_request(self, request: Request) -> Request:
        """It is one already."""
        return request

    def authenticate_client(self, request: Request, methods: Any, endpoint: str = "token") -> Party:  # noqa: ARG002
        """The path did."""
        return request.client

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens: the audit trail is the pipeline's."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Any:  # noqa: ARG002
        """What the use case answers."""
        return body

    def handle_error_response(self, request: Request, error: OAuth2Error) -> Any:  # noqa: ARG002
        """As an error of the hub's."""
        raise ERRORS.get(error.error, TokenRequestInvalid)() from error

    def issue(self, request: Request, claims: Claims, life: int, *, exchanged: bool) -> IssuedToken:
        """Write the token."""
        wanted = one(request.parameters, "requested_token_type")
        opaque = self.issuer.opaque(wanted)
        kind = ACCESS_TOKEN_TYPE if opaque or wanted != JWT_TYPE else JWT_TYPE
        return IssuedToken(
            self.issuer.issue(claims, opaque=opaque), life, claims["scope"], kind if exchanged or wanted else ""
        )


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]
    """RFC 6749 4.4."""

    server: Server
    request: Request

    def validate_requested_scope(self) -> None:
        """The claims are made of the scopes: what is too much is refused there."""

    def create_token_response(self) -> tuple[int, IssuedToken, None]:
        """The token."""
        issuer, request = self.server.issuer, self.request
        issuer.check_targets((*request.parameters.get("resource", ()), *request.parameters.get("audience", ())))
        life = issuer.settings.life
        claims = issuer.tokens.claims(
            request.client.configured,
            one(request.parameters, "scope"),
            life=life,
            thumbprint=request.thumbprint,
        )
        return 200, self.server.issue(request, claims, int(life.total_seconds()), exchanged=False), None


class Exchange(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """RFC 8693."""

    GRANT_TYPE = TOKEN_EXCHANGE
    server: Server
    request: Request
    found: Exchanged

    def validate_token_request(self) -> None:
        """Ask the provider about the professional's token."""
        request, issuer = self.request, self.server.issuer
        issuer.check_targets((*request.parameters.get("resource", ()), *request.parameters.get("audience", ())))
        self.found = self.server.exchange.exchange(
            request.client.configured, request.parameters, bound=bool(request.thumbprint)
        )

    def create_token_response(self) -> tuple[int, IssuedToken, None]:
        """A token of the hub's, bound to the client's certificate, never longer good than the professional's."""
        issuer, request, found = self.server.issuer, self.request, self.found
        life = min(issuer.settings.life, found.left)
        claims = issuer.tokens.claims(
            request.client.configured,
            one(request.parameters, "scope"),
            life=life,
            thumbprint=request.thumbprint,
            professional=found.professional,
            level=found.level,
            actor=found.actor,
        )
        return 200, self.server.issue(request, claims, int(life.total_seconds()), exchanged=True), None


class _Found:
    """A good token of ours, as authlib's endpoints ask for it."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims

    def is_expired(self) -> bool:
        """It would not have been found."""
        return False

    is_revoked = is_expired

    def check_client(self, client: Party) -> bool:
        """Whether it was issued to this client."""
        return bool(self.claims.get("client_id") == client.principal.id)


def _query(issuer: TokenIssuer, token: str) -> _Found | None:
    try:
        claims = issuer.read(token)
    except TokenRefused:  # unknown, over, forged: all the same to who asks (RFC 7662 2.2)
        return None
    return _Found(claims) if claims is not None else None


def _check_token(request: Request) -> None:
    """Raises TokenRequestInvalid."""
    if not request.form.get("token"):
        raise TokenRequestInvalid("The parameter token is missing.", location="token")


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    """RFC 7662."""

    server: Server

    def check_params(self, request: Request, client: Party) -> None:  # noqa: ARG002
        """A token there has to be; a hint is no more than that (RFC 7009 2.2.1)."""
        _check_token(request)

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Found | None:  # noqa: ARG002
        """The token, when it is good."""
        return _query(self.server.issuer, token_string)

    def check_permission(self, token: _Found, client: Party, request: Request) -> bool:  # noqa: ARG002
        """The path asked for the permission."""
        return True

    def introspect_token(self, token: _Found) -> Claims:
        """All that it says."""
        return dict(token.claims)


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    """RFC 7009."""

    server: Server

    def check_params(self, request: Request, client: Party) -> None:  # noqa: ARG002
        """A token there has to be; a hint is no more than that (RFC 7009 2.2.1)."""
        _check_token(request)

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Found | None:  # noqa: ARG002
        """The token, when it is good."""
        return _query(self.server.issuer, token_string)

    def authenticate_token(self, request: Request, client: Party) -> _Found | None:
        """Somebody else's token looks like none."""
        self.check_params(request, client)
        found = self.query_token(request.form["token"], None)
        return found if found is not None and found.check_client(client) else None

    def revoke_token(self, token: _Found, request: Request) -> None:  # noqa: ARG002
        """End it."""
        self.server.issuer.tokens.end(token.claims)


class AuthorisationService:
    """The use cases of IUA."""

    def __init__(self, issuer: TokenIssuer, exchange: TokenExchange) -> None:
        self.issuer = issuer
        self._exchange = exchange
        self._server = Server(issuer, exchange)

    @use_case
    def get_token(self, command: GetToken, context: Context) -> IssuedToken:
        """Issue a token. Raises GrantUnsupported, ClientNotAllowed, ScopeRefused, TargetUnknown, GrantRefused."""
        self._need_keys()
        grant = one(command.parameters, "grant_type")
        if not grant:
            raise TokenRequestInvalid("The parameter grant_type is missing.", location="grant_type")
        if _GRANT.fullmatch(grant):
            context.touch("grant", grant)
        request = self._request("/oauth2/token", command.parameters, context, command.thumbprint)
        issued = self._server.create_token_response(request)
        if not isinstance(issued, IssuedToken):
            raise InternalError()
        return issued

    @use_case
    def introspect(self, command: IntrospectToken, context: Context) -> TokenFacts:
        """What a token of ours says, when it is good."""
        self._need_keys()
        request = self._request("/oauth2/introspect", command.parameters, context)
        found = self._server.create_endpoint_response(Introspection.ENDPOINT_NAME, request)
        return TokenFacts(found if found.get("active") else {})

    @use_case
    def revoke(self, command: RevokeToken, context: Context) -> None:
        """End a token of the client's own."""
        self._need_keys()
        request = self._request("/oauth2/revoke", command.parameters, context)
        self._server.create_endpoint_response(Revocation.ENDPOINT_NAME, request)

    @use_case
    def keys(self, command: ShowKeys, context: Context) -> Mapping[str, Any]:  # noqa: ARG002
        """The public keys."""
        self._need_keys()
        return self.issuer.jwks()

    @use_case
    def describe(self, command: DescribeServer, context: Context) -> Mapping[str, Any]:  # noqa: ARG002
        """What this server can do (RFC 8414 2)."""
        self._need_keys()
        url, settings = self.issuer.url(), self.issuer.settings
        methods = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"]
        grants = [CLIENT_CREDENTIALS, *([TOKEN_EXCHANGE] if self._exchange.active else [])]
        algorithms = list(settings.algorithms)
        found: dict[str, Any] = {
            "issuer": self.issuer.issuer,
            "jwks_uri": f"{url}/oauth2/jwks",
            "token_endpoint": f"{url}/oauth2/token",
            "token_endpoint_auth_methods_supported": methods,
            "token_endpoint_auth_signing_alg_values_supported": algorithms,
            "grant_types_supported": grants,
            "response_types_supported": [],
            "scopes_supported": self.issuer.tokens.scopes.words(),
            "introspection_endpoint": f"{url}/oauth2/introspect",
            "introspection_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
            "revocation_endpoint": f"{url}/oauth2/revoke",
            "revocation_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
            "tls_client_certificate_bound_access_tokens": True,
        }
        if settings.token_format == "jwt":  # noqa: S105
            found |= {"access_token_format": "ihe-jwt"}  # IUA: 3.103.4.2.2; it has no word for opaque ones
        if command.smart:
            found |= {
                "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
                "code_challenge_methods_supported": ["S256"],
            }
        return found

    def _request(
        self, path: str, parameters: Mapping[str, tuple[str, ...]], context: Context, thumbprint: str = ""
    ) -> Request:
        principal = context.principal
        party = Party(None if principal.person else self.issuer.tokens.client(principal.id), principal)
        return Request(self.issuer.url() + path, parameters, party, thumbprint)

    def _need_keys(self) -> None:
        if not self.issuer.active:
            raise NotFound("This hub issues no tokens (oauth.signing_keys).")
