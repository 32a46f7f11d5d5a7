"""PRPA_IN201309UV02 and 201310UV02: which numbers mean the same patient? (ITI TF-2: 3.45)"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from hub.values import PatientIdentifier
from hub.wire.hl7v3.answer import close
from hub.wire.hl7v3.datatypes import add, need, oid, read_identifier
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.names import PIX_ANSWER, PIX_QUERY, v3
from hub.wire.hl7v3.person import write_numbers, write_provider
from hub.wire.hl7v3.transmission import (
    MessageId,
    Party,
    Transmission,
    add_acknowledgement,
    open_control_act,
    open_message,
    read_message_id,
    read_transmission,
    xpath,
)
from hub.wire.xml import Element

_MOST_DOMAINS = 100


@dataclass(frozen=True, slots=True)
class CrossReferenceQuery:
    """A query as it came. ``element``: its queryByParameter, which the answer repeats."""

    transmission: Transmission
    query_id: MessageId
    identifier: PatientIdentifier
    domains: tuple[str, ...]
    element: Element = field(repr=False, compare=False)

    @property
    def asked_at(self) -> str:
        """XPath of the number."""
        return xpath(_values(self.element, "patientIdentifier")[0])

    def domains_at(self, domains: Collection[str]) -> list[str]:
        """XPaths of the data sources that name one of the domains."""
        return [xpath(value) for value in _values(self.element, "dataSource") if value.get("root") in domains]


def read_cross_reference_query(body: Element) -> CrossReferenceQuery:
    """A PRPA_IN201309UV02. Raises Hl7v3Invalid, with the element's XPath."""
    transmission = read_transmission(body, PIX_QUERY)
    element = need(body, "controlActProcess", "queryByParameter")
    if need(element, "statusCode").get("code") != "new":
        raise Hl7v3Invalid("A query's status is new.", location=xpath(element) + "/statusCode")
    parameters = need(element, "parameterList")
    asked, sources = _values(element, "patientIdentifier"), _values(element, "dataSource")
    if len(asked) != 1:
        raise Hl7v3Invalid("One number is asked for.", location=xpath(parameters) + "/patientIdentifier")
    if len(sources) > _MOST_DOMAINS:
        raise Hl7v3Invalid("Too many domains are asked for.", location=xpath(parameters) + "/dataSource")
    named = next((item for item in sources if item.get("extension")), None)
    if named is not None:
        raise Hl7v3Invalid("A domain has no extension.", location=xpath(named))
    return CrossReferenceQuery(
        transmission,
        read_message_id(element, "queryId"),
        read_identifier(asked[0], xpath(asked[0])),
        tuple(dict.fromkeys(oid(item.get("root") or "", xpath(item)) for item in sources)),
        element,
    )


def _values(element: Element, name: str) -> list[Element]:
    return list(element.findall(f"{v3('parameterList')}/{v3(name)}/{v3('value')}"))


def write_cross_references(query: CrossReferenceQuery, sender: Party, numbers: Sequence[PatientIdentifier]) -> Element:
    """OK with one registrationEvent, or NF (3.45.4.2.3: cases 1, 2 and 6)."""
    body = open_message(PIX_ANSWER, sender, query.transmission.sender, accept="NE")
    add_acknowledgement(body, query.transmission.id, "AA")
    act = open_control_act(body, PIX_ANSWER)
    if numbers:
        _write_event(act, sender, numbers)
    close(act, query.query_id, query.element, "OK" if numbers else "NF")
    return body


def _write_event(act: Element, sender: Party, numbers: Sequence[PatientIdentifier]) -> None:
    holder = add(act, "subject", typeCode="SUBJ", contextConductionInd="false")
    event = add(holder, "registrationEvent", classCode="REG", moodCode="EVN")
    add(event, "id", nullFlavor="NA")
    add(event, "statusCode", code="active")
    patient = add(add(event, "subject1", typeCode="SBJ"), "patient", classCode="PAT")
    domain = numbers[0].authority
    for item in numbers:
        if item.authority == domain:  # several numbers of one domain stand together
            add(patient, "id", root=item.authority, extension=item.value)
    add(patient, "statusCode", code="active")
    person = add(patient, "patientPerson", classCode="PSN", determinerCode="INSTANCE")
    add(person, "name", nullFlavor="NA")
    write_numbers(person, [item for item in numbers if item.authority != domain])
    write_provider(patient, domain)
    entity = add(add(event, "custodian", typeCode="CST"), "assignedEntity", classCode="ASSIGNED")
    add(entity, "id", root=sender.device)
