"""What can go wrong while somebody signs in with a provider: each refused under its own name."""

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
    """The answer does not belong to a sign-in that this browser began, or was used before (RFC 6749 10.12)."""

    code = "sign-in-state"
    title = "This answer does not belong to a sign-in that was begun in this browser."


class SignInExpired(SignInRefused):
    """The sign-in took too long, or was cancelled."""

    code = "sign-in-expired"
    title = "The sign-in took too long: begin again."


class TooManySignIns(Unavailable):
    """More sign-ins have begun than are kept at a time."""

    code = "too-many-sign-ins"
    category = Category.TRANSIENT
    title = "Too many people are signing in: try again in a moment."


class NonceMismatch(SignInRefused):
    """The token answers another request (OIDC Core 3.1.3.7, rule 11)."""

    code = "provider-nonce"
    title = "The token does not answer the request that was made."


class LevelTooLow(SignInRefused):
    """The person was not authenticated as strongly as asked for (OIDC Core 3.1.3.7, rule 12)."""

    code = "provider-level"
    title = "The provider did not authenticate the person strongly enough."


class HashMismatch(SignInRefused):
    """The access token is not the one that the ID token was issued with (OIDC Core 3.1.3.8)."""

    code = "provider-hash"
    title = "The access token does not belong to the ID token."


class SubjectMismatch(SignInRefused):
    """The claims are about somebody else than the ID token (OIDC Core 5.3.2), or than the person who was called."""

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


class LogoutRefused(HubError):
    """A logout token breaks a rule of OIDC Back-Channel Logout 2.6, or was used before."""

    code = "logout-token"
    title = "The logout token is not valid."


class ProviderUnavailable(Unavailable):
    """The provider does not answer, or not in a way that can be read."""

    code = "provider-unavailable"
    category = Category.TRANSIENT
    title = "The identity provider does not answer."
