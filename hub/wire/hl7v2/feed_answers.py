"""How feeds are answered: AA, AA with a warning, or AE with segment and field (HL7 v2.5: 2.15)."""

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import IdentifierInUse, InvalidMerge, UnknownDomain, UnknownIdentifier
from hub.wire.hl7v2 import answers, writer
from hub.wire.hl7v2.errors import CONDITIONS, UNKNOWN_KEY
from hub.wire.hl7v2.events import EVENTS, Effect
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.pid import refused_ins

#: Why an INS was not kept -> what the sender is told.
WARNINGS = {
    "ins-key": "The INS is mistyped: its key is wrong. The identity is kept without it.",
    "ins-not-qualified": "The identity is not qualified: it is kept without its INS.",
    "ins-without-oid": "The INS names no authority of the INS: the identity is kept without it.",
}
_PLACE = {Effect.MERGE: "MRG-1", Effect.CHANGE: "MRG-1", Effect.LINK: "PID[2]-3", Effect.UNLINK: "PID[2]-3"}


def accept(message: Hl7Message) -> bytes:
    """AA: stored and visible; with an ERR of severity W for what was not taken."""
    pid = message.first("PID")
    told = refused_ins(pid) if pid is not None else ""
    if not told:
        return answers.acknowledge(message)
    fields = {
        2: "PID^1^3",
        3: f"103^{CONDITIONS['103']}^HL70357",
        4: "W",
        5: f"{told}^{writer.escape(WARNINGS[told])}^L",
    }
    return answers.answer(message, "ACK", answers.ACCEPTED, [writer.segment("ERR", fields)])


def refuse_feed(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE; an authority that nobody configured, and a number that nobody has, are keys that are not known."""
    event = EVENTS.get(message.event.partition("^")[2])
    place = _PLACE.get(event.effect, "PID-3") if event is not None else "PID-3"
    if isinstance(error, UnknownDomain):
        return answers.refuse(error, message, context, location="PID-3.4", condition=UNKNOWN_KEY)
    if isinstance(error, IdentifierInUse):
        return answers.refuse(error, message, context, location="PID-3")
    if isinstance(error, InvalidMerge | UnknownIdentifier):
        return answers.refuse(error, message, context, location=place)
    return answers.refuse(error, message, context)
