"""PIX and PDQ against the real patient index; hl7apy referees what we answer."""

from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from hub.context import Context
from hub.errors import HubError
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import Authority, FeedIdentity, FindPersons, Traits
from hub.patients.portions import PortionService
from hub.patients.portions_model import Asked, AskedName, QueryDemographics
from hub.patients.service import PatientService
from hub.patients.visits import VisitService
from hub.storage.engine import Database
from hub.testing.hl7 import Patient, Sender, adt, ins, local, merge, pdq_query, pix_query
from hub.usecase import Dispatcher
from hub.values import PatientIdentifier
from hub.wire.hl7v2.feed import feed
from hub.wire.hl7v2.message import Hl7Message
from profiles.pdq import iti21_patient_demographics_query as iti21
from profiles.pix import iti9_pix_query as iti9

REGION, A, B = "1.2.250.1.999.1.1", "1.2.250.1.999.2.1", "1.2.250.1.999.2.2"
TRAITS = Traits(
    birth_name="LÉGER", birth_given="ZOÉ", given_names="ZOÉ MARIE", birth_date="19790328", sex="F", birth_place="51215"
)
INS = ins("279035121518989")
ASKING = Sender(application="PORTAL", facility="B", charset="8859/15")


def service(database: Database) -> PatientService:
    configured = (Authority(A, "CHA"), Authority(B, "CHB"))
    directory = AuthorityDirectory(database=database, configured=configured)
    patients = PatientService(database=database, directory=directory, affinity_domain=REGION)
    for number, authority, namespace in (("A1", A, "CHA"), ("B1", B, "CHB")):
        known = Patient(identifier=local(number, namespace, authority), traits=TRAITS, ins=INS)
        patients.feed(_feed(adt(Sender(), known)), Context())
    return patients


def asked(patients: PatientService) -> Dispatcher:
    """Every use case that questions are for."""
    portions = PortionService(patients.database, patients)
    return Dispatcher(
        [patients, portions, VisitService(database=patients.database, patients=patients, portions=portions)]
    )


def _feed(raw: bytes) -> FeedIdentity:
    command = feed(Hl7Message.parse(raw))
    assert isinstance(command, FeedIdentity)
    return command


def referee(raw: bytes) -> None:
    """hl7apy reads the answer and finds every segment where the standard's structure has it."""
    text = raw.decode("iso8859-15")
    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT)
    names = [line[:3] for line in text.split("\r") if line]
    assert [segment.name for segment in _leaves(parsed)] == names


def _leaves(element: Any) -> list[Any]:
    found: list[Any] = []
    for child in element.children:
        found += [child] if child.classname == "Segment" else _leaves(child)
    return found


def ask(module: object, handler: object, raw: bytes) -> Hl7Message:
    message = Hl7Message.parse(raw)
    context = Context()
    try:
        answer = module.encode(handler(module.decode(message, context), context), message, context)  # type: ignore
    except HubError as error:
        answer = module.refuse(error, message, context)  # type: ignore[attr-defined]
    referee(answer)
    return Hl7Message.parse(answer)


def test_pix_finds_the_numbers_of_a_domain(database: Database) -> None:
    patients = service(database)
    query = pix_query(ASKING, local("A1", "CHA", A), [("CHB", B)])
    reply = ask(iti9, patients.cross_reference, query)
    assert reply.event == "RSP^K23"
    assert reply.require("MSA").value(1) == "AA"
    assert reply.require("QAK").value(2) == "OK"
    assert reply.require("QAK").value(1) == Hl7Message.parse(query).require("QPD").value(2)
    assert reply.require("QPD").text == Hl7Message.parse(query).require("QPD").text
    assert [item.text for item in reply.require("PID").repetitions(3)] == [f"B1^^^CHB&{B}&ISO^PI"]


def test_pix_without_domains_gives_all(database: Database) -> None:
    reply = ask(iti9, service(database).cross_reference, pix_query(ASKING, local("A1", "CHA", A)))
    assert {item.value(4, 2) for item in reply.require("PID").repetitions(3)} == {REGION, INS.authority, B}


