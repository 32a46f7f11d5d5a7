import json
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from hub.context import Context
from hub.errors import AccessDenied, Invalid
from hub.imaging.errors import UnknownStudy
from hub.imaging.model import (
    FindStudies,
    FindStudiesAndPersons,
    IndexedStudy,
    SourceState,
    SourceStatus,
    StudiesAndPersons,
    Study,
    StudyAnswer,
    StudyState,
)
from hub.imaging.study_persons import StudyPersonsService
from hub.patients.errors import UnknownIdentifier
from hub.patients.model import GetPerson, IdentityStatus, Person, Traits
from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Fhir
from hub.usecase import Command
from hub.values import PatientIdentifier, Uid
from hub.wire.fhir.errors import UnknownParameter
from hub.wire.http import HttpRequest, HttpResponse
from profiles.fhir_imaging import imaging_study as studies

BASE = "http://127.0.0.1:8080/fhir"
CONTEXT = Context()
REGIONAL = PatientIdentifier("R1", "1.2.250.1.999.1.1")


def request(resource: str, query: str = "", wanted: str = "") -> HttpRequest:
    path = f"/fhir/{resource}/{wanted}" if wanted else f"/fhir/{resource}"
    return HttpRequest("GET", path, BASE, {"id": wanted} if wanted else {}, tuple(parse_qsl(query)))


def body(answer: HttpResponse) -> dict[str, object]:
    assert isinstance(answer.body, bytes)
    found: dict[str, object] = json.loads(answer.body)
    return found


def test_bindings() -> None:
    found = {(binding.method, binding.path) for binding, _ in discover().bindings(Fhir)}
    assert {
        ("GET", "/ImagingStudy"),
        ("GET", "/ImagingStudy/{id}"),
        ("GET", "/Patient"),
        ("GET", "/Patient/{id}"),
    } <= found


@pytest.mark.parametrize(
    ("query", "command"),
    [
        ("patient=R1", FindStudies(person=PatientIdentifier("R1", ""), live=True, limit=50)),
        (
            "patient.identifier=urn:oid:1.2.3|A-1&_count=2&_offset=4",
            FindStudies(person=PatientIdentifier("A-1", "1.2.3"), live=True, limit=2, offset=4),
        ),
        ("identifier=urn:dicom:uid|urn:oid:1.2", FindStudies(study_instance_uids=("1.2",), live=True, limit=50)),
        ("identifier=ACC-1", FindStudies(accession_number="ACC-1", live=True, limit=50)),
        ("identifier=urn:oid:1.2|ACC-1", FindStudies(accession_number="ACC-1", live=True, limit=50)),
        ("identifier=A,B", FindStudies(keys=(("AccessionNumber", "A\\B"),), live=True, limit=50)),
        ("subject=Patient/R1", FindStudies(person=PatientIdentifier("R1", ""), live=True, limit=50)),
        ("modality=http://other|CT", FindStudies(study_instance_uids=("0",), live=True, limit=50)),
        ("modality=http://other|CT,MR", FindStudies(modalities=("MR",), live=True, limit=50)),
        (
            "started=ge2026-03-01&modality=CT,MR",
            FindStudies(started_from="20260301", modalities=("CT", "MR"), live=True, limit=50),
        ),
        ("_id=1.2,1.3", FindStudies(study_instance_uids=("1.2", "1.3"), live=True, limit=50)),
    ],
)
def test_searches(query: str, command: FindStudies) -> None:
    assert studies.decode(request("ImagingStudy", query), CONTEXT) == command


def answer(
    *uids: str, total: int | None = None, statuses: tuple[SourceStatus, ...] = (), more: bool = False
) -> StudyAnswer:
    found = tuple(IndexedStudy(Study(Uid(uid), "A"), REGIONAL, StudyState.PUBLISHED) for uid in uids)
    return StudyAnswer(found, statuses, total, more)


@pytest.mark.parametrize("query", ["identifier=urn:dicom:uid|urn:oid:1.2,ACC", "identifier=A*,B"])
def test_identifiers_that_are_not_searched_for_together(query: str) -> None:
    with pytest.raises(Invalid):
        studies.decode(request("ImagingStudy", query), CONTEXT)


@pytest.mark.parametrize(
    ("query", "count"),
    [("urn:oid:1.2|A", 1), ("A", 1), ("urn:oid:9.9|A", 0), ("urn:oid:9.9|A,urn:oid:1.2|A", 1), ("|A", 1)],
)
def test_an_accession_number_is_its_issuers(query: str, count: int) -> None:
    study = Study(Uid("1.2"), "A", accession_number="A", accession_issuer="1.2")
    outcome = StudyAnswer((IndexedStudy(study, REGIONAL, StudyState.PUBLISHED),), (), 1)
    found = body(studies.encode(outcome, request("ImagingStudy", f"identifier={query}"), CONTEXT))
    entries = found.get("entry", [])
    assert isinstance(entries, list)
    assert (found.get("total", 0), len(entries)) == (count, count)


@pytest.mark.parametrize("query", ["_count=0", "_summary=count", "_summary=count&_count=1&_offset=4"])
def test_the_total_alone(query: str) -> None:
    asked = request("ImagingStudy", f"patient=R1&{query}")
    command = studies.decode(asked, CONTEXT)
    assert isinstance(command, FindStudies)
    assert (command.limit, command.offset) == (500, 0)
    found = body(studies.encode(answer("1.2", "1.3"), asked, CONTEXT))
    assert (found["total"], "entry" in found) == (2, False)
    assert len(found["link"]) == 1  # type: ignore[arg-type]
    late = SourceStatus("PACS", SourceState.LATE, reason="It did not answer in time.")
    found = body(studies.encode(answer("1.2", statuses=(late,)), asked, CONTEXT))
    assert found["total"] == 1
    assert [entry["search"]["mode"] for entry in found["entry"]] == ["outcome"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["ImagingStudy:patient", "ImagingStudy:subject", "ImagingStudy:patient:Patient"])
