"""ITI-55 Cross Gateway Patient Discovery (ITI TF-2: 3.55): another community asks whether this one knows a person."""

from hub.context import Context
from hub.errors import HubError
from hub.federation.model import Discovered, DiscoverPatient
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Soap, Transaction
from hub.values import Oid
from hub.wire.hl7v3.answer import Subject, write_answer, write_refusal
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.location import read_time_to_live, write_time_to_live
from hub.wire.hl7v3.names import v3
from hub.wire.hl7v3.query import PatientQuery, read_patient_query
from hub.wire.hl7v3.transmission import Party
from hub.wire.soap.message import SoapMessage, SoapResponse
from hub.wire.soap.writing import refuse as soap_refuse

_BINDING = Soap(
    path="/xcpd/responding",
    action="urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery",
    response_action="urn:hl7-org:v3:PRPA_IN201306UV02:CrossGatewayPatientDiscovery",
    body=v3("PRPA_IN201305UV02"),
    asynchronous=True,
)
TRANSACTION = Transaction(
    id="ITI-55",
    title="Cross Gateway Patient Discovery",
    profile="XCPD",
    initiator="Initiating Gateway",
    responder="Responding Gateway",
    bindings=(_BINDING,),
    section="ITI TF-2: 3.55",
    direction=Direction.BOTH,
    kind=Kind.QUERY,
    permission="patients.discover",
    audit=AuditEvent("110112", "Query", "E"),
    options=("Asynchronous Web Services Exchange", "Health Data Locator"),
)
#: Trait -> the code by which it is asked for (ITI TF-2: 3.55.4.2.2.6).
REQUESTED = {
    "sex": "LivingSubjectAdministrativeGenderRequested",
    "birth_place": "LivingSubjectBirthPlaceAddressRequested",
}


def decode(message: SoapMessage, context: Context) -> DiscoverPatient:
    """PRPA_IN201305UV02 -> DiscoverPatient."""
    asked = read_patient_query(message.body)
    read_time_to_live(message.blocks)
    context.touch("query", f"{asked.query_id.root}^{asked.query_id.extension}".rstrip("^"))
    community = asked.transmission.sender.community
    return DiscoverPatient(
        asked.parameters.traits, asked.parameters.identifiers, Oid(community).urn if community else ""
    )


def encode(outcome: Discovered, message: SoapMessage, context: Context) -> SoapResponse:
    """PRPA_IN201306UV02: one registrationEvent, or what is asked for, or nobody (NF)."""
    asked = read_patient_query(message.body)
    me, person = _me(asked, context), outcome.person
    subjects = []
    if person is not None:
        others = (person.ins,) if person.ins is not None else ()
        subjects = [Subject(person.regional, others, person.traits, me.community, locator=True)]
    body = write_answer(asked, me, subjects, [REQUESTED[trait] for trait in outcome.lacking])
    blocks = (write_time_to_live(outcome.time_to_live),) if person is not None and outcome.time_to_live else ()
    return SoapResponse(body, _BINDING.response_action, blocks=blocks)


def refuse(error: HubError, message: SoapMessage, context: Context) -> SoapResponse:
    """PRPA_IN201306UV02 with AE and the reason; a fault when not even the query's wrapper can be read."""
    try:
        asked = read_patient_query(message.body)
    except Hl7v3Invalid:
        return soap_refuse(error, message, context)
    return SoapResponse(write_refusal(asked, _me(asked, context), error), _BINDING.response_action)


def _me(asked: PatientQuery, context: Context) -> Party:
    """This gateway, as the device that was addressed."""
    return Party(asked.transmission.receiver.device, Oid.from_urn(context.community))
