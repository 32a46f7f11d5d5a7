"""What can go wrong at the door."""

from hub.errors import Category, NotAuthenticated


class BadCredentials(NotAuthenticated):
    """What the caller showed is not good: a wrong password, an unknown token or certificate, an ended session.

    Nobody is told which: an unknown login and a wrong password look the same."""

    code = "bad-credentials"
    title = "These credentials are not valid."


class SessionEnded(BadCredentials):
    """The portal session has expired or was ended."""

    code = "session-ended"
    title = "The session has ended; sign in again."


class LockedOut(NotAuthenticated):
    """Too many failed attempts for this login; ``context["seconds"]`` says when the next one is allowed."""

    code = "too-many-attempts"
    category = Category.TRANSIENT
    title = "Too many attempts; wait before the next one."


class TokenExpired(BadCredentials):
    """The bearer token was good once: its last day has passed (``clients.token_expires``)."""

    code = "token-expired"
    title = "The bearer token has expired."
