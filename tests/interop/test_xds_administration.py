"""Metadata update and removal as an administrator's system meets them: SOAP by hand over TLS, and zeep with the public
WSDLs (ITI-57, ITI-92, ITI-62, ITI-86)."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
import zeep
from requests import Session
from zeep.transports import Transport

from hub.testing.sandbox import SandboxProcess
from tests.interop.by_hand import (
    APPROVED,
    DEPRECATED,
    GET_ASSOCIATIONS,
    GET_DOCUMENTS,
    HAS_MEMBER,
    LCM,
    RIM,
    XDSB,
    Answer,
    Entry,
    Integrator,
    Set,
    envelope,
    oid,
    read,
    slot,
    submission,
)
from tests.wire.ebxml.schemas import wsdl_directory

pytestmark = pytest.mark.interop
DOMAIN, REPOSITORY, HOME = "1.2.250.1.999.61", "1.2.250.1.999.62", "1.2.250.1.999.63"
RMD = "urn:ihe:iti:rmd:2017"
UPDATE, DELETE = "urn:ihe:iti:2010:UpdateDocumentSet", "urn:ihe:iti:2010:DeleteDocumentSet"
RESTRICTED, REMOVE = "urn:ihe:iti:2018:RestrictedUpdateDocumentSet", "urn:ihe:iti:2017:RemoveDocuments"
CHANGE_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Integrator]:
    """An administrator's system in front of a sandbox."""
    more: list[str] = []
    server = name = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        name = server.create_database()
        more = ["--db", server.url(name)]
    arguments = (
        "--affinity-domain", DOMAIN, "--repository-id", REPOSITORY, "--home-community", HOME,
        "--data", str(tmp_path_factory.mktemp("administration") / "data"), *more,
    )  # fmt: skip
    with SandboxProcess(*arguments) as box, Integrator(box) as vendor:
        yield vendor
    if server is not None:
        server.drop_database(name)


@pytest.fixture
def patient(system: Integrator) -> str:
    return system.announce(f"R{uuid.uuid4().hex[:12]}", DOMAIN)


@pytest.fixture
def held(system: Integrator, patient: str) -> Entry:
    """A document of the repository."""
    document = Entry(patient=patient)
    assert system.provide([document], Set(patient=patient)).outcome == "Success"
    return document


def entry_of(system: Integrator, document: Entry) -> Any:
    """The Approved entry as the registry answers it."""
    (found,) = system.find(document.patient).objects("ExtrinsicObject")
    return found


def revised(system: Integrator, document: Entry, *, version: int = 1, lid: str = "", **changes: Any) -> tuple[str, str]:
    """A new version of an entry, as the registry has it with other slots, and its membership."""
    found = entry_of(system, document)
    known = {
        name: [str(value.text) for value in row.iter(f"{{{RIM}}}Value")]
        for row in found.iterfind(f"{{{RIM}}}Slot")
        if (name := row.get("name")) in ("hash", "size", "repositoryUniqueId")
    }
    new = Entry(patient=document.patient, uid=document.uid, slots={**known, **changes.pop("slots", {})}, **changes)
    text = new.xml.replace("<rim:ExtrinsicObject ", f"<rim:ExtrinsicObject lid={quoteattr(lid or found.get('lid'))} ")
    return text, membership(new.id, version)


def membership(target: str, version: int) -> str:
    inner = slot("SubmissionSetStatus", ["Original"]) + slot("PreviousVersion", [str(version)])
    return (
        f'<rim:Association id="m{uuid.uuid4().hex}" associationType="{HAS_MEMBER}" sourceObject="SubmissionSet01" '
        f'targetObject="{target}">{inner}</rim:Association>'
    )


def changing(target: str, original: str, new: str) -> str:
    inner = slot("OriginalStatus", [original]) + slot("NewStatus", [new])
    return (
        f'<rim:Association id="u{uuid.uuid4().hex}" associationType="{CHANGE_STATUS}" sourceObject="SubmissionSet01" '
        f'targetObject="{target}">{inner}</rim:Association>'
    )


def update(system: Integrator, patient: str, *objects: str, action: str = UPDATE, home: str = "") -> Answer:
    body = submission([], Set(patient=patient), *objects)
    if home:
        body = body.replace("<rim:RegistryPackage ", f'<rim:RegistryPackage home="{home}" ')
    return system.call("xds_registry", action, body)


def delete(system: Integrator, *ids: str) -> Answer:
    refs = "".join(f'<rim:ObjectRef id="{item}"/>' for item in ids)
    body = (
        f'<lcm:RemoveObjectsRequest xmlns:lcm="{LCM}" xmlns:rim="{RIM}"><rim:ObjectRefList>{refs}</rim:ObjectRefList>'
        "</lcm:RemoveObjectsRequest>"
    )
    return system.call("xds_registry", DELETE, body)


