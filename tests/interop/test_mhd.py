"""MHD by foreign hands: ITI-41 by hand submits, fhirpy searches and reads; R4B's models judge every resource sent."""

import base64
import copy
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from hub.wire.fhir.r4 import XML_TYPE
from hub.wire.fhir.xml import from_xml, to_xml
from tests.interop.by_hand import RELATION, Entry, Integrator, Set, association
from tests.interop.mhd import (
    DOMAIN,
    SCHEME,
    Region,
    bundle_of,
    found,
    of_person,
    opened,
    provide,
    somebody,
    uid_of,
    valid,
    values,
)

pytestmark = pytest.mark.interop
NUL = {"patient.identifier": f"urn:oid:{DOMAIN}|a\0b"}
REPORT, LETTER = b"a report", b"<html>a letter</html>" * 5000


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with opened(request, tmp_path_factory) as empty:
        yield replace(empty, uids=_submitted(empty.vendor, empty.cx))


def _submitted(vendor: Integrator, cx: str) -> tuple[str, str, str]:
    slots = {
        "sourcePatientInfo": ["PID-5|DUPONT^JEANNE", "PID-7|19700101", "PID-8|F"],
        "serviceStartTime": ["20260101100000"],
        "urn:ihe:iti:xds:2013:referenceIdList": ["ACC-9^^^&1.2.250.1.72&ISO^urn:ihe:iti:xds:2013:accession"],
    }
    first = Entry(patient=cx, content=REPORT, slots=slots)
    letter = Entry(patient=cx, id="Document02", content=LETTER, slots={"creationTime": ["20260302"]})
    assert vendor.provide([first, letter], Set(patient=cx)).outcome == "Success"
    (old,) = [str(item.get("id")) for item in vendor.find(cx).objects("ExtrinsicObject") if first.uid in values(item)]
    slots = {**slots, "creationTime": ["20260203040506"], "serviceStopTime": ["20260101110000"]}
    second = Entry(patient=cx, content=REPORT, slots=slots, codes={"typeCode": "11528-7"})
    replaced = vendor.provide([second], Set(patient=cx), association(RELATION + "RPLC", second.id, old))
    assert replaced.outcome == "Success", replaced.errors
    return first.uid, letter.uid, second.uid


def test_capability(region: Region) -> None:
    statement = valid(region.client.execute("metadata", method="get"))
    offered = {row["type"]: row for row in statement["rest"][0]["resource"]}
    for kind in ("DocumentReference", "List"):
        assert {item["code"] for item in offered[kind]["interaction"]} >= {"read", "search-type"}
    assert {item["code"] for item in offered["Binary"]["interaction"]} >= {"read"}
    names = {item["name"] for item in offered["DocumentReference"]["searchParam"]}
    assert names >= {"patient", "status", "identifier", "date", "category", "period", "security-label", "related"}


