"""ITI-18 Registry Stored Query (ITI TF-2: 3.18): which documents of a patient are there?"""

from hub.context import Context
from hub.documents.model import QueryResult, StoredQuery
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.wire.ebxml.names import query
from hub.wire.ebxml.queries import query_result, read_query, wants_objects, write_query_refusal
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xds/registry",
    action="urn:ihe:iti:2007:RegistryStoredQuery",
    response_action="urn:ihe:iti:2007:RegistryStoredQueryResponse",
    body=query("AdhocQueryRequest"),
)
TRANSACTION = Transaction(
    id="ITI-18",
    title="Registry Stored Query",
    profile="XDS.b",
    initiator="Document Consumer",
    responder="Document Registry",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.18",
    kind=Kind.QUERY,
    permission="documents.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=("Reference ID", "On-Demand Documents"),
)


def decode(message: SoapMessage, context: Context) -> StoredQuery:
    """AdhocQueryRequest -> StoredQuery."""
    command = read_query(message.body)
    context.touch("query", command.query_id)
    return command


def encode(outcome: QueryResult, message: SoapMessage, context: Context) -> SoapResponse:
    """Full objects or references, as the request's ResponseOption wants them."""
    return query_result(outcome, _BINDING.response_action, leaf_class=wants_objects(message.body))


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """An AdhocQueryResponse with the XDS error code."""
    return SoapResponse(write_query_refusal(error), _BINDING.response_action)
