"""PIXV3 against the real patient index: what a source feeds, what a consumer asks; every message by HL7's schemas."""

from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from hub.context import Context
from hub.errors import HubError
from hub.patients.authorities import AuthorityDirectory
from hub.patients.errors import UnknownIdentifier
from hub.patients.model import (
    Authority,
    FeedIdentity,
    GetPerson,
    Identity,
    IdentityStatus,
    MergeIdentities,
    Traits,
)
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.testing.hl7 import Patient, Sender, adt, ins, local
from hub.usecase import Dispatcher
from hub.values import PatientIdentifier
from hub.wire.hl7v2.feed import feed as feed_v2
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.registration import read_registration
from hub.wire.soap.message import SoapMessage
from profiles.pixv3 import iti44_patient_identity_feed as iti44
from profiles.pixv3 import iti45_pix_query as iti45
from tests.wire.hl7v3 import messages
from tests.wire.hl7v3.messages import ADD, DETAILS, REVISE, ZOE, code, every, feed, ids, person
from tests.wire.hl7v3.schemas import problems

REGION, A, B, INS = "1.2.250.1.999.1.1", "1.2.250.1.999.2.1", "1.2.250.1.999.2.2", "1.2.250.1.213.1.4.8"
MATRICULE = "279035121518989"
NUMBER = messages.other(MATRICULE, INS)


def patients(database: Database, *, unstated: IdentityStatus = IdentityStatus.PROVISIONAL) -> PatientService:
    configured = (Authority(A, "CHA", unstated=unstated), Authority(B, "CHB"))
    directory = AuthorityDirectory(database=database, configured=configured)
    return PatientService(database=database, directory=directory, affinity_domain=REGION)


def tell(service: PatientService, transaction: ModuleType, text: str) -> Any:
    """The answer's element, as the pipeline would give it; question and answer are valid by the schemas."""
    body = etree.fromstring(text.encode())
    assert problems(body) == []
    answer = answered(service, transaction, body)
    assert problems(answer) == []
    return answer


def answered(service: PatientService, transaction: ModuleType, body: Any) -> Any:
    message, context = SoapMessage("", body), Context()
    try:
        outcome = Dispatcher([service])(transaction.decode(message, context), context)
    except HubError as error:
        return etree.fromstring(etree.tostring(transaction.refuse(error, message, context).body))
    return etree.fromstring(etree.tostring(transaction.encode(outcome, message, context).body))


def acknowledged(answer: Any) -> str:
    return code(answer, "acknowledgement/typeCode")


def known(service: PatientService, number: str, root: str = A) -> Identity:
    whole = service.get(GetPerson(PatientIdentifier(number, root)), Context())
    return next(item for item in whole.identities if item.identifier == PatientIdentifier(number, root))


def test_a_patient_is_added_and_revised(database: Database) -> None:
    service = patients(database)
    added = person("A1", A, others=NUMBER, after=messages.status("VALI"))
    assert acknowledged(tell(service, iti44, feed(ADD, added))) == "CA"
    identity = known(service, "A1")
    assert identity.status is IdentityStatus.QUALIFIED
    assert identity.ins == PatientIdentifier(MATRICULE, INS)
    assert identity.traits.birth_place == "51215"
    revised = person("A1", A, name=ZOE.replace("LÉGER", "LEGER"), after=messages.status("PROV", "FICT"))
    assert acknowledged(tell(service, iti44, feed(REVISE, revised))) == "CA"
    identity = known(service, "A1")
    assert (identity.traits.birth_name, identity.status, identity.ins) == ("LEGER", IdentityStatus.PROVISIONAL, None)
    assert identity.attributes == {"FICT"}


def test_version_2_and_3_tell_the_same_identity(database: Database) -> None:
    service = patients(database)
    traits = Traits(
        birth_name="LÉGER", birth_given="ZOÉ", given_names="ZOÉ MARIE", used_name="D'ORVAL", used_given="ZOÉ",
        birth_date="19790328", sex="F", birth_place="51215", address="3 rue de l'Église", city="Brest",
        postal_code="29200", country="FRA", phone="+33298000000", mother_name="ÉTÉ",
    )  # fmt: skip
    passport = PatientIdentifier("P-9", "1.2.250.1.999.77")
    said = Patient(identifier=local("X1", "CHA", A), traits=traits, ins=ins(MATRICULE, INS), others=(passport,))
    command = feed_v2(Hl7Message.parse(adt(Sender(), said)))
    assert isinstance(command, FeedIdentity)
    numbers = NUMBER + messages.other("P-9", "1.2.250.1.999.77")
    alone = DETAILS.replace('<multipleBirthInd value="true"/>', "")
    text = feed(ADD, person("X1", A, details=alone, others=numbers, after=messages.status("VALI")))
    body = etree.fromstring(text.encode())
    read = iti44.decode(SoapMessage("", body), Context())
    assert isinstance(read, FeedIdentity)
    one, other = (service.received(item.identity, Context(), stated=item.stated) for item in (command, read))
    assert one.traits == other.traits
    assert (one.identifier, one.status, one.attributes, one.ins, one.others) == (
        other.identifier, other.status, other.attributes, other.ins, other.others,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "known_of_it"), [("19790230", "1979"), ("19790300", "197903"), ("19790000", "1979"), ("197903", "197903")]
)
def test_a_birth_date_that_is_known_in_part(database: Database, said: str, known_of_it: str) -> None:
    """As in version 2 (PAM-FR): what is not known is left out, a day that no calendar has leaves the year."""
    service = patients(database)
    tell(service, iti44, feed(ADD, person("A1", A, details=DETAILS.replace("19790328", said))))
    assert known(service, "A1").traits.birth_date == known_of_it