def test_a_document_reference(region: Region) -> None:
    by_uid = {uid_of(item): item for item in found(region, "DocumentReference", patient=region.patient)}
    assert set(by_uid) == set(region.uids)
    old, letter, current = (by_uid[uid] for uid in region.uids)
    assert [item["status"] for item in (old, letter, current)] == ["superseded", "current", "current"]
    assert current["relatesTo"] == [{"code": "replaces", "target": {"reference": f"DocumentReference/{old['id']}"}}]
    assert current["subject"]["reference"] == region.patient
    assert current["type"]["coding"][0] == {"system": SCHEME, "code": "11528-7", "display": "11528-7"}
    assert current["category"][0]["coding"][0]["code"] == "11"
    assert current["securityLabel"][0]["coding"][0]["code"] == "N"
    (content,) = current["content"]
    assert content["format"]["code"] == "FMT"
    attachment = content["attachment"]
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(REPORT).digest()
    assert (attachment["size"], attachment["contentType"]) == (len(REPORT), "text/plain")
    assert (attachment["language"], attachment["title"]) == ("fr-FR", "Compte rendu")
    assert (attachment["creation"], letter["content"][0]["attachment"]["creation"]) == (
        "2026-02-03T04:05:06Z",
        "2026-03-02",
    )
    context = current["context"]
    assert context["period"] == {"start": "2026-01-01T10:00:00Z", "end": "2026-01-01T11:00:00Z"}
    assert context["facilityType"]["coding"][0]["code"] == "SA01"
    assert context["practiceSetting"]["coding"][0]["code"] == "RAD"
    assert context["related"][0]["identifier"]["value"] == "ACC-9"
    (source,) = [item for item in current["contained"] if item["resourceType"] == "Patient"]
    assert context["sourcePatientInfo"]["reference"] == f"#{source['id']}"
    assert source["identifier"] == [{"system": "urn:oid:1.2.3.4", "value": "4711"}]
    assert source["name"] == [{"family": "DUPONT", "given": ["JEANNE"]}]
    assert (source["birthDate"], source["gender"]) == ("1970-01-01", "female")
    read = valid(region.client.reference("DocumentReference", current["id"]).to_resource())
    assert read == current


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ({"status": "current"}, (1, 2)),
        ({"status": "superseded"}, (0,)),
        ({"status": "current,superseded"}, (0, 1, 2)),
        ({"date": "ge2026-02-03"}, (1, 2)),
        ({"creation": "2026-02-03"}, (2,)),
        ({"creation": "lt2026-01-02"}, (0,)),
        ({"creation": ["ge2026-01-01", "lt2026-03"]}, (0, 2)),
        ({"type": f"{SCHEME}|11528-7"}, (2,)),
        ({"type": "11528-7"}, (2,)),
        ({"type": f"{SCHEME}|x,{SCHEME}|11528-7"}, (2,)),
        ({"category": f"{SCHEME}|11"}, (0, 1, 2)),
        ({"category": "http://loinc.org|11"}, ()),
        ({"setting": "RAD", "facility": f"{SCHEME}|SA01"}, (0, 1, 2)),
        ({"format": f"{SCHEME}|FMT"}, (0, 1, 2)),
        ({"security-label": f"{SCHEME}|R"}, ()),
        ({"security-label": [f"{SCHEME}|N", f"{SCHEME}|R"]}, ()),
        ({"event": f"{SCHEME}|CT"}, ()),
        ({"period": "2026-01-01"}, (0, 2)),
        ({"period": "ge2026-01-01T10:30:00Z"}, (2,)),
        ({"period": "lt2026-01-01"}, ()),
        ({"related": "urn:oid:1.2.250.1.72|ACC-9"}, (0, 2)),
        ({"related:identifier": "urn:oid:1.2.250.1.72|ACC-9"}, (0, 2)),
        ({"related": "urn:oid:1.2.250.1.73|ACC-9"}, ()),
        ({"author.family": "nobody"}, ()),
    ],
)
def test_document_criteria(region: Region, parameters: dict[str, Any], wanted: tuple[int, ...]) -> None:
    matches = found(region, "DocumentReference", patient=region.patient, **parameters)
    assert sorted(map(uid_of, matches)) == sorted(region.uids[index] for index in wanted)
    form = region.vendor.http.post(
        f"{region.vendor.box['fhir']}/DocumentReference/_search", data={"patient": region.patient, **parameters}
    )
    assert valid(form.json())["total"] == len(wanted)


def test_patients_and_identifiers(region: Region) -> None:
    every = found(region, "DocumentReference", **{"patient.identifier": f"urn:oid:{DOMAIN}|{region.number}"})
    assert len(every) == 3
    assert not found(region, "DocumentReference", **{"patient.identifier": f"urn:oid:{DOMAIN}|nobody"})
    assert not found(region, "DocumentReference", patient="Patient/nobody")
    one = every[0]
    for value in (f"urn:ietf:rfc:3986|urn:oid:{uid_of(one)}", f"urn:ietf:rfc:3986|urn:uuid:{one['id']}", uid_of(one)):
        assert found(region, "DocumentReference", identifier=value) == [one]
        assert not found(region, "DocumentReference", identifier=value, patient="Patient/nobody")
    assert found(region, "DocumentReference", _id=f"{one['id']},{every[1]['id']}", patient=region.patient) == every[:2]


