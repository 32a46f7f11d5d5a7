"""ITI-39 Cross Gateway Retrieve (ITI TF-2: 3.39): another community reads documents of this one."""

from hub.context import Context
from hub.documents.model import RetrievedDocuments
from hub.errors import HubError
from hub.federation.model import CrossGatewayRetrieve
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Soap, Transaction
from hub.wire.ebxml.names import xdsb
from hub.wire.ebxml.retrieve import read_retrieve, retrieve_refused, retrieved
from hub.wire.soap.message import SoapMessage, SoapResponse

# An MTOM package by the book; who asks in plain SOAP gets plain SOAP with the documents in base64.
_BINDING = Soap(
    path="/xca/responding",
    action="urn:ihe:iti:2007:CrossGatewayRetrieve",
    response_action="urn:ihe:iti:2007:CrossGatewayRetrieveResponse",
    body=xdsb("RetrieveDocumentSetRequest"),
    asynchronous=True,
)
TRANSACTION = Transaction(
    id="ITI-39",
    title="Cross Gateway Retrieve",
    profile="XCA",
    initiator="Initiating Gateway",
    responder="Responding Gateway",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.39",
    direction=Direction.BOTH,
    kind=Kind.RETRIEVE,
    permission="documents.retrieve",
    audit=AuditEvent("110106", "Export", "R"),
)


def decode(message: SoapMessage, context: Context) -> CrossGatewayRetrieve:
    """RetrieveDocumentSetRequest -> CrossGatewayRetrieve."""
    return CrossGatewayRetrieve(read_retrieve(message.body).requests)


def encode(outcome: RetrievedDocuments, message: SoapMessage, context: Context) -> SoapResponse:
    """Every document that was found, streamed, and an error, located at this community, for each other."""
    context.failed = outcome.failed
    return retrieved(outcome, _BINDING.response_action, location=lambda _: context.community)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RetrieveDocumentSetResponse with the XDS error code; its location is this community."""
    return retrieve_refused(error, _BINDING.response_action, location=context.community)
