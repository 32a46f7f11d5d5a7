"""What a registry keeps and how it is asked, on the wire: every kind of association, limited and extra metadata,
folders, on-demand entries, several patients at once. The other side writes its SOAP by hand.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from lxml import etree

from hub.access.model import Principal, Scheme
from hub.app.settings.model import Region, Security, Settings, Storage
from hub.app.settings.sharing import OnDemand
from hub.app.wiring import Hub
from hub.audit.model import AuditSearch
from hub.pipeline.catalogue import discover
from tests.interop.by_hand import (
    APPROVED,
    DEPRECATED,
    FIND_DOCUMENTS,
    GET_ALL,
    GET_ASSOCIATIONS,
    GET_DOCUMENTS,
    HAS_MEMBER,
    NS,
    RELATION,
    Answer,
    Entry,
    Folder,
    Integrator,
    Set,
    association,
    envelope,
    oid,
    query,
    slot_values,
    submission,
    unique_id,
)
from tests.loopback import PORTS
from tests.waiting import until

pytestmark = pytest.mark.interop
DOMAIN, REPOSITORY, ELSEWHERE = "1.2.250.1.999.71", "1.2.250.1.999.73", "1.2.250.1.999.74"
STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
SNAPSHOT = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf"
LIMITED = {
    "entry": "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85",
    "set": "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707",
    "folder": "urn:uuid:2c144a76-29a9-4b7c-af54-b25409fe7d03",
}
GET_RELATED = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6"
GET_FOLDER = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7"
GET_SET = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83"
FIND_BY_REFERENCE = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492"
FIND_EXCLUDE = "urn:uuid:4308b1df-36de-4bef-8e2e-ba91f593c435"
FIND_OF_MANY = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f"
FOLDERS_OF_MANY = "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df"
BY_REFERENCE_OF_MANY = "urn:uuid:1191642d-86c4-42d8-b784-f95445f9f0d5"
STATUS = f"('{APPROVED}')"
SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp("registry")
    started = Hub(
        Settings(
            region=Region(affinity_domain=DOMAIN, repository_unique_id=REPOSITORY, external_index=True),
            **PORTS,
            security=Security(node_authentication=False, accept_new_authorities=True),
            storage=Storage(database=f"sqlite:///{directory / 'hub.sqlite'}", content=directory / "content"),
            on_demand=OnDemand(study_list=True, persist=True),
        )
    )
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def system(hub: Hub) -> Iterator[Integrator]:
    url = hub.public_url()
    box = {
        "fhir": f"{url}/fhir",
        "xds_registry": f"{url}/xds/registry",
        "xds_repository": f"{url}/xds/repository",
        "mllp": hub.mllp_address(),
    }
    with Integrator(box) as integrator:
        yield integrator


@pytest.fixture
def patient(system: Integrator) -> str:
    return system.announce(f"P{oid()[-12:]}", DOMAIN)


def on_demand(patient: str, **changes: Any) -> Entry:
    slots = {"repositoryUniqueId": [ELSEWHERE], **changes.pop("slots", {})}
    without = frozenset({"creationTime"})
    return Entry(patient=patient, object_type=ON_DEMAND, slots=slots, without=without, **changes)


def announce(system: Integrator, entry: Entry, *more: str) -> Answer:
    """ITI-61."""
    action = "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry"
    answer = system.call("xds_registry", action, submission([entry], Set(patient=entry.patient), *more))
    assert answer.root.findtext("s:Header/wsa:Action", namespaces=NS) == f"{action}Response"
    return answer


def of_many(system: Integrator, query_id: str, parameters: Mapping[str, Any], **options: str) -> Answer:
    """ITI-51."""
    action = "urn:ihe:iti:2009:MultiPatientStoredQuery"
    answer = system.call("xds_registry", action, query(query_id, parameters, **options))
    assert answer.root.findtext("s:Header/wsa:Action", namespaces=NS) == f"{action}Response"
    return answer


def stored(system: Integrator, uid: str) -> etree._Element:
    """The entry of a uniqueId."""
    (found,) = system.ask(GET_DOCUMENTS, {"XDSDocumentEntryUniqueId": f"('{uid}')"}).objects("ExtrinsicObject")
    return found


def succeeded(answer: Answer) -> None:
    assert (answer.outcome, answer.errors) == ("Success", [])


def refused(answer: Answer, code: str, location: str = "") -> None:
    assert (answer.outcome, answer.errors) == ("Failure", [code])
    assert location in answer.locations[0]


# Associations


@pytest.mark.parametrize("kind", ["APND", "XFRM", "RPLC", "XFRM_RPLC", "signs"])
def test_every_relationship_is_kept_and_found(system: Integrator, patient: str, kind: str) -> None:
    first, second = Entry(patient=patient), Entry(patient=patient)
    succeeded(system.provide([first], Set(patient=patient)))
    target = str(stored(system, first.uid).get("id"))
    link = association(RELATION + kind, second.id, target, slots={"urn:vendor:why": ["because"]})
    succeeded(system.provide([second], Set(patient=patient), link))
    fallen = kind in ("RPLC", "XFRM_RPLC")
    assert stored(system, first.uid).get("status") == (DEPRECATED if fallen else APPROVED)
    related = system.ask(
        GET_RELATED,
        {"XDSDocumentEntryUniqueId": f"'{first.uid}'", "AssociationTypes": f"('{RELATION}{kind}','{RELATION}other')"},
    )
    assert set(related.uids) == {first.uid, second.uid}
    (found,) = related.objects("Association")
    assert (found.get("associationType"), found.get("targetObject")) == (RELATION + kind, target)
    assert slot_values(found, "urn:vendor:why") == ["because"]
    other = "XFRM" if kind != "XFRM" else "APND"
    none = {"XDSDocumentEntryUniqueId": f"'{first.uid}'", "AssociationTypes": f"('{RELATION}{other}')"}
    assert system.ask(GET_RELATED, none).uids == []


def test_a_snapshot_of_an_on_demand_document(system: Integrator, patient: str) -> None:
    offered = on_demand(patient)
    succeeded(announce(system, offered))
    target = str(stored(system, offered.uid).get("id"))
    taken = Entry(patient=patient)
    succeeded(system.provide([taken], Set(patient=patient), association(SNAPSHOT, taken.id, target)))
    asked = {"uuid": f"('{target}')"}
    kinds = {item.get("associationType") for item in system.ask(GET_ASSOCIATIONS, asked).objects("Association")}
    assert kinds == {SNAPSHOT, HAS_MEMBER}
    wrong = Entry(patient=patient)
    stable = str(stored(system, taken.uid).get("id"))
    link = association(SNAPSHOT, wrong.id, stable)
    refused(system.provide([wrong], Set(patient=patient), link), "XDSRegistryMetadataError", stable)


# Folders, limited and extra metadata


def test_a_folder_with_its_document(system: Integrator, patient: str) -> None:
    entry, folder = Entry(patient=patient), Folder(patient=patient, slots={"urn:vendor:shelf": ["7", "8"]})
    owner = Set(patient=patient, slots={"urn:vendor:batch": ["42"]})
    member = association(HAS_MEMBER, folder.id, entry.id, name="inside", slots={"urn:vendor:page": ["1"]})
    links = [member, *(association(HAS_MEMBER, owner.id, item) for item in (folder.id, "inside"))]
    succeeded(system.provide([entry], owner, folder.xml, *links))
    answer = system.ask(GET_FOLDER, {"XDSFolderUniqueId": f"'{folder.uid}'"})
    (package,), (found,) = answer.objects("RegistryPackage"), answer.objects("Association")
    assert answer.uids == [entry.uid]
    assert slot_values(package, "urn:vendor:shelf") == ["7", "8"]
    assert len(slot_values(package, "lastUpdateTime")[0]) == 14
    assert slot_values(found, "urn:vendor:page") == ["1"]
    whole = system.ask(GET_SET, {"XDSSubmissionSetUniqueId": f"'{owner.uid}'"})
    batches = [slot_values(item, "urn:vendor:batch") for item in whole.objects("RegistryPackage")]
    assert sorted(batches) == [[], ["42"]]


def test_extra_metadata_has_a_name_of_its_own(system: Integrator, patient: str) -> None:
    entry = Entry(patient=patient, slots={"urn:vendor:colour": ["red", "<&>", "é"], "urn:x": ["y"]})
    succeeded(system.provide([entry], Set(patient=patient)))
    found = stored(system, entry.uid)
    assert slot_values(found, "urn:vendor:colour") == ["red", "<&>", "é"]
    assert slot_values(found, "urn:x") == ["y"]
    wrong = Entry(patient=patient, slots={"colour": ["red"]})
    refused(system.provide([wrong], Set(patient=patient)), "XDSRegistryError", "colour")


def test_limited_metadata(system: Integrator, patient: str) -> None:
    codes = frozenset(
        {"classCode", "confidentialityCode", "formatCode", "healthcareFacilityTypeCode"}
        | {"practiceSettingCode", "typeCode", "creationTime", "languageCode", "sourcePatientId"}
    )
    entry = Entry(patient=patient, without=codes, node=LIMITED["entry"])
    owner = Set(patient=patient, without=frozenset({"contentTypeCode"}), node=LIMITED["set"])
    folder = Folder(patient=patient, codes=(), title="", node=LIMITED["folder"])
    succeeded(system.provide([entry], owner, folder.xml, association(HAS_MEMBER, owner.id, folder.id)))
    answer = system.ask(GET_SET, {"XDSSubmissionSetUniqueId": f"'{owner.uid}'"})
    nodes = {
        (etree.QName(item).localname, str(row.get("classificationNode")))
        for item in (*answer.objects("ExtrinsicObject"), *answer.objects("RegistryPackage"))
        for row in item.iterfind("rim:Classification", NS)
    }
    assert {node for _, node in nodes} > set(LIMITED.values())
    assert ("ExtrinsicObject", LIMITED["entry"]) in nodes
    for full in (replace(entry, node=""), replace(entry, node=LIMITED["set"])):
        other = replace(full, uid=oid())
        answer = system.provide([other], Set(patient=patient))
        assert answer.errors in (["XDSRegistryMetadataError"], ["XDSRepositoryMetadataError"])


def test_availability_and_reference_ids(system: Integrator, patient: str) -> None:
    offline = "urn:ihe:iti:2010:DocumentAvailability:Offline"
    reference = f"A{oid()[-9:]}^^^&1.2.250.1.72&ISO^urn:ihe:iti:xds:2013:accession"
    kept = {"documentAvailability": [offline], "urn:ihe:iti:xds:2013:referenceIdList": [reference, "O1^^^^urn:x"]}
    entry = Entry(patient=patient, slots=kept)
    succeeded(system.provide([entry, Entry(patient=patient, id="Document02")], Set(patient=patient)))
    for name, values in kept.items():
        assert slot_values(stored(system, entry.uid), name) == values
    assert system.find(patient, DocumentAvailability=f"('{offline}')").uids == [entry.uid]
    wanted = {"XDSDocumentEntryPatientId": f"'{patient}'", "XDSDocumentEntryStatus": STATUS}
    found = system.ask(FIND_BY_REFERENCE, {**wanted, "XDSDocumentEntryReferenceIdList": f"('{reference}')"})
    assert found.uids == [entry.uid]
    excluded = system.ask(FIND_EXCLUDE, {**wanted, "XDSDocumentEntryReferenceIdListExclude": f"('{reference}')"})
    assert len(excluded.uids) == 1
    assert entry.uid not in excluded.uids
    wrong = Entry(patient=patient, slots={"documentAvailability": ["Offline"]})
    answer = system.provide([wrong], Set(patient=patient))
    refused(answer, "XDSRegistryMetadataError", "documentAvailability")


# On demand


def test_an_on_demand_entry_of_another_repository(system: Integrator, patient: str) -> None:
    offered = on_demand(patient)
    succeeded(announce(system, offered))
    assert system.find(patient).uids == []
    (found,) = system.find(patient, Type=f"('{ON_DEMAND}')").objects("ExtrinsicObject")
    assert (unique_id(found), found.get("objectType")) == (offered.uid, ON_DEMAND)
    assert not any(slot_values(found, name) for name in ("hash", "size", "creationTime"))
    both = {"XDSDocumentEntryPatientId": f"'{patient}'", "XDSDocumentEntryStatus": STATUS}
    both["XDSDocumentEntryType"] = f"('{ON_DEMAND}','{STABLE}')"
    assert len(system.ask(FIND_DOCUMENTS, both, returns="ObjectRef").objects("ObjectRef")) == 1
    refused(system.retrieve((ELSEWHERE, offered.uid)), "XDSUnknownRepositoryId", offered.uid)


def test_which_transaction_takes_which_entry(system: Integrator, patient: str) -> None:
    refused(system.register([on_demand(patient)], Set(patient=patient)), "XDSRegistryMetadataError", "objectType")
    facts = {"hash": [SHA1], "size": ["0"], "repositoryUniqueId": [ELSEWHERE]}
    refused(announce(system, Entry(patient=patient, slots=facts)), "XDSRegistryMetadataError", "objectType")
    for name, value in (("hash", SHA1), ("size", "0"), ("legalAuthenticator", "1^Curie")):
        answer = announce(system, on_demand(patient, slots={name: [value]}))
        refused(answer, "XDSRegistryMetadataError", name)
    refused(announce(system, on_demand(patient, slots={"repositoryUniqueId": []})), "XDSRegistryMetadataError")


def test_the_list_of_a_patients_studies(system: Integrator, patient: str) -> None:
    reference = "A77^^^&1.2.250.1.72&ISO^urn:ihe:iti:xds:2013:accession"
    slots = {"urn:ihe:iti:xds:2013:referenceIdList": [reference], "serviceStartTime": ["20260102"]}
    manifest = Entry(patient=patient, mime_type="application/dicom", slots=slots)
    succeeded(system.provide([manifest], Set(patient=patient)))
    (uid,) = until(lambda: system.find(patient, Type=f"('{ON_DEMAND}')").uids)

    def made() -> tuple[str, bytes]:
        answer = system.retrieve((REPOSITORY, uid))
        succeeded(answer)
        (row,) = answer.root.iter("{*}DocumentResponse")
        assert [etree.QName(item).localname for item in row] == [
            *("RepositoryUniqueId", "DocumentUniqueId", "NewRepositoryUniqueId", "NewDocumentUniqueId"),
            *("mimeType", "Document"),
        ]
        assert row.findtext("{*}NewRepositoryUniqueId") == REPOSITORY
        return str(row.findtext("{*}NewDocumentUniqueId")), answer.documents()[uid]

    new, document = made()
    assert new != uid
    assert made() == (new, document)
    texts = [str(item) for item in etree.fromstring(document).itertext()]
    assert {"2026-01-02", "A77"} <= set(texts)
    assert system.retrieve((REPOSITORY, new)).documents() == {new: document}
    assert set(system.find(patient).uids) == {manifest.uid, new}
    succeeded(system.provide([Entry(patient=patient, mime_type="application/dicom")], Set(patient=patient)))
    newer, longer = made()
    assert newer != new
    assert len(longer) > len(document)
    assert new not in system.find(patient).uids
    assert len(system.find(patient, Type=f"('{ON_DEMAND}')").uids) == 1


# Several patients


def test_one_question_about_two_patients(system: Integrator, hub: Hub, patient: str) -> None:
    other = system.announce(f"P{oid()[-12:]}", DOMAIN)
    reference = f"A{oid()[-9:]}^^^&1.2.250.1.72&ISO^urn:ihe:iti:xds:2013:accession"
    slots = {"urn:ihe:iti:xds:2013:referenceIdList": [reference]}
    first = Entry(patient=patient, slots=slots)
    second = Entry(patient=other, slots=slots, codes={"classCode": f"C{oid()[-9:]}"})
    for item in (first, second):
        succeeded(system.provide([item], Set(patient=item.patient)))
    both = {
        "XDSDocumentEntryPatientId": f"('{patient}','{other}')",
        "XDSDocumentEntryStatus": STATUS,
    }
    assert set(of_many(system, FIND_OF_MANY, both).uids) == {first.uid, second.uid}
    assert len(of_many(system, FIND_OF_MANY, both, returns="ObjectRef").objects("ObjectRef")) == 2
    by_reference = {"XDSDocumentEntryStatus": STATUS, "XDSDocumentEntryReferenceIdList": f"('{reference}')"}
    assert set(of_many(system, BY_REFERENCE_OF_MANY, by_reference).uids) == {first.uid, second.uid}
    touched = hub.audit.search(AuditSearch(transaction="ITI-51", limit=1)).records[0].objects
    assert {item.reference for item in touched if item.kind == "patient"} == {patient, other}
    code = f"('{second.codes['classCode']}^^1.2.250.1.999.50')"
    one = {"XDSDocumentEntryStatus": STATUS, "XDSDocumentEntryClassCode": code}
    assert of_many(system, FIND_OF_MANY, one).uids == [second.uid]
    nothing = {"XDSDocumentEntryStatus": STATUS, "XDSDocumentEntryTypeCode": "('18748-4^^1.2.250.1.999.50')"}
    refused(of_many(system, FIND_OF_MANY, nothing), "XDSStoredQueryMissingParam", "$XDSDocumentEntry")
    refused(of_many(system, FOLDERS_OF_MANY, {"XDSFolderStatus": STATUS}), "XDSStoredQueryMissingParam", "$XDSFolder")
    refused(of_many(system, FIND_DOCUMENTS, both), "XDSUnknownStoredQuery")
    refused(system.ask(FIND_OF_MANY, both), "XDSUnknownStoredQuery")


def test_ordinary_clients_may_not_ask_about_everybody(hub: Hub) -> None:
    permission = discover()["ITI-51"].transaction.permission
    client = Principal(
        id="c", name="c", scheme=Scheme.CERTIFICATE, permissions=frozenset({"documents.*", "imaging.*", "patients.*"})
    )
    assert not hub.access.explain(client, permission).allowed


# Whatever comes


@pytest.mark.parametrize("where", ["xds_registry", "xds_repository"])
def test_any_bytes_get_one_answer_and_one_audit_record(system: Integrator, hub: Hub, patient: str, where: str) -> None:
    rng = random.Random(f"{where} 7")
    url = system.box[where]
    entry = Entry(patient=patient)
    seeds = [
        envelope("urn:ihe:iti:2007:RegistryStoredQuery", query(GET_ALL, {"patientId": f"'{patient}'"}), url),
        envelope("urn:ihe:iti:2007:RegisterDocumentSet-b", submission([entry], Set(patient=patient)), url),
        envelope("urn:ihe:iti:2009:MultiPatientStoredQuery", query(FIND_OF_MANY, {}), url),
    ]
    types = ["application/soap+xml", 'multipart/related; type="application/xop+xml"; boundary=b', "text/plain", "x"]

    def newest() -> list[str]:
        return [record.id for record in hub.audit.search(AuditSearch(limit=10)).records]

    def changed(was: list[str]) -> list[str]:
        found = newest()
        return found if found != was else []

    for turn in range(60):
        body = bytearray(rng.choice(seeds))
        if turn % 10 == 0:
            body = bytearray(rng.randbytes(rng.randrange(200)))
        for _ in range(rng.choice((1, 1, 2, 8))):
            position = rng.randrange(len(body) + 1)
            change = rng.choice(("flip", "cut", "insert", "drop"))
            if change == "flip" and position < len(body):
                body[position] = rng.randrange(256)
            elif change == "cut":
                del body[position:]
            elif change == "insert":
                body[position:position] = rng.choice((b"\0", b"<", b"&", b"]]>", b"\xff\xfe", b"<!DOCTYPE a>", b"'"))
            else:
                del body[position : position + rng.randrange(1, 40)]
        before = newest()
        response = system.post(url, types[0] if rng.random() < 0.8 else rng.choice(types), bytes(body))
        assert response.status_code < 500 or response.headers["content-type"].startswith("application/soap+xml")
        assert b"Traceback" not in response.content
        assert patient.encode().partition(b"^")[0] not in response.content or b"RegistryObjectList" in response.content
        after = until(partial(changed, before))  # recorded once the answer is out
        assert after[1:] == before[:9], bytes(body)
