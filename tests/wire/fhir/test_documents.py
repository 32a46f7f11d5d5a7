"""DocumentEntry <-> DocumentReference, sets and folders <-> List, times, media types: pure translations."""

import base64
import contextlib
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from hub.documents.model import (
    DEPRECATED,
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    DocumentRequest,
    Folder,
    ReferenceId,
    RetrievedDocument,
    SubmissionSet,
)
from hub.documents.sharing_model import OpenedDocument
from hub.errors import HubError, Invalid
from hub.values import Code, PatientIdentifier
from hub.wire.fhir import r4, search
from hub.wire.fhir.binary import answer
from hub.wire.fhir.codes import scheme_of, system_of, unique_id, unique_id_of
from hub.wire.fhir.document_list import document_list, folder_of, set_of
from hub.wire.fhir.document_publish import read_publication
from hub.wire.fhir.document_reference import document_reference, entry_of, get_subject
from hub.wire.fhir.document_search import LISTS, find_documents, find_lists
from hub.wire.fhir.errors import NotAcceptable
from hub.wire.fhir.people import Box, get_author
from hub.wire.fhir.search import reference_id
from hub.wire.fhir.times import asked, bounds, date_time, dtm_of
from hub.wire.http import HttpRequest

BASE = "http://127.0.0.1:8080/fhir"
MAIL = {"system": "email", "value": "a.b@example.org"}
PHONE = {"system": "phone", "value": "+33 1 40 00 00 00"}
PATIENT = PatientIdentifier("R1", "1.2.250.1.999.1.1")
UUID = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
LOINC = Code("18748-4", "2.16.840.1.113883.6.1", "Imaging report")
ENTRY = DocumentEntry(
    id=UUID,
    unique_id="1.2.3^4",
    patient_id=PATIENT,
    mime_type="application/pdf",
    class_code=Code("11", "1.2.250.1.213.1.1.4.1"),
    type_code=LOINC,
    format_code=Code("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3", "PDF"),
    healthcare_facility_type_code=Code("SA01", "1.2.250.1.71.4.2.4"),
    practice_setting_code=Code("RAD", "local codes"),
    confidentiality_codes=(Code("N", "2.16.840.1.113883.5.25"), Code("X", "http://example.org/codes")),
    event_codes=(Code("CT", "1.2.840.10008.2.16.4"),),
    authors=(
        Author("801234^Curie^Marie^Salomea^^Dr^^^&1.2.250.1.71.4.2.1&ISO"),
        Author(institutions=("Hôpital A^^^^^&1.2.250.1.71.4.2.2&ISO^^^^750000001",)),
        Author("^Joliot^Irène", ("Institut",), ("PS",), ("SM44^Radiologie^&1.2.250.1.71.4.2.5&ISO",)),
    ),
    creation_time="20260301101500",
    service_start_time="20260301",
    service_stop_time="202603011030",
    language_code="fr-FR",
    legal_authenticators=("801234^Curie^Marie^^^^^^&1.2.250.1.71.4.2.1&ISO",),
    source_patient_id="4711^^^&1.2.3.4&ISO",
    source_patient_info=("PID-5|DUPONT^JEANNE", "PID-7|19700101", "PID-8|F"),
    reference_ids=(
        ReferenceId("ACC-1", "1.2.250.1.72", "urn:ihe:iti:xds:2013:accession"),
        ReferenceId("1.2.840.1", "", "urn:ihe:iti:xds:2016:studyInstanceUID"),
        ReferenceId("W1", "1.2.250.1.73", "urn:ihe:iti:xds:2013:workflowInstanceId"),
    ),
    title="Compte rendu",
    comments="A comment",
    hash="0a4d55a8d778e5022fab701977c5d840bbc486d0",
    size=11,
    repository_unique_id="1.2.3",
    home="urn:oid:1.2.250.1.999.1.3",
)
#: What a resource does not tell: who keeps it, and what only the registry sets.
UNTOLD: dict[str, Any] = {"repository_unique_id": "", "home": "", "status": ENTRY.status}


def valid(resource: dict[str, Any]) -> dict[str, Any]:
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    r4.check(resource)
    return resource


