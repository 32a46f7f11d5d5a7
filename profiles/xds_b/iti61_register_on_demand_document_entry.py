"""ITI-61 Register On-Demand Document Entry (ITI TF-2: 3.61): documents that are made when they are asked for."""

from hub.context import Context
from hub.documents.model import Registered, RegisterOnDemand
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.wire.ebxml.names import lcm
from hub.wire.ebxml.submissions import read_submission, write_refusal, write_registered
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xds/registry",
    action="urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
    response_action="urn:ihe:iti:2010:RegisterOnDemandDocumentEntryResponse",
    body=lcm("SubmitObjectsRequest"),
)
TRANSACTION = Transaction(
    id="ITI-61",
    title="Register On-Demand Document Entry",
    profile="XDS.b",
    initiator="On-Demand Document Source",
    responder="Document Registry",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.61",
    kind=Kind.CHANGE,
    permission="documents.register",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.ORIGINAL,
)


def decode(message: SoapMessage, context: Context) -> RegisterOnDemand:
    """SubmitObjectsRequest -> Submission."""
    return RegisterOnDemand(read_submission(message.body))


def encode(outcome: Registered | None, message: SoapMessage, context: Context) -> SoapResponse:
    """Success; None is a repeat of a message that was carried out before."""
    return SoapResponse(write_registered(outcome), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RegistryResponse with the XDS error code: nothing was stored."""
    return SoapResponse(write_refusal(error, repository=False), _BINDING.response_action)
