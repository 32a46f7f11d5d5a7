"""Two communities with patient numbers of their own and a third that is down: a person is discovered, then read.

What region 2 knows of the person are its own identifier and the traits; everything else comes over sockets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from lxml import etree
from pydicom import dcmread

from hub.app.settings.regional import derived_oid
from hub.imaging.model import Study
from hub.patients.model import Traits
from hub.testing.dicom import Label, relabelled
from hub.testing.hl7 import Patient, Sender, adt, local, pix_query
from hub.testing.ports import free_port
from hub.testing.sandbox import SandboxProcess
from hub.testing.simulators.dicomweb import DicomwebSimulator
from tests.interop import test_communities as gateways
from tests.interop.by_hand import Answer, Entry, Integrator, Set
from tests.interop.test_communities import find, homes, images, retrieve, urn, wanted
from tests.wire.hl7v3.schemas import problems

pytestmark = pytest.mark.interop
NORTH, SOUTH, DOWN = "1.2.250.1.999.82", "1.2.250.1.999.83", "1.2.250.1.999.84"
DOMAINS = {NORTH: f"{NORTH}.9", SOUTH: f"{SOUTH}.9"}
HOSPITALS = {NORTH: f"{NORTH}.10", SOUTH: f"{SOUTH}.10"}
REPOSITORIES = {NORTH: f"{NORTH}.1", SOUTH: f"{SOUTH}.1"}
ZOE = Traits(
    birth_name="LÉGER", birth_given="ZOÉ", given_names="ZOÉ MARIE", birth_date="19790328", sex="F", birth_place="29019"
)
V3, XCPD = "urn:hl7-org:v3", "urn:ihe:iti:xcpd:2009"
DISCOVER = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery"
LOCATE = "urn:ihe:iti:2009:PatientLocationQuery"


@dataclass
class World:
    north: Integrator
    south: Integrator
    study: Study
    files: dict[str, bytes]
    source: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("discovery")
    study = relabelled(directory / "files", Label("N-1", "LÉGER^ZOÉ"))
    paths = sorted((directory / "files").glob("*.dcm"))
    archive = DicomwebSimulator(directory / "archive")
    archive.store(paths)

    def options(home: str) -> list[str]:
        return [
            "--open", "--home-community", home,
            "--repository-id", REPOSITORIES[home], "--affinity-domain", DOMAINS[home],
        ]  # fmt: skip

    try:
        with SandboxProcess(*options(NORTH), "--source", f"PACS_N=dicomweb:{archive.dicomweb_url}") as north:
            base = north["xca_responding"].removesuffix("/xca/responding")
            others = (
                "--community", f"NORTH={NORTH}@{base}#xcpd",
                "--community", f"DOWN={DOWN}@http://127.0.0.1:{free_port()}#xcpd",
            )  # fmt: skip
            with SandboxProcess(*options(SOUTH), *others) as south, Integrator(north) as a, Integrator(south) as b:
                files = {str(dcmread(path).SOPInstanceUID): path.read_bytes() for path in paths}
                yield World(a, b, study, files, derived_oid(REPOSITORIES[NORTH], "PACS_N"))
    finally:
        archive.stop()


def announce(system: Integrator, home: str, number: str, traits: Traits, status: str = "VALI") -> str:
    """A hospital announces a person; the regional identifier that the hub gave (CX)."""
    identifier = local(number, f"HOSPITAL_{home[-1]}", HOSPITALS[home])
    answer = system.feed(adt(Sender(), Patient(identifier=identifier, traits=traits, status=status)))
    assert "MSA|AA" in answer, answer
    answer = system.feed(pix_query(Sender(), identifier))
    match = re.search(rf"([^|~^]+)\^\^\^[^|~]*&{re.escape(DOMAINS[home])}&ISO", answer)
    assert match is not None, answer
    return f"{match[1]}^^^&{DOMAINS[home]}&ISO"


def discover(system: Integrator, parameters: str, community: str = SOUTH, where: str = "xcpd_responding") -> Answer:
    """ITI-55, written by hand."""

    def party(kind: str, code: str, oid: str) -> str:
        return (
            f'<{kind} typeCode="{code}"><device classCode="DEV" determinerCode="INSTANCE"><id root="{oid}"/>'
            f'<asAgent classCode="AGNT"><representedOrganization classCode="ORG" determinerCode="INSTANCE">'
            f'<id root="{oid}"/></representedOrganization></asAgent></device></{kind}>'
        )

    body = (
        f'<PRPA_IN201305UV02 xmlns="{V3}" ITSVersion="XML_1.0"><id root="2.25.1"/><creationTime value="20261122"/>'
        '<interactionId root="2.16.840.1.113883.1.6" extension="PRPA_IN201305UV02"/><processingCode code="P"/>'
        '<processingModeCode code="T"/><acceptAckCode code="AL"/>'
        f"{party('receiver', 'RCV', NORTH)}{party('sender', 'SND', community)}"
        '<controlActProcess classCode="CACT" moodCode="EVN"><queryByParameter><queryId root="2.25.2" extension="q"/>'
        '<statusCode code="new"/><responseModalityCode code="R"/><responsePriorityCode code="I"/>'
        f"<parameterList>{parameters}</parameterList></queryByParameter></controlActProcess></PRPA_IN201305UV02>"
    )
    return system.call(where, DISCOVER, body)


def parameter(name: str, value: str) -> str:
    return f"<{name}>{value}<semanticsText/></{name}>"


SEX = parameter("livingSubjectAdministrativeGender", '<value code="F"/>')
PLACE = parameter("livingSubjectBirthPlaceAddress", "<value><county>29019</county></value>")
BORN = parameter("livingSubjectBirthTime", '<value value="19790328"/>')
NAME = parameter("livingSubjectName", "<value><given>Zoé</given><family>Léger</family></value>")


def first(element: Any, path: str) -> Any:
    """The first element at a path of HL7's local names; it must be there."""
    found = element.find("/".join(f"{{{V3}}}{name}" if name.isalnum() else name for name in path.split("/")))
    assert found is not None, path
    return found


