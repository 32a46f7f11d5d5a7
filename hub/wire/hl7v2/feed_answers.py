"""How feeds are answered: AA, AA with a warning, or AE with segment and field (HL7 v2.5: 2.15)."""

from hub.context import Context, Touched
from hub.errors import HubError, Invalid
from hub.patients.doubts_model import NUMBER_MERGED, WARNING
from hub.patients.errors import (
    AuthorityNotOwned,
    IdentifierInUse,
    InsConflict,
    InvalidMerge,
    UnknownDomain,
    UnknownIdentifier,
)
from hub.wire.hl7v2 import answers, writer
from hub.wire.hl7v2.doubts import WARNINGS, doubt
from hub.wire.hl7v2.errors import CONDITIONS, UNKNOWN_KEY
from hub.wire.hl7v2.events import EVENTS, Effect
from hub.wire.hl7v2.message import Hl7Message

_PLACE = {Effect.MERGE: "MRG-1", Effect.CHANGE: "MRG-1", Effect.LINK: "PID[2]-3", Effect.UNLINK: "PID[2]-3"}
_MERGED = Touched(WARNING, NUMBER_MERGED)


def accept(message: Hl7Message, context: Context) -> bytes:
    """AA: stored and visible; with an ERR of severity W for what was not taken."""
    pid = message.first("PID")
    told = NUMBER_MERGED if _MERGED in context.effects else doubt(pid) if pid is not None else ""
    if not told:
        return answers.acknowledge(message)
    warning = WARNINGS[told]
    fields = {
        2: warning.location,
        3: f"{warning.condition}^{CONDITIONS[warning.condition]}^HL70357",
        4: "W",
        5: f"{told}^{writer.escape(warning.text)}^L",
    }
    return answers.answer(message, "ACK", answers.ACCEPTED, [writer.segment("ERR", fields)])


def refuse_feed(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE; an authority that nobody configured, and a number that nobody has, are keys that are not known."""
    event = EVENTS.get(message.event.partition("^")[2])
    place = _PLACE.get(event.effect, "PID-3") if event is not None else "PID-3"
    if isinstance(error, UnknownDomain):
        return answers.refuse(error, message, context, location="PID-3.4", condition=UNKNOWN_KEY)
    if isinstance(error, AuthorityNotOwned):
        return answers.refuse(error, message, context, location="PID-3.4")
    if isinstance(error, IdentifierInUse | InsConflict):
        return answers.refuse(error, message, context, location="PID-3")
    if isinstance(error, InvalidMerge | UnknownIdentifier):
        return answers.refuse(error, message, context, location=place)
    if isinstance(error, Invalid) and not error.location:  # a value of the patient's number
        return answers.refuse(error, message, context, location="PID-3")
    return answers.refuse(error, message, context)
