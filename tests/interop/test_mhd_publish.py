"""Documents published over FHIR by hand: minimal metadata, ITI-105, ITI-106, FHIR documents; seen by ITI-18 as well."""

import base64
import copy
import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hub.patients.model import Traits
from hub.testing.cda import ImagingReport, build_report
from hub.values import PatientIdentifier, new_uid
from tests.interop.by_hand import oid
from tests.interop.mhd import (
    DOMAIN,
    Region,
    bundle_of,
    concept,
    of_person,
    opened,
    provide,
    somebody,
    uid_of,
    valid,
)

pytestmark = pytest.mark.interop
MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition"
FHIR = {"Content-Type": "application/fhir+json"}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with opened(request, tmp_path_factory) as empty:
        yield empty


@pytest.fixture
def cx(region: Region) -> str:
    return somebody(region)


def post(region: Region, path: str, resource: Any) -> httpx.Response:
    body = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
    return region.vendor.http.post(f"{region.vendor.box['fhir']}/{path}", content=body, headers=FHIR)


def simple(cx: str, document: bytes, **more: Any) -> dict[str, Any]:
    """What IHE's own example of ITI-105 has, and nothing else."""
    number = {"system": f"urn:oid:{DOMAIN}", "value": cx.partition("^")[0]}
    return {
        "resourceType": "DocumentReference",
        "meta": {"profile": [f"{MHD}/IHE.MHD.SimplifiedPublish.DocumentReference"]},
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid()}"},
        "status": "current",
        "subject": {"identifier": number},
        "content": [{"attachment": {"contentType": "text/plain", "data": base64.b64encode(document).decode()}}],
        **more,
    }


def full(cx: str, document: bytes) -> dict[str, Any]:
    """All that comprehensive metadata has, the author and the stay named by their numbers alone."""
    (_, row, _) = bundle_of(cx, document)["entry"]
    found: dict[str, Any] = copy.deepcopy(row["resource"])
    attachment = found["content"][0]["attachment"]
    del attachment["url"]
    attachment["data"] = base64.b64encode(document).decode()
    curie = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "801234"}
    found["author"] = [{"type": "Practitioner", "identifier": curie, "display": "CURIE"}]
    found["context"]["encounter"] = [{"identifier": {"system": "urn:oid:1.2.250.1.999.7", "value": "STAY-1"}}]
    return found


def test_minimal_metadata(region: Region, cx: str) -> None:
    sent = bundle_of(cx, b"one", folder=True)
    sent["meta"]["profile"] = [f"{MHD}/IHE.MHD.Minimal.ProvideBundle"]
    reference = sent["entry"][1]["resource"]
    for name in ("type", "category", "author", "securityLabel", "context", "contained", "subject"):
        del reference[name]
    for name in ("language", "creation", "size", "hash"):
        del reference["content"][0]["attachment"][name]
    del sent["entry"][0]["resource"]["extension"][0]  # the designationType
    refused = copy.deepcopy(sent)
    refused["meta"]["profile"] = [f"{MHD}/IHE.MHD.Comprehensive.ProvideBundle"]
    assert provide(region, refused).status_code == 400
    answer = provide(region, sent)
    assert answer.status_code == 200, answer.text
    (shown,) = of_person(region, "DocumentReference", cx)
    assert shown["meta"]["profile"] == [f"{MHD}/IHE.MHD.Minimal.DocumentReference"]
    assert shown["content"][0]["attachment"]["size"] == 3
    profiles = {item["meta"]["profile"][0] for item in of_person(region, "List", cx)}
    assert profiles == {f"{MHD}/IHE.MHD.Minimal.SubmissionSet", f"{MHD}/IHE.MHD.Minimal.Folder"}
    assert region.vendor.find(cx).uids == [uid_of(shown)]


def test_a_resource_of_a_minimal_bundle_may_be_comprehensive(region: Region, cx: str) -> None:
    sent = bundle_of(cx, b"one")
    sent["meta"]["profile"] = [f"{MHD}/IHE.MHD.Minimal.ProvideBundle"]
    sent["entry"][1]["resource"]["meta"] = {"profile": [f"{MHD}/IHE.MHD.Comprehensive.DocumentReference"]}
    assert provide(region, sent).status_code == 200
    (shown,) = of_person(region, "DocumentReference", cx)
    assert shown["meta"]["profile"] == [f"{MHD}/IHE.MHD.Comprehensive.DocumentReference"]


