"""ITI-9 PIX Query (ITI TF-2: 3.9): which numbers in other domains mean the same patient?"""

from collections.abc import Sequence

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import AmbiguousIdentifier, UnknownDomain, UnknownIdentifier
from hub.patients.model import CrossReference
from hub.pipeline.transaction import AuditEvent, Hl7, Kind, Transaction
from hub.values import PatientIdentifier
from hub.wire.hl7v2 import query, writer
from hub.wire.hl7v2.datatypes import cx
from hub.wire.hl7v2.errors import UNKNOWN_KEY, DataTypeError, FieldMissing
from hub.wire.hl7v2.message import Hl7Message

TRANSACTION = Transaction(
    id="ITI-9",
    title="PIX Query",
    profile="PIX",
    initiator="Patient Identifier Cross-reference Consumer",
    responder="Patient Identifier Cross-reference Manager",
    bindings=(Hl7(events=("QBP^Q23",)),),
    section="ITI TF-2: 3.9",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
)
_KIND, _STRUCTURE = "RSP^K23", "RSP_K23"
_WHOLE, _DOMAINS = 3, 4


def decode(message: Hl7Message, context: Context) -> CrossReference:
    """QPD-3 is the number, QPD-4 the domains wanted."""
    qpd = message.require("QPD")
    asked = qpd.repetitions(_WHOLE)
    if not asked:
        raise FieldMissing(location=qpd.at(_WHOLE))
    if len(asked) > 1:
        raise DataTypeError("One patient number is asked for at a time.", location=qpd.at(_WHOLE))
    return CrossReference(cx(asked[0], qpd.at(_WHOLE)), query.domains(message, _DOMAINS))


def encode(outcome: Sequence[PatientIdentifier], message: Hl7Message, context: Context) -> bytes:
    """One PID with the numbers and no name (3.9.4.2.2.6: cases 1 and 2)."""
    wanted = query.within(outcome, query.domains(message, _DOMAINS))
    pid = writer.segment("PID", {3: "~".join(map(writer.cx, wanted)), 5: "~^^^^^^S"})
    return query.respond(message, _KIND, _STRUCTURE, [pid] if wanted else [])


def refuse(error: HubError, message: Hl7Message, context: Context) -> bytes:
    """AE with the place that 3.9.4.2.2.6 names: QPD^1^3^1^1 number, QPD^1^3^1^4 its domain, QPD^1^4^n wanted domain
    (one ERR for each that is not known)."""
    location, more, condition = "", list[str](), ""
    if isinstance(error, UnknownDomain):
        location, *more = query.unknown_domains(message, _DOMAINS, error) or ["QPD-3.4"]
        condition = UNKNOWN_KEY
    elif isinstance(error, UnknownIdentifier | AmbiguousIdentifier):
        location = "QPD-3.1"
    return query.refuse_query(message, _KIND, _STRUCTURE, error, location=location, more=more, condition=condition)
