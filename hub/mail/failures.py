"""What each error on the way to the box makes of a letter, and how each notification moves it on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hub.errors import HubError, Malformed, Misconfigured, Unavailable
from hub.imaging.sending_model import Told
from hub.mail.errors import MailTooLarge, MessageRefused, RecipientRefused
from hub.mail.model import LetterReason, LetterState, Outcome

State = LetterState

FAILURES: Mapping[type[HubError], tuple[LetterState, LetterReason]] = {
    HubError: (State.HELD, LetterReason.MESSAGE),
    Malformed: (State.HELD, LetterReason.MESSAGE),
    MailTooLarge: (State.HELD, LetterReason.TOO_LARGE),
    Misconfigured: (State.HELD, LetterReason.CONFIGURATION),
    RecipientRefused: (State.REFUSED, LetterReason.RECIPIENT),
    MessageRefused: (State.REFUSED, LetterReason.MESSAGE),
    Unavailable: (State.HELD, LetterReason.UNAVAILABLE),  # after the last attempt; before, it waits
}


@dataclass(frozen=True, slots=True)
class Move:
    """What a notification makes of a letter: the states that it changes, the one that follows, with its reason; and
    what the sender is told of."""

    changes: frozenset[LetterState]
    state: LetterState
    reason: LetterReason | None
    told: Told


_UNDER_WAY = frozenset({State.WAITING, State.SENT, State.DELIVERED})
#: A late report never takes a letter back: what was read stays read, whenever the delivery report comes.
MOVES: Mapping[Outcome, Move] = {
    Outcome.DELIVERED: Move(frozenset({State.WAITING, State.SENT}), State.DELIVERED, None, Told.DELIVERY),
    Outcome.READ: Move(_UNDER_WAY, State.READ, None, Told.READING),
    Outcome.FAILED: Move(_UNDER_WAY, State.REFUSED, LetterReason.BOUNCED, Told.DELIVERY),
    Outcome.NOT_INTEGRATED: Move(_UNDER_WAY | {State.READ}, State.REFUSED, LetterReason.INTEGRATION, Told.READING),
}

#: Codes of the table SMTPERRORCODE (CI-SIS).
SMTP_CODES = frozenset(
    {
        *("101", "111", "251", "252", "420", "421", "422", "431", "432", "441", "442", "450", "451", "452"),
        *("500", "501", "502", "503", "504", "510", "512", "513", "523", "530", "541", "550", "551", "552"),
        *("553", "554"),
    }
)
#: Status of RFC 3463 -> its code there; the longest that fits counts.
_STATUSES: Mapping[str, str] = {
    "4": "451", "4.2.2": "422", "4.3": "431", "4.4": "420", "4.4.1": "441", "4.4.2": "442", "5": "554", "5.1": "510",
    "5.1.1": "550", "5.1.2": "512", "5.1.3": "553", "5.2": "550", "5.2.2": "552", "5.2.3": "523", "5.3.4": "523",
    "5.5": "500", "5.5.4": "501", "5.7": "541",
}  # fmt: skip
_REASONS: Mapping[LetterReason, str] = {
    LetterReason.ADDRESS: "510",
    LetterReason.OUTSIDE: "551",
    LetterReason.TOO_LARGE: "523",
    LetterReason.RECIPIENT: "550",
    LetterReason.UNAVAILABLE: "101",
    LetterReason.CONFIGURATION: "111",
}
#: What the recipient's system may say: table of application errors (CI-SIS), "another one" otherwise.
_INTEGRATION = frozenset({"900", "901", "902", "903", "904", "905", "906"})


def smtp_code(reason: LetterReason, said: str) -> str:
    """The code of SMTPERRORCODE for what a server said (a reply, or a status of RFC 3463), or for the reason."""
    if said in SMTP_CODES:
        return said
    parts = said.split(".")
    for count in range(len(parts), 0, -1):
        if found := _STATUSES.get(".".join(parts[:count])):
            return found
    return _REASONS.get(reason, "554")


def integration_code(reason: LetterReason, said: str) -> str:  # noqa: ARG001
    """The code of the table of application errors."""
    return said if said in _INTEGRATION else "906"


CODES: Mapping[Told, Callable[[LetterReason, str], str]] = {
    Told.DELIVERY: smtp_code,
    Told.READING: integration_code,
}
