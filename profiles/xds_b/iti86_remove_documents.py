"""ITI-86 Remove Documents (RMD: 3.86): documents leave the repository; their metadata stays."""

from hub.context import Context
from hub.documents.model import RemovedDocuments, RemoveDocuments
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.wire.ebxml.names import rmd
from hub.wire.ebxml.removals import read_document_removal, write_documents_removed, write_removal_refusal
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xds/repository",
    action="urn:ihe:iti:2017:RemoveDocuments",
    response_action="urn:ihe:iti:2017:RemoveDocumentsResponse",
    body=rmd("RemoveDocumentsRequest"),
)
TRANSACTION = Transaction(
    id="ITI-86",
    title="Remove Documents",
    profile="RMD",
    initiator="Document Administrator",
    responder="Document Repository",
    bindings=(_BINDING,),
    section="RMD: 3.86",
    kind=Kind.CHANGE,
    permission="administration.remove",
    audit=AuditEvent("110110", "Patient Record", "D"),
    durability=Durability.ORIGINAL,
)


def decode(message: SoapMessage, context: Context) -> RemoveDocuments:
    """RemoveDocumentsRequest -> the documents."""
    return RemoveDocuments(read_document_removal(message.body))


def encode(outcome: RemovedDocuments | None, message: SoapMessage, context: Context) -> SoapResponse:
    """Success; None is a repeat of a message that was carried out before."""
    return SoapResponse(write_documents_removed(outcome), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RegistryResponse with an XDS error code for each document that can't go: nothing was removed."""
    return SoapResponse(write_removal_refusal(error), _BINDING.response_action)
