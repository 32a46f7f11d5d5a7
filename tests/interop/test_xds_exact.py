"""The rules of ITI-41, 42, 18 and 43 as an integrator meets them: SOAP written by hand, over TLS, exact error codes."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.testing.sandbox import SandboxProcess
from tests.interop.by_hand import (
    APPROVED,
    DEPRECATED,
    FIND_DOCUMENTS,
    FIND_SETS,
    GET_ALL,
    GET_ASSOCIATIONS,
    GET_DOCUMENTS,
    RELATION,
    SCHEME,
    Answer,
    Entry,
    Folder,
    Integrator,
    Set,
    association,
    identity,
    oid,
    slot_values,
    unique_id,
)

pytestmark = pytest.mark.interop
DOMAIN, SECOND, REPOSITORY, HOME = "1.2.250.1.999.41", "1.2.250.1.999.42", "1.2.250.1.999.43", "1.2.250.1.999.44"
HOSPITAL = "1.2.250.1.999.45"
AUTHORITIES = [
    {"namespace": "HOSP_A", "oid": HOSPITAL, "type": "PI", "application": "HIS_A", "facility": "HOSP_A"},
]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Integrator]:
    """A vendor's system in front of a sandbox with every option set."""
    directory = tmp_path_factory.mktemp("xds")
    (directory / "authorities.json").write_text(json.dumps(AUTHORITIES))
    more: list[str] = []
    server = name = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        name = server.create_database()
        more = ["--db", server.url(name)]
    arguments = (
        "--affinity-domain", DOMAIN, "--affinity-domain", SECOND, "--repository-id", REPOSITORY,
        "--home-community", HOME, "--authorities", str(directory / "authorities.json"),
        "--data", str(directory / "data"), *more,
    )  # fmt: skip
    with SandboxProcess(*arguments) as box, Integrator(box) as vendor:
        yield vendor
    if server is not None:
        server.drop_database(name)


@pytest.fixture
def patient(system: Integrator) -> str:
    """A patient whom the affinity domain's own feed announced."""
    return system.announce(f"P{oid()[-12:]}", DOMAIN)


@pytest.fixture
def entry(patient: str) -> Entry:
    return Entry(patient=patient)


@pytest.fixture
def owner(patient: str) -> Set:
    return Set(patient=patient)


def stored(system: Integrator, patient: str) -> int:
    """How many objects of whatever kind the registry has for the patient."""
    status = f"('{APPROVED}','{DEPRECATED}')"
    answer = system.ask(
        GET_ALL,
        {
            "patientId": f"'{patient}'",
            "XDSDocumentEntryStatus": status,
            "XDSSubmissionSetStatus": status,
            "XDSFolderStatus": status,
        },
        returns="ObjectRef",
    )
    assert answer.outcome == "Success"
    return len(answer.objects("ObjectRef"))


def content_files(system: Integrator) -> set[str]:
    """The files of the repository, spooled ones too."""
    data = Path(system.box["ca"]).parents[1] / "content"
    return {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file() and path.suffix != ".jsonl"}


def refused(answer: Answer, *codes: str) -> None:
    assert answer.status == 200
    assert answer.outcome == "Failure"
    assert answer.errors == list(codes)


# The whole way


def test_provide_find_and_retrieve(system: Integrator, entry: Entry, owner: Set) -> None:
    provided = replace(entry, slots={"urn:vendor:colour": ["red", "green"]})
    answer = system.provide([provided], owner)
    assert (answer.outcome, answer.errors) == ("Success", [])
    (found,) = system.find(entry.patient).objects("ExtrinsicObject")
    assert found.get("id", "").startswith("urn:uuid:")
    assert found.get("id") == found.get("lid")
    assert found.get("status") == APPROVED
    assert found.get("home") == f"urn:oid:{HOME}"
    assert unique_id(found) == entry.uid
    assert slot_values(found, "hash") == [hashlib.sha1(entry.content).hexdigest()]
    assert slot_values(found, "size") == [str(len(entry.content))]
    assert slot_values(found, "repositoryUniqueId") == [REPOSITORY]
    assert slot_values(found, "urn:vendor:colour") == ["red", "green"]
    package = system.retrieve((REPOSITORY, entry.uid))
    assert package.outcome == "Success"
    assert package.parts
    assert package.documents() == {entry.uid: entry.content}


