"""ITI-47 Patient Demographics Query HL7 V3 (ITI TF-2: 3.47), with its continuation and its end."""

from hub.context import Context
from hub.errors import HubError
from hub.patients.errors import UnknownDomain, UnknownQuery
from hub.patients.portions_model import (
    CancelDemographics,
    ContinueDemographics,
    DemographicsPage,
    QueryDemographics,
)
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.wire.hl7v3.demographics import (
    Continuation,
    DemographicsQuery,
    read_continuation,
    read_demographics_query,
    write_demographics,
)
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.names import ACKNOWLEDGEMENT, ANSWER, CANCELLATION, CONTINUATION, QUERY, action, v3
from hub.wire.hl7v3.refusal import (
    ACCEPTED,
    UNKNOWN_KEY,
    accept_code,
    details,
    read_query_wrapper,
    write_query_refusal,
)
from hub.wire.hl7v3.transmission import MessageId, Party, write_acknowledgement
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.writing import refuse as soap_refuse

_PATH = "/pdq/supplier"
TRANSACTION = Transaction(
    id="ITI-47",
    title="Patient Demographics Query HL7 V3",
    profile="PDQV3",
    initiator="Patient Demographics Consumer",
    responder="Patient Demographics Supplier",
    bindings=(
        Soap(_PATH, action(QUERY), action(ANSWER), v3(QUERY)),
        Soap(_PATH, action(f"{CONTINUATION}_Continue"), action(ANSWER), v3(CONTINUATION)),
        Soap(_PATH, action(CANCELLATION), action(ACKNOWLEDGEMENT), v3(CANCELLATION)),
    ),
    section="ITI TF-2: 3.47",
    kind=Kind.QUERY,
    permission="patients.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=("Continuation", "Pediatric Demographics: mother's maiden name, telephone"),
)
Command = QueryDemographics | ContinueDemographics | CancelDemographics


def decode(message: SoapMessage, context: Context) -> Command:
    """PRPA_IN201305UV02 asks, QUQI_IN000003UV01 asks for more, or for no more."""
    if message.body.tag == v3(QUERY):
        asked = read_demographics_query(message.body)
        context.touch("query", _named(asked.query_id))
        return QueryDemographics(asked.asked, asked.domains, _named(asked.query_id), asked.quantity)
    more = read_continuation(message.body)
    context.touch("query", _named(more.query_id))
    if more.cancelled:
        return CancelDemographics(_named(more.query_id))
    return ContinueDemographics(_named(more.query_id), more.start, more.quantity)


def encode(outcome: DemographicsPage | None, message: SoapMessage, context: Context) -> SoapResponse:
    """PRPA_IN201306UV02 with the portion; MCCI_IN000002UV01 where nothing more is wanted."""
    asked = _read(message)
    to, me = asked.transmission, Party(asked.transmission.receiver.device)
    if outcome is None:
        return SoapResponse(write_acknowledgement(to, me, ACCEPTED), action(ACKNOWLEDGEMENT))
    element = asked.element if isinstance(asked, DemographicsQuery) else None
    answer = write_demographics(
        to, asked.query_id, element, me, outcome.persons, outcome.domains, outcome.total, outcome.remaining
    )
    return SoapResponse(answer, action(ANSWER))


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """PRPA_IN201306UV02 with AE and what is wrong; for a cancellation an acknowledgement with CE.

    A fault when not even the message's wrapper and the query's id can be read."""
    try:
        wrapper = read_query_wrapper(message.body)
    except Hl7v3Invalid:
        return soap_refuse(error, message, context)
    if message.body.tag == v3(CANCELLATION):
        to = wrapper.transmission
        answer = write_acknowledgement(to, Party(to.receiver.device), accept_code(error), details(error))
        return SoapResponse(answer, action(ACKNOWLEDGEMENT))
    told = details(error)
    if isinstance(error, UnknownDomain):
        asked = read_demographics_query(message.body)
        places = asked.domains_at(error.context.get("domains", "").split()) or ["//livingSubjectId/value"]
        told = details(error, places, code=UNKNOWN_KEY)
    elif isinstance(error, UnknownQuery):
        told = details(error, [read_continuation(message.body).location], code=UNKNOWN_KEY)
    return SoapResponse(write_query_refusal(wrapper, error, told), action(ANSWER))


def _read(message: SoapMessage) -> DemographicsQuery | Continuation:
    if message.body.tag == v3(QUERY):
        return read_demographics_query(message.body)
    return read_continuation(message.body)


def _named(query: MessageId) -> str:
    return f"{query.root}^{query.extension}".rstrip("^")