def removal(*wanted: str, repository: str = REPOSITORY) -> str:
    rows = "".join(
        f"<x:DocumentRequest><x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{item}</x:DocumentUniqueId></x:DocumentRequest>"
        for item in wanted
    )
    return f'<r:RemoveDocumentsRequest xmlns:r="{RMD}" xmlns:x="{XDSB}">{rows}</r:RemoveDocumentsRequest>'


def remove(system: Integrator, *wanted: str, repository: str = REPOSITORY) -> Answer:
    return system.call("xds_repository", REMOVE, removal(*wanted, repository=repository))


def everything_of(system: Integrator, entry_id: str) -> list[str]:
    """The entry, its submission set, and every association of the entry."""
    links = system.ask(GET_ASSOCIATIONS, {"uuid": f"('{entry_id}')"}).objects("Association")
    sets = {str(item.get("sourceObject")) for item in links if item.get("associationType") == HAS_MEMBER}
    return [entry_id, *sets, *(str(item.get("id")) for item in links)]


def test_a_new_version(system: Integrator, held: Entry) -> None:
    lid = entry_of(system, held).get("lid")
    answer = update(system, held.patient, *revised(system, held, codes={"typeCode": "OTHER"}))
    assert (answer.outcome, answer.errors) == ("Success", [])
    found = system.ask(GET_DOCUMENTS, {"XDSDocumentEntryLogicalID": f"('{lid}')", "MetadataLevel": "2"})
    versions = {
        str(info.get("versionName")): item.get("status")
        for item in found.objects("ExtrinsicObject")
        if (info := item.find(f"{{{RIM}}}VersionInfo")) is not None
    }
    assert versions == {"1": DEPRECATED, "2": APPROVED}
    assert {item.get("lid") for item in found.objects("ExtrinsicObject")} == {lid}
    assert system.retrieve((REPOSITORY, held.uid)).documents() == {held.uid: held.content}
    assert system.find(held.patient, TypeCode="('OTHER^^1.2.250.1.999.50')").uids == [held.uid]
    answer = update(system, held.patient, *revised(system, held))
    assert (answer.outcome, answer.errors, answer.locations) == ("Failure", ["XDSMetadataVersionError"], ["Document01"])


def test_a_new_status(system: Integrator, held: Entry) -> None:
    target = str(entry_of(system, held).get("id"))
    assert update(system, held.patient, changing(target, APPROVED, DEPRECATED)).outcome == "Success"
    assert (system.find(held.patient).uids, system.find(held.patient, DEPRECATED).uids) == ([], [held.uid])
    answer = update(system, held.patient, changing(target, APPROVED, DEPRECATED))
    assert answer.errors == ["XDSMetadataUpdateError"]
    assert update(system, held.patient, changing(target, DEPRECATED, APPROVED)).outcome == "Success"
    assert system.find(held.patient).uids == [held.uid]


def test_what_an_update_is_refused_for(system: Integrator, held: Entry) -> None:
    new, member = revised(system, held)
    cases = {
        "XDSMetadataUpdateOperationError": (),
        "XDSMetadataUpdateError": (new.replace(f'lid="{entry_of(system, held).get("lid")}"', 'lid="Doc"'), member),
        "XDSMetadataVersionError": revised(system, held, lid=f"urn:uuid:{uuid.uuid4()}"),
        "XDSNonIdenticalHash": revised(system, held, slots={"hash": ["0" * 40]}),
        "XDSRegistryMetadataError": revised(system, held, slots={"languageCode": ["?"]}),
    }
    for code, objects in cases.items():
        answer = update(system, held.patient, *objects)
        assert (answer.outcome, answer.errors) == ("Failure", [code])
    other = system.announce(f"R{uuid.uuid4().hex[:12]}", DOMAIN)
    assert update(system, other, new, member).errors == ["XDSPatientIDReconciliationError"]
    assert len(system.find(held.patient, DEPRECATED).uids) == 0


def test_a_restricted_update(system: Integrator, held: Entry) -> None:
    objects = revised(system, held)
    assert update(system, held.patient, *objects, action=RESTRICTED).errors == ["XDSMissingHomeCommunityId"]
    home = f"urn:oid:{HOME}"
    moved = revised(system, held, slots={"sourcePatientId": ["9^^^&1.2.3.4&ISO"]})
    answer = update(system, held.patient, *moved, action=RESTRICTED, home=home)
    assert answer.errors == ["UnmodifiableMetadataError"]
    assert update(system, held.patient, *objects, action=RESTRICTED, home=home).outcome == "Success"
    target = str(entry_of(system, held).get("id"))
    answer = update(system, held.patient, changing(target, APPROVED, DEPRECATED), action=RESTRICTED, home=home)
    assert answer.errors == ["XDSInvalidRequestException"]


