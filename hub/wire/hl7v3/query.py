"""PRPA_IN201305UV02: the query by demographics, read strictly and written (ITI TF-2: 3.47.4.1, 3.55.4.1)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.patients.model import Traits
from hub.values import PatientIdentifier
from hub.wire.hl7v3.datatypes import (
    add,
    child,
    need,
    oid,
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
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.names import QUERY, v3
from hub.wire.hl7v3.transmission import (
    MessageId,
    Party,
    Transmission,
    new_id,
    open_control_act,
    open_message,
    read_message_id,
    read_transmission,
)
from hub.wire.xml import Element

_MOST_VALUES = 100


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is asked."""

    traits: Traits = field(default_factory=Traits)
    identifiers: tuple[PatientIdentifier, ...] = ()
    domains: tuple[str, ...] = ()  #: otherIDsScopingOrganization: the authorities wanted in the answer
    care_providers: tuple[PatientIdentifier, ...] = ()
    minimum_match: int | None = None


@dataclass(frozen=True, slots=True)
class PatientQuery:
    """A query as it came. ``element``: its queryByParameter, which the answer repeats."""

    transmission: Transmission
    query_id: MessageId
    parameters: Parameters
    authority: str = ""  #: OID of the asker's own patient numbers (authorOrPerformer/assignedDevice)
    quantity: int | None = None
    element: Element = field(default=None, repr=False, compare=False)


def _first(read: Callable[[Element, str], Any], key: str) -> Callable[[Sequence[Element], str], dict[str, Any]]:
    return lambda values, location: {key: read(values[0], location)}


def _mother(values: Sequence[Element], location: str) -> dict[str, Any]:
    family = child(values[0], "family")
    return {"mother_name": text_of(family if family is not None else values[0], location)}


def _many(values: Sequence[Element], location: str) -> tuple[PatientIdentifier, ...]:
    return tuple(read_identifier(value, location) for value in values if not value.get("nullFlavor"))


#: Parameter -> what its values tell of the person (PRPA_MT201306UV02).
TRAITS: Mapping[str, Callable[[Sequence[Element], str], dict[str, Any]]] = {
    "livingSubjectAdministrativeGender": _first(read_sex, "sex"),
    "livingSubjectBirthPlaceAddress": lambda values, location: read_birth_place(values[0], location),
    "livingSubjectBirthTime": _first(read_date, "birth_date"),
    "livingSubjectName": read_names,
    "mothersMaidenName": _mother,
    "patientAddress": lambda values, location: read_address(values[0], location),
    "patientTelecom": lambda values, _: {"phone": next(filter(None, map(read_phone, values)), "")},
}
_NUMBERS = {"livingSubjectId": "identifiers", "principalCareProviderId": "care_providers"}
#: Those that must not stand twice, nor have two values.
_SINGLE = frozenset(TRAITS) - {"livingSubjectName", "patientTelecom"}
#: Parameters that are read over: they neither widen nor narrow what the hub finds.
_IGNORED = frozenset({"livingSubjectBirthPlaceName", "principalCareProvisionId"})


def read_patient_query(body: Element) -> PatientQuery:
    """A PRPA_IN201305UV02. Raises Hl7v3Invalid, naming the element."""
    transmission = read_transmission(body, QUERY)
    act = need(body, "controlActProcess")
    element = need(act, "queryByParameter")
    asker = child(act, "authorOrPerformer", "assignedDevice", "id")
    authority = (asker.get("root") or "") if asker is not None else ""
    if need(element, "statusCode").get("code") != "new":
        raise Hl7v3Invalid("A query's status is new.", location="queryByParameter/statusCode")
    priority = child(element, "responsePriorityCode")
    if priority is not None and priority.get("code") not in ("I", None):
        raise Hl7v3Invalid("Only immediate answers are given.", location="queryByParameter/responsePriorityCode")
    return PatientQuery(
        transmission,
        read_message_id(element, "queryId"),
        _parameters(element),
        oid(authority, "authorOrPerformer/assignedDevice/id") if authority else "",
        read_count(child(element, "initialQuantity"), "initialQuantity", 1_000_000),
        element,
    )


