"""ITI-30 Patient Identity Management (ITI TF-2: 3.30), with the French extension (PAM-FR 2.11).

The merge A40 is dispatched to ITI-8, which defines it with the same content.
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
    id="ITI-30",
    title="Patient Identity Management",
    profile="PAM",
    initiator="Patient Demographics Supplier",
    responder="Patient Demographics Consumer",
    bindings=(Hl7(events=events.of("ITI-30")),),
    section="ITI TF-2: 3.30",
    kind=Kind.CHANGE,
    permission="patients.feed",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
    options=(
        "Merge (A40, dispatched to ITI-8)",
        "Link/Unlink (A24, A37)",
        "PAM-FR: INS in PID-3, PID-5 types L and D, BDL, PID-32",
    ),
)


def decode(message: Hl7Message, context: Context) -> Feed:
    """PID to the identity that the hospital announces, links, renumbers or deletes."""
    return feed(message, context)


def encode(outcome: Fed | None, message: Hl7Message, context: Context) -> bytes:
    """AA: stored and visible."""
    return accept(message, context)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE with segment and field."""
    return refuse_feed(error, message, context)