def test_register_alone(system: Integrator, entry: Entry, owner: Set) -> None:
    registered = replace(entry, slots=facts(entry, repository="1.2.3.99"))
    answer = system.register([registered], owner)
    assert (answer.outcome, answer.errors) == ("Success", [])
    assert system.find(entry.patient).uids == [entry.uid]
    refused(system.retrieve((REPOSITORY, entry.uid)), "XDSDocumentUniqueIdError")


def facts(entry: Entry, repository: str = REPOSITORY) -> dict[str, list[str]]:
    """What an entry of ITI-42 bears."""
    return {
        "hash": [hashlib.sha1(entry.content).hexdigest()],
        "size": [str(len(entry.content))],
        "repositoryUniqueId": [repository],
    }


def test_symbolic_ids_are_replaced_everywhere(system: Integrator, entry: Entry, owner: Set) -> None:
    assert system.provide([entry], owner).outcome == "Success"
    status = f"('{APPROVED}')"
    whole = system.ask(
        GET_ALL,
        {
            "patientId": f"'{entry.patient}'",
            "XDSDocumentEntryStatus": status,
            "XDSSubmissionSetStatus": status,
            "XDSFolderStatus": status,
        },
    )
    (document,), (package,), (link,) = (
        whole.objects(kind) for kind in ("ExtrinsicObject", "RegistryPackage", "Association")
    )
    assert (link.get("sourceObject"), link.get("targetObject")) == (package.get("id"), document.get("id"))
    assert {item.get("id", "")[:9] for item in (document, package, link)} == {"urn:uuid:"}
    assert slot_values(link, "SubmissionSetStatus") == ["Original"]


def test_given_uuids_are_kept(system: Integrator, entry: Entry, owner: Set) -> None:
    given = replace(entry, id="urn:uuid:6f8f6f0e-95c4-4a0e-9d6c-" + oid()[-12:])
    assert system.provide([given], owner).outcome == "Success"
    assert [item.get("id") for item in system.find(entry.patient).objects("ExtrinsicObject")] == [given.id]


def test_replacement_deprecates(system: Integrator, entry: Entry, owner: Set) -> None:
    system.provide([entry], owner)
    (old,) = system.find(entry.patient).objects("ExtrinsicObject")
    newer = Entry(patient=entry.patient, content=b"corrected")
    relation = association(RELATION + "RPLC", newer.id, old.get("id", ""))
    assert system.provide([newer], Set(patient=entry.patient), relation).outcome == "Success"
    assert system.find(entry.patient).uids == [newer.uid]
    assert system.find(entry.patient, DEPRECATED).uids == [entry.uid]
    links = system.ask(GET_ASSOCIATIONS, {"uuid": f"('{old.get('id')}')"}).objects("Association")
    assert sorted(link.get("associationType", "").rpartition(":")[2] for link in links) == ["HasMember", "RPLC"]
    before = stored(system, entry.patient)
    again = Entry(patient=entry.patient, content=b"too late")
    relation = association(RELATION + "RPLC", again.id, old.get("id", ""))
    refused(system.provide([again], Set(patient=entry.patient), relation), "XDSRegistryDeprecatedDocumentError")
    assert stored(system, entry.patient) == before


def test_a_repeated_submission_with_new_ids_of_the_same_document(system: Integrator, entry: Entry, owner: Set) -> None:
    """The same document may be registered again (same hash); another one may not take its uniqueId."""
    assert system.provide([entry], owner).outcome == "Success"
    assert system.provide([entry], Set(patient=entry.patient)).outcome == "Success"
    before = stored(system, entry.patient)
    other = replace(entry, content=b"something else")
    refused(system.provide([other], Set(patient=entry.patient)), "XDSNonIdenticalHash")
    assert stored(system, entry.patient) == before
    assert system.retrieve((REPOSITORY, entry.uid)).documents() == {entry.uid: entry.content}


# Submissions that break a rule


