"""RAD-75 Cross Gateway Retrieve Imaging Document Set (RAD TF-3: 4.75): another community reads images of this one."""

from hub.context import Context
from hub.errors import HubError
from hub.federation.model import CrossGatewayRetrieveInstances
from hub.imaging.failing import failing
from hub.imaging.model import InstanceStream
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Soap, Transaction
from hub.wire.ebxml.imaging import imaging_retrieved, read_imaging_retrieve
from hub.wire.ebxml.names import iherad
from hub.wire.ebxml.retrieve import retrieve_refused
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xca/responding",
    action="urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet",
    response_action="urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSetResponse",
    body=iherad("RetrieveImagingDocumentSetRequest"),
    asynchronous=True,
)
TRANSACTION = Transaction(
    id="RAD-75",
    title="Cross Gateway Retrieve Imaging Document Set",
    profile="XCA-I",
    initiator="Initiating Imaging Gateway",
    responder="Responding Imaging Gateway",
    bindings=(_BINDING,),
    section="RAD TF-3: 4.75",
    direction=Direction.BOTH,
    kind=Kind.RETRIEVE,
    permission="imaging.retrieve",
    audit=AuditEvent("110104", "DICOM Instances Transferred", "R"),
)


def decode(message: SoapMessage, context: Context) -> CrossGatewayRetrieveInstances:
    """RetrieveImagingDocumentSetRequest -> CrossGatewayRetrieveInstances."""
    command = read_imaging_retrieve(message.body)
    return CrossGatewayRetrieveInstances(command.requests, command.transfer_syntaxes)


def encode(outcome: InstanceStream, message: SoapMessage, context: Context) -> SoapResponse:
    """Every instance that was found, and an error for each of the others."""
    return imaging_retrieved(message, failing(outcome, context), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RetrieveDocumentSetResponse with the XDS error code."""
    return retrieve_refused(error, _BINDING.response_action)
