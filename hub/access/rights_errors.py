"""What can go wrong with patients' words and broken glass."""

from hub.errors import AccessDenied, Conflict, Invalid, NotFound


class UnknownPatient(NotFound):
    """The identifier means nobody here, or not one person."""

    code = "patient-not-known"
    title = "The patient is not known here."


class UnknownConsent(NotFound):
    """There is no such consent."""

    code = "consent-not-known"
    title = "There is no such consent."


class ConsentFromTheFuture(Invalid):
    """Nobody has said it yet: it would stand against everything that is said until then."""

    code = "consent-in-the-future"
    title = "The consent was not given yet: its date is in the future."


class ConsentAlreadyOver(Invalid):
    """Its end is not after its beginning."""

    code = "consent-already-over"
    title = "The consent's end must be after its date."


class ConsentAboutAnother(Invalid):
    """A new version says something else: of another patient."""

    code = "consent-about-another-patient"
    title = "A new version of a consent must be about the same patient."


class ConsentChanged(Conflict):
    """Somebody else made a new version in the meantime."""

    code = "consent-changed"
    title = "The consent has a newer version than the one that was changed."


class ReasonNeeded(Invalid):
    """The glass is broken with a reason of at least a few words."""

    code = "reason-needed"
    title = "Say in a few words why the glass is broken."


class NotAProfessional(AccessDenied):
    """The glass is broken, and care is declared, by professionals only."""

    code = "not-a-professional"
    title = "Only professionals may do this."