def code(answer: Answer, name: str) -> str:
    return str(first(answer.body, f".//{name}").get("code", ""))


def test_a_person_of_region_1_is_discovered_queried_and_read_from_region_2(world: World) -> None:
    there = announce(world.north, NORTH, "N-1", ZOE)
    here = announce(world.south, SOUTH, "S-9", replace(ZOE, birth_name="Leger", given_names=""))
    entry = Entry(patient=there, content=b"a report of the north")
    mine = Entry(patient=here, content=b"a report of the south")
    assert world.north.provide([entry], Set(patient=there)).outcome == "Success"
    assert world.south.provide([mine], Set(patient=here)).outcome == "Success"
    for _ in range(2):  # the second time from what was found the first time
        answer = find(world.south, "xca_initiating", here)
        assert (answer.outcome, answer.errors) == ("PartialSuccess", ["XDSUnavailableCommunity"])
        assert answer.locations == [urn(DOWN)]
        assert homes(answer) == {urn(NORTH), urn(SOUTH)}
        assert sorted(answer.uids) == sorted([entry.uid, mine.uid])
    answer = retrieve(
        world.south, "xca_initiating",
        wanted(REPOSITORIES[NORTH], entry.uid, urn(NORTH)), wanted(REPOSITORIES[SOUTH], mine.uid, urn(SOUTH)),
    )  # fmt: skip
    assert (answer.outcome, answer.documents()) == ("Success", {entry.uid: entry.content, mine.uid: mine.content})
    asked = gateways.World(world.north, world.south, world.study, world.files, world.source)
    answer = images(world.south, "xca_initiating", asked, urn(NORTH))
    assert (answer.outcome, answer.documents()) == ("Success", world.files)
    located = locate(world.south, here)
    assert located == {urn(SOUTH): here, urn(NORTH): there}


def locate(system: Integrator, patient: str) -> dict[str, str]:
    """ITI-56: community -> CX."""
    number, _, rest = patient.partition("^^^&")
    asked = f'<x:RequestedPatientId root="{rest.removesuffix("&ISO")}" extension="{number}"/>'
    body = f'<x:PatientLocationQueryRequest xmlns:x="{XCPD}">{asked}</x:PatientLocationQueryRequest>'
    answer = system.call("xcpd_responding", LOCATE, body)
    assert problems(answer.body, "IHE/XCPD_PLQ.xsd") == []
    found = {}
    for row in answer.body:
        item: Any = row.find(f"{{{XCPD}}}CorrespondingPatientId")
        community = row.findtext(f"{{{XCPD}}}HomeCommunityId")
        found[str(community)] = f"{item.get('extension')}^^^&{item.get('root')}&ISO"
    return found


