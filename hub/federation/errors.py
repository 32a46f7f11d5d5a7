"""What can go wrong with a question to the whole region."""

from typing import Self

from hub.errors import HubError, NotFound, PeerRefused


class FederationError(HubError):
    """Base of the room's errors."""

    code = "federation-error"
    title = "The region can't be asked."


class NoSuchSource(FederationError, NotFound):
    """The question names a source that is not configured."""

    code = "no-such-source"
    title = "No source has this name."


class CommunityError(FederationError, PeerRefused):
    """What another community's gateway said is wrong.

    ``error_code``: its XDS code. ``text``: its words, for the caller and not for logs. ``warning``: it is no error."""

    code = "community-error"
    title = "Another community reports an error."

    error_code = ""
    text = ""
    warning = False

    @classmethod
    def said(cls, error_code: str, text: str, *, location: str = "", warning: bool = False) -> Self:
        """From a row of its error list."""
        error = cls(location=location)
        error.error_code, error.text, error.warning = error_code, text, warning
        return error


class DiscoveryContradicted(FederationError, PeerRefused):
    """Another community's answer to an ITI-55 describes somebody else than was asked for: it is not used."""

    code = "discovery-contradicted"
    title = "The person that the community found is not the one who was asked for."


class DiscoveryRefused(FederationError, PeerRefused):
    """Another community answered an ITI-55 with an error."""

    code = "discovery-refused"
    title = "The community could not say whether it knows the person."
