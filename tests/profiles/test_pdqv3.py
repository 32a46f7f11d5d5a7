"""PDQV3 against the real patient index: parameters, portions, what can't be asked; every message by HL7's schemas."""

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from hub.context import Context
from hub.errors import HubError
from hub.patients import portions as rooms
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import (
    Authority,
    FeedIdentity,
    GetPerson,
    Identity,
    IdentityStatus,
    MergeIdentities,
    Traits,
)
from hub.patients.portions import PortionService
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.usecase import Dispatcher
from hub.values import PatientIdentifier
from hub.wire.soap.message import SoapMessage
from profiles.pdqv3 import iti47_patient_demographics_query as iti47
from tests.wire.hl7v3.messages import code, every, identifier, ids, more, named, parameter, pdq_query
from tests.wire.hl7v3.schemas import problems

REGION, A, B = "1.2.250.1.999.1.1", "1.2.250.1.999.2.1", "1.2.250.1.999.2.2"
INS = "1.2.250.1.213.1.4.8"
ZOE = Traits(
    birth_name="LÉGER", birth_given="ZOÉ", given_names="ZOÉ MARIE", used_name="D'ORVAL", birth_date="19790328", sex="F",
    birth_place="51215", address="3 rue de l'Église", city="Brest", postal_code="29200", country="FRA",
    phone="+33298000000", mother_name="ÉTÉ",
)  # fmt: skip
SEX = parameter("livingSubjectAdministrativeGender", '<value code="F"/>')
BORN = parameter("livingSubjectBirthTime", '<value value="19790328"/>')
NAME = named("Léger", "Zoé")


class World:
    """An index with one person of two hospitals, and whoever is added."""

    def __init__(self, database: Database) -> None:
        directory = AuthorityDirectory(database=database, configured=(Authority(A, "CHA"), Authority(B, "CHB")))
        self.patients = PatientService(database=database, directory=directory, affinity_domain=REGION)
        self.portions = PortionService(database, self.patients)
        ins = PatientIdentifier("279035121518989", INS)
        for number, root in (("A1", A), ("B1", B)):
            self.add(number, ZOE, root, ins)

    def add(self, number: str, traits: Traits, root: str = A, ins: PatientIdentifier | None = None) -> None:
        identity = Identity(PatientIdentifier(number, root), traits, IdentityStatus.VALIDATED, ins=ins)
        self.patients.feed(FeedIdentity(identity), Context())

    def ask(self, text: str, *, source: str = "", valid: bool = True) -> Any:
        body = etree.fromstring(text.encode())
        assert not valid or problems(body) == []
        message, context = SoapMessage("", body), Context(source=source)
        try:
            command = iti47.decode(message, context)
            answer = iti47.encode(Dispatcher([self.portions])(command, context), message, context)
        except HubError as error:
            answer = iti47.refuse(error, message, context)
        assert answer.body is not None
        element = etree.fromstring(etree.tostring(answer.body))
        assert problems(element) == []
        return element


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def outcome(answer: Any) -> tuple[str, str]:
    return code(answer, "acknowledgement/typeCode"), code(answer, "queryAck/queryResponseCode")


def counts(answer: Any) -> list[str | None]:
    names = ("resultTotalQuantity", "resultCurrentQuantity", "resultRemainingQuantity")
    return [item.get("value") for name in names for item in every(answer, f"queryAck/{name}")]


def test_a_person_with_all_numbers(world: World) -> None:
    answer = world.ask(pdq_query(SEX + BORN + NAME))
    assert (outcome(answer), counts(answer)) == (("AA", "OK"), ["1", "1", "0"])
    numbers = ids(every(answer, "patient/id")) + ids(every(answer, "asOtherIDs/id"))
    assert {("A1", A), ("B1", B), ("279035121518989", INS)} <= set(numbers)
    assert len(numbers) == len(set(numbers))
    assert [item.text for item in every(answer, "patientPerson/name/family")] == ["LÉGER", "D'ORVAL"]
    assert not every(answer, "birthPlace"), "3.47.4.2.2.2 leaves it out"
    assert [item.get("value") for item in every(answer, "queryMatchObservation/value")] == ["100"]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        (BORN, True),
        (NAME, True),
        (named("leger", "marie"), True),
        (named("d orval"), True),
        (named("Lég"), False),
        (named("Lég", use="SRCH"), True),
        (named("Lég*", "Z*"), True),
        (named("Léger", "Léa"), False),
        (named("Léger") + parameter("patientAddress", "<value><city>BREST</city></value>"), True),
        (named("Léger") + parameter("patientAddress", "<value><city>Quimper</city></value>"), False),
        (named("Léger") + parameter("patientAddress", "<value><postalCode>29</postalCode></value>"), True),
        (named("Léger") + parameter("patientTelecom", '<value value="tel:02-98-00-00-00"/>'), True),
        (named("Léger") + parameter("patientTelecom", '<value value="tel:0298000001"/>'), False),
        (named("Léger") + parameter("mothersMaidenName", "<value><family>Ete</family></value>"), True),
        (named("Léger") + parameter("mothersMaidenName", "<value><family>Hiver</family></value>"), False),
        (SEX.replace('"F"', '"M"') + NAME, False),
        (SEX.replace('code="F"', 'nullFlavor="UNK"') + NAME, True),
        (BORN.replace('value="19790328"', 'value="1979"') + NAME, True),
        (BORN.replace("19790328", "19790329") + NAME, False),
        (parameter("livingSubjectBirthTime", '<value><low value="1979"/><high value="1980"/></value>') + NAME, True),
        (parameter("livingSubjectBirthTime", '<value><low value="1980"/></value>') + NAME, False),
        (parameter("livingSubjectId", identifier("B1", B, "value")), True),
        (parameter("livingSubjectId", identifier("B9", B, "value"), identifier("B1", B, "value")), True),
        (parameter("livingSubjectId", identifier("B9", B, "value")), False),
        (parameter("livingSubjectId", identifier("B1", B, "value")) + named("Hiver"), False),
    ],
)
def test_parameters(world: World, parameters: str, found: bool) -> None:
    answer = world.ask(pdq_query(parameters))
    assert outcome(answer) == ("AA", "OK" if found else "NF")
    assert len(every(answer, "registrationEvent")) == found


