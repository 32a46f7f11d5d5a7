"""Transmission of CDA documents in HL7 v2.6 (CI-SIS, Transmission de documents CDA en HL7 v2, 2.1): MDM^T02 brings a
document, T10 one in the place of another, T04 takes one back. ORU^R01 of the same profile is RAD-28."""

from typing import Any

from hub.context import Context
from hub.errors import HubError
from hub.imaging.errors import OtherReport, UnknownReport
from hub.imaging.model import FeedReport
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.wire.hl7v2.answers import acknowledge
from hub.wire.hl7v2.answers import refuse as refuse_message
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.reports import reports

TRANSACTION = Transaction(
    id="CISIS-CDA",
    title="Transmission of CDA documents",
    profile="CI-SIS",
    initiator="Creator",
    responder="Manager",
    bindings=(Hl7(events=("MDM^T02", "MDM^T10", "MDM^T04")),),
    section="CI-SIS: Transmission de documents CDA en HL7 v2",
    kind=Kind.CHANGE,
    permission="imaging.report",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.INBOX,
    options=("Initial (T02), replacement (T10), deletion (T04)", "MetaDMPMSS", "Business acknowledgements (ZAM)"),
)


def decode(message: Hl7Message, context: Context) -> FeedReport:
    """PID, ORC, OBR, TXA, OBX with PRT, and the header of the CDA inside to the report."""
    first, *also = reports(message, context.source)
    return FeedReport(first, tuple(also))


def encode(outcome: Any, message: Hl7Message, context: Context) -> bytes:
    """AA: the document is kept and what it asks for is queued."""
    return acknowledge(message)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE or AR with segment and field."""
    location = "TXA-12" if isinstance(error, UnknownReport | OtherReport) else ""
    return refuse_message(error, message, context, location=location)