def breaking(entry: Entry, owner: Set) -> dict[str, tuple[list[Entry], Set, list[str], list[str], dict[str, Any]]]:
    stranger = f"NOBODY^^^&{DOMAIN}&ISO"
    second = Entry(patient=entry.patient, id="Document02")
    nowhere = association(RELATION + "RPLC", entry.id, "urn:uuid:00000000-0000-4000-8000-000000000001")
    return {
        "unknown patient": (
            [replace(entry, patient=stranger)], replace(owner, patient=stranger), [], ["XDSUnknownPatientId"], {},
        ),
        "patients differ": ([entry], replace(owner, patient=stranger), [], ["XDSPatientIdDoesNotMatch"], {}),
        "no document": ([entry], owner, [], ["XDSMissingDocument"], {"documents": {}}),
        "no metadata": (
            [entry], owner, [], ["XDSMissingDocumentMetadata"], {"documents": {entry.id: b"a", "Other": b"b"}},
        ),
        "same uniqueId twice": (
            [entry, replace(second, uid=entry.uid)], owner, [], ["XDSRepositoryDuplicateUniqueIdInMessage"], {},
        ),
        "hash is another's": (
            [replace(entry, slots={"hash": ["0" * 40]})], owner, [], ["XDSRepositoryMetadataError"], {},
        ),
        "no sourcePatientId": (
            [replace(entry, without=frozenset({"sourcePatientId"}))], owner, [], ["XDSRepositoryMetadataError"], {},
        ),
        "no typeCode": (
            [replace(entry, without=frozenset({"typeCode"}))], owner, [], ["XDSRepositoryMetadataError"], {},
        ),
        "no uniqueId": (
            [replace(entry, without=frozenset({"uniqueId"}))], owner, [], ["XDSRepositoryMetadataError"], {},
        ),
        "no source": ([entry], replace(owner, without=frozenset({"sourceId"})), [], ["XDSRepositoryMetadataError"], {}),
        "replaces nothing": ([entry], owner, [nowhere], ["UnresolvedReferenceException"], {}),
        "slot of no namespace": ([replace(entry, slots={"colour": ["red"]})], owner, [], ["XDSRepositoryError"], {}),
    }  # fmt: skip


@pytest.mark.parametrize("rule", sorted(breaking(Entry(patient=""), Set(patient=""))))
def test_a_broken_rule_gets_its_code_and_nothing_is_stored(
    system: Integrator, entry: Entry, owner: Set, rule: str
) -> None:
    entries, package, more, codes, options = breaking(entry, owner)[rule]
    files = content_files(system)
    answer = system.provide(entries, package, *more, **options)
    families = {"XDSRepositoryMetadataError": "XDSRegistryMetadataError", "XDSRepositoryError": "XDSRegistryError"}
    assert answer.status == 200
    assert answer.outcome == "Failure"
    assert answer.errors == codes or answer.errors == [families.get(code, code) for code in codes]
    assert answer.root.find(".//{*}RegistryErrorList").get("highestSeverity", "").endswith(":Error")  # type: ignore[union-attr]
    assert stored(system, entry.patient) == 0
    assert content_files(system) == files
    refused(system.retrieve((REPOSITORY, entry.uid)), "XDSDocumentUniqueIdError")
    assert system.provide([entry], owner).outcome == "Success"  # what was refused left no uniqueId behind


def test_what_is_refused_is_named_as_it_was_submitted(system: Integrator, entry: Entry, owner: Set) -> None:
    """The registry's own ids of what it did not register tell the submitter nothing."""
    system.provide([entry], owner)
    registered = str(system.find(entry.patient).objects("ExtrinsicObject")[0].get("id"))
    other = Entry(patient=entry.patient, id="Second")
    itself = association(RELATION + "RPLC", other.id, other.id, name="Relation")
    answer = system.provide([other], Set(patient=entry.patient), itself)
    assert (answer.errors, answer.locations) == (["XDSRegistryMetadataError"], ["Relation"])
    folder = Folder(patient=entry.patient, id="Alone")
    answer = system.provide([other], Set(patient=entry.patient), folder.xml)
    assert (answer.errors, answer.locations) == (["XDSRegistryMetadataError"], ["Alone"])
    someone = system.announce(f"Q{oid()[-12:]}", DOMAIN)
    across = association(RELATION + "RPLC", "Theirs", registered, name="Relation")
    answer = system.provide([Entry(patient=someone, id="Theirs")], Set(patient=someone), across)
    assert (answer.errors, answer.locations) == (["XDSPatientIdDoesNotMatch"], [registered])
    told = [str(row.get("codeContext")) for row in answer.root.iter("{*}RegistryError")]
    assert told[0].startswith("Association Relation: ")


def test_a_uniqueid_of_a_submission_set_can_be_used_once(system: Integrator, entry: Entry, owner: Set) -> None:
    assert system.provide([entry], owner).outcome == "Success"
    other = Entry(patient=entry.patient, content=b"another")
    refused(system.provide([other], owner), "XDSDuplicateUniqueIdInRegistry")
    assert system.find(entry.patient).uids == [entry.uid]