def test_pages(region: Region) -> None:
    resources = region.client.resources("DocumentReference").search(patient=region.patient).limit(1)
    every = [uid_of(valid(item)) for item in resources.fetch_all()]
    assert every == [region.uids[1], region.uids[2], region.uids[0]]  # the newest first
    bundle = valid(
        region.client.execute("DocumentReference", method="get", params={"patient": region.patient, "_count": 0})
    )
    assert bundle["total"] == 3
    assert "entry" not in bundle


def test_lists(region: Region) -> None:
    sets = found(region, "List", patient=region.patient, code="submissionset", status="current")
    assert len(sets) == 2
    documents = {item["id"]: uid_of(item) for item in found(region, "DocumentReference", patient=region.patient)}
    held = [{documents[row["item"]["reference"].rpartition("/")[2]] for row in item["entry"]} for item in sets]
    assert sorted(held, key=len) == [{region.uids[2]}, set(region.uids[:2])]
    one = sets[0]
    assert one["mode"] == "working"
    assert one["subject"]["reference"] == region.patient
    extensions = {row["url"].rpartition("/")[2]: row for row in one["extension"]}
    assert extensions["ihe-sourceId"]["valueIdentifier"]["value"] == "urn:oid:1.2.250.1.999.60"
    assert extensions["ihe-designationType"]["valueCodeableConcept"]["coding"][0]["code"] == "04"
    assert valid(region.client.reference("List", one["id"]).to_resource()) == one
    for row in one["identifier"]:
        assert found(region, "List", identifier=f"{row['system']}|{row['value']}") == [one]
    asked = {"patient": region.patient}
    assert len(found(region, "List", **asked, date="2026-01-01", designationType=f"{SCHEME}|04")) == 2
    assert not found(region, "List", **asked, designationType="05")
    assert not found(region, "List", **asked, code="folder")
    assert not found(region, "List", **asked, status="retired")
    assert len(found(region, "List", **asked, sourceId="urn:oid:1.2.250.1.999.60")) == 2
    assert not found(region, "List", **asked, **{"source.family": "nobody"})


