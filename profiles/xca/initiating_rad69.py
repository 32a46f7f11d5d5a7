"""RAD-69 Retrieve Imaging Document Set at the initiating imaging gateway (RAD TF-3: 4.75): images of any community."""

from hub.context import Context
from hub.errors import HubError
from hub.federation.model import RetrieveInstancesFromCommunities
from hub.imaging.failing import failing
from hub.imaging.model import InstanceStream
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.wire.ebxml.imaging import imaging_retrieved, read_imaging_retrieve
from hub.wire.ebxml.names import iherad
from hub.wire.ebxml.retrieve import retrieve_refused
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xca/initiating",
    action="urn:ihe:rad:2009:RetrieveImagingDocumentSet",
    response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",
    body=iherad("RetrieveImagingDocumentSetRequest"),
)
TRANSACTION = Transaction(
    id="XCA-RAD-69",
    title="Retrieve Imaging Document Set from all communities",
    profile="XCA-I",
    initiator="Imaging Document Consumer",
    responder="Initiating Imaging Gateway",
    bindings=(_BINDING,),
    section="RAD TF-2: 4.69; RAD TF-3: 4.75",
    kind=Kind.RETRIEVE,
    permission="imaging.retrieve",
    audit=AuditEvent("110104", "DICOM Instances Transferred", "R", type_code="RAD-69"),
)


def decode(message: SoapMessage, context: Context) -> RetrieveInstancesFromCommunities:
    """RetrieveImagingDocumentSetRequest -> RetrieveInstancesFromCommunities."""
    command = read_imaging_retrieve(message.body)
    return RetrieveInstancesFromCommunities(command.requests, command.transfer_syntaxes)


def encode(outcome: InstanceStream, message: SoapMessage, context: Context) -> SoapResponse:
    """Every instance that was found, and an error for each of the others."""
    return imaging_retrieved(message, failing(outcome, context), _BINDING.response_action)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """A RetrieveDocumentSetResponse with the XDS error code."""
    return retrieve_refused(error, _BINDING.response_action)
