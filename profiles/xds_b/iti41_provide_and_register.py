"""ITI-41 Provide and Register Document Set-b (ITI TF-2: 3.41): keep these documents and register them."""

from hub.context import Context
from hub.documents.model import ProvideDocuments, Registered
from hub.errors import HubError
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.wire.ebxml.names import xdsb
from hub.wire.ebxml.submissions import read_provided, write_refusal, write_registered
from hub.wire.soap.errors import MtomRequired
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xds/repository",
    action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
    response_action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
    body=xdsb("ProvideAndRegisterDocumentSetRequest"),
    mtom=True,
)
TRANSACTION = Transaction(
    id="ITI-41",
    title="Provide and Register Document Set-b",
    profile="XDS.b",
    initiator="Document Source",
    responder="Document Repository",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.41",
    kind=Kind.CHANGE,
    permission="documents.submit",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.ORIGINAL,
)


def decode(message: SoapMessage, context: Context) -> ProvideDocuments:
    """The submission and the files that its documents lie in."""
    if not message.mtom:
        raise MtomRequired()
    submission, contents = read_provided(message)
    return ProvideDocuments(submission, contents)


def encode(outcome: Registered | None, message: SoapMessage, context: Context) -> SoapResponse:
    """Success; None is a repeat of a message that was carried out before."""
    return SoapResponse(write_registered(outcome), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RegistryResponse with the XDS error code: nothing was stored."""
    return SoapResponse(write_refusal(error, repository=True), _BINDING.response_action)