def test_pix_nothing_in_the_domain(database: Database) -> None:
    reply = ask(iti9, service(database).cross_reference, pix_query(ASKING, local("A1", "CHA", A), [("CHA", A)]))
    assert (reply.require("MSA").value(1), reply.require("QAK").value(2)) == ("AA", "NF")
    assert reply.first("PID") is None


@pytest.mark.parametrize(
    ("identifier", "domains", "location"),
    [
        (local("ZZ", "CHA", A), [], "QPD^1^3^1^1"),
        (local("A1", "NO", "1.2.3"), [], "QPD^1^3^1^4"),
        (local("A1", "CHA", A), [("CHB", B), ("NO", "1.2.3")], "QPD^1^4^2"),
    ],
)
def test_pix_errors_name_their_place(
    database: Database, identifier: PatientIdentifier, domains: list[tuple[str, str]], location: str
) -> None:
    reply = ask(iti9, service(database).cross_reference, pix_query(ASKING, identifier, domains))
    assert (reply.require("MSA").value(1), reply.require("QAK").value(2)) == ("AE", "AE")
    assert reply.require("ERR").field(2) == location
    assert reply.require("ERR").value(3) == "204"
    assert reply.first("PID") is None


def test_pix_names_every_domain_that_it_does_not_know(database: Database) -> None:
    domains = [("NO", "1.2.3"), ("CHB", B), ("NOBODY", ""), ("NEITHER", "1.2.33")]
    reply = ask(iti9, service(database).cross_reference, pix_query(ASKING, local("A1", "CHA", A), domains))
    told = [(err.field(2), err.value(3), err.value(4)) for err in reply.all("ERR")]
    assert told == [(f"QPD^1^4^{number}", "204", "E") for number in (1, 3, 4)]


def test_pix_without_an_identifier(database: Database) -> None:
    raw = pix_query(ASKING, local("A1", "CHA", A)).replace(f"A1^^^CHA&{A}&ISO^PI".encode(), b"")
    reply = ask(iti9, service(database).cross_reference, raw)
    assert reply.require("ERR").field(2) == "QPD^1^3"
    assert reply.require("ERR").value(3) == "101"


def test_pix_asks_for_one_number(database: Database) -> None:
    one = f"A1^^^CHA&{A}&ISO^PI"
    raw = pix_query(ASKING, local("A1", "CHA", A)).replace(one.encode(), f"{one}~{one}".encode())
    reply = ask(iti9, service(database).cross_reference, raw)
    assert (reply.require("MSA").value(1), reply.require("ERR").field(2)) == ("AE", "QPD^1^3")


def test_pix_domains_by_their_namespace(database: Database) -> None:
    raw = pix_query(ASKING, local("A1", "CHA", A), [("CHB", B)]).replace(f"^^^CHB&{B}&ISO".encode(), b"^^^CHB")
    reply = ask(iti9, service(database).cross_reference, raw)
    assert [item.value(1) for item in reply.require("PID").repetitions(3)] == ["B1"]


def test_pdq_by_name_and_birth_date(database: Database) -> None:
    criteria = {"@PID.5.1.1": "leg*", "@PID.7.1": "19790328"}
    reply = ask(iti21, asked(service(database)), pdq_query(ASKING, criteria, [("CHB", B)]))
    assert reply.event == "RSP^K22"
    assert reply.require("QAK").value(2) == "OK"
    assert [reply.require("QAK").value(number) for number in (4, 5, 6)] == ["1", "1", "0"]
    pid = reply.require("PID")
    assert [item.value(1) for item in pid.repetitions(3)] == ["B1"]
    assert (pid.value(5), pid.value(5, 2), pid.value(5, 3)) == ("LÉGER", "ZOÉ", "ZOÉ MARIE")
    assert (pid.value(7), pid.value(8), pid.value(32)) == ("19790328", "F", "VALI")
    assert pid.repetitions(11)[0].value(9) == "51215"


