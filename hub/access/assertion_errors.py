"""Why an assertion about a user is refused. Messages name rules and configured issuers, never what it says."""

from hub.access.errors import BadCredentials


class AssertionRefused(BadCredentials):
    """The assertion is not one that holds here."""

    code = "assertion-refused"
    title = "The assertion is refused."


class AssertionUnreadable(AssertionRefused):
    """The security header or the assertion breaks its form."""

    code = "assertion-unreadable"
    title = "The assertion is not readable."


class AssertionRequired(AssertionRefused):
    """The system that calls must say for whom (``clients.assertion``)."""

    code = "assertion-required"
    title = "This system must send an assertion about the user for whom it asks."


class AssertionUnsupported(AssertionRefused):
    """Something in it is not supported: encryption, an unknown condition, another kind of token."""

    code = "assertion-unsupported"
    title = "The security header holds something that is not supported here."


class AssertionAlgorithm(AssertionRefused):
    """Signed in a way that is not accepted."""

    code = "assertion-algorithm"
    title = "The assertion's signature uses an algorithm that is not accepted."


class AssertionSignature(AssertionRefused):
    """The signature does not hold."""

    code = "assertion-signature"
    title = "The assertion's signature does not hold."


class UnknownIssuer(AssertionRefused):
    """Nobody whose assertions are believed here."""

    code = "assertion-issuer"
    title = "The assertion's issuer is not one that is believed here."


class AssertionNotNow(AssertionRefused):
    """It holds no more, or not yet."""

    code = "assertion-expired"
    title = "The assertion is not valid at this time."


class AssertionAudience(AssertionRefused):
    """Meant for somebody else."""

    code = "assertion-audience"
    title = "The assertion is meant for another audience."


class AssertionReplayed(AssertionRefused):
    """It was used before."""

    code = "assertion-replayed"
    title = "The assertion was used before."


class AssertionConfirmation(AssertionRefused):
    """Who presents it is not who it is meant for."""

    code = "assertion-confirmation"
    title = "The assertion is not confirmed for who presents it."
