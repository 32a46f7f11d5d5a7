"""ITI-38 Cross Gateway Query (ITI TF-2: 3.38): another community asks for a patient's documents here."""

from hub.context import Context
from hub.documents.model import QueryResult
from hub.errors import HubError
from hub.federation.model import CrossGatewayQuery
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Soap, Transaction
from hub.wire.ebxml.names import query
from hub.wire.ebxml.queries import query_result, read_query, write_query_refusal
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xca/responding",
    action="urn:ihe:iti:2007:CrossGatewayQuery",
    response_action="urn:ihe:iti:2007:CrossGatewayQueryResponse",
    body=query("AdhocQueryRequest"),
    asynchronous=True,
)
TRANSACTION = Transaction(
    id="ITI-38",
    title="Cross Gateway Query",
    profile="XCA",
    initiator="Initiating Gateway",
    responder="Responding Gateway",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.38",
    direction=Direction.BOTH,
    kind=Kind.QUERY,
    permission="documents.query",
    audit=AuditEvent("110112", "Query", "E"),
)


def decode(message: SoapMessage, context: Context) -> CrossGatewayQuery:
    """AdhocQueryRequest -> CrossGatewayQuery."""
    command = read_query(message.body)
    context.touch("query", command.query_id)
    return CrossGatewayQuery(command)


def encode(outcome: QueryResult, message: SoapMessage, context: Context) -> SoapResponse:
    """Full objects or references; each bears this community's id."""
    leaf_class = read_query(message.body).leaf_class
    return query_result(outcome, _BINDING.response_action, leaf_class=leaf_class)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """An AdhocQueryResponse with the XDS error code; its location is this community (ITI TF-2: 3.38.4.1.3)."""
    return SoapResponse(write_query_refusal(error, location=context.community), _BINDING.response_action)
