"""_summary, _elements, _total, Prefer: what of a resource is told, and what the links say of it (FHIR R4: 3.1.1)."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fhir.resources.R4B import get_fhir_model_class

from hub.context import Context
from hub.errors import Invalid
from hub.wire.fhir import search
from hub.wire.fhir.document_list import document_list
from hub.wire.fhir.document_reference import document_reference
from hub.wire.fhir.document_search import DOCUMENTS, LISTS, documents_asked, lists_asked
from hub.wire.fhir.errors import UnknownParameter
from hub.wire.fhir.imaging_study import imaging_study
from hub.wire.fhir.subset import SUBSETTED
from hub.wire.http import HttpRequest, HttpResponse
from profiles.fhir_imaging import imaging_study as studies
from tests.documents.builders import submission_set
from tests.wire.fhir.test_documents import ENTRY
from tests.wire.fhir.test_resources import INDEXED

BASE = "https://hub.example/fhir"
DOCUMENT = document_reference(ENTRY, (), BASE)
CONTEXT = Context()
PERSON = {
    "resourceType": "Patient",
    "id": "R1",
    "active": True,
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "name": [{"family": "DURAND"}],
    "birthDate": "1970-01-01",
    "_birthDate": {"extension": [{"url": "urn:x", "valueBoolean": True}]},
    "deceasedBoolean": False,
    "communication": [{"language": {"text": "fr"}}],
    "link": [{"other": {"reference": "Patient/R2"}, "type": "seealso"}],
}


def request(query: str, prefer: str = "", path: str = "/DocumentReference") -> HttpRequest:
    pairs = tuple((name, text) for name, values in parse_qs(query).items() for text in values)
    return HttpRequest("GET", path, BASE, {}, pairs, {"prefer": prefer} if prefer else {})


def body(answer: HttpResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"".join(answer.chunks()))
    get_fhir_model_class(found["resourceType"]).model_validate(found)
    return found


def told(query: str, resource: dict[str, Any], **more: Any) -> dict[str, Any]:
    of = search.Searchable(resource["resourceType"], ("patient",))
    (entry,) = body(search.bundle(request(query), of, [resource], **more))["entry"]
    read = body(search.read(request(query), resource))
    assert read == entry["resource"]
    return read


def own(answer: HttpResponse) -> dict[str, list[str]]:
    """What the link to itself says."""
    return parse_qs(urlsplit(body(answer)["link"][0]["url"]).query)


def test_elements_and_what_always_stays() -> None:
    found = told("_elements=date,%20author,colour", DOCUMENT)
    assert set(found) == {"resourceType", "id", "meta", "contained", "status", "content", "date", "author"}
    assert found["meta"] == {**DOCUMENT["meta"], "tag": [SUBSETTED]}
    assert (found["content"], found["author"]) == (DOCUMENT["content"], DOCUMENT["author"])
    references = {item["reference"] for item in found["author"]}
    names = {f"#{item['id']}" for item in found["contained"]}
    assert names >= references  # and whom they refer to themselves
    assert len(names) < len(DOCUMENT["contained"])  # the authenticator and the source's patient are not told
    assert set(told("_elements=birthDate", PERSON)) == {
        *("resourceType", "id", "meta", "active", "birthDate", "_birthDate", "deceasedBoolean", "link")
    }
    assert "contained" not in told("_elements=id", DOCUMENT)


def test_a_summary_is_what_the_definition_marks_at_each_level() -> None:
    found = told("_summary=true", DOCUMENT)
    assert found["meta"]["tag"] == [SUBSETTED]
    assert set(found["context"]) == {"period"}  # of the rest nothing is marked
    assert set(found["content"][0]) == {"attachment", "format"}
    without = {**DOCUMENT, "context": {"practiceSetting": DOCUMENT["context"]["practiceSetting"]}}
    assert "context" not in told("_summary=true", without)  # nothing in FHIR is empty
    study = imaging_study(INDEXED, "http://127.0.0.1/dicom-web")
    assert study["series"][0]["instance"]
    found = told("_summary=true", study)
    assert [set(one) & {"uid", "modality", "instance"} for one in found["series"]] == [{"uid", "modality"}]
    assert {f"#{item['id']}" for item in found["contained"]} == {item["reference"] for item in found["endpoint"]}
    assert not {"communication", "text"} & set(told("_summary=true", PERSON))
    kept = document_list(submission_set(), (), ())
    assert "extension" not in told("_summary=true", kept)


def test_text_and_data() -> None:
    assert set(told("_summary=text", DOCUMENT)) == {"resourceType", "id", "meta", "status", "content"}
    assert set(told("_summary=text", PERSON)) == {
        *("resourceType", "id", "meta", "text", "active", "deceasedBoolean", "link")
    }
    found = told("_summary=data", PERSON)
    assert found.pop("meta") == {"tag": [SUBSETTED]}
    assert found == {name: value for name, value in PERSON.items() if name != "text"}
    for query in ("_summary=data", "_summary=false", "_elements=", "_elements=colour", ""):
        assert told(query, DOCUMENT) == DOCUMENT


def test_of_what_is_included_the_summary_is_told_and_every_element() -> None:
    for query, kept in (("_summary=true", False), ("_elements=date", True)):
        answer = search.bundle(request(query), DOCUMENTS, [DOCUMENT], included=[PERSON])
        assert ("communication" in body(answer)["entry"][1]["resource"]) == kept


@pytest.mark.parametrize(
    ("query", "total", "kept"),
    [
        ("_summary=true&_total=accurate&_pretty=true", 3, {"_summary": ["true"], "_total": ["accurate"]}),
        ("_elements=colour,date&_summary=true&_count=5", 3, {"_elements": ["date"], "_count": ["5"]}),
        ("_elements=colour&_total=estimate", None, {}),
        ("_total=none&_sort=author&_format=json", 3, {"_total": ["none"], "_format": ["json"]}),
        ("_summary=count&_total=none&_elements=date", 3, {"_summary": ["count"]}),
        ("_summary=count", None, {}),
        ("_count=100000", 3, {"_count": ["200"]}),
        ("_count=100000000000000000000", 3, {"_count": ["200"]}),
    ],
)
def test_the_link_tells_what_was_carried_out(query: str, total: int | None, kept: dict[str, list[str]]) -> None:
    message = request(f"patient=R1&{query}")
    answer = search.bundle(message, DOCUMENTS, [DOCUMENT], total=total, next_page={"_offset": "1"})
    assert own(answer) == {"patient": ["R1"], **kept}
    counts = total if "_summary=count" in query or "_total=none" not in query else None
    assert body(answer).get("total") == counts
    assert search.count({"_count": tuple(kept.get("_count", ("50",)))}) == search.count(documents_found(message))


def documents_found(message: HttpRequest) -> dict[str, tuple[str, ...]]:
    return search.parameters(message, DOCUMENTS)


@pytest.mark.parametrize("query", ["_summary=yes", "_total=some", "_count=many", "_count=-1"])
def test_what_can_t_be_read_is_refused(query: str) -> None:
    for prefer in ("", "handling=lenient", "handling=strict"):
        for ask in (documents_asked, lists_asked):
            with pytest.raises(Invalid) as refused:
                ask(request(f"patient=Patient/R1&{query}", prefer))
            assert refused.value.location == query.partition("=")[0]
    if "_summary" in query:
        with pytest.raises(Invalid):
            search.read(request(query), DOCUMENT)


def test_unknown_parameters_are_ignored_for_who_wants_it_and_told() -> None:
    query, lenient = "patient=Patient/R1&colour=red&_lastUpdated=gt2026", "return=minimal, handling=lenient"
    for ask, of in ((documents_asked, DOCUMENTS), (lists_asked, LISTS)):
        for prefer in ("", "handling=strict"):
            with pytest.raises(UnknownParameter):
                ask(request(query, prefer))
        asked = request(query, lenient)
        assert ask(asked) == ask(request("patient=Patient/R1"))
        answer = search.page(asked, of, [], 0)
        assert own(answer) == {"patient": ["Patient/R1"]}
        told = [entry["resource"]["issue"][0] for entry in body(answer)["entry"]]
        assert [(item["severity"], item["expression"]) for item in told] == [
            ("warning", ["colour"]),
            ("warning", ["_lastUpdated"]),
        ]
        with pytest.raises(UnknownParameter):  # a modifier changes the meaning: never ignored
            ask(request("patient=Patient/R1&status:not=current", lenient))


def test_strictness_about_elements() -> None:
    documents_asked(request("patient=Patient/R1&_elements=date,status", "handling=strict"))
    with pytest.raises(UnknownParameter) as refused:
        documents_asked(request("patient=Patient/R1&_elements=date,colour", "handling=strict"))
    assert refused.value.location == "_elements"


def test_includes_of_studies() -> None:
    path, lenient = "/ImagingStudy", "handling=lenient"
    plain = studies.decode(request("patient=Patient/R1", path=path), CONTEXT)
    asked = request("patient=Patient/R1&_include=ImagingStudy:basedon", lenient, path)
    assert studies.decode(asked, CONTEXT) == plain
    with pytest.raises(Invalid) as refused:
        studies.decode(request("patient=Patient/R1&_include=ImagingStudy:patient&_summary=text", path=path), CONTEXT)
    assert refused.value.location == "_summary"


def test_a_status_that_fhir_does_not_have_is_refused() -> None:
    for ask in (documents_asked, lists_asked, lambda message: studies.decode(message, CONTEXT)):
        with pytest.raises(Invalid) as refused:
            ask(request("patient=Patient/R1&status=bogus"))
        assert refused.value.location == "status"
    for ask in (documents_asked, lists_asked):
        assert ask(request("patient=Patient/R1&status=entered-in-error")).matching.nothing
        both = ask(request("patient=Patient/R1&status=entered-in-error,current")).matching
        assert both == replace(ask(request("patient=Patient/R1")).matching, statuses=both.statuses)
        assert len(both.statuses) == 1
    for status in ("available", "unknown", "http://hl7.org/fhir/imagingstudy-status|entered-in-error"):
        studies.decode(request(f"patient=Patient/R1&status={status}"), CONTEXT)