def again(entry: DocumentEntry) -> DocumentEntry:
    resource = valid(document_reference(entry, (), BASE))
    return entry_of(resource, Box(resource.get("contained")), entry.id)


def test_an_entry_survives_the_resource() -> None:
    times: dict[str, Any] = {
        "service_start_time": "20260301000000",
        "service_stop_time": "20260301103000",
    }  # made comparable: per-1
    assert again(ENTRY) == replace(ENTRY, **times, **UNTOLD)


def test_a_poor_entry_is_valid_too() -> None:
    poor = DocumentEntry(id=UUID, unique_id="x", patient_id=PATIENT, mime_type="text/plain", limited=True)
    found = valid(document_reference(poor, (), BASE))
    assert found["meta"]["profile"][0].endswith("IHE.MHD.Minimal.DocumentReference")
    assert again(poor) == replace(poor, limited=False)


def word(chance: random.Random) -> str:
    return "".join(chance.choices("aé中😀'\"<>/\\#%+,;:=()[]{}0-_.", k=chance.randint(1, 12)))


def code(chance: random.Random) -> Code:
    scheme = chance.choice(["1.2.3", "2.16.840.1.113883.6.1", "http://x.org/y"])
    return Code(word(chance), scheme, word(chance))


@pytest.mark.parametrize("seed", range(50))
def test_any_values_survive(seed: int) -> None:
    chance = random.Random(seed)
    one, several = code(chance), [code(chance) for _ in range(3)]
    family, title, size = word(chance), word(chance), chance.randrange(2**31)
    entry = replace(
        ENTRY,
        class_code=one,
        event_codes=tuple(several),
        authors=(Author(f"^{family}"),),
        title=title,
        size=size,
        service_stop_time="",
    )
    assert again(entry) == replace(entry, **UNTOLD)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (AssociationType.REPLACE, "replaces"),
        (AssociationType.TRANSFORM, "transforms"),
        (AssociationType.APPEND, "appends"),
        (AssociationType.TRANSFORM_REPLACE, "replaces"),
        (AssociationType.SIGNS, "signs"),
    ],
)
def test_relations(kind: AssociationType, code: str) -> None:
    links = (Association("a", kind, UUID, "urn:uuid:1"), Association("b", kind, "urn:uuid:2", UUID))
    found = valid(document_reference(replace(ENTRY, status=DEPRECATED), links, BASE))
    assert found["relatesTo"] == [{"code": code, "target": {"reference": "DocumentReference/1"}}]
    assert found["status"] == "superseded"


SET = SubmissionSet(
    id=UUID,
    unique_id="1.2.3.5",
    source_id="1.2.3.6",
    patient_id=PATIENT,
    submission_time="20260301101500",
    content_type_code=LOINC,
    authors=(Author("1^Curie^Marie^^^^^^&1.2.3&ISO"),),
    intended_recipients=("Cabinet^^^^^&1.2.3&ISO^^^^42", "|2^Joliot^Irène^^^^^^&1.2.3&ISO|^^Internet^i@example.org"),
    title="Sent",
    comments="A comment",
)
FOLDER = Folder(
    id=UUID, unique_id="1.2.3.7", patient_id=PATIENT, codes=(LOINC, Code("A", "1.2")), title="Kept", comments="Why"
)


def test_lists_survive_the_resource() -> None:
    members = (replace(ENTRY, id="urn:uuid:1"), replace(FOLDER, id="urn:uuid:2"))
    links = [Association(name, AssociationType.HAS_MEMBER, UUID, f"urn:uuid:{name}") for name in "123"]
    resource = valid(document_list(SET, links, members))
    held = [row["item"]["reference"] for row in resource["entry"]]
    assert held == ["DocumentReference/1", "List/2"]
    assert set_of(resource, Box(resource.get("contained")), UUID) == SET
    resource = valid(document_list(replace(FOLDER, last_update_time="20260301101500"), (), ()))
    assert folder_of(resource, Box(), UUID) == FOLDER
    organisation = replace(SET, authors=(Author(institutions=("Cabinet",)),))
    resource = valid(document_list(organisation, (), ()))
    assert resource["source"]["extension"][0]["url"].endswith("ihe-authorOrg")
    assert set_of(resource, Box(resource.get("contained")), UUID) == organisation
    for read in (set_of, folder_of):
        for change in ({"status": "retired"}, {"status": None}, {"mode": "snapshot"}, {"mode": None}):
            with pytest.raises(Invalid) as caught:
                read({**resource, **change}, Box(), UUID)
            assert caught.value.location == f"List.{next(iter(change))}"


