"""ITI-57 Update Document Set (ITI TF-2: 3.57): new versions of metadata, status changes, new associations."""

from hub.context import Context
from hub.documents.model import Registered, UpdateDocuments
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.wire.ebxml.names import lcm
from hub.wire.ebxml.submissions import read_submission, write_refusal, write_registered
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xds/registry",
    action="urn:ihe:iti:2010:UpdateDocumentSet",
    response_action="urn:ihe:iti:2010:UpdateDocumentSetResponse",
    body=lcm("SubmitObjectsRequest"),
)
TRANSACTION = Transaction(
    id="ITI-57",
    title="Update Document Set",
    profile="XDS.b",
    initiator="Document Administrator",
    responder="Document Registry",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.57",
    kind=Kind.CHANGE,
    permission="administration.update",
    audit=AuditEvent("110107", "Import", "U"),
    durability=Durability.ORIGINAL,
    options=(
        "new versions of entries and folders",
        "availabilityStatus of entries, folders and associations",
        "new associations",
        "AssociationPropagation",
    ),
)


def decode(message: SoapMessage, context: Context) -> UpdateDocuments:
    """SubmitObjectsRequest -> Submission."""
    return UpdateDocuments(read_submission(message.body))


def encode(outcome: Registered | None, message: SoapMessage, context: Context) -> SoapResponse:
    """Success; None is a repeat of a message that was carried out before."""
    return SoapResponse(write_registered(outcome), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RegistryResponse with the XDS error code: nothing was changed."""
    return SoapResponse(write_refusal(error, repository=False), _BINDING.response_action)
