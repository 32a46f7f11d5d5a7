"""ITI-80: documents given to this community by another one; requests are written by hand."""

import uuid
from collections.abc import Iterator

import pytest

from hub.testing.sandbox import SandboxProcess
from tests.interop.by_hand import Answer, Entry, Integrator, Set, envelope, package, read, submission

pytestmark = pytest.mark.interop
ACTION = "urn:ihe:iti:2015:CrossGatewayDocumentProvide"
HOME, OTHER = "1.2.250.1.999.93", "1.2.250.1.999.94"
XDSB, XOP = "urn:ihe:iti:xds-b:2007", "http://www.w3.org/2004/08/xop/include"
RS, RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0", "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"


@pytest.fixture(scope="module")
def system() -> Iterator[Integrator]:
    with SandboxProcess("--open", "--home-community", HOME) as box, Integrator(box) as running:
        yield running


@pytest.fixture
def entry(system: Integrator) -> Entry:
    patient = system.announce(f"G{uuid.uuid4().hex[:8]}", system.box["affinity_domain"])
    return Entry(patient=patient, content=b"given by another community")


def provide(system: Integrator, entry: Entry, *, slot: str = "", header: str = "") -> Answer:
    body = submission([entry], Set(patient=entry.patient))
    if slot:
        head, _, rest = body.partition("<rim:RegistryObjectList")
        assert rest
        listed = (
            f'<z:RequestSlotList xmlns:z="{RS}"><y:Slot xmlns:y="{RIM}" name="homeCommunityId"><y:ValueList>'
            f"<y:Value>{slot}</y:Value></y:ValueList></y:Slot></z:RequestSlotList>"
        )
        body = f"{head}{listed}<rim:RegistryObjectList{rest}"
    document = f'<d:Document xmlns:d="{XDSB}" id="{entry.id}"><x:Include xmlns:x="{XOP}" href="cid:one"/></d:Document>'
    name = "d:ProvideAndRegisterDocumentSetRequest"
    request = f'<{name} xmlns:d="{XDSB}">{body}{document}</{name}>'
    root = envelope(ACTION, request, system.box["xca_responding"])
    if header:
        block = (
            '<h:homeCommunityBlock xmlns:h="urn:ihe:iti:xdr:2014" s:mustUnderstand="1">'
            f"<h:homeCommunityId>{header}</h:homeCommunityId></h:homeCommunityBlock></s:Header>"
        )
        root = root.replace(b"</s:Header>", block.encode())
    content_type, content = package(root, {"one": entry.content}, ACTION)
    return read(system.post(system.box["xca_responding"], content_type, content))


@pytest.mark.parametrize("place", [{"slot": HOME}, {"header": HOME}, {"slot": HOME, "header": HOME}])
def test_documents_for_this_community(system: Integrator, entry: Entry, place: dict[str, str]) -> None:
    answer = provide(system, entry, **{key: f"urn:oid:{home}" for key, home in place.items()})
    assert (answer.outcome, answer.errors) == ("Success", [])
    assert system.find(entry.patient).uids == [entry.uid]
    found = system.retrieve((system.box["repository_unique_id"], entry.uid))
    assert found.documents() == {entry.uid: entry.content}


@pytest.mark.parametrize(
    ("slot", "header", "code"),
    [
        ("", "", "XDSMissingHomeCommunityId"),
        (f"urn:oid:{OTHER}", "", "XDSUnknownCommunity"),
        ("", f"urn:oid:{OTHER}", "XDSUnknownCommunity"),
        (HOME, "", "XDSUnknownCommunity"),
        (f"urn:oid:{HOME}", f"urn:oid:{OTHER}", "XDSRepositoryMetadataError"),
    ],
)
def test_documents_that_are_not_for_this_community(
    system: Integrator, entry: Entry, slot: str, header: str, code: str
) -> None:
    answer = provide(system, entry, slot=slot, header=header)
    assert (answer.outcome, answer.errors) == ("Failure", [code])
    assert system.find(entry.patient).uids == []


def test_the_registry_s_own_rules_hold(system: Integrator) -> None:
    stranger = Entry(patient=f"NOBODY^^^&{system.box['affinity_domain']}&ISO", content=b"x")
    answer = provide(system, stranger, slot=f"urn:oid:{HOME}")
    assert (answer.outcome, answer.errors) == ("Failure", ["XDSUnknownPatientId"])