def test_simplified_publish(region: Region, cx: str) -> None:
    answer = post(region, "DocumentReference", simple(cx, b"a note"))
    assert answer.status_code == 201, answer.text
    made = valid(answer.json())
    assert answer.headers["location"].endswith(f"/DocumentReference/{made['id']}")
    assert answer.headers["etag"] == 'W/"1"'
    assert of_person(region, "DocumentReference", cx) == [made]
    assert made["meta"]["profile"] == [f"{MHD}/IHE.MHD.Minimal.DocumentReference"]
    attachment = made["content"][0]["attachment"]
    assert "data" not in attachment
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(b"a note").digest()
    assert region.vendor.http.get(attachment["url"]).content == b"a note"
    (owner,) = of_person(region, "List", cx, code="submissionset")
    assert owner["entry"] == [{"item": {"reference": f"DocumentReference/{made['id']}"}}]


def test_simplified_publish_with_all_metadata(region: Region, cx: str) -> None:
    answer = post(region, "DocumentReference", full(cx, b"a letter"))
    assert answer.status_code == 201, answer.text
    made = valid(answer.json())
    assert made["meta"]["profile"] == [f"{MHD}/IHE.MHD.Comprehensive.DocumentReference"]
    (author,) = [item for item in made["contained"] if item["resourceType"] == "Practitioner"]
    assert author["identifier"][0]["value"] == "801234"
    assert author["name"] == [{"family": "CURIE"}]
    (stay,) = made["context"]["related"]
    assert stay["identifier"]["value"] == "STAY-1"
    assert of_person(region, "DocumentReference", cx, related="urn:oid:1.2.250.1.999.7|STAY-1") == [made]
    numbers = ("801234", "urn:oid:1.2.250.1.71.4.2.1|801234", "urn:oid:1.2.3|801234", "801235")
    counted = [len(of_person(region, "DocumentReference", cx, **{"author.identifier": number})) for number in numbers]
    assert counted == [1, 1, 0, 0]
    (owner,) = of_person(region, "List", cx)
    assert owner["meta"]["profile"] == [f"{MHD}/IHE.MHD.Comprehensive.SubmissionSet"]
    follows = full(cx, b"an addendum")
    follows["relatesTo"] = [{"code": "appends", "target": {"reference": f"DocumentReference/{made['id']}"}}]
    answer = post(region, "DocumentReference", follows)
    assert answer.json()["relatesTo"] == follows["relatesTo"]


@pytest.mark.parametrize(
    "change",
    [
        {"status": "superseded"},
        {"docStatus": "final"},
        {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]},
        {"content": []},
        {"content": [{"attachment": {"contentType": "text/plain", "url": "Binary/1"}}]},
        {"content": [{"attachment": {"contentType": "text/plain", "data": "="}}]},
        {"content": [{"attachment": {"data": "AAAA"}}]},
        {"masterIdentifier": {}},
        {"subject": {"display": "nobody"}},
        {"relatesTo": [{"code": "replaces", "target": {"reference": "x/y"}}]},
        {"relatesTo": [{"code": "likes", "target": {"reference": "DocumentReference/1"}}]},
    ],
)
def test_nothing_is_left_of_a_refused_publication(region: Region, cx: str, change: dict[str, Any]) -> None:
    answer = post(region, "DocumentReference", simple(cx, b"a note", **change))
    assert answer.status_code == 400, answer.text
    valid(answer.json())
    assert not of_person(region, "List", cx)


def report_of(cx: str, text: str = "Pas d'anomalie.") -> bytes:
    return build_report(
        ImagingReport(
            patient_ids=[PatientIdentifier("elsewhere", "1.2.250.1.999.77"), PatientIdentifier.from_cx(cx)],
            traits=Traits("DUPONT", "JEANNE", "JEANNE", birth_date="19700101", sex="F"),
            study_instance_uid=new_uid(),
            accession_number="ACC-1",
            placer_number="PLC-1",
            text=text,
        )
    )