def test_pdq_by_identifier(database: Database) -> None:
    reply = ask(iti21, asked(service(database)), pdq_query(ASKING, {"@PID.3.1": "B1", "@PID.3.4.2": B}))
    assert {item.value(1) for item in reply.require("PID").repetitions(3)} >= {"A1", "B1", INS.value}


def test_pdq_nobody(database: Database) -> None:
    reply = ask(iti21, asked(service(database)), pdq_query(ASKING, {"@PID.5.1": "NOBODY"}))
    assert (reply.require("MSA").value(1), reply.require("QAK").value(2)) == ("AA", "NF")
    assert reply.require("QAK").value(4) == "0"


def test_pdq_pages(database: Database) -> None:
    patients = service(database)
    for number in range(5):
        traits = Traits(birth_name=f"PAGE{number}", birth_given="X", birth_date=f"199{number}0101", sex="M")
        known = Patient(identifier=local(f"P{number}", "CHA", A), traits=traits)
        patients.feed(_feed(adt(Sender(), known)), Context())
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        reply = ask(iti21, asked(patients), pdq_query(ASKING, {"@PID.5.1.1": "PAGE"}, limit=2, cursor=cursor))
        seen += [pid.value(5) for pid in reply.all("PID")]
        dsc = reply.first("DSC")
        cursor = dsc.value(1) if dsc else ""
    assert seen == [f"PAGE{number}" for number in range(5)]
    assert cursor == ""


@pytest.mark.parametrize(
    ("criteria", "domains", "location", "condition"),
    [
        ({"@PID.5.1.1": "LEGER"}, [("NO", "1.2.3")], "QPD^1^8^1", "204"),
        ({"@PID.26": "FRA"}, [], "QPD^1^3^1^1", "103"),
        ({"@PID.5.1.1": "LEGER", "nonsense": "1"}, [], "QPD^1^3^2^1", "103"),
        ({"@PID.5.1.1": "LEGER", "@PID.7.1": "1979-03"}, [], "QPD^1^3^2^2", "102"),
        ({"@PID.8": "X"}, [], "QPD^1^3^1^2", "103"),
        ({"@PID.3.1": "1", "@PID.3.4.2": "x"}, [], "QPD^1^3", "102"),
        ({"@PID.5.1.1": ""}, [], "QPD^1^3", "101"),
        ({"@PID.5.1.1": "L"}, [], "QPD^1^3", "102"),
    ],
)
def test_pdq_errors_name_their_place(
    database: Database, criteria: dict[str, str], domains: list[tuple[str, str]], location: str, condition: str
) -> None:
    reply = ask(iti21, asked(service(database)), pdq_query(ASKING, criteria, domains))
    assert (reply.require("MSA").value(1), reply.require("QAK").value(2)) == ("AE", "AE")
    assert reply.require("ERR").field(2) == location
    assert reply.require("ERR").value(3) == condition


def test_pdq_command() -> None:
    raw = pdq_query(ASKING, {"@PID.3.1": "7", "@PID.5.2": "zo*", "@PID.11.5": "51100"}, limit=1000)
    assert iti21.decode(Hl7Message.parse(raw), Context()) == FindPersons(
        identifier_value="7", given="zo", postal_code="51100", limit=200
    )
    raw = pdq_query(ASKING, {"@PID.5.1.1": "leg*", "@PID.7.1": "19790328", "@PID.6": "PETIT", "@PID.13": "0102030405"})
    message = Hl7Message.parse(raw)
    traits = Traits(mother_name="PETIT", phone="0102030405")
    names = (AskedName("leg", loose=True),)
    assert iti21.decode(message, Context()) == QueryDemographics(
        Asked(names, born=("19790328", "19790328"), traits=traits), query=message.require("QPD").value(2), quantity=50
    )


def test_merge_command() -> None:
    survivor = Patient(identifier=local("A1", "CHA", A), traits=TRAITS)
    command = feed(Hl7Message.parse(merge(Sender(), survivor, local("A2", "CHA", A))))
    assert command.lost == PatientIdentifier("A2", A)  # type: ignore[union-attr]