def test_what_no_status_means_its_authority_says(database: Database) -> None:
    closed, trusting = patients(database), patients(database, unstated=IdentityStatus.VALIDATED)
    tell(closed, iti44, feed(ADD, person("A1", A, others=NUMBER)))
    assert (known(closed, "A1").status, known(closed, "A1").ins) == (IdentityStatus.PROVISIONAL, None)
    tell(trusting, iti44, feed(REVISE, person("A1", A, others=NUMBER)))
    assert known(trusting, "A1").status is IdentityStatus.QUALIFIED
    tell(trusting, iti44, feed(REVISE, person("A1", A, others=NUMBER, after=messages.status("PROV"))))
    assert (known(closed, "A1").status, known(closed, "A1").ins) == (IdentityStatus.PROVISIONAL, None)


def test_a_merge(database: Database) -> None:
    service = patients(database)
    for number in ("A1", "A2"):
        tell(service, iti44, feed(ADD, person(number, A)))
    assert acknowledged(tell(service, iti44, messages.merge("A1", "A2", A))) == "CA"
    one, other = (service.get(GetPerson(PatientIdentifier(number, A)), Context()) for number in ("A1", "A2"))
    assert one.regional == other.regional
    assert known(service, "A1").traits.birth_name == "LÉGER", "a merge without a name takes none away"


def test_what_is_not_kept_is_told(database: Database) -> None:
    """As the HL7 v2 feed does: CA, and a warning."""

    def warned(text: str) -> list[tuple[str | None, str | None]]:
        answer = tell(service, iti44, text)
        assert acknowledged(answer) == "CA"
        rows = every(answer, "acknowledgementDetail")
        assert [len(every(answer, f"acknowledgementDetail/{name}")) for name in ("text", "location")] == [len(rows)] * 2
        return [(row.get("typeCode"), item.get("code")) for row in rows for item in row.findall("{*}code")]

    service = patients(database)
    assert warned(feed(ADD, person("A1", A, others=NUMBER, after=messages.status("VALI")))) == []
    assert warned(feed(ADD, person("A2", A))) == []
    assert warned(messages.merge("A1", "A2", A)) == []
    for interaction in (ADD, REVISE):
        assert warned(feed(interaction, person("A2", A))) == [("W", "204")], "a number that is in use no more"
    assert warned(feed(ADD, person("A3", A, others=NUMBER))) == [("W", "SYN103")], "not qualified"
    mistyped = messages.other("279035121518988", INS)
    assert warned(feed(ADD, person("A4", A, others=mistyped, after=messages.status("VALI")))) == [("W", "SYN103")]


@pytest.mark.parametrize(
    ("text", "location", "detail"),
    [
        (messages.merge("A1", "A1", A), "priorRegisteredRole/id", "SYN100"),
        (feed(messages.MERGE, person("A1", A), replaced=messages.identifier("B1", B)), "priorRegisteredRole/id", "SYN"),
        (feed(ADD, person("Q1", "1.2.3.4")), "//subject1/patient/id", "204"),
        (feed(ADD, person("A1", A, name="<name/>")), "patientPerson/name", "SYN100"),
        (feed(ADD, person("A1", A, details=DETAILS.replace("19790328", "19791328"))), "patientPerson/birthTime", ""),
        (feed(ADD, person("A1", A, others=messages.other("1", "1.02"))), "asOtherIDs/id", "SYN100"),
        (feed(ADD, person(MATRICULE, INS)), "patient/id", "SYN100"),
    ],
)
def test_what_a_feed_is_refused_for(database: Database, text: str, location: str, detail: str) -> None:
    service = patients(database)
    answer = answered(service, iti44, etree.fromstring(text.encode()))
    assert problems(answer) == []
    assert acknowledged(answer) == "CE"
    (told,) = every(answer, "acknowledgementDetail/location")
    assert str(told.text).endswith(location)
    assert code(answer, "acknowledgementDetail/code").startswith(detail)
    assert b"LEGER" not in etree.tostring(answer)
    with pytest.raises(UnknownIdentifier):
        known(service, "A1")


