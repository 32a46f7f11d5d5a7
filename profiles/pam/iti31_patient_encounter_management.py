"""ITI-31 Patient Encounter Management (ITI TF-2: 3.31), with the French extension (PAM-FR 2.11).

Admission (A01), registration (A04), pre-admission (A05) and update (A08) are dispatched to ITI-8, which has them too;
what they say of the visit is kept all the same."""

from hub.context import Context
from hub.errors import HubError
from hub.patients.model import Fed
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.wire.hl7v2 import events
from hub.wire.hl7v2.feed import Feed, feed
from hub.wire.hl7v2.feed_answers import accept, refuse_feed
from hub.wire.hl7v2.message import Hl7Message

TRANSACTION = Transaction(
    id="ITI-31",
    title="Patient Encounter Management",
    profile="PAM",
    initiator="Patient Encounter Supplier",
    responder="Patient Encounter Consumer",
    bindings=(Hl7(events=events.of("ITI-31")),),
    section="ITI TF-2: 3.31",
    kind=Kind.CHANGE,
    permission="patients.feed",
    audit=AuditEvent("110110", "Patient Record", "U"),
    durability=Durability.INBOX,
    options=(
        "A01 A04 A05 A08 (dispatched to ITI-8)",
        "Inpatient/Outpatient Encounter Management",
        "Pending Event Management",
        "Historic Movement Management (ZBE, Z99)",
        "PAM-FR: ZFA-9 to ZFA-12 recorded; ZBE, ZFA, ZFD, ZFM, ZFP, ZFV checked",
    ),
)


def decode(message: Hl7Message, context: Context) -> Feed:
    """PID to the identity, PV1 and ZBE to its visit."""
    return feed(message, context)


def encode(outcome: Fed | None, message: Hl7Message, context: Context) -> bytes:
    """AA: stored and visible."""
    return accept(message, context)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE with segment and field."""
    return refuse_feed(error, message, context)
