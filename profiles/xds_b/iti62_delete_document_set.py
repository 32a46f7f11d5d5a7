"""ITI-62 Delete Document Set (ITI TF-2: 3.62): objects leave the registry."""

from hub.context import Context
from hub.documents.model import RemovedMetadata, RemoveMetadata
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.wire.ebxml.names import SUCCESS, lcm
from hub.wire.ebxml.removals import read_removal
from hub.wire.ebxml.submissions import registry_response, write_refusal
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xds/registry",
    action="urn:ihe:iti:2010:DeleteDocumentSet",
    response_action="urn:ihe:iti:2010:DeleteDocumentSetResponse",
    body=lcm("RemoveObjectsRequest"),
)
TRANSACTION = Transaction(
    id="ITI-62",
    title="Delete Document Set",
    profile="RMD",
    initiator="Document Administrator",
    responder="Document Registry",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.62",
    kind=Kind.CHANGE,
    permission="administration.remove",
    audit=AuditEvent("110110", "Patient Record", "D"),
    durability=Durability.ORIGINAL,
)


def decode(message: SoapMessage, context: Context) -> RemoveMetadata:
    """RemoveObjectsRequest -> the objects' ids."""
    return RemoveMetadata(read_removal(message.body))


def encode(outcome: RemovedMetadata | None, message: SoapMessage, context: Context) -> SoapResponse:
    """Success; None is a repeat of a message that was carried out before."""
    return SoapResponse(registry_response(SUCCESS), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RegistryResponse with the XDS error code: nothing was removed."""
    return SoapResponse(write_refusal(error, repository=False), _BINDING.response_action)
