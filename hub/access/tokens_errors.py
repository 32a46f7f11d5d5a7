"""What can be wrong with a token, and with the request for one: each under its own name, safe to show."""

from hub.access.errors import BadCredentials
from hub.errors import AccessDenied, Category, Invalid, Malformed, Unavailable, Unsupported


class TokenRefused(BadCredentials):
    """A bearer token, or a client's assertion, that is no good."""

    code = "token-refused"
    title = "The token is not valid."


class TokenUnreadable(TokenRefused):
    """It is not a signed JWT in compact form (RFC 7515 7.1), or too large."""

    code = "token-unreadable"
    title = "The token is not readable."


class TokenAlgorithm(TokenRefused):
    """The signature's algorithm is not accepted: ``none`` and shared secrets never are (RFC 8725 3.1)."""

    code = "token-algorithm"
    title = "The token's signature algorithm is not accepted."


class TokenKey(TokenRefused):
    """No configured key is meant, or the token brings its own (RFC 8725 3.10)."""

    code = "token-key"
    title = "The token is not signed with a key that is configured here."


class TokenSignature(TokenRefused):
    """The signature does not fit."""

    code = "token-signature"
    title = "The token's signature does not fit."


class TokenOutOfTime(TokenRefused):
    """It has no end, is not good yet, or is good for too long."""

    code = "token-time"
    title = "The token is out of time."


class TokenPast(TokenOutOfTime):
    """It was good once (exp)."""

    code = "token-past"
    title = "The token has expired."


class TokenIssuer(TokenRefused):
    """It is the token of somebody who is not trusted here."""

    code = "token-issuer"
    title = "The token's issuer is not one that is trusted here."


class TokenAudience(TokenRefused):
    """It was made for somebody else (RFC 8725 3.9)."""

    code = "token-audience"
    title = "The token was made for another audience."


class TokenClaims(TokenRefused):
    """A claim that is needed is missing, or is not of its type. ``location``: the claim."""

    code = "token-claims"
    title = "A claim of the token is missing or unusable."


class TokenBinding(TokenRefused):
    """It is bound to a certificate that the caller did not show (RFC 8705 3)."""

    code = "token-binding"
    title = "The token is bound to another certificate than the caller's."


class TokenReplayed(TokenRefused):
    """The assertion was used before (RFC 7523 3, jti)."""

    code = "token-replayed"
    title = "The assertion was used before."


class TokenEnded(TokenRefused):
    """It was revoked, or its client is not what it was."""

    code = "token-ended"
    title = "The token is not valid any more."


class TokenInUrl(Malformed):
    """A token in a URL ends in logs and histories (RFC 9700 4.3.2): only the Authorization header is read."""

    code = "token-in-url"
    title = "A token is shown in the Authorization header, never in the URL."


# The authorisation server (RFC 6749 5.2, RFC 8693 2.2.2)


class ClientRefused(BadCredentials):
    """The client did not prove who it is: invalid_client."""

    code = "oauth-client"
    title = "The client did not prove who it is."


class TokenRequestInvalid(Invalid):
    """A parameter is missing, repeated or unusable: invalid_request."""

    code = "oauth-request"
    title = "The token request is not complete."


class GrantRefused(AccessDenied):
    """What is offered for a token is no good: invalid_grant."""

    code = "oauth-grant"
    title = "What was offered for a token is not accepted."


class GrantUnsupported(Unsupported):
    """unsupported_grant_type."""

    code = "oauth-grant-type"
    title = "This grant type is not supported."


class ClientNotAllowed(AccessDenied):
    """The client may not get tokens in this way: unauthorized_client."""

    code = "oauth-client-not-allowed"
    title = "The client may not ask for a token in this way."


class ScopeRefused(AccessDenied):
    """More than the client is permitted, or not a scope of this hub: invalid_scope."""

    code = "oauth-scope"
    title = "The scope is not one that this client may have."


class TargetUnknown(Invalid):
    """The token is wanted for another system (RFC 8707 2): invalid_target."""

    code = "oauth-target"
    title = "Tokens of this server are good for this hub only."


class TokenTypeUnsupported(Unsupported):
    """A kind of token that is not made or not read here: unsupported_token_type."""

    code = "oauth-token-type"
    title = "This kind of token is not supported."


class IssuerSilent(Unavailable):
    """The system that issued the token does not answer, or not in a way that can be read."""

    code = "token-issuer-silent"
    category = Category.TRANSIENT
    title = "The issuer of the token does not answer."