def read_count(element: Element | None, location: str, most: int) -> int | None:
    """INT from 0 to ``most``; None where it is missing. Raises Hl7v3Invalid."""
    if element is None:
        return None
    text = element.get("value") or ""
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) > most:
        raise Hl7v3Invalid(f"{location} is a number from 0 to {most}.", location=location)
    return int(text)


def _parameters(element: Element) -> Parameters:
    traits: dict[str, Any] = {}
    found: dict[str, Any] = {}
    parameters = need(element, "parameterList")
    for name in dict.fromkeys(item.tag.rpartition("}")[2] for item in parameters):
        location = f"parameterList/{name}"
        values = parameters.findall(f"{v3(name)}/{v3('value')}")
        if len(values) > _MOST_VALUES or (name in _SINGLE and len(values) > 1):
            raise Hl7v3Invalid("A parameter has too many values.", location=location)
        known = [value for value in values if not value.get("nullFlavor")]
        if name in TRAITS:
            traits |= TRAITS[name](known, location) if known else {}
        elif name in _NUMBERS:
            found[_NUMBERS[name]] = _many(known, location)
        elif name == "otherIDsScopingOrganization":
            found["domains"] = tuple(oid(value.get("root") or "", location) for value in known)
        elif name not in _IGNORED:
            raise Hl7v3Invalid("This parameter can't be searched by.", location=location)
    match = child(element, "matchCriterionList", "minimumDegreeMatch", "value")
    minimum = read_count(match, "minimumDegreeMatch", 100)
    return Parameters(Traits(**traits), minimum_match=minimum, **found)


def write_patient_query(
    traits: Traits, identifiers: Sequence[PatientIdentifier], sender: Party, receiver: Party, *, authority: str
) -> Element:
    """A PRPA_IN201305UV02. ``authority``: OID of the number in ``identifiers`` that the other may ask back with."""
    body = open_message(QUERY, sender, receiver, accept="AL")
    act = open_control_act(body, QUERY)
    device = add(add(act, "authorOrPerformer", typeCode="AUT"), "assignedDevice", classCode="ASSIGNED")
    add(device, "id", root=authority)
    asked = add(act, "queryByParameter")
    new_id().write(asked, "queryId")
    for name, code in (("statusCode", "new"), ("responseModalityCode", "R"), ("responsePriorityCode", "I")):
        add(asked, name, code=code)
    _write_parameters(add(asked, "parameterList"), traits, identifiers)
    return body


def _write_parameters(parent: Element, traits: Traits, identifiers: Sequence[PatientIdentifier]) -> None:
    if traits.sex in ("M", "F", "O"):
        write_sex(add(parent, "livingSubjectAdministrativeGender"), "value", traits.sex)
    if traits.birth_place:
        add(add(add(parent, "livingSubjectBirthPlaceAddress"), "value"), "county", traits.birth_place)
    if traits.birth_date:
        add(add(parent, "livingSubjectBirthTime"), "value", value=traits.birth_date)
    for item in identifiers:
        add(add(parent, "livingSubjectId"), "value", root=item.authority, extension=item.value)
    if traits.birth_name:
        write_names(add(parent, "livingSubjectName"), "value", traits)
    if traits.mother_name:
        add(add(add(parent, "mothersMaidenName"), "value"), "family", traits.mother_name)
    if traits.city or traits.address:
        write_address(add(parent, "patientAddress"), "value", traits)
    if traits.phone:
        add(add(parent, "patientTelecom"), "value", value=f"tel:{''.join(traits.phone.split())}")
    for item in parent:
        kind = item.tag.rpartition("}")[2]
        add(item, "semanticsText", _SEMANTICS[kind])


#: semanticsText, which the schema requires of each parameter.
_SEMANTICS = {
    "livingSubjectAdministrativeGender": "LivingSubject.administrativeGender",
    "livingSubjectBirthPlaceAddress": "LivingSubject.BirthPlace.addr",
    "livingSubjectBirthTime": "LivingSubject.birthTime",
    "livingSubjectId": "LivingSubject.id",
    "livingSubjectName": "LivingSubject.name",
    "mothersMaidenName": "Person.MothersMaidenName",
    "patientAddress": "Patient.addr",
    "patientTelecom": "Patient.telecom",
}
