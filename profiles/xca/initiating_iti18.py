"""ITI-18 Registry Stored Query at the initiating gateway (ITI TF-2: 3.18.4.1.3): this community and all others."""

from hub.context import Context
from hub.errors import HubError
from hub.federation.model import CommunityAnswer, QueryCommunities
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.wire.ebxml.names import query
from hub.wire.ebxml.queries import query_gathered, read_query, write_query_refusal
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xca/initiating",
    action="urn:ihe:iti:2007:RegistryStoredQuery",
    response_action="urn:ihe:iti:2007:RegistryStoredQueryResponse",
    body=query("AdhocQueryRequest"),
)
TRANSACTION = Transaction(
    id="XCA-ITI-18",
    title="Registry Stored Query to all communities",
    profile="XCA",
    initiator="Document Consumer",
    responder="Initiating Gateway",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.18, 3.38",
    kind=Kind.QUERY,
    permission="documents.query",
    options=("XDS Affinity Domain", "$targetCommunityIdList"),
    audit=AuditEvent("110112", "Query", "E", type_code="ITI-18"),
)


def decode(message: SoapMessage, context: Context) -> QueryCommunities:
    """AdhocQueryRequest -> QueryCommunities."""
    command = read_query(message.body)
    context.touch("query", command.query_id)
    return QueryCommunities(command)


def encode(outcome: CommunityAnswer, message: SoapMessage, context: Context) -> SoapResponse:
    """Every community's objects, and an error for each community that did not answer."""
    return query_gathered(outcome, _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """An AdhocQueryResponse with the XDS error code: nobody was asked."""
    return SoapResponse(write_query_refusal(error), _BINDING.response_action)
