"""Queries by demographics and their answers: there and back, by the public schemas, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from hub.errors import DeadlineExceeded, HubError, InternalError, Invalid
from hub.federation.model import PatientLocation
from hub.patients.discovery import SeveralMatches
from hub.patients.model import Traits
from hub.values import PatientIdentifier
from hub.wire.hl7v3.answer import Subject, read_patient_answer, write_answer, write_refusal
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.location import (
    TIME_TO_LIVE,
    read_location_query,
    read_time_to_live,
    write_locations,
    write_time_to_live,
)
from hub.wire.hl7v3.names import XCPD, v3, xcpd
from hub.wire.hl7v3.query import PatientQuery, read_patient_query, write_patient_query
from hub.wire.hl7v3.transmission import Party
from tests.wire.hl7v3.schemas import problems

ME, THEM = Party("1.2.3.1", "1.2.3.1"), Party("1.2.3.2", "1.2.3.2")
ANNE = PatientIdentifier("A/1", "1.2.3.1.9")
INS = PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.8")
ZOE = Traits(
    birth_name="LÉGER",
    birth_given="ZOÉ",
    given_names="ZOÉ MARIE ANNE",
    used_name="D'ORVAL",
    used_given="ZAZA",
    birth_date="19790328",
    sex="F",
    birth_place="2A004",
    address="3 rue de l'Église",
    city="Le Goff",
    postal_code="29000",
    country="FRA",
    phone="+33298000000",
    mother_name="ÉTÉ",
)


def sent(traits: Traits = ZOE, identifiers: tuple[PatientIdentifier, ...] = (ANNE, INS)) -> Any:
    return write_patient_query(traits, identifiers, ME, THEM, authority=ANNE.authority)


def over_the_wire(message: Any) -> Any:
    return etree.fromstring(etree.tostring(message))


def read(message: Any) -> PatientQuery:
    return read_patient_query(over_the_wire(message))


def without(path: str, message: Any) -> Any:
    for item in message.findall(path.replace("v3:", "{urn:hl7-org:v3}")):
        item.getparent().remove(item)
    return message


def test_a_query_survives_the_wire() -> None:
    query = read(sent())
    assert query.parameters.traits == ZOE
    assert query.parameters.identifiers == (ANNE, INS)
    assert (query.transmission.sender, query.transmission.receiver) == (ME, THEM)
    assert query.authority == ANNE.authority
    assert read(sent(Traits(), (INS,))).parameters.identifiers == (INS,)


def test_messages_are_valid_by_the_public_schemas() -> None:
    assert problems(sent()) == []
    query = read(sent())
    subject = Subject(ANNE, (INS,), ZOE, "1.2.3.2", locator=True)
    assert problems(write_answer(query, THEM, [subject], authority=ANNE.authority)) == []
    assert problems(write_answer(query, THEM, [])) == []
    assert problems(write_answer(query, THEM, [], ["LivingSubjectAdministrativeGenderRequested"])) == []
    assert problems(write_refusal(query, THEM, SeveralMatches())) == []
    locations = write_locations(ANNE, [PatientLocation("urn:oid:1.2.3.2", INS)])
    assert problems(locations, "IHE/XCPD_PLQ.xsd") == []


def test_who_was_found() -> None:
    query = read(sent())
    answer = over_the_wire(write_answer(query, THEM, [Subject(ANNE, (INS,), ZOE, "1.2.3.2", locator=True)]))
    read_back = read_patient_answer(answer)
    assert (read_back.acknowledgement, read_back.response, read_back.target) == ("AA", "OK", query.transmission.id)
    (subject,) = read_back.subjects
    assert subject == Subject(ANNE, (INS,), ZOE, "1.2.3.2", locator=True)
    assert answer.find(f".//{v3('queryByParameter')}/{v3('parameterList')}") is not None, "the query is repeated"
    (match,) = answer.iter(v3("queryMatchObservation"))
    assert match.find(v3("value")).get("value") == "100"


def test_nobody_and_more_attributes() -> None:
    query = read(sent())
    assert read_patient_answer(write_answer(query, THEM, [])).response == "NF"
    codes = ["LivingSubjectAdministrativeGenderRequested", "LivingSubjectBirthPlaceAddressRequested"]
    asked = read_patient_answer(write_answer(query, THEM, [], codes))
    assert (asked.acknowledgement, asked.response, asked.requested) == ("AA", "OK", tuple(codes))


@pytest.mark.parametrize(
    ("error", "response", "reason", "detail"),
    [
        (SeveralMatches(), "AE", "AnswerNotAvailable", "INTERR"),
        (DeadlineExceeded(), "AE", "ResponderBusy", "INTERR"),
        (InternalError(), "AE", "InternalError", "INTERR"),
        (Invalid(), "QE", "AnswerNotAvailable", "SYN"),
        (Hl7v3Invalid(), "QE", "AnswerNotAvailable", "SYN100"),
    ],
)
def test_a_refusal_says_why(error: HubError, response: str, reason: str, detail: str) -> None:
    message = over_the_wire(write_refusal(read(sent()), THEM, error))
    answer = read_patient_answer(message)
    assert (answer.acknowledgement, answer.response, answer.reasons) == ("AE", response, (reason,))
    assert message.find(f".//{v3('acknowledgementDetail')}/{v3('code')}").get("code") == detail


@pytest.mark.parametrize(
    ("path", "location"),
    [
        (".//v3:queryId", "queryId"),
        (".//v3:parameterList", "parameterList"),
        ("v3:sender", "sender/device"),
        ("v3:interactionId", "interactionId"),
        ("v3:controlActProcess", "controlActProcess"),
        ("v3:id", "id"),
    ],
)
def test_what_is_missing_is_named(path: str, location: str) -> None:
    with pytest.raises(Hl7v3Invalid) as caught:
        read(without(path, sent()))
    assert caught.value.location == location


@pytest.mark.parametrize(
    ("element", "attributes"),
    [
        ("livingSubjectAdministrativeGender", {"code": "X"}),
        ("livingSubjectBirthTime", {"value": "yesterday"}),
        ("livingSubjectBirthTime", {}),
        ("livingSubjectId", {"root": "1.2.3", "extension": ""}),
        ("livingSubjectId", {"root": "not an oid", "extension": "1"}),
        ("livingSubjectId", {"root": "1.2.3", "extension": "9" * 300}),
        ("livingSubjectDeceasedTime", {"value": "2020"}),
        ("otherIDsScopingOrganization", {"root": "x"}),
    ],
)
def test_bad_values_are_refused(element: str, attributes: dict[str, str]) -> None:
    message = without(f".//v3:{element}", sent())
    holder = etree.SubElement(next(message.iter(v3("parameterList"))), v3(element))
    etree.SubElement(holder, v3("value"), attributes)
    with pytest.raises(Hl7v3Invalid) as caught:
        read(message)
    assert caught.value.location == f"parameterList/{element}"
    assert not any(value and value in caught.value.message for value in attributes.values() if len(value) > 2)


def test_a_deferred_answer_is_refused() -> None:
    message = sent()
    next(message.iter(v3("responsePriorityCode"))).set("code", "D")
    with pytest.raises(Hl7v3Invalid) as caught:
        read(message)
    assert caught.value.location == "queryByParameter/responsePriorityCode"


def test_a_parameter_stands_once() -> None:
    message = sent()
    parameters = next(message.iter(v3("parameterList")))
    parameters.append(over_the_wire(parameters.find(v3("livingSubjectBirthTime"))))
    with pytest.raises(Hl7v3Invalid):
        read(message)


def test_unknown_values_are_no_values() -> None:
    message = without(".//v3:livingSubjectBirthTime", sent())
    holder = etree.SubElement(next(message.iter(v3("parameterList"))), v3("livingSubjectBirthTime"))
    etree.SubElement(holder, v3("value"), {"nullFlavor": "UNK"})
    assert read(message).parameters.traits.birth_date == ""


def test_names_as_others_write_them() -> None:
    message = without(".//v3:livingSubjectName", sent())
    holder = etree.SubElement(next(message.iter(v3("parameterList"))), v3("livingSubjectName"))
    value = etree.SubElement(holder, v3("value"))
    for tag, text in (("given", "Jean"), ("given", "Pierre"), ("family", "Dupont")):
        etree.SubElement(value, v3(tag)).text = text
    traits = read(message).parameters.traits
    assert (traits.birth_name, traits.birth_given, traits.given_names) == ("Dupont", "Jean", "Jean Pierre")


@pytest.mark.parametrize("given", ["JEAN", "JEAN PIERRE", "JEAN-PIERRE MARIE", "ŒIL"])
@pytest.mark.parametrize("used", ["", "D'ORVAL & <fils>"])
def test_names_survive(given: str, used: str) -> None:
    names = given if " " in given else ""
    traits = Traits("LE GOFF", given.split(maxsplit=1)[0], names, used, birth_date="1979", sex="O")
    assert read(sent(traits, ())).parameters.traits == traits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P7D", timedelta(days=7)),
        ("P0Y0M7D", timedelta(days=7)),
        ("P1Y2M3DT4H5M6.5S", timedelta(days=428, hours=4, minutes=5, seconds=6)),
        ("PT90S", timedelta(seconds=90)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    block = etree.Element(TIME_TO_LIVE)
    block.text = text
    assert read_time_to_live({TIME_TO_LIVE: block}) == expected


@pytest.mark.parametrize("text", ["", "P", "7", "-P7D", "P99999999999D", "PT"])
def test_what_is_no_duration(text: str) -> None:
    block = etree.Element(TIME_TO_LIVE)
    block.text = text
    with pytest.raises(Hl7v3Invalid):
        read_time_to_live({TIME_TO_LIVE: block})


def test_a_duration_there_and_back() -> None:
    for duration in (timedelta(days=7), timedelta(days=1, seconds=5)):
        block = write_time_to_live(duration)
        assert read_time_to_live({TIME_TO_LIVE: block}) == duration
    assert read_time_to_live({}) is None


def test_a_location_query() -> None:
    body = etree.Element(xcpd("PatientLocationQueryRequest"), nsmap={"xcpd": XCPD})
    etree.SubElement(body, xcpd("RequestedPatientId"), {"root": ANNE.authority, "extension": ANNE.value})
    assert read_location_query(body) == ANNE
    etree.SubElement(body, xcpd("RequestedPatientId"), {"root": ANNE.authority, "extension": ANNE.value})
    with pytest.raises(Hl7v3Invalid):
        read_location_query(body)
