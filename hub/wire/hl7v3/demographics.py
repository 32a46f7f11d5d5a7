"""PRPA_IN201305UV02 as PDQV3 asks it, its continuation, and the answer (ITI TF-2: 3.47).

XCPD asks with the same message, but to find one person: ``hub.wire.hl7v3.query``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.patients.model import Person, Traits
from hub.patients.portions_model import Asked, AskedName
from hub.values import PatientIdentifier
from hub.wire.hl7v3.answer import close
from hub.wire.hl7v3.datatypes import (
    add,
    child,
    need,
    oid,
    read_address,
    read_birth_place,
    read_date,
    read_identifier,
    read_phone,
    read_sex,
    text_of,
)
from hub.wire.hl7v3.errors import Hl7v3Invalid, ParameterUnsupported
from hub.wire.hl7v3.names import ANSWER, CANCELLATION, CONTINUATION, QUERY, v3
from hub.wire.hl7v3.person import write_match, write_person, write_provider
from hub.wire.hl7v3.query import read_count
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

_MOST_VALUES = 100
_MOST_RECORDS = 1_000_000
_LOOSE = "SRCH"  # EntityNameUse: not limited to an exact match
_SCOPES = "otherIDsScopingOrganization"


@dataclass(frozen=True, slots=True)
class DemographicsQuery:
    """A query as it came. ``element``: its queryByParameter, which the answer repeats."""

    transmission: Transmission
    query_id: MessageId
    asked: Asked
    domains: tuple[str, ...] = ()
    quantity: int | None = None
    element: Element = field(default=None, repr=False, compare=False)

    def domains_at(self, domains: Iterable[str]) -> list[str]:
        """XPaths of the scoping organisations that name one of the domains."""
        wanted = set(domains)
        path = f"{v3('parameterList')}/{v3(_SCOPES)}/{v3('value')}"
        return [xpath(value) for value in self.element.findall(path) if value.get("root") in wanted]


@dataclass(frozen=True, slots=True)
class Continuation:
    """QUQI_IN000003UV01: more of an answer, or (``cancelled``) no more of it. ``start`` counts from 1."""

    transmission: Transmission
    query_id: MessageId
    cancelled: bool
    start: int | None
    quantity: int | None
    location: str  #: XPath of its queryId


def read_demographics_query(body: Element) -> DemographicsQuery:
    """A PRPA_IN201305UV02. Raises Hl7v3Invalid, ParameterUnsupported, with the element's XPath."""
    transmission = read_transmission(body, QUERY)
    element = need(body, "controlActProcess", "queryByParameter")
    if need(element, "statusCode").get("code") != "new":
        raise Hl7v3Invalid("A query's status is new.", location=xpath(element) + "/statusCode")
    for name, only in (("responsePriorityCode", "I"), ("responseModalityCode", "R")):
        said = child(element, name)
        if said is not None and said.get("code") not in (only, None):
            raise Hl7v3Invalid(f"Answers are given at once and whole: {name} is {only}.", location=xpath(said))
    for name in ("sortControl", "modifyCode"):
        said = child(element, name)
        if said is not None:
            raise ParameterUnsupported(location=xpath(said))
    asked, domains = _asked(need(element, "parameterList"))
    quantity = read_count(child(element, "initialQuantity"), "initialQuantity", _MOST_RECORDS)
    return DemographicsQuery(transmission, read_message_id(element, "queryId"), asked, domains, quantity, element)


def read_continuation(body: Element) -> Continuation:
    """A QUQI_IN000003UV01, or its form that cancels. Raises Hl7v3Invalid."""
    cancels = body.tag == v3(CANCELLATION)
    transmission = read_transmission(body, CONTINUATION, CANCELLATION if cancels else "")
    element = need(body, "controlActProcess", "queryContinuation")
    status = need(element, "statusCode")
    if status.get("code") not in ("aborted", "waitContinuedQueryResponse"):
        raise Hl7v3Invalid("statusCode is waitContinuedQueryResponse or aborted.", location=xpath(status))
    if cancels and status.get("code") != "aborted":
        raise Hl7v3Invalid("Who cancels says aborted.", location=xpath(status))
    start = read_count(child(element, "startResultNumber"), "startResultNumber", _MOST_RECORDS)
    return Continuation(
        transmission,
        read_message_id(element, "queryId"),
        status.get("code") == "aborted",
        start,
        read_count(child(element, "continuationQuantity"), "continuationQuantity", _MOST_RECORDS),
        xpath(need(element, "queryId")),
    )


def _asked(parameters: Element) -> tuple[Asked, tuple[str, ...]]:
    found: dict[str, Any] = {}
    traits: dict[str, Any] = {}
    groups: list[tuple[PatientIdentifier, ...]] = []
    domains: list[str] = []
    for item in parameters:
        name = item.tag.rpartition("}")[2]
        values = [value for value in item.findall(v3("value")) if not value.get("nullFlavor")]
        if len(values) > _MOST_VALUES or len(groups) + len(domains) > _MOST_VALUES:
            raise Hl7v3Invalid("A parameter has too many values.", location=xpath(item))
        if name == "livingSubjectId":
            groups += [tuple(read_identifier(value, xpath(value)) for value in values)] if values else []
        elif name == _SCOPES:
            domains += [oid(value.get("root") or "", xpath(value)) for value in values]
        elif name in _CRITERIA:
            key, read = _CRITERIA[name]
            if key in found or (len(values) > 1 and name not in _SEVERAL):
                raise Hl7v3Invalid("This parameter has one value.", location=xpath(item))
            found |= {key: read(values, xpath(item))} if values else {}
        elif name in _TRAITS:
            if len(values) > 1 or len(parameters.findall(item.tag)) > 1:
                raise Hl7v3Invalid("This parameter has one value.", location=xpath(item))
            traits |= _TRAITS[name](values[0], xpath(values[0])) if values else {}
        elif name != "id":
            raise ParameterUnsupported(location=xpath(item))
    asked = Asked(identifiers=tuple(groups), traits=Traits(**traits), **found)
    return asked, tuple(dict.fromkeys(domains))


