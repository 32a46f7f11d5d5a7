"""MHD by foreign hands: ITI-41 by hand submits, fhirpy searches and reads; R4B's models judge every resource sent."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from hub.testing.sandbox import SandboxProcess
from tests.interop.by_hand import RELATION, Entry, Integrator, Set, association

pytestmark = pytest.mark.interop
DOMAIN, HOSPITAL = "1.2.250.1.999.41", "1.2.250.1.999.45"
SCHEME = "urn:oid:1.2.250.1.999.50"
REPORT, LETTER = b"a report", b"<html>a letter</html>" * 5000


@dataclass(frozen=True)
class Region:
    """A sandbox with a person's documents: a report, a letter, and the report that replaced the first."""

    vendor: Integrator
    client: SyncFHIRClient
    number: str
    cx: str
    uids: tuple[str, str, str]  #: replaced, letter, current

    @property
    def patient(self) -> str:
        return f"Patient/{self.cx.partition('^')[0]}"

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.vendor.http.get(f"{self.vendor.box['fhir']}/{path}", headers=headers)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    more: list[str] = []
    server = name = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        name = server.create_database()
        more = ["--db", server.url(name)]
    data = str(tmp_path_factory.mktemp("mhd") / "data")
    arguments = ("--open", "--affinity-domain", DOMAIN, "--data", data, *more)
    with SandboxProcess(*arguments) as box, Integrator(box) as vendor:
        cx = vendor.announce("R4711", DOMAIN)
        client = SyncFHIRClient(box["fhir"])
        yield Region(vendor, client, "R4711", cx, _submitted(vendor, cx))
    if server is not None:
        server.drop_database(name)


def _submitted(vendor: Integrator, cx: str) -> tuple[str, str, str]:
    slots = {
        "sourcePatientInfo": ["PID-5|DUPONT^JEANNE", "PID-7|19700101", "PID-8|F"],
        "serviceStartTime": ["20260101100000"],
        "urn:ihe:iti:xds:2013:referenceIdList": ["ACC-9^^^&1.2.250.1.72&ISO^urn:ihe:iti:xds:2013:accession"],
    }
    first = Entry(patient=cx, content=REPORT, slots=slots)
    letter = Entry(patient=cx, id="Document02", content=LETTER, slots={"creationTime": ["20260302"]})
    assert vendor.provide([first, letter], Set(patient=cx)).outcome == "Success"
    (old,) = [str(item.get("id")) for item in vendor.find(cx).objects("ExtrinsicObject") if first.uid in _values(item)]
    slots = {**slots, "creationTime": ["20260203040506"], "serviceStopTime": ["20260101110000"]}
    second = Entry(patient=cx, content=REPORT, slots=slots, codes={"typeCode": "11528-7"})
    replaced = vendor.provide([second], Set(patient=cx), association(RELATION + "RPLC", second.id, old))
    assert replaced.outcome == "Success", replaced.errors
    return first.uid, letter.uid, second.uid


def _values(item: Any) -> list[str]:
    return [str(row.get("value")) for row in item.iter() if row.get("value")]


def valid(resource: Any) -> dict[str, Any]:
    """The resource, once R4B's model has taken it, contained and bundled ones included."""
    plain: dict[str, Any] = resource.serialize() if hasattr(resource, "serialize") else dict(resource)
    get_fhir_model_class(plain["resourceType"]).model_validate(plain)
    return plain


def found(region: Region, kind: str, **parameters: Any) -> list[dict[str, Any]]:
    """The matches of a search."""
    bundle = valid(region.client.execute(kind, method="get", params=parameters))
    for row in bundle.get("entry", []):
        assert row["fullUrl"] == f"{region.vendor.box['fhir']}/{kind}/{row['resource']['id']}"
    return [row["resource"] for row in bundle.get("entry", []) if row["search"]["mode"] == "match"]


def uid_of(resource: dict[str, Any]) -> str:
    value: str = resource["masterIdentifier"]["value"]
    return value.removeprefix("urn:oid:")


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
        for wrong in ({}, {"status": "current"}, {"patient": "Patient/1", "status": "final"}, {"colour": "red"}):
            with pytest.raises(OperationOutcome) as caught:
                region.client.execute(kind, method="get", params=wrong)
            valid(caught.value.resource)
    for unknown in ("00000000-0000-4000-8000-000000000000", "1", "..%2f..%2fetc"):
        answer = region.get(f"Binary/{unknown}")
        assert answer.status_code == 404
        valid(answer.json())
