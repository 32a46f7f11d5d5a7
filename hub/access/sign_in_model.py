"""What signing in with a provider leads to. Frozen values, no decisions."""

from dataclasses import dataclass, field
from datetime import datetime

from hub.access.model import Professional


@dataclass(frozen=True, slots=True)
class Bond:
    """What a session hangs on at the provider. ``sealed``: its tokens, for the session's token."""

    sealed: str = field(repr=False)
    renew_at: datetime
    good_until: datetime


@dataclass(frozen=True, slots=True)
class Vouched:
    """For whom a provider has vouched: ``subject`` and ``session`` are its names of the person and of its session."""

    provider: str
    subject: str
    session: str


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody for whom the provider vouches: with a session, or with situations of exercise to choose from."""

    professional: Professional  #: as whom; the first of the situations while none is chosen
    session: str = field(default="", repr=False)  #: its token; "" while there is a choice
    situations: tuple[Professional, ...] = ()
    target: str = ""  #: where they wanted to go


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sign-in that waits on somebody's phone."""

    message: str  #: two digits, shown here and there
    number: str = field(repr=False)  #: national id of the person who is called
    interval: float  #: seconds between two questions
    target: str = ""
