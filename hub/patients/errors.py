"""What can be wrong with identities and questions about them."""

from hub.errors import Ambiguous, Category, Invalid, NotFound


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
    title = "Give an identifier, a full birth date, or at least two letters of the family name."


class InvalidCursor(Invalid):
    """A page's cursor is not one that this search gave."""

    code = "invalid-cursor"
    title = "The page cursor is not valid."