def test_wanted_domains(world: World) -> None:
    world.add("A7", Traits(birth_name="LEGER", birth_given="ANNE", birth_date="19500101", sex="F"))
    scopes = "".join(parameter("otherIDsScopingOrganization", f'<value root="{root}"/>') for root in (B, INS))
    answer = world.ask(pdq_query(named("Léger") + scopes))
    assert (outcome(answer), counts(answer)) == (("AA", "OK"), ["2", "2", "0"])
    by_family = {}
    for patient in every(answer, "subject1/patient"):
        given = every(patient, "given")[0].text
        by_family[given] = ids(every(patient, "asOtherIDs/id"))
    assert by_family == {"ZOÉ": [("B1", B)], "ANNE": [("", ""), ("", "")]}
    lacking = [item.get("nullFlavor") for item in every(answer, "asOtherIDs/id") if not item.get("extension")]
    assert lacking == ["NA", "NA"]


def test_unknown_domains_are_named(world: World) -> None:
    roots = (B, "1.2.3.4", "1.2.3.5")
    scopes = "".join(parameter("otherIDsScopingOrganization", f'<value root="{root}"/>') for root in roots)
    answer = world.ask(pdq_query(NAME + scopes))
    assert outcome(answer) == ("AE", "AE")
    prefix = "/PRPA_IN201305UV02/controlActProcess/queryByParameter/parameterList/otherIDsScopingOrganization"
    places = [item.text for item in every(answer, "acknowledgementDetail/location")]
    assert places == [f"{prefix}[2]/value", f"{prefix}[3]/value"]
    assert {item.get("code") for item in every(answer, "acknowledgementDetail/code")} == {"204"}
    answer = world.ask(pdq_query(parameter("livingSubjectId", identifier("1", "1.2.3.4", "value"))))
    assert outcome(answer) == ("AE", "AE")


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        (parameter("livingSubjectDeceasedTime", '<value value="2020"/>') + NAME, "livingSubjectDeceasedTime"),
        (NAME + parameter("patientStatusCode", '<value code="active"/>'), "patientStatusCode"),
        (NAME + parameter("principalCareProviderId", identifier("1", A, "value")), "principalCareProviderId"),
        (NAME + parameter("patientTelecom", '<value value="mailto:z@example.org"/>'), "patientTelecom/value"),
        (BORN.replace("19790328", "19791328"), "livingSubjectBirthTime"),
        (BORN.replace('value="19790328"', ""), "livingSubjectBirthTime"),
        (BORN + BORN, "livingSubjectBirthTime[2]"),
        (SEX.replace('"F"', '"X"'), "livingSubjectAdministrativeGender"),
        (parameter("livingSubjectId", '<value root="1.2.3"/>'), "livingSubjectId/value"),
        (NAME + parameter("otherIDsScopingOrganization", '<value root="x"/>'), "otherIDsScopingOrganization/value"),
    ],
)
def test_what_cant_be_asked(world: World, parameters: str, place: str) -> None:
    answer = world.ask(pdq_query(parameters), valid=False)
    assert outcome(answer) == ("AE", "QE")
    (location,) = every(answer, "acknowledgementDetail/location")
    assert str(location.text).endswith(place)
    assert not every(answer, "registrationEvent")


