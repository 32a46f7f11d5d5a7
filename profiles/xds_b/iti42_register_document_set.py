"""ITI-42 Register Document Set-b (ITI TF-2: 3.42): register documents that a repository holds."""

from hub.context import Context
from hub.documents.model import RegisterDocuments, Registered
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.wire.ebxml.names import lcm
from hub.wire.ebxml.submissions import read_submission, write_refusal, write_registered
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xds/registry",
    action="urn:ihe:iti:2007:RegisterDocumentSet-b",
    response_action="urn:ihe:iti:2007:RegisterDocumentSet-bResponse",
    body=lcm("SubmitObjectsRequest"),
)
TRANSACTION = Transaction(
    id="ITI-42",
    title="Register Document Set-b",
    profile="XDS.b",
    initiator="Document Repository",
    responder="Document Registry",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.42",
    kind=Kind.CHANGE,
    permission="documents.register",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.ORIGINAL,
)


def decode(message: SoapMessage, context: Context) -> RegisterDocuments:
    """SubmitObjectsRequest -> Submission."""
    return RegisterDocuments(read_submission(message.body))


def encode(outcome: Registered | None, message: SoapMessage, context: Context) -> SoapResponse:
    """Success; None is a repeat of a message that was carried out before."""
    return SoapResponse(write_registered(outcome), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RegistryResponse with the XDS error code: nothing was stored."""
    return SoapResponse(write_refusal(error, repository=False), _BINDING.response_action)
