"""ITI-30 Patient Identity Management (ITI TF-2: 3.30), with the French extension (PAM-FR 2.11): A28 and A31.

The merge A40 is dispatched to ITI-8, which defines it with the same content.
"""

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import UnknownDomain
from hub.patients.model import Fed, FeedIdentity, MergeIdentities
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.wire.hl7v2 import answers
from hub.wire.hl7v2.answers import acknowledge
from hub.wire.hl7v2.errors import UNKNOWN_KEY
from hub.wire.hl7v2.feed import feed
from hub.wire.hl7v2.message import Hl7Message

TRANSACTION = Transaction(
    id="ITI-30",
    title="Patient Identity Management",
    profile="PAM",
    initiator="Patient Demographics Supplier",
    responder="Patient Demographics Consumer",
    bindings=(Hl7(events=("ADT^A28", "ADT^A31")),),
    section="ITI TF-2: 3.30",
    kind=Kind.CHANGE,
    permission="patients.feed",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
    options=("Merge (A40, dispatched to ITI-8)", "PAM-FR: INS in PID-3, PID-5 types L and D, BDL, PID-32"),
)


def decode(message: Hl7Message, context: Context) -> FeedIdentity | MergeIdentities:  # noqa: ARG001
    """PID to the identity that the hospital announces."""
    return feed(message)


def encode(outcome: Fed | None, message: Hl7Message, context: Context) -> bytes:  # noqa: ARG001
    """AA: stored and visible."""
    return acknowledge(message)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE; an authority that nobody configured is a key that is not known."""
    if isinstance(error, UnknownDomain):
        return answers.refuse(error, message, context, location="PID-3.4", condition=UNKNOWN_KEY)
    return answers.refuse(error, message, context)
