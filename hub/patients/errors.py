"""What can be wrong with identities and questions about them."""

from collections.abc import Iterable, Sequence
from typing import Self

from hub.errors import Ambiguous, Category, Conflict, Invalid, NotFound
from hub.values import PatientIdentifier


class UnknownIdentifier(NotFound):
    """No identity or person has this identifier."""

    code = "unknown-identifier"
    title = "The patient identifier is not known."


class UnknownDomain(Invalid):
    """A domain that a question names is not one of this region (ITI TF-2: 3.9.4.2.2.6)."""

    code = "unknown-domain"
    title = "The patient identification domain is not known."


class UnknownAuthority(UnknownDomain):
    """An identifier's assigning authority is neither configured nor may it be learned."""

    code = "unknown-authority"
    category = Category.CONFIGURATION
    title = "The assigning authority is not configured."


class AuthorityNotOwned(Invalid):
    """A feed announces numbers of an authority that another feed owns."""

    code = "authority-not-owned"
    category = Category.CONFIGURATION
    title = "The assigning authority does not belong to the sending system."


class AmbiguousIdentifier(Ambiguous):
    """One identifier means several persons (an INS that two unlinked records carry)."""

    code = "ambiguous-identifier"
    title = "The identifier means several persons; a person must decide."


class InvalidMerge(Invalid):
    """A merge of a number with itself, or across two authorities."""

    code = "invalid-merge"
    title = "A merge needs two different numbers of one assigning authority."


class SearchTooBroad(Invalid):
    """A search that would read the whole index."""

    code = "search-too-broad"
    title = (
        "Give an identifier, a full birth date, at least two letters of the family name or of the mother's, "
        "a telephone number, or a place: anything else only narrows."
    )


class UnknownQuery(NotFound):
    """A question whose answer is to be continued was never asked by this caller, or is over (ITI TF-2: 3.47.4.3)."""

    code = "unknown-query"
    title = "No answer waits to be continued under this query id."


class InvalidCursor(Invalid):
    """A page's cursor is not one that this search gave."""

    code = "invalid-cursor"
    title = "The page cursor is not valid."


class InvalidLink(InvalidMerge):
    """A link (A24), its end (A37) or a change of number (A47) with one number twice, or across two authorities."""

    code = "invalid-link"
    title = "This needs two different numbers of one assigning authority."


class IdentifierInUse(Conflict):
    """A number that is, or once was, another identity's: numbers are never given again (A47)."""

    code = "identifier-in-use"
    title = "The new patient number is, or was, another identity's."


class InsConflict(Conflict):
    """A feed would join identities with two different qualified INS: refused, a steward is asked."""

    code = "ins-conflict"
    title = "The identities carry different qualified INS: not joined, a steward has been asked."
    about: Sequence[PatientIdentifier] = ()

    def concerning(self, identities: Iterable[PatientIdentifier]) -> Self:
        """The same, about these."""
        self.about = tuple(dict.fromkeys(identities))
        return self


class LinkRefused(Conflict):
    """A steward's link between two identities that can't be one person; ``context["why"]`` says why."""

    code = "link-refused"
    title = "These two identities can't be linked."


class DecisionNeedsReason(Invalid):
    """A decision without a reason."""

    code = "decision-needs-reason"
    title = "A decision needs a reason."


class TaskNotFound(NotFound):
    """No task has this number, or it is not about this identity."""

    code = "task-not-found"
    title = "There is no such task."


class TaskClosed(Conflict):
    """The task was decided, or its question went away."""

    code = "task-closed"
    title = "The task is closed already."


class TaskChanged(Conflict):
    """The task, or an identity that it is about, changed after the steward saw it."""

    code = "task-changed"
    title = "The identities changed meanwhile: look again before you decide."


class SecondStewardNeeded(Conflict):
    """Four eyes: whoever proposed a verdict can't confirm it."""

    code = "second-steward-needed"
    title = "A second steward must confirm this verdict."


class ModelRefused(Invalid):
    """A matching model's file is broken or was not trained to its end; the message says what is wrong."""

    code = "model-refused"
    category = Category.CONFIGURATION
    title = "The matching model is refused."
