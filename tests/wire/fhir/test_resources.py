import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from hub.context import Context
from hub.errors import HubError, Invalid
from hub.imaging.model import IndexedStudy, Instance, Series, Study, StudyState
from hub.patients.model import IdentityStatus, Person, Traits
from hub.pipeline.transaction import Fhir
from hub.values import PatientIdentifier, Uid
from hub.wire.fhir import r4, search
from hub.wire.fhir.capability import capability_statement
from hub.wire.fhir.errors import FormatNotSupported, UnknownParameter, outcome, refusal
from hub.wire.fhir.imaging_study import imaging_study, started
from hub.wire.fhir.patient import birth_date, patient
from hub.wire.http import HttpRequest
from tests.every_error import EVERY_ERROR, example

BASE = "http://127.0.0.1:8080/fhir"
REGIONAL = PatientIdentifier("R1", "1.2.250.1.999.1.1")
STUDY = Study(
    Uid("1.2.3"),
    "PACS_A",
    patient_id="A-1",
    issuer="1.2.250.1.999.2.1",
    accession_number="ACC-1",
    accession_issuer="1.2.250.1.999.2.1",
    description="Scanner",
    started="20260301101500",
    timezone="+0100",
    modalities=("CT", "SR"),
    referring_physician="MARTIN^PAUL",
    procedure_codes=(("ZBQK002", "CCAM", "Radiographie du thorax"),),
    series=(
        Series(
            Uid("1.2.3.1"),
            "CT",
            number=1,
            laterality="L",
            body_part="CHEST",
            started="20260301101600",
            performer="DUPONT^ANNE",
            instances=(Instance(Uid("1.2.3.1.1"), "1.2.840.10008.5.1.4.1.1.2", number=1),),
        ),
    ),
)
INDEXED = IndexedStudy(
    STUDY,
    REGIONAL,
    StudyState.PUBLISHED,
    order_number="P1",
    updated_at=datetime(2026, 3, 1, tzinfo=UTC),
    also_at=("B",),
)


def validated(resource: Any) -> None:
    """By the R4B models, and by what R4 does not share with them."""
    text = json.dumps(resource)
    get_fhir_model_class(resource["resourceType"]).model_validate_json(text)
    r4.check(resource)


@pytest.mark.parametrize(
    "item",
    [
        INDEXED,
        IndexedStudy(Study(Uid("1.2.3"), "A"), None, StudyState.ORDERED),
        IndexedStudy(replace(STUDY, series=(), timezone=""), None, StudyState.WITHDRAWN),
    ],
)
def test_imaging_studies_are_valid(item: IndexedStudy) -> None:
    validated(imaging_study(item, "http://127.0.0.1/dicom-web"))


def test_what_an_imaging_study_says() -> None:
    found = imaging_study(INDEXED, "http://127.0.0.1/dicom-web")
    assert found["identifier"][0] == {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}
    assert found["started"] == "2026-03-01T10:15:00+01:00"
    assert found["subject"]["reference"] == "Patient/R1"
    assert (found["numberOfSeries"], found["numberOfInstances"]) == (1, 1)
    assert [endpoint["name"] for endpoint in found["contained"]] == ["PACS_A", "B"]
    assert found["series"][0]["instance"][0]["sopClass"]["code"] == "urn:oid:1.2.840.10008.5.1.4.1.1.2"


def test_a_time_without_a_zone_is_left_out() -> None:
    assert started("20260301101500", "") == "2026-03-01"
    assert started("", "+0100") == ""


def test_patients_are_valid() -> None:
    ins = PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.8")
    traits = Traits("DURAND", "ÉLODIE", "ÉLODIE MARIE", "MARTIN", "ÉLODIE", "19790300", "F")
    person = Person(
        REGIONAL, traits, IdentityStatus.QUALIFIED, ins=ins, aliases=(PatientIdentifier("R0", REGIONAL.authority),)
    )
    found = patient(person)
    validated(found)
    assert found["birthDate"] == "1979-03"
    assert [item["use"] for item in found["identifier"]] == ["secondary", "official", "old"]
    validated(patient(Person(REGIONAL, Traits(), IdentityStatus.PROVISIONAL)))


@pytest.mark.parametrize(
    ("text", "expected"), [("19790327", "1979-03-27"), ("1979", "1979"), ("", ""), ("00000000", "")]
)
def test_birth_dates(text: str, expected: str) -> None:
    assert birth_date(text) == expected