@pytest.mark.parametrize("missing", ["repositoryUniqueId", "hash", "size"])
def test_register_needs_what_the_repository_knows(system: Integrator, entry: Entry, owner: Set, missing: str) -> None:
    bare = {name: values for name, values in facts(entry).items() if name != missing}
    refused(system.register([replace(entry, slots=bare)], owner), "XDSRegistryMetadataError")
    assert stored(system, entry.patient) == 0


def test_register_says_what_is_double(system: Integrator, entry: Entry, owner: Set) -> None:
    first = replace(entry, slots=facts(entry))
    refused(system.register([first, replace(first, id="Document02")], owner), "XDSRegistryDuplicateUniqueIdInMessage")
    assert system.register([first], owner).outcome == "Success"
    other = replace(first, slots={**facts(entry), "hash": ["0" * 40]})
    refused(system.register([other], Set(patient=entry.patient)), "XDSNonIdenticalHash")
    other = replace(first, slots={**facts(entry), "size": ["5"]})
    refused(system.register([other], Set(patient=entry.patient)), "XDSNonIdenticalSize")
    assert len(system.find(entry.patient).uids) == 1


def test_an_association_across_patients(system: Integrator, entry: Entry, owner: Set) -> None:
    system.provide([entry], owner)
    (old,) = system.find(entry.patient).objects("ExtrinsicObject")
    someone = system.announce(f"Q{oid()[-12:]}", DOMAIN)
    newer = Entry(patient=someone)
    relation = association(RELATION + "RPLC", newer.id, old.get("id", ""))
    refused(system.provide([newer], Set(patient=someone), relation), "XDSPatientIdDoesNotMatch")
    assert stored(system, someone) == 0
    assert system.find(entry.patient).uids == [entry.uid]


# Queries


