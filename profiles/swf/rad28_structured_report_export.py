"""RAD-28 Structured Report Export (RAD TF-2: 4.28), as reports travel in France: ORU^R01 with a CDA in OBX-5.

OBX-11 says what it is: F final, C corrected, D withdrawn, P preliminary. Where MSH-21 names CISIS_CDA_HL7_V2, ORC-1
says the same (NW, RO, CA), and everything else of that profile is asked for; the message may bring two documents.
"""

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
    id="RAD-28",
    title="Structured Report Export",
    profile="SWF",
    initiator="Report Manager",
    responder="Enterprise Report Repository",
    bindings=(Hl7(events=("ORU^R01",)),),
    section="RAD TF-2: 4.28",
    kind=Kind.CHANGE,
    permission="imaging.report",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.INBOX,
    options=(
        "CDA R2 in OBX-5 (ED, Base64)",
        "Corrected (C) and withdrawn (D) reports",
        "CISIS_CDA_HL7_V2: ORC-1 NW, RO, CA; two documents in one message",
    ),
)


def decode(message: Hl7Message, context: Context) -> FeedReport:
    """PID, OBR, OBX and the header of the CDA inside to the reports."""
    first, *also = reports(message, context.source)
    return FeedReport(first, tuple(also))


def encode(outcome: Any, message: Hl7Message, context: Context) -> bytes:
    """AA: the report is kept and its publication is queued."""
    return acknowledge(message)


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE or AR with segment and field."""
    location = "OBX-5" if isinstance(error, UnknownReport | OtherReport) else ""
    return refuse_message(error, message, context, location=location)
