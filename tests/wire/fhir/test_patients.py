"""Patient <-> Identity, without a network: the same as PAM-FR gives, nothing of what must not be read or told."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from hub.errors import HubError, Invalid
from hub.patients.feeding_model import ReceiveIdentities
from hub.patients.ins_model import qualify
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, MergeIdentities, Person, Traits
from hub.patients.steward_model import WithdrawIdentity
from hub.testing import hl7
from hub.values import PatientIdentifier
from hub.wire.fhir import patient_reading
from hub.wire.fhir.patient import birth_date, patient
from hub.wire.fhir.patient_feed import feed_of
from hub.wire.fhir.patient_match import match_asked
from hub.wire.fhir.patient_message import message_of
from hub.wire.fhir.patient_search import persons_asked
from hub.wire.fhir.patient_steward import link_asked
from hub.wire.fhir.subscription import subscription_asked
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.pid import identity as pam_identity
from hub.wire.http import HttpRequest
from tests.wire.fhir.fr_core_rules import CORE, INS, PATIENT, broken, status_of

NIR, HOSPITAL = "1.2.250.1.213.1.4.10", "1.2.250.1.999.10.1"
JSON = {"content-type": "application/fhir+json"}
TRAITS = Traits(
    birth_name="LE GOFF",
    birth_given="MARIE-HÉLÈNE",
    given_names="MARIE-HÉLÈNE JEANNE",
    used_name="DUPONT",
    used_given="MARIE",
    birth_date="19790315",
    sex="F",
    birth_place="29019",
    address="3 RUE DE SIAM",
    city="BREST",
    postal_code="29200",
    country="FRA",
    phone="0298000000",
    mother_name="KERMARREC",
)
NUMBER = PatientIdentifier("A-1", HOSPITAL, "PI")


def ins_patient(**changes: Any) -> dict[str, Any]:
    """A qualified identity as FR Core writes it, by hand."""
    reliability = {
        "url": f"{CORE}/StructureDefinition/fr-core-identity-reliability",
        "extension": [
            {
                "url": "identityStatus",
                "valueCoding": {"system": f"{CORE}/CodeSystem/fr-core-cs-identity-status", "code": "VALI"},
            }
        ],
    }
    place = {
        "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
        "valueAddress": {
            "extension": [
                {
                    "url": f"{CORE}/StructureDefinition/fr-core-address-insee-code",
                    "valueCoding": {"system": "https://mos.esante.gouv.fr/NOS/TRE_R13", "code": "29019"},
                }
            ]
        },
    }
    mother = {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "KERMARREC"}
    listed = {
        "url": f"{CORE}/StructureDefinition/fr-core-patient-birth-list-given-name",
        "valueString": "MARIE-HÉLÈNE JEANNE",
    }
    types = ("http://terminology.hl7.org/CodeSystem/v2-0203", f"{CORE}/CodeSystem/fr-core-cs-v2-0203")
    found = {
        "resourceType": "Patient",
        "extension": [reliability, place, mother],
        "identifier": [
            {
                "use": "usual",
                "type": {"coding": [{"system": types[0], "code": "PI"}]},
                "system": f"urn:oid:{HOSPITAL}",
                "value": "A-1",
            },
            {
                "use": "official",
                "type": {"coding": [{"system": types[1], "code": "INS-NIR-TEST"}]},
                "system": f"urn:oid:{NIR}",
                "value": "279035121518989",
            },
        ],
        "active": True,
        "name": [
            {"use": "official", "extension": [listed], "family": "LE GOFF", "given": ["MARIE-HÉLÈNE"]},
            {"use": "usual", "family": "DUPONT", "given": ["MARIE"]},
        ],
        "telecom": [{"system": "phone", "value": "0298000000"}],
        "gender": "female",
        "birthDate": "1979-03-15",
        "address": [
            {"use": "home", "line": ["3 RUE DE SIAM"], "city": "BREST", "postalCode": "29200", "country": "FRA"}
        ],
    }
    return {**copy.deepcopy(found), **changes}


def put(resource: Any, number: str = f"urn:oid:{HOSPITAL}|A-1") -> HttpRequest:
    body = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
    return HttpRequest("PUT", "/fhir/Patient", query=(("identifier", number),), headers=JSON, body=body)


def test_the_same_identity_as_from_pam_fr() -> None:
    ins = hl7.ins("279035121518989", NIR)
    sent = hl7.adt(hl7.Sender(), hl7.Patient(identifier=NUMBER, traits=TRAITS, ins=ins))
    from_pam, from_fhir = pam_identity(Hl7Message.parse(sent)), patient_reading.identity(ins_patient())
    assert from_fhir.traits == from_pam.traits == TRAITS
    assert from_fhir == replace(from_pam, identifier=from_fhir.identifier)
    assert from_fhir.status is IdentityStatus.QUALIFIED
    assert (from_fhir.ins, from_fhir.identifier) == (ins, NUMBER)


@pytest.mark.parametrize("status", ["PROV", "RECUP"])
def test_an_ins_is_kept_of_a_qualified_identity_only(status: str) -> None:
    resource = ins_patient()
    resource["extension"][0]["extension"][0]["valueCoding"]["code"] = status
    found = patient_reading.identity(resource)
    assert (found.status.value, found.others) == (status, ())
    assert qualify(found.status, found.ins) == (found.status, None), "it is read, to be told that it is not kept"


def test_a_social_security_number_is_no_ins() -> None:
    resource = ins_patient()
    nss = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NH"}]}
    resource["identifier"][1] |= {"type": nss, "system": "urn:oid:1.2.250.1.213.1.4.8"}
    found = patient_reading.identity(resource)
    assert (found.status, found.ins, found.others) == (IdentityStatus.VALIDATED, None, ())
    assert patient_reading.identifiers(resource) == (NUMBER,)
    resource = ins_patient()
    resource["identifier"][1]["use"] = "old"
    assert patient_reading.identity(resource).ins is None


def test_attributes_and_names_of_elsewhere() -> None:
    resource = ins_patient()
    resource["extension"][0]["extension"].append(
        {"url": "comment", "valueCodeableConcept": {"coding": [{"code": "HOMO"}, {"code": "FICT"}]}}
    )
    assert patient_reading.identity(resource).attributes == {"HOMO", "FICT"}
    names = [{"use": "official", "family": "DUPONT", "given": ["MARIE"]}, {"use": "maiden", "family": "LE GOFF"}]
    traits = patient_reading.traits({"resourceType": "Patient", "name": names, "birthDate": "1979-03"})
    assert (traits.birth_name, traits.used_name, traits.used_given) == ("LE GOFF", "DUPONT", "MARIE")
    assert traits.birth_date == "197903"
    twins = patient_reading.traits({"name": [{"family": "X", "given": ["A", "B"]}], "multipleBirthInteger": 2})
    assert (twins.birth_given, twins.given_names, twins.multiple_birth) == ("A", "A B", True)


@pytest.mark.parametrize("born", ["1979-02-30", "2021-02-29", "1979-04-31", "0000-01-01", "1979-13", "19790315"])
def test_a_day_that_no_calendar_has_is_refused(born: str) -> None:
    with pytest.raises(Invalid) as refused:
        patient_reading.identity(ins_patient(birthDate=born))
    assert refused.value.location == "Patient.birthDate"


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ("19790315", "1979-03-15"), ("19790300", "1979-03"), ("197903", "1979-03"), ("19790000", "1979"),
        ("19790230", "1979"), ("19791315", "1979"), ("20000229", "2000-02-29"), ("0000", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_birth_date_that_is_told_is_a_day_of_a_calendar(kept: str, told: str) -> None:
    assert birth_date(kept) == told


def test_birth_dates_asked_for_exactly_and_loosely() -> None:
    """FHIR R4: 3.1.1.5.6: eq, sa and eb hold of the whole of a date that is known in part, ge, gt, le, lt of a day."""

    def asked(*values: str) -> tuple[tuple[str, str], tuple[str, str]]:
        query = (("family", "LE GOFF"), *(("birthdate", value) for value in values))
        found = persons_asked(HttpRequest("GET", "/fhir/Patient", query=query))
        return found.born, found.maybe_born

    assert asked("1979-03", "sa1979-03-10") == (("19790311", "19790331"), ("", ""))
    assert asked("ge1979-03-10", "lt1979-04") == (("", ""), ("19790310", "19790331"))
    assert asked("eq1979", "gt1979-03-10") == (("19790101", "19791231"), ("19790311", ""))


REGIONAL = PatientIdentifier("R1", "1.2.250.1.999.1.1")


def person(status: IdentityStatus, *, ins: bool = True, **changes: str) -> Person:
    number = PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.8", "INS") if ins else None
    traits = replace(TRAITS, **changes)  # type: ignore[arg-type]
    identity = Identity(NUMBER, traits, status, ins=number)
    aliases = (PatientIdentifier("R0", REGIONAL.authority),)
    return Person(REGIONAL, traits, status, (identity,), aliases, number)


@pytest.mark.parametrize(
    ("told", "profile"),
    [
        (person(IdentityStatus.QUALIFIED), INS),
        (person(IdentityStatus.QUALIFIED, birth_place=""), PATIENT),
        (person(IdentityStatus.VALIDATED, ins=False), PATIENT),
        (person(IdentityStatus.VALIDATED), PATIENT),  # never so from the index; and still no INS goes out
        (person(IdentityStatus.PROVISIONAL, birth_given="", given_names="", used_name=""), PATIENT),
        (Person(REGIONAL, Traits(), IdentityStatus.PROVISIONAL), PATIENT),
    ],
)
def test_what_is_told_conforms_to_fr_core(told: Person, profile: str) -> None:
    found = patient(told)
    assert profile in found["meta"]["profile"]
    assert broken(found) == []
    assert status_of(found) == told.status.value


def test_the_rules_do_judge() -> None:
    found = patient(person(IdentityStatus.QUALIFIED))
    found["extension"] = found["extension"][:1]
    found["extension"][0]["extension"][0]["valueCoding"]["code"] = "PROV"
    assert len(broken(found)) == 2


def test_what_was_told_reads_back() -> None:
    told = person(IdentityStatus.QUALIFIED)
    found = patient_reading.identity(patient(told), NUMBER)
    assert found.traits == told.traits
    assert (found.ins, found.status) == (told.ins, told.status)


def test_feeds() -> None:
    feed = feed_of(put(ins_patient())).changes[0]
    assert isinstance(feed, FeedIdentity)
    link = [{"type": "replaced-by", "other": {"identifier": {"system": f"urn:oid:{HOSPITAL}", "value": "A-2"}}}]
    merge = feed_of(put(ins_patient(active=False, link=link))).changes[0]
    assert isinstance(merge, MergeIdentities)
    assert (merge.lost, merge.survivor.identifier.value) == (NUMBER, "A-2")
    assert feed_of(put(ins_patient(active=False))) == ReceiveIdentities((WithdrawIdentity(NUMBER),))
    url = feed_of(put({**ins_patient(), "identifier": []}, "http://his.example.org/fhir|Patient/12")).changes[0]
    assert isinstance(url, FeedIdentity)
    assert url.identity.identifier.namespace == "http://his.example.org/fhir"


def test_a_kept_request_can_be_carried_out_again() -> None:
    for request in (put(ins_patient()), HttpRequest("DELETE", "/fhir/Patient", query=put(b"").query, headers=JSON)):
        again = HttpRequest.of_raw(request.raw, JSON)
        assert (again.method, again.query, again.body) == (request.method, request.query, request.body)
    message = HttpRequest("POST", "/fhir/$process-message", headers=JSON, body=b"{}")
    assert HttpRequest.of_raw(message.raw, JSON).body == b"{}"


WRONG: tuple[Any, ...] = (1, [1], [[]], {"a": 1}, "text", [None], [{"value": 1, "system": 2}])
HOSTILE: list[Any] = [
    b"",
    b"[]",
    b"null",
    b'{"resourceType":"Patient"',
    b"[" * 100_000,
    b'{"resourceType":"Patient","name":' + b"[" * 100_000,
    b'{"resourceType":"Patient","name":[{"family":"\\u0000"}]}',
    b"\xff\xfe",
    {"resourceType": "Observation"},
    *(
        {**ins_patient(), name: value}
        for name in (
            *("identifier", "name", "telecom", "address", "extension", "link", "active", "gender", "birthDate"),
            *("multipleBirthBoolean", "multipleBirthInteger", "modifierExtension"),
        )
        for value in WRONG
        if not (name == "multipleBirthInteger" and value == 1)
        and not (name in ("address", "extension", "link") and value == [{"value": 1, "system": 2}])  # nothing wrong
    ),
    ins_patient(identifier=[{"system": f"urn:oid:{HOSPITAL}", "value": "OTHER"}]),
    ins_patient(identifier=[{"system": "urn:oid:nonsense", "value": "1"}]),
    ins_patient(identifier=[{"system": f"urn:oid:{HOSPITAL}", "value": "A-1"}] * 51),
    ins_patient(name=[{"use": "official", "family": "A" * 1000}]),
    ins_patient(name=[{"use": "official", "given": ["A"]}]),
    ins_patient(birthDate="1979-13-01"),
    ins_patient(link=[{"type": "replaced-by", "other": {"reference": "Patient/2"}}]),
]


@pytest.mark.parametrize("resource", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_patients_are_refused(resource: Any) -> None:
    with pytest.raises(HubError) as caught:
        feed_of(put(resource))
    assert "279035121518989" not in str(caught.value)


@pytest.mark.parametrize(
    "number", ["", "A-1", f"urn:oid:{HOSPITAL}|", "urn:oid:x|1", "|A", f"urn:oid:{NIR}|1,2", "ftp|1"]
)
def test_hostile_conditions_are_refused(number: str) -> None:
    with pytest.raises(HubError):
        feed_of(put(ins_patient(), number))


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"resourceType":"Parameters","parameter":1}', b"[" * 100_000])
@pytest.mark.parametrize("read", [match_asked, link_asked, message_of, subscription_asked])
def test_hostile_operations_are_refused(read: Any, body: bytes) -> None:
    with pytest.raises(HubError):
        read(HttpRequest("POST", "/fhir/x", headers=JSON, body=body))


@pytest.mark.parametrize(
    "query",
    [
        (("birthdate", "yesterday"),),
        (("birthdate", "ge1979,lt1980"),),
        (("birthdate", "1979-03-15,1979-02-30"),),
        (("birthdate", ","),),
        (("gender", "f"),),
        (("active", "maybe"),),
        (("identifier", f"urn:oid:{HOSPITAL}|,A"),),
        (("family:contains", "AN"),),
        (("family", ",".join(f"N{number}" for number in range(60))),),
        (("family", "A\0"),),
        (("_count", "-1"),),
    ],
)
def test_hostile_searches_are_refused(query: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Invalid):
        persons_asked(HttpRequest("GET", "/fhir/Patient", query=query))


def test_unknown_parameters_are_ignored_where_the_caller_wants_it() -> None:
    query = (("family", "DURAND"), ("colour", "red"))
    asked = HttpRequest("GET", "/fhir/Patient", query=query, headers={"prefer": "handling=lenient"})
    assert persons_asked(asked) == persons_asked(HttpRequest("GET", "/fhir/Patient", query=query[:1]))
    with pytest.raises(Invalid):
        persons_asked(replace(asked, headers={"prefer": "handling=strict"}))