STATUS = f"('{APPROVED}')"
PARAMETERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no patient": ({"PatientId": None}, "XDSStoredQueryMissingParam", "$XDSDocumentEntryPatientId"),
    "no status": ({"Status": None}, "XDSStoredQueryMissingParam", "$XDSDocumentEntryStatus"),
    "two patients": ({"PatientId": ["'A^^^&1.2&ISO'", "'B^^^&1.2&ISO'"]}, "XDSStoredQueryParamNumber", "PatientId"),
    "patients in a list": ({"PatientId": "('A^^^&1.2&ISO','B^^^&1.2&ISO')"}, "XDSStoredQueryParamNumber", "PatientId"),
    "patient in parentheses": ({"PatientId": "('A^^^&1.2&ISO')"}, "XDSRegistryError", "PatientId"),
    "status without parentheses": ({"Status": f"'{APPROVED}'"}, "XDSRegistryError", "Status"),
    "codes without parentheses": ({"ClassCode": "'11^^1.2'"}, "XDSRegistryError", "ClassCode"),
    "empty list": ({"ClassCode": "()"}, "XDSRegistryError", "ClassCode"),
    "bare code": ({"ClassCode": "('11')"}, "XDSRegistryError", "ClassCode"),
    "bare code with its scheme beside": (
        {"ClassCode": "('11')", "ClassCodeScheme": "('1.2')"}, "XDSRegistryError", "ClassCode",
    ),
    "empty scheme": ({"ClassCode": "('11^^')"}, "XDSRegistryError", "ClassCode"),
    "no quotes": ({"ClassCode": "(11^^1.2)"}, "XDSRegistryError", "ClassCode"),
    "open list": ({"ClassCode": "('11^^1.2'"}, "XDSRegistryError", "ClassCode"),
    "class code twice": ({"ClassCode": ("('11^^1.2')", "('12^^1.2')")}, "XDSStoredQueryParamNumber", "ClassCode"),
    "no such status": ({"Status": "('urn:x:Open')"}, "XDSRegistryError", "Status"),
    "no time": ({"CreationTimeFrom": "'yesterday'"}, "XDSRegistryError", "CreationTimeFrom"),
    "two times": ({"CreationTimeFrom": ["'2020'", "'2021'"]}, "XDSStoredQueryParamNumber", "CreationTimeFrom"),
    "patient without authority": ({"PatientId": "'4711'"}, "XDSRegistryError", "PatientId"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", sorted(PARAMETERS))
def test_a_parameter_that_can_not_be(system: Integrator, patient: str, mistake: str) -> None:
    changes, error, location = PARAMETERS[mistake]
    asked = {"PatientId": f"'{patient}'", "Status": STATUS, **changes}
    named = {f"XDSDocumentEntry{name}": value for name, value in asked.items() if value is not None}
    answer = system.ask(FIND_DOCUMENTS, named)
    refused(answer, error)
    assert location in answer.locations[0]
    assert patient.partition("^")[0] not in str(answer.root.xpath("string(.)"))


def test_codes_with_their_scheme_are_found(system: Integrator, entry: Entry, owner: Set) -> None:
    system.provide([entry], owner)
    for classes in ("('11^^1.2.250.1.999.50')", ["('nothing^^1.2')", "('11^^1.2.250.1.999.50')"]):
        assert system.find(entry.patient, ClassCode=classes).uids == [entry.uid]
    assert system.find(entry.patient, ClassCode="('11^^1.2.250.1.999.50')", ClassCodeScheme="('x')").uids == [entry.uid]
    assert system.find(entry.patient, ClassCode="('12^^1.2.250.1.999.50')").uids == []
    assert system.find(entry.patient, CreationTimeFrom="'20260101120000'", CreationTimeTo="'2027'").uids == [entry.uid]
    assert system.find(entry.patient, CreationTimeTo="20260101120000").uids == []


def test_and_between_slots_or_within(system: Integrator, entry: Entry, owner: Set) -> None:
    system.provide([entry], owner)
    one, other = "('N^^1.2.250.1.999.50')", "('R^^1.2.250.1.999.50')"
    assert system.find(entry.patient, ConfidentialityCode=[one, other]).uids == [entry.uid]
    assert system.find(entry.patient, ConfidentialityCode=(one, other)).uids == []


def test_what_the_registry_does_not_know(system: Integrator, patient: str) -> None:
    refused(system.ask("urn:uuid:00000000-0000-4000-8000-000000000000", {}), "XDSUnknownStoredQuery")
    refused(system.ask(GET_DOCUMENTS, {}), "XDSStoredQueryMissingParam")
    both = {"XDSDocumentEntryUniqueId": "('1.2')", "XDSDocumentEntryEntryUUID": "('urn:uuid:1')"}
    refused(system.ask(GET_DOCUMENTS, both), "XDSStoredQueryParamNumber")
    refused(
        system.ask(GET_DOCUMENTS, {"XDSDocumentEntryUniqueId": "('1.2')"}, returns="Everything"), "XDSRegistryError"
    )
    home = system.ask(GET_DOCUMENTS, {"XDSDocumentEntryUniqueId": "('1.2')"}, home="urn:oid:1.2.3.4.5")
    refused(home, "XDSUnknownCommunity")
    nobody = system.find(f"NOBODY^^^&{DOMAIN}&ISO")
    assert (nobody.outcome, nobody.objects("ExtrinsicObject"), nobody.errors) == ("Success", [], [])
    assert system.find(patient).objects("ExtrinsicObject") == []


def test_several_patients_at_once(system: Integrator, entry: Entry, owner: Set) -> None:
    system.provide([entry], owner)
    someone = system.announce(f"S{oid()[-12:]}", DOMAIN)
    other = Entry(patient=someone)
    system.provide([other], Set(patient=someone))
    both = {"XDSDocumentEntryUniqueId": f"('{entry.uid}','{other.uid}')"}
    refused(system.ask(GET_DOCUMENTS, both), "XDSResultNotSinglePatient")
    references = system.ask(GET_DOCUMENTS, both, returns="ObjectRef")
    assert len(references.objects("ObjectRef")) == 2


# Retrieval


def test_what_can_not_be_retrieved(system: Integrator, entry: Entry, owner: Set) -> None:
    system.provide([entry], owner)
    unknown = system.retrieve((REPOSITORY, "1.2.3.404"))
    refused(unknown, "XDSDocumentUniqueIdError")
    assert unknown.locations == ["1.2.3.404"]
    refused(system.retrieve(("1.2.3.5", entry.uid)), "XDSUnknownRepositoryId")
    some = system.retrieve((REPOSITORY, entry.uid), ("1.2.3.5", entry.uid), (REPOSITORY, "1.2.3.404"))
    assert some.outcome == "PartialSuccess"
    assert sorted(some.errors) == ["XDSDocumentUniqueIdError", "XDSUnknownRepositoryId"]
    assert some.documents() == {entry.uid: entry.content}


def test_a_plain_provide_is_a_clear_fault(system: Integrator) -> None:
    body = '<x:ProvideAndRegisterDocumentSetRequest xmlns:x="urn:ihe:iti:xds-b:2007"/>'
    answer = system.call("xds_repository", "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", body)
    assert answer.outcome == "Fault Sender"
    assert "MTOM" in str(answer.root.xpath("string(.)"))


# The patients behind


def test_each_affinity_domain_registers_its_patients(system: Integrator) -> None:
    for domain in (DOMAIN, SECOND):
        known = system.announce(f"D{oid()[-12:]}", domain)
        assert system.provide([Entry(patient=known)], Set(patient=known)).outcome == "Success"
        assert len(system.find(known).uids) == 1


def test_a_hospital_number_is_no_patient_of_the_registry(system: Integrator) -> None:
    number = f"L{oid()[-12:]}"
    feed = identity("A28", f"{number}^^^HOSP_A&{HOSPITAL}&ISO^PI", sender="HIS_A|HOSP_A", name=f"LOCAL^{number}")
    assert "MSA|AA" in system.feed(feed)
    local = f"{number}^^^&{HOSPITAL}&ISO"
    answer = system.provide([Entry(patient=local)], Set(patient=local))
    refused(answer, "XDSUnknownPatientId")


def test_an_authority_that_nobody_named_is_refused(system: Integrator) -> None:
    """With --authorities nothing is accepted at first sight."""
    answer = system.feed(identity("A28", "1^^^UNHEARD&1.2.3.4.5.6&ISO^PI"))
    assert "MSA|AE" in answer or "MSA|AR" in answer
    assert "PID^1^3" in answer


def test_merges_show_in_queries(system: Integrator) -> None:
    """A40: what was shared under the number that was given up is found under the one that survives."""
    kept, lost = (system.announce(f"M{index}{oid()[-11:]}", DOMAIN) for index in (1, 2))
    under_kept, under_lost = Entry(patient=kept), Entry(patient=lost)
    system.provide([under_kept], Set(patient=kept))
    system.provide([under_lost], Set(patient=lost))
    survivor, gone = (text.replace("&ISO", "&ISO^PI") for text in (kept, lost))
    assert "MSA|AA" in system.feed(identity("A40", survivor, merged=gone))
    found = system.find(kept)
    assert sorted(found.uids) == sorted([under_kept.uid, under_lost.uid])
    patients = {
        row.get("value")
        for item in found.objects("ExtrinsicObject")
        for row in item.iterfind("{*}ExternalIdentifier")
        if row.get("identificationScheme") == "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
    }
    assert patients == {kept}
    refused(system.provide([Entry(patient=lost)], Set(patient=lost)), "XDSUnknownPatientId")


def test_codes_of_the_affinity_domain(tmp_path: Path) -> None:
    """--vocabulary: a code that is not in its list is refused, attributes without a list are free."""
    sets = [
        {"resourceType": "ValueSet", "name": name, "compose": {"include": [
            {"system": f"urn:oid:{SCHEME}", "concept": [{"code": value}]},
        ]}}
        for name, value in (("classCode", "11"), ("typeCode", "18748-4"))
    ]  # fmt: skip
    (tmp_path / "codes.json").write_text(json.dumps(sets))
    with SandboxProcess("--vocabulary", str(tmp_path / "codes.json")) as box, Integrator(box) as system:
        patient = system.announce("V1", box["affinity_domain"])
        other = Entry(patient=patient, codes={"classCode": "12"})
        answer = system.provide([other], Set(patient=patient))
        assert answer.outcome == "Failure"
        assert answer.errors in (["XDSRegistryMetadataError"], ["XDSRepositoryMetadataError"])
        assert "classCode" in answer.locations[0]
        assert stored(system, patient) == 0
        free = Entry(patient=patient, codes={"practiceSettingCode": "ANYTHING"})
        assert system.provide([free], Set(patient=patient)).outcome == "Success"


def test_sets_are_found_by_their_source(system: Integrator, entry: Entry, owner: Set) -> None:
    system.provide([entry], owner)
    asked = {"XDSSubmissionSetPatientId": f"'{entry.patient}'", "XDSSubmissionSetStatus": STATUS}
    assert len(system.ask(FIND_SETS, {**asked, "XDSSubmissionSetSourceId": "('1.2.250.1.999.60')"}).objects(
        "RegistryPackage"
    )) == 1  # fmt: skip
    assert not system.ask(FIND_SETS, {**asked, "XDSSubmissionSetSourceId": "('1.2.3')"}).objects("RegistryPackage")