@pytest.mark.parametrize("value", ["1.2.3", "1.2.3^x", "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1", "http://x/y"])
def test_unique_ids_and_schemes(value: str) -> None:
    identifier = unique_id(value)
    assert unique_id_of(identifier["system"], identifier["value"]) == value
    for scheme in ("2.16.840.1.113883.6.1", "1.2.3", "http://example.org/x", "LOCAL"):
        assert scheme_of(system_of(scheme)) == scheme


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2026"], ("20260101000000", "20270101000000")),
        (["2026-02"], ("20260201000000", "20260301000000")),
        (["ge2026-02-03"], ("20260203000000", "")),
        (["gt2026-02-03"], ("20260204000000", "")),
        (["le2026-02-03"], ("", "20260204000000")),
        (["lt2026-02-03"], ("", "20260203000000")),
        (["sa2026", "eb2028"], ("20270101000000", "20280101000000")),
        (["ge2026-02-03T04:05+02:00"], ("20260203020500", "")),
        (["2026-02-03T04:05:06.789Z"], ("20260203040506", "20260203040507")),
        (["2026-02-03T04:05Z"], ("20260203040500", "20260203040600")),
        ([], ("", "")),
    ],
)
def test_date_parameters(texts: list[str], expected: tuple[str, str]) -> None:
    assert bounds(asked(texts, "date")) == expected


@pytest.mark.parametrize("text", ["", "ne2026", "2026-13", "2026-02-30", "ap2026", "9999", "2026-02-03T25:00Z", "x"])
def test_no_dates(text: str) -> None:
    with pytest.raises(Invalid):
        asked([text], "date")


@pytest.mark.parametrize("dtm", ["2026", "202602", "20260203", "20260203040506"])
def test_times_survive(dtm: str) -> None:
    assert dtm_of(date_time(dtm), "x") == dtm


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z"])
def test_what_is_no_time_of_utc(text: str) -> None:
    with pytest.raises(Invalid):
        dtm_of(text, "x")


NAMES = (
    *("patient", "date", "period", "type", "related", "identifier", "_id", "code", "status", "event", "creation"),
    *("patient.identifier", "designationType", "_count", "_offset", "sourceId", "source.family", "author.given"),
)
TEXTS = (
    "|",
    "a|b",
    "urn:oid:1.2|x",
    "urn:oid:x|y",
    ",",
    "\\",
    "\\,",
    "ge",
    "ge2026",
    "eb0001",
    "Patient/",
    "/",
    "^",
    "\0",
    "1",
)


@pytest.mark.parametrize("seed", range(200))
def test_any_search_is_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    query = tuple((chance.choice(NAMES), chance.choice(TEXTS)) for _ in range(chance.randint(0, 3)))
    for find in (find_documents, find_lists):
        with contextlib.suppress(HubError):
            find(HttpRequest("GET", "/fhir/x", BASE, query=query))


def test_who_counts_gets_the_number_alone() -> None:
    found = {"resourceType": "List", "id": "a"}
    for query, entries in (((("_summary", "count"),), None), ((("_summary", "true"),), 1), ((), 1)):
        answer = search.bundle(HttpRequest("GET", "/fhir/List", BASE, query=query), LISTS, [found], total=7)
        assert isinstance(answer.body, bytes)
        bundle = json.loads(answer.body)
        assert (bundle["total"], len(bundle["entry"]) if entries else bundle.get("entry")) == (7, entries)


def test_a_publication_without_master_identifier_is_told_in_fhir_s_words() -> None:
    resource = document_reference(ENTRY, (), BASE)
    del resource["masterIdentifier"], resource["identifier"]
    resource["content"][0]["attachment"] = {"contentType": "text/plain", "data": "AAAA"}
    message = HttpRequest(
        "POST", "/fhir/DocumentReference", BASE, headers={"content-type": "application/fhir+json"},
        body=json.dumps(resource).encode(),
    )  # fmt: skip
    with pytest.raises(Invalid) as refused:
        read_publication(message)
    assert refused.value.location == "DocumentReference.masterIdentifier"


