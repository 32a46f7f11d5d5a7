"""FHIR as XML: what is particular to it, what is refused, and who is answered in it."""

from typing import Any

import pytest

from hub.errors import Malformed
from hub.wire.fhir.formats import as_json, as_xml, wants_xml
from hub.wire.fhir.r4 import MEDIA_TYPE
from hub.wire.fhir.xml import from_xml, to_xml
from hub.wire.http import HttpRequest, HttpResponse

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">A <b>study</b> &amp; more</div>'
SAMPLES: dict[str, dict[str, Any]] = {
    "ids and extensions": {
        "resourceType": "Patient",
        "id": "p1",
        "extension": [{"url": "http://a.example/x", "valueBoolean": False}],
        "name": [{"id": "n1", "family": "LE GŒFF", "given": ["ZOÉ", "MARIE"]}],
    },
    "what stands beside primitives": {
        "resourceType": "Patient",
        "birthDate": "1970-01",
        "_birthDate": {"id": "b", "extension": [{"url": "http://a.example/lunar", "valueCode": "L"}]},
        "_gender": {"extension": [{"url": "http://a.example/absent", "valueCode": "masked"}]},
        "name": [
            {
                "given": ["A", None, "C"],
                "_given": [None, {"extension": [{"url": "http://a.example/y", "valueString": "hidden"}]}, None],
            }
        ],
    },
    "numbers and truth": {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "a", "valueInteger": -3},
            {"name": "b", "valueDecimal": 0.25},
            {"name": "c", "valueBoolean": True},
            {"name": "d", "valueString": "true"},
            {"name": "e", "resource": {"resourceType": "Binary", "contentType": "text/plain", "data": "QQ=="}},
        ],
    },
    "a narrative and what is contained": {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": DIV},
        "contained": [{"resourceType": "Organization", "id": "o", "name": "A"}],
        "managingOrganization": {"reference": "#o"},
    },
    "text that XML would change": {"resourceType": "OperationOutcome", "issue": [
        {"severity": "error", "code": "invalid", "diagnostics": 'a < b & "c"\n\ttab'},
    ]},
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_there_and_back(name: str) -> None:
    assert from_xml(to_xml(SAMPLES[name])) == SAMPLES[name]


FHIR = 'xmlns="http://hl7.org/fhir"'
BAD = {
    "another namespace": "<Patient/>",
    "no such type": f"<Colour {FHIR}/>",
    "a type that is no resource": f"<HumanName {FHIR}/>",
    "no resource at all": f"<p:Patient xmlns:p='http://hl7.org/fhi' {FHIR}/>",
    "an unknown element": f"<Patient {FHIR}><colour value='1'/></Patient>",
    "an unknown attribute": f"<Patient {FHIR} a='1'/>",
    "text in place of a value": f"<Patient {FHIR}><active/><active value='perhaps'/></Patient>",
    "twice": f"<Patient {FHIR}><active value='true'/><active value='true'/></Patient>",
    "no number": f"<Patient {FHIR}><multipleBirthInteger value='x'/></Patient>",
    "two resources in one": f"<Patient {FHIR}><contained><Patient/><Patient/></contained></Patient>",
    "a narrative in FHIR's namespace": f"<Patient {FHIR}><text><div/></text></Patient>",
    "entities": f"<!DOCTYPE a [<!ENTITY b 'c'>]><Patient {FHIR}><active value='&b;'/></Patient>",
    "nested without end": f"<Patient {FHIR}>" + "<contained><Patient>" * 5000,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_resource(name: str) -> None:
    with pytest.raises(Malformed):
        from_xml(BAD[name].encode())


def test_what_json_should_not_hold() -> None:
    with pytest.raises(Malformed):
        to_xml({"resourceType": "Patient", "colour": 1})
    with pytest.raises(Malformed):
        to_xml({"resourceType": "Colour"})
    with pytest.raises(Malformed):
        to_xml({"resourceType": "Patient", "text": {"status": "generated", "div": "<p>x</p>"}})


@pytest.mark.parametrize(
    ("accept", "wanted", "xml"),
    [
        ("", "", False),
        ("*/*", "", False),
        ("application/fhir+json", "", False),
        ("application/fhir+xml", "", True),
        ("application/xml", "", True),
        ("application/fhir+xml, */*;q=0.1", "", True),
        ("application/fhir+json;q=0.5, application/fhir+xml;q=0.9", "", True),
        ("application/fhir+xml, application/fhir+json", "", False),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", "", True),
        ("application/fhir+json", "xml", True),
        ("application/fhir+xml", "json", False),
        ("", "application/fhir xml", True),
    ],
)
def test_who_wants_xml(accept: str, wanted: str, xml: bool) -> None:
    assert wants_xml(accept, wanted) is xml


def test_a_request_and_its_answer() -> None:
    request = HttpRequest(
        "POST",
        "/fhir/Patient",
        query=(("_format", "xml"), ("a", "b")),
        headers={"content-type": "application/fhir+xml; charset=UTF-8", "accept": "text/xml"},
        body=to_xml(SAMPLES["ids and extensions"]),
    )
    inside = as_json(request, xml_wanted=True)
    assert inside.headers["content-type"] == inside.headers["accept"] == MEDIA_TYPE
    assert inside.query == request.query  # the links of the answer say it again
    answer = as_xml(HttpResponse(200, inside.body, MEDIA_TYPE))
    assert from_xml(b"".join(answer.chunks())) == SAMPLES["ids and extensions"]
    assert as_xml(HttpResponse(200, b"%PDF", "application/pdf")).body == b"%PDF"
