"""ITI-8 Patient Identity Feed (ITI TF-2: 3.8): admissions, registrations, updates, and the merge A40.

One event belongs to one transaction here: A28 and A31 are ITI-30's; A40, which both transactions define with the same
content, is taken as ITI-8's, because feeds without PAM know no other way to say it.
"""

from hub.context import Context
from hub.errors import HubError
from hub.patients.model import Fed
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.wire.hl7v2 import events
from hub.wire.hl7v2.feed import Feed, feed
from hub.wire.hl7v2.feed_answers import accept, refuse_feed
from hub.wire.hl7v2.message import Hl7Message

TRANSACTION = Transaction(
    id="ITI-8",
    title="Patient Identity Feed",
    profile="PIX",
    initiator="Patient Identity Source",
    responder="Patient Identifier Cross-reference Manager",
    bindings=(Hl7(events=events.of("ITI-8")),),
    section="ITI TF-2: 3.8",
    kind=Kind.CHANGE,
    permission="patients.feed",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
    options=("A40 of ITI-30 (Patient Identity Management) is taken as this transaction's",),
)


def decode(message: Hl7Message, context: Context) -> Feed:
    """PID (and MRG) to the identity that the hospital announces, or to its merge; PV1 to its visit."""
    return feed(message, context)


def encode(outcome: Fed | None, message: Hl7Message, context: Context) -> bytes:
    """AA: stored and visible."""
    return accept(message, context)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE with segment and field."""
    return refuse_feed(error, message, context)
