"""What can go wrong with a question to the whole region."""

from hub.errors import HubError, NotFound


class FederationError(HubError):
    """Base of the room's errors."""

    code = "federation-error"
    title = "The region can't be asked."


class NoSuchSource(FederationError, NotFound):
    """The question names a source that is not configured."""

    code = "no-such-source"
    title = "No source has this name."
