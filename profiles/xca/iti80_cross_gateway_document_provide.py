"""ITI-80 Cross-Gateway Document Provide (ITI TF-2: 3.80): another community gives documents to this one."""

from hub.context import Context
from hub.documents.errors import RepositoryMetadataError
from hub.documents.model import Registered
from hub.errors import HubError
from hub.federation.model import CrossGatewayProvide
from hub.pipeline.transaction import AuditEvent, Durability, Kind, Soap, Transaction
from hub.wire.ebxml.names import xdsb
from hub.wire.ebxml.submissions import read_provided, write_refusal, write_registered
from hub.wire.soap.errors import MtomRequired
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xca/responding",
    action="urn:ihe:iti:2015:CrossGatewayDocumentProvide",
    response_action="urn:ihe:iti:2015:CrossGatewayDocumentProvideResponse",
    body=xdsb("ProvideAndRegisterDocumentSetRequest"),
    mtom=True,
    asynchronous=True,
)
TRANSACTION = Transaction(
    id="ITI-80",
    title="Cross-Gateway Document Provide",
    profile="XCDR",
    initiator="Initiating Gateway",
    responder="Responding Gateway",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.80",
    kind=Kind.CHANGE,
    permission="documents.submit",
    audit=AuditEvent("110107", "Import", "C"),
    durability=Durability.ORIGINAL,
)
_XDR = "urn:ihe:iti:xdr:2014"
_BLOCK, _HOME = f"{{{_XDR}}}homeCommunityBlock", f"{{{_XDR}}}homeCommunityId"


def decode(message: SoapMessage, context: Context) -> CrossGatewayProvide:
    """The submission, the files that its documents lie in, and for which community they are."""
    if not message.mtom:
        raise MtomRequired()
    submission, contents = read_provided(message)
    block = message.blocks.get(_BLOCK)
    header = (block.findtext(_HOME) or "").strip() if block is not None else ""
    if header and submission.home and header != submission.home:
        raise RepositoryMetadataError(
            "The SOAP header and the request name different communities.", location="homeCommunityId"
        )
    return CrossGatewayProvide(submission, contents, header or submission.home)


def encode(outcome: Registered | None, message: SoapMessage, context: Context) -> SoapResponse:
    """Success; None is a repeat of a message that was carried out before."""
    return SoapResponse(write_registered(outcome), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RegistryResponse with the XDS error code: nothing was stored."""
    return SoapResponse(write_refusal(error, repository=True), _BINDING.response_action)
