"""PRPA_MT201310UV02 Patient, read and written: what one system tells another about a person."""

from collections.abc import Sequence
from typing import Any

from hub.patients.model import Traits
from hub.values import PatientIdentifier, known_date
from hub.wire.hl7v3.datatypes import (
    add,
    child,
    need,
    read_address,
    read_birth_place,
    read_date,
    read_identifier,
    read_names,
    read_phone,
    read_sex,
    text_of,
    write_address,
    write_names,
    write_sex,
)
from hub.wire.hl7v3.names import RELATIONSHIPS, XSI_TYPE, v3
from hub.wire.xml import Element

_MOTHER = "MTH"


def write_patient(
    parent: Element, identifier: PatientIdentifier, others: Sequence[PatientIdentifier], traits: Traits, *, match: int
) -> None:
    """A patient: its one id, the person with its other ids, and how sure the match is (0 to 100)."""
    patient = add(parent, "patient", classCode="PAT")
    add(patient, "id", root=identifier.authority, extension=identifier.value)
    add(patient, "statusCode", code="active")
    write_person(patient, others, traits)
    write_match(patient, match)


def write_match(patient: Element, match: int) -> None:
    """How sure the match is, 0 to 100."""
    observation = add(
        add(patient, "subjectOf1", typeCode="SBJ"), "queryMatchObservation", classCode="OBS", moodCode="EVN"
    )
    add(observation, "code", code="IHE_PDQ")
    add(observation, "value", value=str(match)).set(XSI_TYPE, "INT")


def write_numbers(person: Element, numbers: Sequence[PatientIdentifier], lacking: Sequence[str] = ()) -> None:
    """Other ids, those of one domain together; ``lacking``: domains in which the person has none."""
    for authority in dict.fromkeys([item.authority for item in numbers] + list(lacking)):
        holder = add(person, "asOtherIDs", classCode="PAT")
        found = [item.value for item in numbers if item.authority == authority]
        for value in found:
            add(holder, "id", root=authority, extension=value)
        if not found:
            add(holder, "id", nullFlavor="NA")
        scope = add(holder, "scopingOrganization", classCode="ORG", determinerCode="INSTANCE")
        add(scope, "id", root=authority)


def write_provider(patient: Element, authority: str) -> None:
    """The organisation whose numbers the patient's ids are."""
    provider = add(patient, "providerOrganization", classCode="ORG", determinerCode="INSTANCE")
    add(provider, "id", root=authority)
    add(provider, "contactParty", classCode="CON")


def write_person(
    patient: Element,
    others: Sequence[PatientIdentifier],
    traits: Traits,
    *,
    lacking: Sequence[str] = (),
    birth_place: bool = True,
) -> None:
    """The person with its other ids. ``birth_place``: PDQV3 leaves it out (ITI TF-2: 3.47.4.2.2.2)."""
    person = add(patient, "patientPerson", classCode="PSN", determinerCode="INSTANCE")
    write_names(person, "name", traits)
    if traits.phone:
        add(person, "telecom", value=f"tel:{''.join(traits.phone.split())}")
    write_sex(person, "administrativeGenderCode", traits.sex)
    if traits.birth_date:
        add(person, "birthTime", value=traits.birth_date)
    if traits.multiple_birth:
        add(person, "multipleBirthInd", value="true")
    write_address(person, "addr", traits)
    write_numbers(person, others, lacking)
    if traits.mother_name:
        mother = add(person, "personalRelationship", classCode="PRS")
        add(mother, "code", code=_MOTHER, codeSystem=RELATIONSHIPS)
        holder = add(mother, "relationshipHolder1", classCode="PSN", determinerCode="INSTANCE")
        add(add(holder, "name"), "family", traits.mother_name)
    if traits.birth_place and birth_place:
        place = add(person, "birthPlace", classCode="BIRTHPL")
        add(add(place, "addr"), "county", traits.birth_place)


def read_patient(patient: Element) -> tuple[tuple[PatientIdentifier, ...], Traits]:
    """(ids, traits): the patient's own ids first, then other ids of the person. Raises Hl7v3Invalid."""
    person = need(patient, "patientPerson")
    elements = patient.findall(v3("id")) + person.findall(f"{v3('asOtherIDs')}/{v3('id')}")
    numbered = [item for item in elements if item.get("extension")]
    identifiers = [read_identifier(item, "patient/id") for item in numbered]
    return tuple(dict.fromkeys(identifiers)), read_person(person)


def _born(element: Element, location: str) -> str:
    return known_date(read_date(element, location))


def read_person(person: Element) -> Traits:
    """What the person is described by. Raises Hl7v3Invalid."""
    found: dict[str, Any] = read_names(person.findall(v3("name")), "patientPerson/name")
    for name, trait, read in (
        ("administrativeGenderCode", "sex", read_sex),
        ("birthTime", "birth_date", _born),
    ):
        element = child(person, name)
        if element is not None and (element.get("value") or element.get("code")):
            found[trait] = read(element, f"patientPerson/{name}")
    address, place = child(person, "addr"), child(person, "birthPlace", "addr")
    if address is not None:
        found |= read_address(address, "patientPerson/addr")
    if place is not None:
        found |= read_birth_place(place, "birthPlace/addr")
    found["phone"] = next(filter(None, map(read_phone, person.findall(v3("telecom")))), "")
    several = child(person, "multipleBirthInd")
    found["multiple_birth"] = several is not None and several.get("value") == "true"
    for relation in person.findall(v3("personalRelationship")):
        code, family = child(relation, "code"), child(relation, "relationshipHolder1", "name", "family")
        if code is not None and code.get("code") == _MOTHER and family is not None:
            found["mother_name"] = text_of(family, "personalRelationship")
    return Traits(**found)