def test_whom_the_other_community_does_not_know(world: World) -> None:
    here = announce(world.south, SOUTH, "S-10", replace(ZOE, birth_date="19810101"))
    answer = find(world.south, "xca_initiating", here, home=urn(NORTH))
    assert (answer.outcome, answer.errors, answer.uids) == ("Success", [], [])


def test_nobody_asks_about_an_unchecked_identity(world: World) -> None:
    announce(world.north, NORTH, "N-20", replace(ZOE, birth_date="19820202"))
    here = announce(world.south, SOUTH, "S-20", replace(ZOE, birth_date="19820202"), status="PROV")
    answer = find(world.south, "xca_initiating", here, home=urn(NORTH))
    assert (answer.outcome, answer.errors, answer.uids) == ("Success", [], [])


def test_the_responding_gateway_by_hand(world: World) -> None:
    there = announce(world.north, NORTH, "N-1", ZOE)
    answer = discover(world.north, SEX + PLACE + BORN + NAME)
    assert problems(answer.body) == []
    assert (code(answer, "acknowledgement/typeCode"), code(answer, "queryResponseCode")) == ("AA", "OK")
    (patient,) = answer.body.iter(f"{{{V3}}}patient")
    identifier = first(patient, "id")
    assert f"{identifier.get('extension')}^^^&{identifier.get('root')}&ISO" == there
    custodian = first(answer.body, ".//custodian/assignedEntity")
    assert first(custodian, "id").get("root") == NORTH
    assert first(custodian, "code").get("code") == "SupportsHealthDataLocator"
    assert answer.root.findtext(f".//{{{XCPD}}}CorrelationTimeToLive") == "P7D"
    assert b"N-1" not in etree.tostring(answer.root), "a hospital's own number stays in the region"


def test_more_attributes_are_asked_for(world: World) -> None:
    announce(world.north, NORTH, "N-1", ZOE)
    answer = discover(world.north, SEX + BORN + NAME)
    assert problems(answer.body) == []
    assert (code(answer, "acknowledgement/typeCode"), code(answer, "queryResponseCode")) == ("AA", "OK")
    assert not list(answer.body.iter(f"{{{V3}}}patient"))
    assert code(answer, "actOrderRequired/code") == "LivingSubjectBirthPlaceAddressRequested"


def test_nobody_and_what_cannot_be_answered(world: World) -> None:
    announce(world.north, NORTH, "N-1", ZOE)
    unknown = discover(world.north, SEX.replace("F", "M") + PLACE + BORN + NAME)
    assert problems(unknown.body) == []
    assert (code(unknown, "acknowledgement/typeCode"), code(unknown, "queryResponseCode")) == ("AA", "NF")
    incomplete = discover(world.north, NAME)
    assert problems(incomplete.body) == []
    assert (code(incomplete, "acknowledgement/typeCode"), code(incomplete, "queryResponseCode")) == ("AE", "QE")
    twins = replace(ZOE, birth_date="19900101")
    announce(world.north, NORTH, "N-31", twins)
    announce(world.north, NORTH, "N-32", twins)
    several = discover(world.north, SEX + PLACE + BORN.replace("19790328", "19900101") + NAME)
    assert (code(several, "acknowledgement/typeCode"), code(several, "queryResponseCode")) == ("AE", "AE")
    assert code(several, "detectedIssueManagement/code") == "AnswerNotAvailable"


@pytest.mark.parametrize("parameters", ["", BORN.replace("19790328", "x"), parameter("patientStatusCode", "<value/>")])
def test_a_message_that_cannot_be_read_is_a_fault(world: World, parameters: str) -> None:
    answer = discover(world.north, parameters)
    if not parameters:  # readable, and it asks for nobody
        assert code(answer, "queryResponseCode") == "QE"
    else:
        assert answer.outcome == "Fault Sender"


def test_nobody_is_located(world: World) -> None:
    asked = f'<x:RequestedPatientId root="{DOMAINS[NORTH]}" extension="NOBODY"/>'
    body = f'<x:PatientLocationQueryRequest xmlns:x="{XCPD}">{asked}</x:PatientLocationQueryRequest>'
    assert world.north.call("xcpd_responding", LOCATE, body).outcome == "Fault Sender"
