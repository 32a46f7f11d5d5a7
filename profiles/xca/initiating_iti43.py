"""ITI-43 Retrieve Document Set at the initiating gateway (ITI TF-2: 3.43.4.1.3): documents of any community."""

from hub.context import Context
from hub.documents.model import RetrievedDocuments
from hub.errors import HubError
from hub.federation.model import RetrieveFromCommunities
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.wire.ebxml.names import xdsb
from hub.wire.ebxml.retrieve import read_retrieve, retrieve_refused, retrieved
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xca/initiating",
    action="urn:ihe:iti:2007:RetrieveDocumentSet",
    response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",
    body=xdsb("RetrieveDocumentSetRequest"),
)
TRANSACTION = Transaction(
    id="XCA-ITI-43",
    title="Retrieve Document Set from all communities",
    profile="XCA",
    initiator="Document Consumer",
    responder="Initiating Gateway",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.43, 3.39",
    kind=Kind.RETRIEVE,
    permission="documents.retrieve",
    options=("XDS Affinity Domain",),
    audit=AuditEvent("110106", "Export", "R", type_code="ITI-43"),
)


def decode(message: SoapMessage, context: Context) -> RetrieveFromCommunities:
    """RetrieveDocumentSetRequest -> RetrieveFromCommunities."""
    return RetrieveFromCommunities(read_retrieve(message.body).requests)


def encode(outcome: RetrievedDocuments, message: SoapMessage, context: Context) -> SoapResponse:
    """Every document that was found, streamed, and an error, located at its community, for each other."""
    context.failed = outcome.failed
    return retrieved(outcome, _BINDING.response_action, location=lambda request: request.home)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RetrieveDocumentSetResponse with the XDS error code."""
    return retrieve_refused(error, _BINDING.response_action)
