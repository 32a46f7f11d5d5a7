"""Two hubs as two communities and a third that is down: documents and images of one are found and read from the other.

Requests are written by hand; both hubs are processes of their own; everything goes over sockets."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pydicom import dcmread

from hub.app.settings.regional import derived_oid
from hub.imaging.model import Study
from hub.testing.dicom import Label, relabelled
from hub.testing.ports import free_port
from hub.testing.sandbox import SandboxProcess
from hub.testing.simulators.dicomweb import DicomwebSimulator
from tests.interop.by_hand import (
    ACTION,
    APPROVED,
    FIND_DOCUMENTS,
    GET_DOCUMENTS,
    RIM,
    Answer,
    Entry,
    Integrator,
    Set,
    query,
)

pytestmark = pytest.mark.interop
DOMAIN = "1.2.250.1.999.71"
NORTH, SOUTH, DOWN = ("1.2.250.1.999.72", "1.2.250.1.999.73", "1.2.250.1.999.74")
REPOSITORIES = {NORTH: f"{NORTH}.1", SOUTH: f"{SOUTH}.1"}
XDSB, IHERAD = "urn:ihe:iti:xds-b:2007", "urn:ihe:rad:xdsi-b:2009"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@dataclass
class World:
    """``north`` holds the documents and images; ``south`` is where everybody asks."""

    north: Integrator
    south: Integrator
    study: Study
    files: dict[str, bytes]
    source: str  #: OID of the archive of the north


def urn(oid: str) -> str:
    return f"urn:oid:{oid}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("communities")
    study = relabelled(directory / "files", Label("N-1", "LÉGER^ZOË"))
    paths = sorted((directory / "files").glob("*.dcm"))
    archive = DicomwebSimulator(directory / "archive")
    archive.store(paths)

    def options(home: str) -> list[str]:
        return ["--open", "--home-community", home, "--repository-id", REPOSITORIES[home], "--affinity-domain", DOMAIN]

    try:
        with SandboxProcess(*options(NORTH), "--source", f"PACS_N=dicomweb:{archive.dicomweb_url}") as north:
            others = (
                "--community", f"NORTH={NORTH}@{north['xca_responding'].removesuffix('/xca/responding')}",
                "--community", f"DOWN={DOWN}@http://127.0.0.1:{free_port()}",
            )  # fmt: skip
            with SandboxProcess(*options(SOUTH), *others) as south, Integrator(north) as a, Integrator(south) as b:
                files = {str(dcmread(path).SOPInstanceUID): path.read_bytes() for path in paths}
                yield World(a, b, study, files, derived_oid(REPOSITORIES[NORTH], "PACS_N"))
    finally:
        archive.stop()


def find(system: Integrator, where: str, patient: str, **options: Any) -> Answer:
    name = "CrossGatewayQuery" if where == "xca_responding" else "RegistryStoredQuery"
    asked = {"XDSDocumentEntryPatientId": f"'{patient}'", "XDSDocumentEntryStatus": f"('{APPROVED}')"}
    return system.call(where, ACTION + name, query(FIND_DOCUMENTS, asked, **options))


def get(system: Integrator, where: str, uid: str, home: str = "") -> Answer:
    name = "CrossGatewayQuery" if where == "xca_responding" else "RegistryStoredQuery"
    return system.call(
        where, ACTION + name, query(GET_DOCUMENTS, {"XDSDocumentEntryUniqueId": f"('{uid}')"}, home=home)
    )


def wanted(repository: str, document: str, home: str = "") -> str:
    at = f"<xdsb:HomeCommunityId>{home}</xdsb:HomeCommunityId>" if home else ""
    return (
        f'<xdsb:DocumentRequest xmlns:xdsb="{XDSB}">{at}<xdsb:RepositoryUniqueId>{repository}</xdsb:RepositoryUniqueId>'
        f"<xdsb:DocumentUniqueId>{document}</xdsb:DocumentUniqueId></xdsb:DocumentRequest>"
    )


def retrieve(system: Integrator, where: str, *rows: str) -> Answer:
    name = "CrossGatewayRetrieve" if where == "xca_responding" else "RetrieveDocumentSet"
    body = f'<xdsb:RetrieveDocumentSetRequest xmlns:xdsb="{XDSB}">{"".join(rows)}</xdsb:RetrieveDocumentSetRequest>'
    return system.call(where, ACTION + name, body, {})


def images(system: Integrator, where: str, world: World, home: str = "", *more: str) -> Answer:
    action = (
        "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet"
        if where == "xca_responding"
        else "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
    )
    series = "".join(
        f'<r:SeriesRequest seriesInstanceUID="{one.series_instance_uid}">'
        + "".join(wanted(world.source, instance.sop_instance_uid, home) for instance in one.instances)
        + "".join(more)
        + "</r:SeriesRequest>"
        for one in world.study.series
    )
    body = (
        f'<r:RetrieveImagingDocumentSetRequest xmlns:r="{IHERAD}"><r:StudyRequest '
        f'studyInstanceUID="{world.study.study_instance_uid}">{series}</r:StudyRequest><r:TransferSyntaxUIDList>'
        f"<r:TransferSyntaxUID>{EXPLICIT}</r:TransferSyntaxUID><r:TransferSyntaxUID>{IMPLICIT}</r:TransferSyntaxUID>"
        "</r:TransferSyntaxUIDList></r:RetrieveImagingDocumentSetRequest>"
    )
    return system.call(where, action, body, {})


def homes(answer: Answer) -> set[str]:
    """The home of every returned object and document."""
    objects = [item.get("home", "") for item in answer.root.iter(*(f"{{{RIM}}}{kind}" for kind in KINDS))]
    return {*objects, *(str(item.text) for item in answer.root.iter(f"{{{XDSB}}}HomeCommunityId"))}


KINDS = ("ExtrinsicObject", "RegistryPackage", "Association", "ObjectRef")


@pytest.fixture
def entry(world: World, request: pytest.FixtureRequest) -> Entry:
    """A document of a patient whom both communities know by the same identifier, in the north."""
    patient = world.north.announce(f"P{abs(hash(request.node.name)) % 10**9}", DOMAIN)
    world.south.announce(patient.partition("^")[0], DOMAIN)
    entry = Entry(patient=patient, content=b"a report of the north")
    assert world.north.provide([entry], Set(patient=patient)).outcome == "Success"
    return entry


def spool(system: Integrator) -> Path:
    """Where the hub lays what it receives."""
    return Path(system.box["ca"]).parents[1] / "content" / "incoming"


# The responding gateway


def test_a_gateway_is_asked_for_a_patient(world: World, entry: Entry) -> None:
    for returns in ("LeafClass", "ObjectRef"):
        answer = find(world.north, "xca_responding", entry.patient, returns=returns)
        assert (answer.outcome, homes(answer)) == ("Success", {urn(NORTH)})
    assert find(world.north, "xca_responding", entry.patient).uids == [entry.uid]
    assert find(world.north, "xca_responding", entry.patient, home=urn(NORTH)).uids == [entry.uid]
    assert b"CrossGatewayQueryResponse" in etree.tostring(answer.root)


def test_a_query_without_a_patient_names_the_community(world: World, entry: Entry) -> None:
    assert get(world.north, "xca_responding", entry.uid, urn(NORTH)).uids == [entry.uid]
    for home, code in (
        ("", "XDSMissingHomeCommunityId"),
        (urn(SOUTH), "XDSUnknownCommunity"),
        (NORTH, "XDSUnknownCommunity"),
    ):
        answer = get(world.north, "xca_responding", entry.uid, home)
        assert (answer.outcome, answer.errors, answer.locations) == ("Failure", [code], [urn(NORTH)])


def test_a_gateway_says_whom_it_does_not_know(world: World) -> None:
    answer = find(world.north, "xca_responding", f"NOBODY^^^&{DOMAIN}&ISO")
    assert (answer.outcome, answer.errors, answer.locations) == ("Failure", ["XDSUnknownPatientId"], [urn(NORTH)])
    broken = query(FIND_DOCUMENTS, {"XDSDocumentEntryPatientId": "'x'"}, home="")
    answer = world.north.call("xca_responding", ACTION + "CrossGatewayQuery", broken)
    assert (answer.errors, answer.locations) == (["XDSStoredQueryMissingParam"], [urn(NORTH)])


def test_documents_through_a_gateway(world: World, entry: Entry) -> None:
    repository = REPOSITORIES[NORTH]
    rows = [wanted(repository, entry.uid, home) for home in (urn(NORTH), "", urn(SOUTH))]
    rows += [wanted(repository, "1.2.3", urn(NORTH)), wanted("1.2.3", entry.uid, urn(NORTH))]
    answer = retrieve(world.north, "xca_responding", *rows)
    assert (answer.outcome, homes(answer)) == ("PartialSuccess", {urn(NORTH)})
    assert answer.documents() == {entry.uid: entry.content}
    assert sorted(answer.errors) == sorted(
        ["XDSMissingHomeCommunityId", "XDSUnknownCommunity", "XDSDocumentUniqueIdError", "XDSUnknownRepositoryId"]
    )
    assert set(answer.locations) == {urn(NORTH)}


def test_images_through_a_gateway(world: World) -> None:
    answer = images(world.north, "xca_responding", world, urn(NORTH))
    assert (answer.outcome, answer.errors, homes(answer)) == ("Success", [], {urn(NORTH)})
    assert answer.documents() == world.files
    for home, code in (("", "XDSMissingHomeCommunityId"), (urn(SOUTH), "XDSUnknownCommunity")):
        answer = images(world.north, "xca_responding", world, home)
        assert (answer.outcome, set(answer.errors)) == ("Failure", {code})
        assert set(answer.locations) == set(world.files)


# The initiating gateway


def test_a_patient_of_both_and_a_community_that_is_down(world: World, entry: Entry) -> None:
    mine = Entry(patient=entry.patient, content=b"a report of the south")
    assert world.south.provide([mine], Set(patient=entry.patient)).outcome == "Success"
    for returns, count in (("LeafClass", 2), ("ObjectRef", 2)):
        answer = find(world.south, "xca_initiating", entry.patient, returns=returns)
        assert (answer.outcome, answer.errors) == ("PartialSuccess", ["XDSUnavailableCommunity"])
        assert answer.locations == [urn(DOWN)]
        assert "DOWN" in next(answer.root.iter("{*}RegistryError")).get("codeContext", "")
        assert homes(answer) == {urn(NORTH), urn(SOUTH)}
        assert len(answer.objects("ExtrinsicObject" if returns == "LeafClass" else "ObjectRef")) == count
    by_home = {
        item.get("home"): item for item in find(world.south, "xca_initiating", entry.patient).objects("ExtrinsicObject")
    }
    assert set(by_home) == {urn(NORTH), urn(SOUTH)}


def test_whom_the_other_community_does_not_know(world: World) -> None:
    patient = world.south.announce("SOUTHERNER", DOMAIN)
    mine = Entry(patient=patient)
    assert world.south.provide([mine], Set(patient=patient)).outcome == "Success"
    answer = find(world.south, "xca_initiating", patient)
    assert (answer.outcome, answer.errors, answer.uids) == ("PartialSuccess", ["XDSUnavailableCommunity"], [mine.uid])
    only = find(world.south, "xca_initiating", patient, home=urn(NORTH))
    assert (only.outcome, only.errors, only.locations) == ("Failure", ["XDSUnknownPatientId"], [urn(NORTH)])


def test_a_query_goes_to_the_community_that_it_names(world: World, entry: Entry) -> None:
    for home in (urn(NORTH), urn(SOUTH)):
        answer = get(world.south, "xca_initiating", entry.uid, home)
        assert (answer.outcome, answer.errors) == ("Success", [])
        assert answer.uids == ([entry.uid] if home == urn(NORTH) else [])
    for home, code in (
        ("", "XDSMissingHomeCommunityId"),
        ("urn:oid:1.2.3", "XDSUnknownCommunity"),
        (urn(DOWN), "XDSUnavailableCommunity"),
    ):
        answer = get(world.south, "xca_initiating", entry.uid, home)
        assert (answer.outcome, answer.errors) == ("Failure", [code])


def test_documents_of_all_communities(world: World, entry: Entry) -> None:
    mine = Entry(patient=entry.patient, content=b"a report of the south")
    assert world.south.provide([mine], Set(patient=entry.patient)).outcome == "Success"
    answer = retrieve(
        world.south, "xca_initiating",
        wanted(REPOSITORIES[NORTH], entry.uid, urn(NORTH)), wanted(REPOSITORIES[SOUTH], mine.uid, urn(SOUTH)),
    )  # fmt: skip
    assert (answer.outcome, answer.errors, homes(answer)) == ("Success", [], {urn(NORTH), urn(SOUTH)})
    assert answer.documents() == {entry.uid: entry.content, mine.uid: mine.content}
    answer = retrieve(
        world.south, "xca_initiating",
        wanted(REPOSITORIES[NORTH], entry.uid, urn(NORTH)), wanted(REPOSITORIES[NORTH], "1.2.3", urn(NORTH)),
        wanted("1.2.3", "1.2.4", urn(DOWN)), wanted("1.2.3", "1.2.5"), wanted("1.2.3", "1.2.6", "urn:oid:1.2.7"),
    )  # fmt: skip
    assert (answer.outcome, answer.documents()) == ("PartialSuccess", {entry.uid: entry.content})
    assert dict(zip(answer.errors, answer.locations, strict=True)) == {
        "XDSDocumentUniqueIdError": urn(NORTH),
        "XDSUnavailableCommunity": urn(DOWN),
        "XDSMissingHomeCommunityId": "HomeCommunityId",
        "XDSUnknownCommunity": "urn:oid:1.2.7",
    }
    assert not list(spool(world.south).iterdir()), "what passed through is gone"


def test_images_of_another_community(world: World) -> None:
    answer = images(world.south, "xca_initiating", world, urn(NORTH))
    assert (answer.outcome, answer.errors, homes(answer)) == ("Success", [], {urn(NORTH)})
    assert answer.documents() == world.files
    for home, code in (
        ("", "XDSMissingHomeCommunityId"),
        (urn(DOWN), "XDSUnavailableCommunity"),
        (urn(SOUTH), "XDSUnknownRepositoryId"),
    ):
        answer = images(world.south, "xca_initiating", world, home)
        assert (answer.outcome, set(answer.errors), set(answer.locations)) == ("Failure", {code}, set(world.files))
    missing = wanted(world.source, "1.2.3.4", urn(NORTH))
    there = images(world.north, "xca_responding", world, urn(NORTH), missing)
    here = images(world.south, "xca_initiating", world, urn(NORTH), missing)
    for answer in (there, here):
        assert (answer.outcome, set(answer.locations)) == ("PartialSuccess", {"1.2.3.4"})
        assert answer.documents() == world.files
    assert there.errors == here.errors
    assert not list(spool(world.south).iterdir()), "what passed through is gone"