def test_whom_studies_are_about_is_included(name: str) -> None:
    asked = request("ImagingStudy", f"patient=R1&_include={name}")
    query = studies.decode(request("ImagingStudy", "patient=R1"), CONTEXT)
    assert isinstance(query, FindStudies)
    assert studies.decode(asked, CONTEXT) == FindStudiesAndPersons(query)
    persons = tuple(
        Person(one, Traits(birth_name="LEGER"), IdentityStatus.VALIDATED)
        for one in (REGIONAL, replace(REGIONAL, value="R2"))
    )
    found = body(studies.encode(StudiesAndPersons(answer("1.2", "1.3", total=2), persons), asked, CONTEXT))
    assert found["total"] == 2
    entries = found["entry"]
    assert isinstance(entries, list)
    told = [(one["resource"]["resourceType"], one["resource"]["id"], one["search"]["mode"]) for one in entries]
    assert told == [("ImagingStudy", "1.2", "match"), ("ImagingStudy", "1.3", "match"), ("Patient", "R1", "include")]
    assert entries[2]["fullUrl"] == f"{BASE}/Patient/R1"
    alone = request("ImagingStudy", f"_count=0&_include={name}")
    assert "entry" not in body(studies.encode(StudiesAndPersons(answer("1.2"), persons), alone, CONTEXT))


@pytest.mark.parametrize("query", ["_include=ImagingStudy:basedon", "_include=*", "_revinclude=Provenance:target"])
def test_what_is_not_included_is_refused(query: str) -> None:
    with pytest.raises(UnknownParameter) as refused:
        studies.decode(request("ImagingStudy", query), CONTEXT)
    assert refused.value.location == query.partition("=")[0]


class Rooms:
    """What a search and the patient index answer."""

    def __call__(self, command: Command, context: Context) -> object:  # noqa: ARG002
        if isinstance(command, FindStudies):
            unknown = IndexedStudy(Study(Uid("1.9"), "A"), replace(REGIONAL, value="R9"), StudyState.INDEXED)
            return StudyAnswer((*answer("1.2", "1.3").studies, unknown))
        assert isinstance(command, GetPerson)
        if command.identifier != REGIONAL:
            raise UnknownIdentifier()
        return Person(REGIONAL, Traits(), IdentityStatus.VALIDATED)


def test_persons_are_for_those_who_may_ask_for_them() -> None:
    found = StudyPersonsService(Rooms(), lambda _: None).find_with_persons(
        FindStudiesAndPersons(FindStudies()), CONTEXT
    )
    assert [person.regional for person in found.persons] == [REGIONAL]

    def denied(_: Context) -> None:
        raise AccessDenied()

    with pytest.raises(AccessDenied):
        StudyPersonsService(Rooms(), denied).find_with_persons(FindStudiesAndPersons(FindStudies()), CONTEXT)


def test_the_total_of_some_is_not_that_of_all() -> None:
    asked = request("ImagingStudy", "_count=0&status=cancelled")
    assert body(studies.encode(answer("1.2", total=1), asked, CONTEXT))["total"] == 0
    every = tuple(f"1.{number}" for number in range(2, 502))
    asked = request("ImagingStudy", "_count=0")
    found = body(studies.encode(answer(*every, more=True), asked, CONTEXT))
    assert found["total"] == 500
    assert "more than were counted" in json.dumps(found)
    found = body(studies.encode(answer(*every, total=700), asked, CONTEXT))
    assert (found["total"], "entry" in found) == (700, False)


def test_a_page_leads_to_the_next() -> None:
    for total in (2, None):
        asked = request("ImagingStudy", "_count=7")  # and no more than one is told at once
        found = body(studies.encode(answer("1.2", total=total, more=True), asked, CONTEXT))
        assert found.get("total") == total
        assert isinstance(found["link"], list)
        assert found["link"][1]["url"].endswith("/ImagingStudy?_count=7&_offset=1")
    last = body(studies.encode(answer("1.2", total=2), request("ImagingStudy", "_count=1&_offset=1"), CONTEXT))
    assert isinstance(last["link"], list)
    assert len(last["link"]) == 1


def test_a_source_that_failed_is_said() -> None:
    statuses = (SourceStatus("PACS_B", SourceState.FAILED, reason="The source does not answer."),)
    found = body(studies.encode(answer("1.2", statuses=statuses), request("ImagingStudy"), CONTEXT))
    assert isinstance(found["entry"], list)
    assert [entry["search"]["mode"] for entry in found["entry"]] == ["match", "outcome"]


def test_a_source_that_may_hold_more_is_said() -> None:
    statuses = (SourceStatus("PACS_B", SourceState.CUT, 500, reason="It may hold more."),)
    found = body(studies.encode(answer("1.2", statuses=statuses), request("ImagingStudy"), CONTEXT))
    assert "total" not in found
    assert [entry["search"]["mode"] for entry in found["entry"]] == ["match", "outcome"]  # type: ignore[attr-defined]


def test_status_narrows() -> None:
    found = body(studies.encode(answer("1.2"), request("ImagingStudy", "status=cancelled"), CONTEXT))
    assert "entry" not in found


def test_read() -> None:
    message = request("ImagingStudy", wanted="1.2")
    command = studies.decode(message, CONTEXT)
    assert isinstance(command, FindStudies)
    assert command.level == "IMAGE"
    assert body(studies.encode(answer("1.2"), message, CONTEXT))["id"] == "1.2"
    with pytest.raises(UnknownStudy):
        studies.encode(answer(), message, CONTEXT)
