"""What each error on the way to the box makes of a letter, and how each notification moves it on."""

from collections.abc import Mapping

from hub.errors import HubError, Malformed, Misconfigured, Unavailable
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

#: Outcome -> (states that it changes, the state that follows, the reason of that state). A late report never takes
#: a letter back: what was read stays read, whenever the delivery report comes.
MOVES: Mapping[Outcome, tuple[frozenset[LetterState], LetterState, LetterReason | None]] = {
    Outcome.DELIVERED: (frozenset({State.WAITING, State.SENT}), State.DELIVERED, None),
    Outcome.READ: (frozenset({State.WAITING, State.SENT, State.DELIVERED}), State.READ, None),
    Outcome.FAILED: (
        frozenset({State.WAITING, State.SENT, State.DELIVERED}),
        State.REFUSED,
        LetterReason.BOUNCED,
    ),
    Outcome.NOT_INTEGRATED: (
        frozenset({State.WAITING, State.SENT, State.DELIVERED, State.READ}),
        State.REFUSED,
        LetterReason.INTEGRATION,
    ),
}
