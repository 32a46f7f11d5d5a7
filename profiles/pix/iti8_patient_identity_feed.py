"""ITI-8 Patient Identity Feed (ITI TF-2: 3.8): admissions, registrations, updates, and the merge A40.

One event belongs to one transaction here: A28 and A31 are ITI-30's; A40, which both transactions define with the same
content, is taken as ITI-8's, because feeds without PAM know no other way to say it.
"""

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import InvalidMerge, UnknownDomain
from hub.patients.model import Fed, FeedIdentity, MergeIdentities
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.wire.hl7v2 import answers
from hub.wire.hl7v2.answers import acknowledge
from hub.wire.hl7v2.errors import UNKNOWN_KEY
from hub.wire.hl7v2.feed import feed
from hub.wire.hl7v2.message import Hl7Message

TRANSACTION = Transaction(
    id="ITI-8",
    title="Patient Identity Feed",
    profile="PIX",
    initiator="Patient Identity Source",
    responder="Patient Identifier Cross-reference Manager",
    bindings=(Hl7(events=("ADT^A01", "ADT^A04", "ADT^A05", "ADT^A08", "ADT^A40")),),
    section="ITI TF-2: 3.8",
    kind=Kind.CHANGE,
    permission="patients.feed",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
    options=("A40 of ITI-30 (Patient Identity Management) is taken as this transaction's",),
)


def decode(message: Hl7Message, context: Context) -> FeedIdentity | MergeIdentities:  # noqa: ARG001
    """PID (and MRG) to the identity that the hospital announces, or to its merge."""
    return feed(message)


def encode(outcome: Fed | None, message: Hl7Message, context: Context) -> bytes:  # noqa: ARG001
    """AA: stored and visible."""
    return acknowledge(message)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE; an authority that nobody configured is a key that is not known."""
    if isinstance(error, UnknownDomain):
        return answers.refuse(error, message, context, location="PID-3.4", condition=UNKNOWN_KEY)
    return answers.refuse(error, message, context, location="MRG-1" if isinstance(error, InvalidMerge) else "")