def test_a_person_in_a_role_keeps_own_telecommunications() -> None:
    person = {"resourceType": "Practitioner", "id": "p", "name": [{"family": "BERNARD"}], "telecom": [MAIL, PHONE]}
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#p"}, "telecom": [PHONE]}
    author = get_author({"reference": "#r"}, Box([person, role]))
    assert author.person.startswith("^BERNARD")
    assert author.telecommunications == ("^^PH^^^^^^^^^+33 1 40 00 00 00", "^^Internet^a.b@example.org")


def test_a_second_category_is_refused_not_forgotten() -> None:
    resource = document_reference(ENTRY, (), BASE)
    resource["category"].append({"coding": [{"system": "urn:oid:1.2.3", "code": "11"}]})
    with pytest.raises(Invalid) as refused:
        entry_of(resource, Box(resource["contained"], base=BASE), "Document01")
    assert refused.value.location == "category"


def test_another_server_s_resource_is_not_what_bears_its_id_here() -> None:
    other, own = "https://other.example/fhir/Patient/R1", f"{BASE}/Patient/R1"
    for name in (own, "Patient/R1"):
        assert get_subject({"reference": name}, Box(base=BASE)).value == "R1"
        find_documents(HttpRequest("GET", "/fhir/x", BASE, query=(("patient", name),)))
    for name in (other, f"{BASE}x/Patient/R1"):
        with pytest.raises(Invalid):
            get_subject({"reference": name}, Box(base=BASE))
        with pytest.raises(Invalid):
            find_documents(HttpRequest("GET", "/fhir/x", BASE, query=(("patient", name),)))
    with pytest.raises(Invalid):  # nothing is known of where it is read
        reference_id(own, "Patient", "subject")


def opened(directory: Path, data: bytes, mime_type: str = "text/plain; charset=utf-8") -> OpenedDocument:
    path = directory / "content"
    path.write_bytes(data)
    return OpenedDocument(ENTRY, RetrievedDocument(DocumentRequest("1.2", "1"), mime_type, path, len(data)))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "own"),
        ("*/*", "own"),
        ("text/plain", "own"),
        ("text/*;q=0.5, application/fhir+json", "own"),
        ("application/fhir+json", "resource"),
        ("application/json, */*", "resource"),
        ("text/plain;q=0, application/fhir+json", "resource"),
        ("application/pdf", "refused"),
        ("text/plain; q=0.0", "refused"),
    ],
)
def test_the_accept_header_decides(tmp_path: Path, accept: str, expected: str) -> None:
    message = HttpRequest("GET", "/fhir/Binary/1", BASE, headers={"accept": accept} if accept else {})
    document = opened(tmp_path, b"\0\1" * 500_000)
    if expected == "refused":
        with pytest.raises(NotAcceptable):
            answer(document, message)
        return
    found = answer(document, message)
    assert not isinstance(found.body, bytes)
    body = b"".join(found.chunks())
    if expected == "own":
        assert found.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert body == b"\0\1" * 500_000
    else:
        resource = valid(json.loads(body))
        assert base64.b64decode(resource["data"]) == b"\0\1" * 500_000
    headers = {**message.headers, "if-none-match": f'"x", {found.headers["ETag"]}'}
    assert answer(document, replace(message, headers=headers)).status == 304


def test_an_empty_document_and_a_hostile_media_type(tmp_path: Path) -> None:
    document = opened(tmp_path, b"", "text/plain; x=\r\nSet-Cookie: a=b")
    found = answer(document, HttpRequest("GET", "/fhir/Binary/1", BASE))
    assert found.headers["Content-Type"] == "application/octet-stream"
    as_resource = answer(document, HttpRequest("GET", "/", BASE, headers={"accept": "application/fhir+json"}))
    assert not isinstance(as_resource.body, bytes)
    get_fhir_model_class("Binary").model_validate_json(b"".join(as_resource.chunks()))