@pytest.mark.parametrize(
    "parameters", ["", named("*"), named("L"), named("", "Zoé"), SEX, SEX + named("*", use="SRCH")]
)
def test_what_says_too_little(world: World, parameters: str) -> None:
    answer = world.ask(pdq_query(parameters))
    assert (outcome(answer), counts(answer)) == (("AE", "QE"), ["0", "0", "0"])


def family(world: World, count: int) -> None:
    for number in range(count):
        given = "".join(chr(ord("A") + int(digit)) for digit in f"{number:03}")
        world.add(f"M{number}", Traits("MARTIN", given, birth_date=f"1980{number % 12 + 1:02}01", sex="M"))


def numbers(answer: Any) -> list[str]:
    return [value for value, root in ids(every(answer, "patient/id") + every(answer, "asOtherIDs/id")) if root == A]


def test_portions(world: World) -> None:
    family(world, 7)
    answer = world.ask(pdq_query(named("Martin"), quantity=3, query="p1"))
    assert (outcome(answer), counts(answer)) == (("AA", "OK"), ["7", "3", "4"])
    seen = numbers(answer)
    answer = world.ask(more("p1", quantity=3))
    assert (outcome(answer), counts(answer)) == (("AA", "OK"), ["7", "3", "1"])
    seen += numbers(answer)
    answer = world.ask(more("p1"))
    assert counts(answer) == ["7", "1", "0"]
    seen += numbers(answer)
    assert sorted(seen) == sorted(f"M{number}" for number in range(7))
    again = world.ask(more("p1", start=4, quantity=3))
    assert (numbers(again), counts(again)) == (seen[3:6], ["7", "3", "1"])
    past = world.ask(more("p1", start=8, quantity=3))
    assert (numbers(past), counts(past)) == ([], ["7", "0", "0"])


def test_the_end_of_an_answer(world: World) -> None:
    family(world, 3)
    world.ask(pdq_query(named("Martin"), quantity=1, query="p2"))
    assert outcome(world.ask(more("p2", quantity=1), source="another")) == ("AE", "AE"), "another asker's"
    answer = world.ask(more("p2", cancel=True))
    assert (answer.tag, code(answer, "acknowledgement/typeCode")) == ("{urn:hl7-org:v3}MCCI_IN000002UV01", "CA")
    answer = world.ask(more("p2", quantity=1))
    assert outcome(answer) == ("AE", "AE")
    (place,) = every(answer, "acknowledgementDetail/location")
    assert place.text == "/QUQI_IN000003UV01/controlActProcess/queryContinuation/queryId"
    assert code(world.ask(more("p2", cancel=True)), "acknowledgement/typeCode") == "CA", "cancelling twice is no error"
    odd = more("p2", cancel=True).replace('"aborted"', '"waitContinuedQueryResponse"')
    assert code(world.ask(odd), "acknowledgement/typeCode") == "CE"


def test_nobody_goes_on_with_another_question_of_the_same_name(world: World) -> None:
    family(world, 3)
    world.ask(pdq_query(named("Martin"), quantity=1, query="p6"))
    world.ask(pdq_query(named("Durand"), quantity=1, query="p6"))
    assert outcome(world.ask(more("p6", quantity=1))) == ("AE", "AE")


def test_an_answer_does_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    family(world, 3)
    monkeypatch.setattr(rooms, "KEPT", -rooms.KEPT)
    world.ask(pdq_query(named("Martin"), quantity=1, query="p3"))
    assert outcome(world.ask(more("p3"))) == ("AE", "AE")


def test_a_former_regional_number_is_not_told_as_one_in_use(world: World) -> None:
    world.add("A2", replace(ZOE, birth_given="ANNE", given_names="ANNE"))
    one, other = (PatientIdentifier(number, A) for number in ("A1", "A2"))
    former = world.patients.get(GetPerson(other), Context()).regional
    world.patients.merge(MergeIdentities(Identity(one, Traits()), other), Context())
    asked = parameter("livingSubjectId", identifier(former.value, former.authority, "value"))
    answer = world.ask(pdq_query(asked))
    regional = [number for number, root in ids(every(answer, "patient/id")) if root == REGION]
    assert regional == [world.patients.get(GetPerson(one), Context()).regional.value]
    assert regional != [former.value]


def test_persons_that_became_one_are_told_once(world: World) -> None:
    same = Traits("MARTIN", "PAUL", birth_date="19700101", sex="M", birth_place="29019")
    other = Traits("MARTIN", "JEAN", birth_date="19710101", sex="M", birth_place="29019")
    world.add("X1", same, A)
    world.add("Y1", other, B)
    world.ask(pdq_query(named("Martin"), quantity=0, query="p4"))
    world.add("Y1", same, B)
    answer = world.ask(more("p4"))
    assert len(every(answer, "registrationEvent")) == 1


def test_too_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    family(world, 4)
    monkeypatch.setattr(rooms, "MOST", 3)
    assert outcome(world.ask(pdq_query(named("Martin")))) == ("AE", "QE")