def test_the_capability_statement_is_valid() -> None:
    bindings = [
        Fhir(
            "GET",
            "/ImagingStudy",
            "ImagingStudy",
            "search-type",
            (("patient", "reference", "whom"), ("patient.identifier", "token", "x")),
        ),
        Fhir("GET", "/ImagingStudy/{id}", "ImagingStudy", "read"),
    ]
    found = capability_statement(bindings, url=BASE, version="1", date=datetime(2026, 3, 1, tzinfo=UTC))
    validated(found)
    [resource] = found["rest"][0]["resource"]
    assert [item["code"] for item in resource["interaction"]] == ["search-type", "read"]
    assert [item["name"] for item in resource["searchParam"]] == ["patient"]


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_has_an_outcome(kind: type[HubError]) -> None:
    answer = refusal(example(kind), None, Context())
    assert isinstance(answer.body, bytes)
    validated(json.loads(answer.body))
    assert answer.status >= 400


def test_outcomes_are_valid() -> None:
    validated(outcome("warning", "timeout", "PACS_B: late"))


def request(query: str = "", **headers: str) -> HttpRequest:
    from urllib.parse import parse_qsl

    return HttpRequest("GET", "/fhir/ImagingStudy", BASE, query=tuple(parse_qsl(query)), headers=headers)


STUDIES = search.Searchable("ImagingStudy", ("patient",))


def test_a_bundle_is_valid_and_leads_to_the_next_page() -> None:
    resources = [imaging_study(INDEXED, "http://127.0.0.1/dicom-web")]
    answer = search.bundle(
        request("patient=R1&_count=1"),
        STUDIES,
        resources,
        total=2,
        next_page={"_offset": "1"},
        outcomes=[outcome("warning", "timeout", "late")],
    )
    assert isinstance(answer.body, bytes)
    found = json.loads(answer.body)
    validated(found)
    assert found["link"][1]["url"] == f"{BASE}/ImagingStudy?patient=R1&_count=1&_offset=1"
    assert found["entry"][0]["fullUrl"] == f"{BASE}/ImagingStudy/1.2.3"


@pytest.mark.parametrize(
    ("texts", "bounds"),
    [
        (["2026-03-01"], ("20260301", "20260301")),
        (["2026-02"], ("20260201", "20260228")),
        (["2026"], ("20260101", "20261231")),
        (["ge2026-03-01", "le2026-03-05"], ("20260301", "20260305")),
        (["gt2026-03-01"], ("20260302", "")),
        (["lt2026-03"], ("", "20260228")),
        (["gt2026-03-01T10:00:00Z"], ("20260301", "")),
        ([], ("", "")),
    ],
)
def test_dates(texts: list[str], bounds: tuple[str, str]) -> None:
    assert search.days(texts, "started") == bounds


@pytest.mark.parametrize("text", ["2026-13-01", "yesterday", "ne2026", "0000"])
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(Invalid):
        search.days([text], "started")


def test_parameters_are_known_or_refused() -> None:
    assert search.parameters(request("patient=R1&_count=5&_pretty=true"), STUDIES) == {
        "patient": ("R1",),
        "_count": ("5",),
    }
    with pytest.raises(UnknownParameter):
        search.parameters(request("patinet=R1"), STUDIES)


@pytest.mark.parametrize("message", [request("_format=html"), request(accept="application/fhir+xml")])
def test_only_json_is_spoken(message: HttpRequest) -> None:
    with pytest.raises(FormatNotSupported):
        search.accept_json(message)


@pytest.mark.parametrize("text", ["Patient/R1", "R1", f"{BASE}/Patient/R1"])
def test_references(text: str) -> None:
    assert search.reference_id(text, "Patient", "patient", BASE) == "R1"


@pytest.mark.parametrize(
    "text", ["Group/R1", "", "Patient/", "Patient/../x y", "https://other.example/fhir/Patient/R1"]
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(Invalid):
        search.reference_id(text, "Patient", "patient")


def test_identifiers() -> None:
    assert search.identifier("urn:oid:1.2|5", "x") == PatientIdentifier("5", "1.2")
    assert search.identifier("5", "x") == PatientIdentifier("5", "")
    with pytest.raises(Invalid):
        search.identifier("http://x|5", "x")


def test_lists() -> None:
    assert search.alternatives(r"a,b\,c,") == ("a", "b,c")