def binary(data: bytes, media_type: str = "text/xml") -> dict[str, Any]:
    found = {"resourceType": "Binary", "contentType": media_type, "data": base64.b64encode(data).decode()}
    return {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": found}]}


def generated(region: Region, resource: Any) -> dict[str, Any]:
    """The DocumentReference that the operation's answer leads to."""
    answer = post(region, "DocumentReference/$generate-metadata", resource)
    assert answer.status_code == 200, answer.text
    (parameter,) = valid(answer.json())["parameter"]
    assert parameter["name"] == "DocumentReference"
    read = region.get(parameter["valueReference"]["reference"])
    assert read.status_code == 200
    return valid(read.json())


def test_metadata_of_a_cda_document(region: Region, cx: str) -> None:
    report = report_of(cx)
    made = generated(region, binary(report))
    assert made["type"]["coding"][0]["code"] == "18748-4"
    assert made["content"][0]["attachment"]["title"] == "Compte rendu d'imagerie médicale"
    assert made["content"][0]["attachment"]["contentType"] == "text/xml"
    assert made["subject"]["reference"] == f"Patient/{cx.partition('^')[0]}"
    assert made["securityLabel"][0]["coding"][0]["code"] == "N"
    assert {item["identifier"]["value"] for item in made["context"]["related"]} >= {"ACC-1", "PLC-1"}
    (patient,) = [item for item in made["contained"] if item["resourceType"] == "Patient"]
    assert (patient["name"], patient["birthDate"]) == ([{"family": "DUPONT", "given": ["JEANNE"]}], "1970-01-01")
    assert region.get(f"Binary/{made['id']}").content == report
    assert generated(region, binary(report)) == made  # the same document again
    assert len(of_person(region, "List", cx)) == 1


def fhir_document(cx: str) -> bytes:
    """A FHIR document as text: a decimal's digits matter."""
    number, author, patient = cx.partition("^")[0], f"urn:uuid:{uuid.uuid4()}", f"urn:uuid:{uuid.uuid4()}"
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "60591-5", "display": "Patient summary"}]},
        "category": [concept("11")],
        "subject": {"reference": patient},
        "date": "2026-04-01T12:00:00+02:00",
        "author": [{"reference": author}],
        "title": "Synthèse",
        "confidentiality": "N",
        "event": [{"period": {"start": "2026-03-01"}}],
    }
    who = {
        "resourceType": "Patient",
        "identifier": [
            {"system": "http://x.example", "value": "7"},
            {"system": f"urn:oid:{DOMAIN}", "value": number},
        ],
        "name": [{"family": "DUPONT", "given": ["JEANNE"]}],
    }
    weight = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
    rows = [(f"urn:uuid:{uuid.uuid4()}", composition), (patient, who)]
    rows += [(author, {"resourceType": "Practitioner", "name": [{"family": "CURIE"}]})]
    rows += [(f"urn:uuid:{uuid.uuid4()}", {**weight, "valueQuantity": {"value": 7777}})]
    document = {
        "resourceType": "Bundle",
        "language": "fr-FR",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid.uuid4()}"},
        "type": "document",
        "timestamp": "2026-04-01T12:00:00+02:00",
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in rows],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).replace("7777", "77.770").encode()


def test_metadata_of_a_fhir_document(region: Region, cx: str) -> None:
    document = fhir_document(cx)
    for sent in (
        document,
        b'{"resourceType":"Parameters","parameter":[{"name":"document","resource":%b}]}' % document,
        binary(document, "application/fhir+json; charset=utf-8"),
    ):
        made = generated(region, sent)
        assert region.get(f"Binary/{made['id']}", Accept="*/*").content == document
    assert made["content"][0]["attachment"]["title"] == "Synthèse"
    assert made["type"]["coding"][0]["code"] == "60591-5"
    assert made["date"] == "2026-04-01T10:00:00Z"
    assert made["context"]["period"] == {"start": "2026-03-01"}
    assert len(of_person(region, "DocumentReference", cx)) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b'{"resourceType":"Parameters"}',
        b'{"resourceType":"Parameters","parameter":[7]}',
        b'{"resourceType":"Parameters","parameter":[{"name":"file","resource":{"resourceType":"Bundle"}}]}',
        b'{"resourceType":"Bundle","type":"document"}',
        b'{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"Composition"}}]}',
        b'{"resourceType":"Bundle","type":"document","x":%b1%b}' % (b"[" * 900, b"]" * 900),
        binary(b"plain", "text/plain"),
        binary(b"<ClinicalDocument/>"),
        binary(b'<!DOCTYPE x [<!ENTITY a "b">]><ClinicalDocument xmlns="urn:hl7-org:v3">&a;</ClinicalDocument>'),
        binary(b"{", "application/fhir+json"),
        binary(b"7", "application/fhir+json"),
    ],
)
def test_what_metadata_can_t_be_read_out_of(region: Region, sent: Any) -> None:
    answer = post(region, "DocumentReference/$generate-metadata", sent)
    assert answer.status_code == 400, answer.text
    valid(answer.json())


