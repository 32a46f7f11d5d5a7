"""What an OpenID provider's answers can have wrong: each refused under its own name, with one safe sentence."""

from hub.errors import Category, HubError, NotAuthenticated, Unavailable


class SignInRefused(NotAuthenticated):
    """Signing in with the provider did not work. Nobody is let in."""

    code = "sign-in-refused"
    title = "Signing in with the identity provider did not work."


class ProviderDeclined(SignInRefused):
    """The provider answered with an error. ``context["error"]``: its code (RFC 6749 4.1.2.1, CIBA Core 13)."""

    code = "provider-declined"
    title = "The identity provider did not sign this person in."


class StateMismatch(SignInRefused):
    """The answer does not belong to a sign-in that this browser began, or was used before (OIDC Core 3.1.2.5)."""

    code = "sign-in-state"
    title = "This answer does not belong to a sign-in that was begun in this browser."


class SignInExpired(SignInRefused):
    """The sign-in took too long, or was cancelled."""

    code = "sign-in-expired"
    title = "The sign-in took too long: begin again."


class TokenUnsound(SignInRefused):
    """A token's form, algorithm or signature is not one that is believed (OIDC Core 3.1.3.7, rules 6 to 8)."""

    code = "provider-token-unsound"
    title = "The identity provider's token is not signed as it must be."


class WrongIssuer(SignInRefused):
    """The token is another issuer's (OIDC Core 3.1.3.7, rule 2; RFC 9207)."""

    code = "provider-token-issuer"
    title = "The token is not the configured provider's."


class WrongAudience(SignInRefused):
    """The token was made for another client (OIDC Core 3.1.3.7, rules 3 to 5)."""

    code = "provider-token-audience"
    title = "The token was made for another client."


class TokenOutOfTime(SignInRefused):
    """The token has ended, or is not good yet (OIDC Core 3.1.3.7, rules 9 and 10)."""

    code = "provider-token-time"
    title = "The identity provider's token is out of time."


class NonceMismatch(SignInRefused):
    """The token answers another request (OIDC Core 3.1.3.7, rule 11)."""

    code = "provider-token-nonce"
    title = "The token does not answer the request that was made."


class LevelTooLow(SignInRefused):
    """The person was not authenticated as strongly as asked for (OIDC Core 3.1.3.7, rule 12)."""

    code = "provider-level"
    title = "The provider did not authenticate the person strongly enough."


class HashMismatch(SignInRefused):
    """The access token is not the one that the ID token was issued with (OIDC Core 3.1.3.8)."""

    code = "provider-token-hash"
    title = "The access token does not belong to the ID token."


class SubjectMismatch(SignInRefused):
    """The claims are about somebody else than the ID token (OIDC Core 5.3.2)."""

    code = "provider-subject"
    title = "The provider's claims are about somebody else."


class ClaimsUnusable(SignInRefused):
    """The claims do not say who the professional is. ``location``: the claim."""

    code = "provider-claims"
    title = "The provider does not say who this professional is."


class NoRole(SignInRefused):
    """A professional whose profession has no role here."""

    code = "no-role"
    title = "No access is foreseen for this profession."


class LogoutUnsound(HubError):
    """A logout token breaks a rule of OIDC Back-Channel Logout 2.6."""

    code = "logout-token"
    title = "The logout token is not valid."


class ProviderUnavailable(Unavailable):
    """The provider does not answer, or not in a way that can be read."""

    code = "provider-unavailable"
    category = Category.TRANSIENT
    title = "The identity provider does not answer."