def test_the_document_itself(region: Region) -> None:
    (one,) = found(region, "DocumentReference", identifier=region.uids[1])
    attachment = one["content"][0]["attachment"]
    answer = region.vendor.http.get(attachment["url"])
    assert answer.status_code == 200
    assert answer.content == LETTER
    assert answer.headers["content-type"] == attachment["contentType"]
    assert answer.headers["content-length"] == str(attachment["size"])
    path = f"Binary/{one['id']}"
    again = region.get(path, **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert region.get(path, Accept="text/*").content == LETTER
    assert region.get(path, Accept="application/pdf").status_code == 406
    binary = valid(region.get(path, Accept="application/fhir+json").json())
    assert base64.b64decode(binary["data"]) == LETTER
    assert binary["contentType"] == "text/plain"


def test_what_is_not_there_or_not_asked_well(region: Region) -> None:
    for kind in ("DocumentReference", "List"):
        for unknown in ("00000000-0000-4000-8000-000000000000", "1"):
            with pytest.raises(ResourceNotFound):
                region.client.reference(kind, unknown).to_resource()
        for wrong in ({}, {"status": "current"}, {"patient": "Patient/1", "status": "final"}, {"colour": "red"}, NUL):
            with pytest.raises(OperationOutcome) as caught:
                region.client.execute(kind, method="get", params=wrong)
            valid(caught.value.resource)
    for unknown in ("00000000-0000-4000-8000-000000000000", "1", "..%2f..%2fetc"):
        answer = region.get(f"Binary/{unknown}")
        assert answer.status_code == 404
        valid(answer.json())


@pytest.fixture
def cx(region: Region) -> str:
    """A person who has no documents yet."""
    return somebody(region)


def test_a_provided_bundle(region: Region, cx: str) -> None:
    sent = bundle_of(cx, b"one", b"two", folder=True)
    answer = provide(region, sent)
    assert answer.status_code == 200, answer.text
    given = valid(answer.json())
    assert given["type"] == "transaction-response"
    kinds = [row["resource"]["resourceType"] for row in sent["entry"]]
    assert [row["response"]["location"].partition("/")[0] for row in given["entry"]] == kinds
    assert {row["response"]["status"] for row in given["entry"]} == {"201 Created"}
    stored = {item["id"]: item for item in of_person(region, "DocumentReference", cx)}
    assert len(stored) == 2
    for row, response in zip(sent["entry"], given["entry"], strict=True):
        location = response["response"]["location"]
        kind, _, resource_id = location.partition("/")
        if kind == "Binary":
            assert region.get(location).content == base64.b64decode(row["resource"]["data"])
            continue
        shown = valid(region.client.reference(kind, resource_id).to_resource())
        if kind == "DocumentReference":
            _same_metadata(row["resource"], shown)
    for kind in ("folder", "submissionset"):
        (one,) = of_person(region, "List", cx, code=kind)
        held = {row["item"]["reference"] for row in one["entry"]}
        assert held >= {f"DocumentReference/{item}" for item in stored}
        assert one["title"] == f"The {kind}"
    cross = region.vendor.find(cx)  # the same, by ITI-18
    assert sorted(cross.uids) == sorted(uid_of(item) for item in stored.values())


def _same_metadata(sent: dict[str, Any], shown: dict[str, Any]) -> None:
    for name in ("status", "type", "category", "description", "securityLabel"):
        assert shown[name] == sent[name], name
    for name in ("system", "value"):
        assert shown["masterIdentifier"][name] == sent["masterIdentifier"][name]
    mine, theirs = (copy.deepcopy(item["content"][0]) for item in (sent, shown))
    for content in (mine, theirs):
        del content["attachment"]["url"]
    mine["attachment"]["creation"] = "2026-04-01T10:00:00Z"
    assert theirs == mine
    for name in ("event", "facilityType", "practiceSetting"):
        assert shown["context"][name] == sent["context"][name]
    contained = {item["resourceType"]: item for item in shown["contained"]}
    for item in sent["contained"]:
        assert contained[item["resourceType"]] == {**item, "id": contained[item["resourceType"]]["id"]}


def test_a_replacement_with_its_patch(region: Region, cx: str) -> None:
    assert provide(region, bundle_of(cx, b"old")).status_code == 200
    (old,) = of_person(region, "DocumentReference", cx)
    sent = bundle_of(cx, b"new")
    target = f"DocumentReference/{old['id']}"
    sent["entry"][1]["resource"]["relatesTo"] = [{"code": "replaces", "target": {"reference": target}}]
    values = (("type", "valueCode", "replace"), ("path", "valueString", "DocumentReference.status"))
    parts = [{"name": name, element: value} for name, element, value in (*values, ("value", "valueCode", "superseded"))]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    sent["entry"].append({"resource": patch, "request": {"method": "PATCH", "url": target}})
    answer = provide(region, sent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["entry"][-1]["response"] == {"status": "200 OK", "location": target}
    by_status = {item["status"]: item for item in of_person(region, "DocumentReference", cx)}
    assert by_status["superseded"]["id"] == old["id"]
    assert by_status["current"]["relatesTo"][0]["target"]["reference"] == target
    again = bundle_of(cx, b"newer")
    again["entry"][1]["resource"]["relatesTo"] = [{"code": "replaces", "target": {"reference": target}}]
    assert provide(region, again).status_code == 409  # it is superseded by now


def test_the_patient_of_the_bundle(region: Region, cx: str) -> None:
    sent = bundle_of(cx, b"one")
    number = cx.partition("^")[0]
    who = f"urn:uuid:{uuid.uuid4()}"
    patient = {"resourceType": "Patient", "identifier": [{"system": f"urn:oid:{DOMAIN}", "value": number}]}
    sent["entry"].append({"fullUrl": who, "resource": patient, "request": {"method": "POST", "url": "Patient"}})
    for row in sent["entry"][:2]:
        row["resource"]["subject"] = {"reference": who}
    answer = provide(region, sent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["entry"][-1]["response"]["location"] == f"Patient/{number}"
    assert len(of_person(region, "DocumentReference", cx)) == 1


def _without(*path: Any) -> Any:
    def change(bundle: dict[str, Any]) -> None:
        found: Any = bundle
        for step in path[:-1]:
            found = found[step]
        del found[path[-1]]

    return change


def _with(value: Any, *path: Any) -> Any:
    def change(bundle: dict[str, Any]) -> None:
        found: Any = bundle
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = value

    return change


REFERENCE = ("entry", 3, "resource")  # the second DocumentReference: the first is good


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (_with("batch", "type"), 400),
        (_without("entry", 0), 400),  # no submission set
        (_without("entry", 4), 400),  # no Binary
        (_without(*REFERENCE, "masterIdentifier"), 400),
        (_without(*REFERENCE, "type"), 400),
        (_without(*REFERENCE, "category"), 400),
        (_with("x", *REFERENCE, "category"), 400),
        (_with([7], *REFERENCE, "category"), 400),
        (_with([], *REFERENCE, "category"), 400),
        (_with({"text": "no code"}, *REFERENCE, "type"), 400),
        (_with([[]], *REFERENCE, "author"), 400),
        (_with({"reference": "#source"}, *REFERENCE, "author", 0), 200),
        (_with("a\0b", *REFERENCE, "type", "coding", 0, "code"), 400),
        (_with([{}], *REFERENCE, "context", "related"), 200),
        (_with([{"identifier": []}], *REFERENCE, "context", "related"), 400),
        (_with(7, *REFERENCE, "context"), 400),
        (_with([[]], "entry", 0, "resource", "extension"), 400),
        (_with(["x"], "entry", 0, "resource", "note"), 400),
        (_with(7, "entry", 0, "resource", "contained"), 200),
        (_with("x", *REFERENCE, "subject"), 400),
        (_without(*REFERENCE, "subject"), 400),
        (_with({"reference": "#nobody"}, *REFERENCE, "context", "sourcePatientInfo"), 400),
        (_without(*REFERENCE, "content", 0, "attachment", "contentType"), 400),
        (_with("AAAA", *REFERENCE, "content", 0, "attachment", "hash"), 400),
        (_with(7, *REFERENCE, "content", 0, "attachment", "size"), 400),
        (_with("yesterday", *REFERENCE, "content", 0, "attachment", "creation"), 400),
        (_with("superseded", *REFERENCE, "status"), 400),
        (_with([], *REFERENCE, "content"), 400),
        (_with({"reference": "Patient/other"}, *REFERENCE, "subject"), 400),
        (_with([{"code": "replaces", "target": {"reference": "x/y"}}], *REFERENCE, "relatesTo"), 400),
        (_with("=", "entry", 4, "resource", "data"), 400),
        (_with("image/png", "entry", 4, "resource", "contentType"), 400),
        (_with("PUT", "entry", 3, "request", "method"), 400),
        (_with("Observation", "entry", 4, "resource", "resourceType"), 400),
        (_with([], "entry", 0, "resource", "entry"), 400),
        (_with({"coding": [{"code": "x"}]}, "entry", 0, "resource", "code"), 400),
        (_with("x", "entry"), 400),
        (_with(["x"], "entry"), 400),
        (_with([{"url": "urn:x", "valueBoolean": True}], *REFERENCE, "modifierExtension"), 400),
        (_with([{"url": "urn:x", "valueBoolean": True}], "entry", 0, "resource", "modifierExtension"), 400),
        (_with("urn:x", *REFERENCE, "implicitRules"), 400),
        (_with({"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.x"}, *REFERENCE, "masterIdentifier"), 400),
        (_with(True, "entry", 0, "resource", "entry", 1, "deleted"), 400),  # FHIR R4: lst-2
        (_with(False, "entry", 0, "resource", "entry", 1, "deleted"), 200),
    ],
)
def test_all_or_nothing(region: Region, cx: str, change: Any, status: int) -> None:
    sent = bundle_of(cx, b"one", b"two")
    change(sent)
    answer = provide(region, sent)
    assert answer.status_code == status, answer.text
    valid(answer.json())
    assert len(of_person(region, "DocumentReference", cx)) == (2 if status == 200 else 0)
    assert len(of_person(region, "List", cx)) == (1 if status == 200 else 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_with("http://127.0.0.1/x", *REFERENCE, "content", 0, "attachment", "url"), "what lies elsewhere"),
        (_with({"reference": "Patient?identifier=x|1"}, *REFERENCE, "subject"), "Conditional references"),
        (_with([{"reference": "Practitioner?name=x"}], *REFERENCE, "author"), "Conditional references"),
        (
            _with([{"code": "replaces", "target": {"reference": "DocumentReference?_id=1"}}], *REFERENCE, "relatesTo"),
            "Conditional references",
        ),
    ],
)
def test_what_lies_elsewhere_is_not_looked_for(region: Region, cx: str, change: Any, said: str) -> None:
    sent = bundle_of(cx, b"one", b"two")
    change(sent)
    answer = provide(region, sent)
    assert answer.status_code == 400
    assert said in answer.text