def test_a_document_of_nobody(region: Region) -> None:
    answer = post(region, "DocumentReference/$generate-metadata", binary(report_of(f"nobody^^^&{DOMAIN}&ISO")))
    assert answer.status_code == 422
    valid(answer.json())


def test_a_fhir_document_in_a_bundle(region: Region, cx: str) -> None:
    document = fhir_document(cx)
    sent = bundle_of(cx, b"one")
    attachment = sent["entry"][1]["resource"]["content"][0]["attachment"]
    attachment["contentType"] = "application/fhir+json"
    del attachment["size"], attachment["hash"]
    sent["entry"][2]["resource"] = {"resourceType": "Bundle"}
    sent["entry"][2]["request"]["url"] = "Bundle"
    body = json.dumps(sent, separators=(",", ":")).encode().replace(b'{"resourceType":"Bundle"}', document)
    answer = region.vendor.http.post(region.vendor.box["fhir"], content=body, headers=FHIR)
    assert answer.status_code == 200, answer.text
    (made,) = of_person(region, "DocumentReference", cx)
    assert answer.json()["entry"][2]["response"]["location"] == f"Binary/{made['id']}"
    assert region.get(f"Binary/{made['id']}", Accept="*/*").content == document
    again = body.replace(b'"type":"document"', b'"type":"collection"')
    assert region.vendor.http.post(region.vendor.box["fhir"], content=again, headers=FHIR).status_code == 400


def test_communities_and_the_search_parameters_of_pdsm(region: Region, cx: str) -> None:
    assert provide(region, bundle_of(cx, b"one")).status_code == 200
    home = of_person(region, "DocumentReference", cx)[0]["extension"][0]["valueOid"]
    rows: list[tuple[dict[str, str], int]] = [
        ({"targetCommunityIdList": home}, 1),
        ({"targetCommunityIdList": f"urn:oid:1.2.3,{home}"}, 1),
        ({"isArchived": "false"}, 1),
        ({"isArchived": "true"}, 0),
    ]
    for parameters, count in rows:
        for kind in ("DocumentReference", "List"):
            assert len(of_person(region, kind, cx, **parameters)) == count, parameters
    number = cx.partition("^")[0]
    nobody = region.get(f"DocumentReference?patient=Patient/{number}&targetCommunityIdList=urn:oid:1.2.3")
    assert (nobody.status_code, nobody.json()["issue"][0]["details"]["coding"][0]["code"]) == (404, "unknown-community")
    for parameters in ({"period-start": "2026"}, {"period-end": "ge2026"}):
        assert not of_person(region, "DocumentReference", cx, **parameters)
    with_times = bundle_of(cx, b"two")
    period = {"start": "2026-03-01", "end": "2026-03-05"}
    with_times["entry"][1]["resource"]["context"]["period"] = period
    assert provide(region, with_times).status_code == 200
    for parameters, count in (
        ({"period-start": "2026-03-01"}, 1),
        ({"period-start": "gt2026-03-01"}, 0),
        ({"period-end": "le2026-03-05", "period-start": "ge2026-02"}, 1),
        ({"period-end": "lt2026-03-05"}, 0),
        ({"period-end": "lt2026-03-06", "period": "2026-03-02"}, 1),
    ):
        assert len(of_person(region, "DocumentReference", cx, **parameters)) == count, parameters
    url = f"{region.vendor.box['fhir']}/DocumentReference"
    assert region.vendor.http.get(url, params={"patient": region.patient, "isArchived": "maybe"}).status_code == 400


def test_the_operation_is_declared(region: Region) -> None:
    statement = valid(region.get("metadata").json())
    (offered,) = [row for row in statement["rest"][0]["resource"] if row["type"] == "DocumentReference"]
    (operation,) = offered["operation"]
    assert operation["name"] == "generate-metadata"
    assert operation["definition"].startswith("https://profiles.ihe.net/ITI/MHD/OperationDefinition/")
    assert {"code": "create"} in offered["interaction"]
