"""ITI-45 PIXV3 Query (ITI TF-2: 3.45): which numbers in other domains mean the same patient?"""

from collections.abc import Sequence

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import UnknownDomain, UnknownIdentifier
from hub.patients.model import CrossReference
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.values import PatientIdentifier
from hub.wire.hl7v3.crossreference import read_cross_reference_query, write_cross_references
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.names import PIX_ANSWER, PIX_QUERY, action, v3
from hub.wire.hl7v3.refusal import UNKNOWN_KEY, details, read_query_wrapper, write_query_refusal
from hub.wire.hl7v3.transmission import Party
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.writing import refuse as soap_refuse

TRANSACTION = Transaction(
    id="ITI-45",
    title="PIXV3 Query",
    profile="PIXV3",
    initiator="Patient Identifier Cross-reference Consumer",
    responder="Patient Identifier Cross-reference Manager",
    bindings=(Soap("/pix/manager", action(PIX_QUERY), action(PIX_ANSWER), v3(PIX_QUERY)),),
    section="ITI TF-2: 3.45",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
)


def decode(message: SoapMessage, context: Context) -> CrossReference:
    """PRPA_IN201309UV02: patientIdentifier is the number, dataSource names the domains wanted."""
    asked = read_cross_reference_query(message.body)
    context.touch("query", f"{asked.query_id.root}^{asked.query_id.extension}".rstrip("^"))
    return CrossReference(asked.identifier, asked.domains)


def encode(outcome: Sequence[PatientIdentifier], message: SoapMessage, context: Context) -> SoapResponse:
    """PRPA_IN201310UV02: the numbers and no name (3.45.4.2.3: cases 1, 2 and 6)."""
    asked = read_cross_reference_query(message.body)
    me = Party(asked.transmission.receiver.device)
    return SoapResponse(write_cross_references(asked, me, outcome), action(PIX_ANSWER))


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """PRPA_IN201310UV02 with AE and the places that 3.45.4.2.3 names: the number, its domain, each domain wanted.

    A fault when not even the message's wrapper and the query's id can be read."""
    try:
        wrapper = read_query_wrapper(message.body)
    except Hl7v3Invalid:
        return soap_refuse(error, message, context)
    told = details(error)
    if isinstance(error, UnknownDomain | UnknownIdentifier):
        asked = read_cross_reference_query(message.body)
        places = asked.domains_at(error.context.get("domains", "").split()) or [asked.asked_at]
        told = details(error, places, code=UNKNOWN_KEY)
    return SoapResponse(write_query_refusal(wrapper, error, told), action(PIX_ANSWER))