def test_nobody_s_bundle_and_no_bundle(region: Region, cx: str) -> None:
    answer = provide(region, bundle_of("nobody^^^", b"one"))
    assert answer.status_code == 422
    valid(answer.json())
    url = region.vendor.box["fhir"]
    for body in (b"", b"{", b"[]", b'{"resourceType": "Patient"}', b"[" * 5000, b"\xff"):
        refused = region.vendor.post(url, "application/fhir+json", body)
        assert refused.status_code == 400
        valid(refused.json())
    assert region.vendor.post(url, "text/xml", b"<Bundle/>").status_code == 400
    twice = bundle_of(cx, b"one")
    assert provide(region, twice).status_code == 200
    assert provide(region, twice).status_code == 409  # the submission set's uniqueId is taken


def test_who_wants_xml_is_answered_in_xml(region: Region) -> None:
    path = f"DocumentReference?patient={region.patient}"
    plain = region.get(path).json()
    for answer in (region.get(path, Accept=XML_TYPE), region.get(f"{path}&_format=xml")):
        assert answer.headers["content-type"].startswith(XML_TYPE)
        found = from_xml(answer.content)
        assert [row["resource"] for row in found["entry"]] == [row["resource"] for row in plain["entry"]]
    links = from_xml(region.get(f"{path}&_count=1&_format=xml").content)["link"]
    assert [row["relation"] for row in links] == ["self", "next"]
    for row in links:  # who follows a link goes on in XML
        assert region.vendor.http.get(row["url"]).headers["content-type"].startswith(XML_TYPE)
    refused = region.get("DocumentReference?colour=1", Accept=XML_TYPE)
    assert refused.status_code == 400
    assert from_xml(refused.content)["resourceType"] == "OperationOutcome"
    assert XML_TYPE in from_xml(region.get("metadata", Accept=XML_TYPE).content)["format"]


def test_a_bundle_in_xml_is_provided(region: Region) -> None:
    cx = somebody(region)
    sent = to_xml(bundle_of(cx, b"one"))
    headers = {"Content-Type": XML_TYPE, "Accept": XML_TYPE}
    answer = region.vendor.http.post(region.vendor.box["fhir"], content=sent, headers=headers)
    assert answer.status_code == 200, answer.text
    assert from_xml(answer.content)["type"] == "transaction-response"
    assert len(region.vendor.find(cx).objects("ExtrinsicObject")) == 1
    wrong = region.vendor.http.post(region.vendor.box["fhir"], content=sent[:-20], headers=headers)
    assert wrong.status_code == 400
    assert from_xml(wrong.content)["resourceType"] == "OperationOutcome"