def _names(values: Sequence[Element], location: str) -> tuple[AskedName, ...]:
    return tuple(name for name in (_name(value, location) for value in values) if name.family or name.given)


def _name(value: Element, location: str) -> AskedName:
    """A name; ``SRCH`` or a trailing ``*`` asks for beginnings."""
    family = " ".join(text_of(part, location) for part in value.findall(v3("family"))).strip()
    given = tuple(filter(None, (text_of(part, location) for part in value.findall(v3("given")))))
    wild = any(part.endswith(("*", "%")) for part in (family, *given))
    return AskedName(
        family.rstrip("*%"),
        tuple(part.rstrip("*%") for part in given),
        wild or _LOOSE in (value.get("use") or "").split(),
    )


def _born(values: Sequence[Element], location: str) -> tuple[str, str]:
    """IVL_TS: a day, or its first and last one."""
    (value,) = values
    if value.get("value"):
        day = read_date(value, location)
        return day, day
    first, last = child(value, "low"), child(value, "high")
    if first is None and last is None:
        raise Hl7v3Invalid("A birth time has a value, or a low or high bound.", location=location)
    low = read_date(first, xpath(first)) if first is not None and not first.get("nullFlavor") else ""
    high = read_date(last, xpath(last)) if last is not None and not last.get("nullFlavor") else ""
    if low and high and low > high.ljust(len(low), "9"):
        raise Hl7v3Invalid("A birth time ends before it begins.", location=location)
    return low, high


def _mother(value: Element, location: str) -> dict[str, str]:
    family = child(value, "family")
    return {"mother_name": text_of(family if family is not None else value, location)}


def _phone(value: Element, location: str) -> dict[str, str]:
    number = read_phone(value)
    if not number:
        raise Hl7v3Invalid("Only telephone numbers (tel:) can be searched by.", location=location)
    return {"phone": number}


#: Parameter -> field of Asked, and how its values are read.
_CRITERIA: Mapping[str, tuple[str, Callable[[Sequence[Element], str], Any]]] = {
    "livingSubjectName": ("names", _names),
    "livingSubjectAdministrativeGender": ("sex", lambda values, location: read_sex(values[0], location)),
    "livingSubjectBirthTime": ("born", _born),
}
_SEVERAL = frozenset({"livingSubjectName"})
#: Parameter -> traits that it asks for.
_TRAITS: Mapping[str, Callable[[Element, str], dict[str, str]]] = {
    "patientAddress": read_address,
    "patientTelecom": _phone,
    "mothersMaidenName": _mother,
    "livingSubjectBirthPlaceAddress": read_birth_place,
}


def write_demographics(  # noqa: PLR0917 (the parts, in their order)
    to: Transmission,
    query_id: MessageId,
    element: Element | None,
    sender: Party,
    persons: Sequence[Person],
    domains: Sequence[str],
    total: int,
    remaining: int,
) -> Element:
    """PRPA_IN201306UV02 with one registrationEvent a person; NF when nobody was found."""
    body = open_message(ANSWER, sender, to.sender, accept="NE")
    add_acknowledgement(body, to.id, "AA")
    act = open_control_act(body, ANSWER)
    for person in persons:
        _write_event(act, sender, person, domains)
    close(act, query_id, element, "OK" if total else "NF", counts=(total, len(persons), remaining))
    return body


def _write_event(act: Element, sender: Party, person: Person, domains: Sequence[str]) -> None:
    """The numbers of the wanted domains, each once; a domain in which the person has none is named all the same."""
    numbers = [item for item in person.current if not domains or item.authority in domains]
    own = [item for item in numbers if item.authority == numbers[0].authority]
    holder = add(act, "subject", typeCode="SUBJ", contextConductionInd="false")
    event = add(holder, "registrationEvent", classCode="REG", moodCode="EVN")
    add(event, "id", nullFlavor="NA")
    add(event, "statusCode", code="active")
    patient = add(add(event, "subject1", typeCode="SBJ"), "patient", classCode="PAT")
    for item in own:
        add(patient, "id", root=item.authority, extension=item.value)
    if not own:
        add(patient, "id", nullFlavor="NA")
    add(patient, "statusCode", code="active")
    lacking = [domain for domain in domains if all(item.authority != domain for item in numbers)]
    write_person(
        patient, [item for item in numbers if item not in own], person.traits, lacking=lacking, birth_place=False
    )
    write_provider(patient, own[0].authority if own else person.regional.authority)
    write_match(patient, 100)
    entity = add(add(event, "custodian", typeCode="CST"), "assignedEntity", classCode="ASSIGNED")
    add(entity, "id", root=sender.device)
