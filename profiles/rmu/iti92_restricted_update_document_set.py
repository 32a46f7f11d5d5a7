"""ITI-92 Restricted Update Document Set (RMU: 3.92): new versions of entries that stay where they are."""

from hub.context import Context
from hub.documents.model import Registered, RestrictedUpdateDocuments
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.wire.ebxml.names import lcm
from hub.wire.ebxml.submissions import read_submission, write_refusal, write_registered
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xds/registry",
    action="urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
    response_action="urn:ihe:iti:2018:RestrictedUpdateDocumentSetResponse",
    body=lcm("SubmitObjectsRequest"),
)
TRANSACTION = Transaction(
    id="ITI-92",
    title="Restricted Update Document Set",
    profile="RMU",
    initiator="Update Initiator",
    responder="Update Responder",
    bindings=(_BINDING,),
    section="RMU: 3.92",
    kind=Kind.CHANGE,
    permission="administration.update",
    audit=AuditEvent("110107", "Import", "U"),
    durability=Durability.ORIGINAL,
    options=("XDS Persistence",),
)


def decode(message: SoapMessage, context: Context) -> RestrictedUpdateDocuments:
    """SubmitObjectsRequest -> Submission."""
    return RestrictedUpdateDocuments(read_submission(message.body))


def encode(outcome: Registered | None, message: SoapMessage, context: Context) -> SoapResponse:
    """Success; None is a repeat of a message that was carried out before."""
    return SoapResponse(write_registered(outcome), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RegistryResponse with the XDS error code: nothing was changed."""
    return SoapResponse(write_refusal(error, repository=False), _BINDING.response_action)
