"""ITI-51 Multi-Patient Stored Query (ITI TF-2: 3.51): which documents or folders of several patients are there?"""

from hub.context import Context
from hub.documents.model import MultiPatientQuery, QueryResult
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.wire.ebxml.names import query
from hub.wire.ebxml.queries import query_result, read_query, write_query_refusal
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xds/registry",
    action="urn:ihe:iti:2009:MultiPatientStoredQuery",
    response_action="urn:ihe:iti:2009:MultiPatientStoredQueryResponse",
    body=query("AdhocQueryRequest"),
)
TRANSACTION = Transaction(
    id="ITI-51",
    title="Multi-Patient Stored Query",
    profile="MPQ",
    initiator="Document Consumer",
    responder="Document Registry",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.51",
    kind=Kind.QUERY,
    permission="population.query",
    audit=AuditEvent("110112", "Query", "E"),
)


def decode(message: SoapMessage, context: Context) -> MultiPatientQuery:
    """AdhocQueryRequest -> MultiPatientQuery."""
    command = read_query(message.body)
    context.touch("query", command.query_id)
    return MultiPatientQuery(command)


def encode(outcome: QueryResult, message: SoapMessage, context: Context) -> SoapResponse:
    """Full objects or references, as the request's ResponseOption wants them."""
    leaf_class = read_query(message.body).leaf_class
    return query_result(outcome, _BINDING.response_action, leaf_class=leaf_class)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """An AdhocQueryResponse with the XDS error code."""
    return SoapResponse(write_query_refusal(error), _BINDING.response_action)