def test_one_of_several_updates_wins(system: Integrator, held: Entry) -> None:
    objects = revised(system, held)

    def attempt(_: int) -> list[str]:
        with Integrator(system.box) as vendor:
            return update(vendor, held.patient, *objects).errors

    with ThreadPoolExecutor(4) as threads:
        outcomes = sorted(threads.map(attempt, range(4)))
    assert outcomes == [[], *[["XDSMetadataVersionError"]] * 3]


def test_metadata_and_document_go(system: Integrator, held: Entry) -> None:
    target = str(entry_of(system, held).get("id"))
    ids = everything_of(system, target)
    answer = delete(system, target)
    assert (answer.errors, answer.locations) == (["ReferencesExistException"], [target])
    assert delete(system, *ids[1:]).errors == ["XDSUnreferencedObjectException"]
    assert delete(system, *ids, unknown := f"urn:uuid:{uuid.uuid4()}").locations == [unknown]
    assert delete(system).errors == ["XDSRegistryError"]
    assert system.find(held.patient).uids == [held.uid]
    assert delete(system, *ids).outcome == "Success"
    assert system.find(held.patient).uids == []
    assert delete(system, *ids).errors == ["UnresolvedReferenceException"]
    assert system.retrieve((REPOSITORY, held.uid)).documents() == {held.uid: held.content}
    assert remove(system, held.uid).outcome == "Success"
    assert system.retrieve((REPOSITORY, held.uid)).errors == ["XDSDocumentUniqueIdError"]


def test_documents_go_all_or_none(system: Integrator, held: Entry) -> None:
    unknown = oid()
    for several in ((unknown, held.uid), (held.uid, unknown)):
        answer = remove(system, *several)
        assert (answer.outcome, answer.errors, answer.locations) == ("Failure", ["XDSDocumentUniqueIdError"], [unknown])
        assert system.retrieve((REPOSITORY, held.uid)).documents() == {held.uid: held.content}
    assert remove(system, held.uid).outcome == "Success"
    answer = remove(system, held.uid, unknown)
    assert (answer.outcome, answer.errors) == ("Failure", ["XDSDocumentUniqueIdError"] * 2)
    assert remove(system, held.uid, repository="1.2.3").errors == ["XDSUnknownRepositoryId"]
    assert system.find(held.patient).uids == [held.uid]  # the metadata stays


def test_the_same_message_again(system: Integrator, held: Entry) -> None:
    """The same bytes under the same MessageID are carried out once."""
    url = system.box["xds_repository"]
    message = envelope(REMOVE, removal(held.uid), url)
    answers = [read(system.post(url, "application/soap+xml; charset=UTF-8", message)) for _ in range(2)]
    assert [item.outcome for item in answers] == ["Success", "Success"]


# zeep


@pytest.fixture(scope="module")
def transport(system: Integrator) -> Transport:
    session = Session()
    session.trust_env = False  # the environment may name another authority
    session.verify = system.box["ca"]
    session.cert = (system.box["client_cert"], system.box["client_key"])
    return Transport(session=session, timeout=30, operation_timeout=30)


def service(wsdl: str, address: str, transport: Transport) -> Any:
    client = zeep.Client(str(wsdl_directory() / wsdl), transport=transport, settings=zeep.Settings(strict=False))
    (binding,) = client.wsdl.bindings
    return client.create_service(binding, address)


def test_zeep_removes_metadata_and_document(system: Integrator, held: Entry, transport: Transport) -> None:
    registry = service("iti62.wsdl", system.box["xds_registry"], transport)
    repository = service("iti86.wsdl", system.box["xds_repository"], transport)
    target = str(entry_of(system, held).get("id"))
    answer = registry.DocumentRegistry_DeleteDocumentSet(ObjectRefList={"_value_1": [{"ObjectRef": {"id": target}}]})
    assert [row.errorCode for row in answer.RegistryErrorList.RegistryError] == ["ReferencesExistException"]
    refs = [{"ObjectRef": {"id": item}} for item in everything_of(system, target)]
    answer = registry.DocumentRegistry_DeleteDocumentSet(ObjectRefList={"_value_1": refs})
    assert answer.status.endswith(":Success")
    wanted = [{"RepositoryUniqueId": REPOSITORY, "DocumentUniqueId": held.uid}]
    assert repository.DocumentRepository_RemoveDocuments(DocumentRequest=wanted).status.endswith(":Success")
    assert system.find(held.patient).uids == []