def test_hostile_content_is_named_not_repeated() -> None:
    long = "9" * 300
    bad = (
        feed(ADD, person(long, A)),
        feed(ADD, person("A1", A, name=f"<name><family>{long}</family></name>")),
        feed(ADD, person("A1", A, after=messages.status(long))),
        feed(ADD, person("A1", A, others=messages.other("1", "1.2.3") * 101)),
        feed(ADD, person("A1", A)).replace("<subject typeCode", "<subject/><subject typeCode"),
        feed(ADD, person("A1", A), replaced=messages.identifier("A2", A)),
        feed(ADD, person("A1", A)).replace('extension="PRPA_IN201301UV02"', 'extension="PRPA_IN201302UV02"'),
        messages.merge("A1", "A2", A).replace("priorRegisteredRole", "x"),
    )
    for text in bad:
        with pytest.raises(Hl7v3Invalid) as caught:
            read_registration(etree.fromstring(text.encode()))
        assert caught.value.location
        assert long not in caught.value.message + caught.value.location


def test_a_sex_that_nobody_knows() -> None:
    unknown = DETAILS.replace(f'code="F" codeSystem="{messages.GENDERS}"', 'nullFlavor="UNK"')
    body = etree.fromstring(feed(ADD, person("A1", A, details=unknown)).encode())
    assert read_registration(body).identity.traits.sex == "U"


def test_a_merge_of_two_is_one_command() -> None:
    body = etree.fromstring(messages.merge("A1", "A2", A).encode())
    command = iti44.decode(SoapMessage("", body), Context())
    assert isinstance(command, MergeIdentities)
    assert (command.survivor.identifier.value, command.lost.value, command.stated) == ("A1", "A2", False)


def cross_referenced(database: Database) -> PatientService:
    service = patients(database)
    for number, root in (("A1", A), ("B1", B), ("B2", B)):
        tell(service, iti44, feed(ADD, person(number, root, others=NUMBER, after=messages.status("VALI"))))
    tell(service, iti44, messages.merge("B1", "B2", B))
    return service


def test_pix_query_finds_numbers(database: Database) -> None:
    service = cross_referenced(database)
    answer = tell(service, iti45, messages.pix_query("A1", A))
    assert (acknowledged(answer), code(answer, "queryAck/queryResponseCode")) == ("AA", "OK")
    assert len(every(answer, "registrationEvent")) == 1
    found = ids(every(answer, "patient/id")) + ids(every(answer, "asOtherIDs/id"))
    assert len(found) == len(set(found))
    assert {("B1", B), (MATRICULE, INS)} <= set(found)
    assert ("A1", A) not in found, "who asks knows the number that was asked for"
    assert every(answer, "queryByParameter/parameterList/patientIdentifier"), "the question is repeated"
    answer = tell(service, iti45, messages.pix_query("A1", A, [B]))
    assert ids(every(answer, "patient/id")) == [("B1", B)]
    assert not every(answer, "asOtherIDs")


def test_pix_query_finds_nothing(database: Database) -> None:
    service = patients(database)
    tell(service, iti44, feed(ADD, person("A1", A)))
    answer = tell(service, iti45, messages.pix_query("A1", A, [B]))
    assert (acknowledged(answer), code(answer, "queryAck/queryResponseCode")) == ("AA", "NF")
    assert not every(answer, "registrationEvent")


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        (("NOBODY", A, []), ["/patientIdentifier/value"]),
        (("A1", "1.2.3.4", []), ["/patientIdentifier/value"]),
        (("A1", A, [B, "1.2.3.4", "1.2.3.5"]), ["/dataSource[2]/value", "/dataSource[3]/value"]),
    ],
)
def test_pix_query_names_what_it_does_not_know(
    database: Database, asked: tuple[str, str, list[str]], places: list[str]
) -> None:
    service = patients(database)
    tell(service, iti44, feed(ADD, person("A1", A)))
    answer = tell(service, iti45, messages.pix_query(*asked))
    assert (acknowledged(answer), code(answer, "queryAck/queryResponseCode")) == ("AE", "AE")
    prefix = "/PRPA_IN201309UV02/controlActProcess/queryByParameter/parameterList"
    assert [item.text for item in every(answer, "acknowledgementDetail/location")] == [prefix + end for end in places]
    assert {item.get("code") for item in every(answer, "acknowledgementDetail/code")} == {"204"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('code="new"', 'code="aborted"'),
        ('<value root="1.2.250.1.999.2.1" extension="A1"/>', '<value root="1.2.250.1.999.2.1"/>'),
        ('<value root="1.2.250.1.999.2.2"/>', '<value root="1.2.250.1.999.2.2" extension="B"/>'),
        ('<value root="1.2.250.1.999.2.2"/>', '<value root="urn:x"/>'),
        ("<patientIdentifier>", "<patientIdentifier><value/></patientIdentifier><patientIdentifier>"),
    ],
)
def test_pix_query_that_breaks_a_rule(database: Database, old: str, new: str) -> None:
    text = messages.pix_query("A1", A, [B])
    assert old in text
    answer = answered(patients(database), iti45, etree.fromstring(text.replace(old, new).encode()))
    assert (acknowledged(answer), code(answer, "queryAck/queryResponseCode")) == ("AE", "QE")
    assert every(answer, "acknowledgementDetail/location")


def test_the_registry_takes_the_feed_too() -> None:
    wanted = {(path, name) for path in ("/pix/manager", "/xds/registry") for name in ("1301", "1302", "1304")}
    assert {(item.path, item.action[-8:-4]) for item in iti44.TRANSACTION.bindings} == wanted  # type: ignore[union-attr]
