"""RAD-28 Structured Report Export (RAD TF-2: 4.28), as reports travel in France: ORU^R01 with a CDA in OBX-5.

OBX-11 says what it is: F final, C corrected, D withdrawn, P preliminary.
"""

from typing import Any

from hub.context import Context
from hub.imaging.model import FeedReport
from hub.pipeline.transaction import AuditEvent, Durability, Hl7, Kind, Transaction
from hub.wire.hl7v2.answers import acknowledge
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.reports import report

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
    options=("CDA R2 in OBX-5 (ED, Base64)", "Corrected (C) and withdrawn (D) reports"),
)


def decode(message: Hl7Message, context: Context) -> FeedReport:
    """PID, OBR, OBX and the header of the CDA inside to the report."""
    return FeedReport(report(message, context.source))


def encode(outcome: Any, message: Hl7Message, context: Context) -> bytes:  # noqa: ARG001
    """AA: the report is kept and its publication is queued."""
    return acknowledge(message)
