"""_sort: carried out, told in the links, or refused for who wants strictness (FHIR R4: 3.1.1.5.7)."""

import json
from dataclasses import replace
from typing import Any

import pytest

from hub.documents.matching import in_order
from hub.documents.model import DocumentEntry, Folder
from hub.wire.fhir import search
from hub.wire.fhir.document_search import DOCUMENTS, documents_asked, lists_asked
from hub.wire.fhir.errors import UnknownParameter
from hub.wire.http import HttpRequest, HttpResponse
from profiles.fhir_imaging import imaging_study
from tests.documents.builders import ANNE, entry

BASE = "https://hub.example/fhir"


def request(path: str, sort: str, prefer: str = "") -> HttpRequest:
    query = (("patient", "Patient/R1"), ("_sort", sort))
    return HttpRequest("GET", path, BASE, {}, query, {"prefer": prefer} if prefer else {})


def links(answer: HttpResponse) -> dict[str, str]:
    found: dict[str, Any] = json.loads(b"".join(answer.chunks()))
    return {item["relation"]: item["url"] for item in found["link"]}


def test_what_a_search_sorts_by() -> None:
    assert documents_asked(request("/DocumentReference", "-date,_id")).sort == (("creation_time", True), ("id", False))
    assert documents_asked(request("/DocumentReference", "author,period")).sort == (("service_start_time", False),)
    assert lists_asked(request("/List", "date,-status")).sort == (("time", False), ("status", True))
    assert documents_asked(request("/DocumentReference", "-date", "handling=strict")).sort == (("creation_time", True),)


@pytest.mark.parametrize("sort", ["author", "-date,author", "--date", "Date"])
def test_strictness(sort: str) -> None:
    for read in (documents_asked, lists_asked):
        with pytest.raises(UnknownParameter) as caught:
            read(request("/List", sort, "return=minimal, handling=strict"))
        assert caught.value.location == "_sort"


def test_studies_come_the_newest_first() -> None:
    for prefer in ("", "handling=strict"):
        imaging_study.decode(request("/ImagingStudy", "-started", prefer), None)  # type: ignore[arg-type]
    with pytest.raises(UnknownParameter):
        imaging_study.decode(request("/ImagingStudy", "started", "handling=strict"), None)  # type: ignore[arg-type]


def test_the_links_tell_what_was_carried_out() -> None:
    message = request("/DocumentReference", "author,-date,_id")
    answer = search.bundle(message, DOCUMENTS, (), total=9, next_page={"_offset": "3"})
    for url in links(answer).values():
        assert url.startswith(f"{BASE}/DocumentReference?patient=Patient%2FR1&_sort=-date%2C_id")
    unsorted = replace(DOCUMENTS, sortable=())
    assert "_sort" not in links(search.bundle(message, unsorted, (), total=9))["self"]


def test_in_order() -> None:
    one = entry(id="urn:uuid:1", creation_time="2026", service_start_time="20260101", unique_id="1.3")
    two = entry(id="urn:uuid:2", creation_time="202602", service_start_time="", unique_id="1.2")
    three = entry(id="urn:uuid:3", creation_time="20260101000001", service_start_time="20260102", unique_id="1.2")

    def ids(*order: tuple[str, bool]) -> list[str]:
        return [item.id[-1] for item in in_order([one, two, three], order)]

    assert ids() == ["2", "3", "1"]
    assert ids(("creation_time", False)) == ["1", "3", "2"]
    assert ids(("service_start_time", False)) == ["1", "3", "2"]
    assert ids(("service_start_time", True)) == ["3", "1", "2"]
    assert ids(("unique_id", False), ("id", True)) == ["3", "2", "1"]
    folders = [Folder("a", "1.1", ANNE, last_update_time="2025"), Folder("b", "1.2", ANNE, last_update_time="2026")]
    assert [item.id for item in in_order(folders, [("time", False)])] == ["a", "b"]
    assert isinstance(one, DocumentEntry)
