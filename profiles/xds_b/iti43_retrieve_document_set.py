"""ITI-43 Retrieve Document Set (ITI TF-2: 3.43): the bytes of documents."""

from hub.context import Context
from hub.documents.model import RetrievedDocuments, RetrieveDocuments
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.wire.ebxml.names import xdsb
from hub.wire.ebxml.retrieve import read_retrieve, retrieve_refused, retrieved
from hub.wire.soap.message import SoapMessage, SoapResponse

# An MTOM package by the book; who asks in plain SOAP gets plain SOAP with the documents in base64.
_BINDING = Soap(
    path="/xds/repository",
    action="urn:ihe:iti:2007:RetrieveDocumentSet",
    response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",
    body=xdsb("RetrieveDocumentSetRequest"),
)
TRANSACTION = Transaction(
    id="ITI-43",
    title="Retrieve Document Set",
    profile="XDS.b",
    initiator="Document Consumer",
    responder="Document Repository",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.43",
    kind=Kind.RETRIEVE,
    permission="documents.retrieve",
    audit=AuditEvent("110106", "Export", "R"),
    options=("On-Demand Documents", "Persistence of Retrieved Documents"),
)


def decode(message: SoapMessage, context: Context) -> RetrieveDocuments:
    """RetrieveDocumentSetRequest -> RetrieveDocuments."""
    return read_retrieve(message.body)


def encode(outcome: RetrievedDocuments, message: SoapMessage, context: Context) -> SoapResponse:
    """Every document that was found, streamed, and an error for each of the others."""
    context.failed = outcome.failed
    return retrieved(outcome, _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RetrieveDocumentSetResponse with the XDS error code."""
    return retrieve_refused(error, _BINDING.response_action)
