"""The one tree of errors.

Every error that the hub raises on purpose derives from :class:`HubError`. It has a stable ``code`` (kebab case, shown
to operators and documented), a ``category`` (says whether trying again can help) and a message that is safe to show
and to log: never a patient's data. Each wire maps the classes to its own codes in one table (``hub/wire/*/errors.py``),
looked up along the method resolution order, so a new error always has an answer on every wire.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import ClassVar, TypeVar

T = TypeVar("T")


class Category(StrEnum):
    """Whether trying again can help."""

    TRANSIENT = "transient"  #: later, unchanged, may work
    PERMANENT = "permanent"  #: the same request will always be refused
    AMBIGUOUS = "ambiguous"  #: a person must decide
    CONFIGURATION = "configuration"  #: an operator must change a setting, here or at the peer


class HubError(Exception):
    """An error with a code, a category and a message that is safe to show.

    ``message``: one sentence, no patient data. ``location``: where in the request (a segment, an attribute, an object
    id). ``context``: further safe facts by name (an object's UUID, a parameter, a section of the standard).
    """

    code: ClassVar[str] = "internal"
    category: ClassVar[Category] = Category.PERMANENT
    title: ClassVar[str] = "The hub could not do this."

    def __init__(self, message: str = "", *, location: str = "", **context: str) -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.location = location
        self.context = context

    @property
    def told(self) -> str:
        """The message for an answer: with the source that it is about, where there is one."""
        source = self.context.get("source", "")
        return f"{source}: {self.message}" if source and source not in self.message else self.message


class InternalError(HubError):
    """A defect of the hub; the log holds the correlation id, the answer holds nothing else."""

    code = "internal"
    title = "The hub failed; quote the correlation id to its operator."


class Malformed(HubError):
    """The message can't be read: not what its protocol allows."""

    code = "malformed"
    title = "The message is not well-formed."


class TooLarge(Malformed):
    """The message is larger or deeper than the limit."""

    code = "too-large"
    title = "The message is larger than the limit."


class Unsupported(HubError):
    """Well-formed, but this hub does not offer it (an action, an event, a media type)."""

    code = "unsupported"
    title = "This is not supported here."


class MethodNotAllowed(Unsupported):
    """Something is at the address, but not for this method (RFC 9110: 15.5.6)."""

    code = "method-not-allowed"
    title = "The address does not take this method."


class NotAuthenticated(HubError):
    """Nobody vouched for the caller."""

    code = "not-authenticated"
    title = "Authentication is required."


class AccessDenied(HubError):
    """The caller is known and may not do this."""

    code = "access-denied"
    title = "Access is denied."


class NotFound(HubError):
    """The thing asked for is not here, or not for this caller (the two are never told apart)."""

    code = "not-found"
    title = "Not found."


class Invalid(HubError):
    """Readable, but a value breaks a rule."""

    code = "invalid"
    title = "A value is not valid."


class Conflict(HubError):
    """It contradicts what is already here."""

    code = "conflict"
    title = "This conflicts with what is already stored."


class Ambiguous(HubError):
    """A person must decide: several answers are possible."""

    code = "ambiguous"
    category = Category.AMBIGUOUS
    title = "This can't be decided automatically."


class Unavailable(HubError):
    """Something that the hub needs is down, slow or busy: later may work."""

    code = "unavailable"
    category = Category.TRANSIENT
    title = "A system that is needed does not answer."


class DeadlineExceeded(Unavailable):
    """A peer did not answer within its deadline."""

    code = "deadline-exceeded"
    title = "The deadline passed before the answer came."


class NotTaken(HubError):
    """Whoever asked went away, or cancelled, before the answer's end."""

    code = "not-taken"
    title = "The answer was not taken to its end."


class PeerRefused(HubError):
    """Another system, which the hub asked on the caller's behalf, refused or failed."""

    code = "peer-refused"
    title = "Another system refused what the hub asked it."


class Misconfigured(HubError):
    """A setting, here or at a peer, makes this impossible."""

    code = "misconfigured"
    category = Category.CONFIGURATION
    title = "A setting makes this impossible."


def lookup(table: Mapping[type[HubError], T], error: HubError | type[HubError]) -> T:
    """The table's row for the error, or for the nearest ancestor that has one. ``HubError`` must have a row."""
    kind = error if isinstance(error, type) else type(error)
    for ancestor in kind.__mro__:
        if ancestor in table:
            return table[ancestor]
    raise KeyError(kind.__name__)


def all_errors(root: type[HubError] = HubError) -> Iterator[type[HubError]]:
    """Every error class that is loaded, the root first."""
    yield root
    for child in root.__subclasses__():
        yield from all_errors(child)
