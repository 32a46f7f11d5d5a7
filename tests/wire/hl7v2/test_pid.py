import pytest

from hub.patients.model import IdentityStatus, Person, Traits
from hub.testing.hl7 import Patient, Sender, adt, ins, local
from hub.values import PatientIdentifier
from hub.wire.hl7v2.errors import DataTypeError, FieldMissing, Hl7Invalid, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.pid import identity, person_segment

IPP = local("123", "CHA", "1.2.250.1.999.2.1")
INS = ins("279035121518989")
TRAITS = Traits(
    birth_name="PAT-TROIS",
    birth_given="DOMINIQUE",
    given_names="DOMINIQUE MARIE-LOUISE",
    used_name="O'BRIEN & FILS",
    used_given="DOMI",
    birth_date="19790328",
    sex="F",
    birth_place="51215",
    address="1 rue de l'Église",
    city="REIMS",
    postal_code="51100",
    country="FRA",
    phone="0612345678",
)


def read(patient: Patient, **changes: str) -> Hl7Message:
    raw = adt(Sender(), patient).decode()
    for old, new in changes.items():
        raw = raw.replace(old, new)
    return Hl7Message.parse(raw.encode())


def pid(text: str) -> Hl7Message:
    return Hl7Message.parse(f"MSH|^~\\&|H|A|||2026||ADT^A28|1|P|2.5\r{text}\r".encode())


def test_french_form_round_trip() -> None:
    found = identity(read(Patient(identifier=IPP, traits=TRAITS, ins=INS)))
    assert found.identifier == IPP
    assert found.identifier.namespace == "CHA"
    assert found.traits == TRAITS
    assert found.status is IdentityStatus.QUALIFIED
    assert found.ins == INS


@pytest.mark.parametrize(
    ("said", "with_ins", "status", "kept"),
    [
        ("VALI", True, IdentityStatus.QUALIFIED, True),
        ("QUAL", True, IdentityStatus.QUALIFIED, True),
        ("VALI", False, IdentityStatus.VALIDATED, False),
        ("QUAL", False, IdentityStatus.VALIDATED, False),
        ("RECUP", True, IdentityStatus.RETRIEVED, False),
        ("PROV", True, IdentityStatus.PROVISIONAL, False),
        ("", True, IdentityStatus.PROVISIONAL, False),
        ("HOMO~VALI", True, IdentityStatus.QUALIFIED, True),
        ("DOUT~VALI", True, IdentityStatus.PROVISIONAL, False),
        ("QUAL~FICT", True, IdentityStatus.PROVISIONAL, False),
    ],
)
def test_status(said: str, with_ins: bool, status: IdentityStatus, kept: bool) -> None:
    found = identity(read(Patient(identifier=IPP, traits=TRAITS, ins=INS if with_ins else None, status=said)))
    assert found.status is status
    assert (found.ins is not None) == kept


def test_attributes() -> None:
    found = identity(read(Patient(identifier=IPP, traits=TRAITS, status="PROV~FICT~HOMO")))
    assert found.attributes == {"FICT", "HOMO"}


def test_an_ins_without_its_oid_is_not_kept() -> None:
    found = identity(
        pid("PID|||1^^^A&1.2.3&ISO^PI~279035121518989^^^ASIP-SANTE-INS-NIR^INS||X|||||||||||||||||||||||||||VALI")
    )
    assert found.ins is None
    assert found.status is IdentityStatus.VALIDATED
    assert found.others == ()


def test_international_form() -> None:
    found = identity(pid("PID|||9^^^&1.2.3&ISO~N-1^^^NAT&1.9&ISO^NH||DOE^JOHN^Q||19700102030405.1+0100|M"))
    assert found.identifier == PatientIdentifier("9", "1.2.3")
    assert found.others == (PatientIdentifier("N-1", "1.9"),)
    assert (found.traits.birth_name, found.traits.birth_given, found.traits.birth_date) == ("DOE", "JOHN", "19700102")
    assert found.status is IdentityStatus.PROVISIONAL


def test_namespace_without_oid() -> None:
    found = identity(pid("PID|||9^^^CHA^PI||DOE"))
    assert found.identifier.authority == ""
    assert found.identifier.namespace == "CHA"


def test_maiden_name_is_the_birth_name() -> None:
    found = identity(pid("PID|||9^^^CHA^PI||WIFE^ANN^^^^^L~BORN^ANN^^^^^M"))
    assert (found.traits.birth_name, found.traits.used_name) == ("BORN", "WIFE")


@pytest.mark.parametrize(
    ("text", "kind", "location"),
    [
        ("PID|1||||X", FieldMissing, "PID-3"),
        ('PID|1||""||X', FieldMissing, "PID-3"),
        ("PID|||^^^A&1.2.3&ISO^PI||X", FieldMissing, "PID-3.1"),
        ("PID|||2^^^X&1.2.250.1.213.1.4.8&ISO^INS||X", FieldMissing, "PID-3"),
        ("PID|||1^^^A&one&ISO^PI||X", DataTypeError, "PID-3.4.2"),
        ("PID|||1^^^A^PI", FieldMissing, "PID-5"),
        ("PID|||1^^^A^PI||^JOHN", FieldMissing, "PID-5"),
        ("PID|||1^^^A^PI||X||1970-01-02", DataTypeError, "PID-7"),
        ("PID|||1^^^A^PI||X|||Q", TableValueUnknown, "PID-8"),
    ],
)
def test_refusals_name_the_field(text: str, kind: type[Hl7Invalid], location: str) -> None:
    with pytest.raises(kind) as caught:
        identity(pid(text))
    assert caught.value.location == location


def test_partly_known_birth_dates() -> None:
    known = {"1979": "1979", "197900": "1979", "19790000": "1979", "19790300": "197903", "197903": "197903"}
    lunar = {"19800230": "1980", "19501330": "1950", "19500631": "1950", "195020": "1950", "19790031": "1979"}
    times = {"197903150830": "19790315", "19790315083000+0100": "19790315", "": ""}
    for text, kept in {**known, **lunar, **times}.items():
        assert identity(pid(f"PID|||1^^^A^PI||X||{text}")).traits.birth_date == kept, text


@pytest.mark.parametrize("text", ["79", "1979-03-15", "15/03/1979", "197903151", "1979031525", "19800230x", "ABCD"])
def test_what_is_no_birth_date(text: str) -> None:
    with pytest.raises(DataTypeError) as caught:
        identity(pid(f"PID|||1^^^A^PI||X||{text}"))
    assert caught.value.location == "PID-7"


def test_person_segment_reads_back() -> None:
    person = Person(PatientIdentifier("R1", "1.2.250.1.999.1.1"), TRAITS, IdentityStatus.QUALIFIED)
    text = person_segment(1, person, [person.regional])
    found = identity(pid(text))
    assert found.traits == TRAITS
    assert found.identifier == person.regional
    assert found.status is IdentityStatus.VALIDATED
