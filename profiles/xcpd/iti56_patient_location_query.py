"""ITI-56 Patient Location Query (ITI TF-2: 3.56, Health Data Locator): in which communities is a person known?"""

from hub.context import Context
from hub.federation.model import LocatePatient, PatientLocation
from hub.pipeline.transaction import AuditEvent, Kind, Soap, Transaction
from hub.wire.hl7v3.location import read_location_query, write_locations
from hub.wire.hl7v3.names import xcpd
from hub.wire.soap.message import SoapMessage, SoapResponse

_BINDING = Soap(
    path="/xcpd/responding",
    action="urn:ihe:iti:2009:PatientLocationQuery",
    response_action="urn:ihe:iti:2009:PatientLocationQueryResponse",
    body=xcpd("PatientLocationQueryRequest"),
    asynchronous=True,
)
TRANSACTION = Transaction(
    id="ITI-56",
    title="Patient Location Query",
    profile="XCPD",
    initiator="Initiating Gateway",
    responder="Responding Gateway",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.56",
    kind=Kind.QUERY,
    permission="patients.discover",
    audit=AuditEvent("110112", "Query", "E"),
    options=("Health Data Locator",),
)


def decode(message: SoapMessage, context: Context) -> LocatePatient:
    """PatientLocationQueryRequest -> LocatePatient."""
    return LocatePatient(read_location_query(message.body))


def encode(outcome: tuple[PatientLocation, ...], message: SoapMessage, context: Context) -> SoapResponse:
    """PatientLocationQueryResponse."""
    return SoapResponse(write_locations(read_location_query(message.body), outcome), _BINDING.response_action)
