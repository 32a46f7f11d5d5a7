"""PDSm's PATCH of a DocumentReference by hand, as its guide writes the requests (PDSm 3.1: flux 03, 04)."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.interop.mhd import Region, opened, somebody, valid
from tests.interop.test_mhd_publish import full, post

pytestmark = pytest.mark.interop
PDSM = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is"
V3 = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
CODE = f"DocumentReference.securityLabel.coding.where(system='{V3}').code"


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with opened(request, tmp_path_factory) as empty:
        yield empty


def operation(path: str, *, kind: str = "replace", **value: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"name": "type", "valueCode": kind},
        {"name": "path", "valueString": path},
        {"name": "value", **value},
    ]
    return {"name": "operation", "part": parts}


def status(value: str) -> dict[str, Any]:
    return operation("DocumentReference.status", valueCode=value)


def flag(name: str, value: bool) -> dict[str, Any]:
    return operation(f"DocumentReference.extension.where(url='{PDSM}-{name}').value", valueBoolean=value)


def patch(
    region: Region,
    where: str,
    *operations: dict[str, Any],
    content_type: str = "application/fhir+json",
    **headers: str,
) -> httpx.Response:
    body = json.dumps({"resourceType": "Parameters", "parameter": list(operations)}).encode()
    return region.vendor.http.patch(
        f"{region.vendor.box['fhir']}/DocumentReference{where}",
        content=body,
        headers={"Content-Type": content_type, **headers},
    )


@pytest.fixture
def document(region: Region) -> dict[str, Any]:
    resource = full(somebody(region), b"a report")
    resource["securityLabel"] = [{"coding": [{"system": V3, "code": "N", "display": "normal"}]}]
    answer = post(region, "DocumentReference", resource)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def named(document: dict[str, Any]) -> str:
    return f"?identifier={document['masterIdentifier']['system']}|{document['masterIdentifier']['value']}"


def labels(resource: dict[str, Any]) -> list[str]:
    return [item["coding"][0]["code"] for item in resource["securityLabel"]]


def test_status_confidentiality_and_what_is_as_it_was(region: Region, document: dict[str, Any]) -> None:
    where = named(document)
    answer = patch(
        region,
        where,
        status("current"),
        operation(CODE, valueCode="R"),
        flag("archived", False),
        **{"If-Match": 'W/"1"'},
    )
    assert answer.status_code == 200, answer.text
    new = valid(answer.json())
    assert (labels(new), new["status"], answer.headers["etag"]) == (["R"], "current", 'W/"2"')
    assert new["masterIdentifier"] == document["masterIdentifier"]
    assert answer.headers["content-location"].endswith(f"/DocumentReference/{new['id']}")
    changed = patch(region, where, status("superseded"))
    assert (changed.status_code, changed.json()["status"], labels(changed.json())) == (200, "superseded", ["R"])
    again = patch(region, f"/{new['id']}", status("current"))
    assert (again.status_code, again.json()["status"]) == (200, "current")
    same = patch(region, where, status("current"))
    assert (same.status_code, same.headers["etag"]) == (200, 'W/"2"'), "nothing to change makes no version"


def test_labels_come_and_go(region: Region, document: dict[str, Any]) -> None:
    concept = {"coding": [{"system": V3, "code": "V", "display": "very restricted"}]}
    add = operation("DocumentReference", kind="add", valueCodeableConcept=concept)
    add["part"].insert(2, {"name": "name", "valueString": "securityLabel"})
    first = patch(region, named(document), add)
    assert (first.status_code, labels(first.json())) == (200, [*labels(document), "V"]), first.text
    two = patch(region, named(document), operation(CODE, valueCode="R"))
    assert (two.status_code, two.json()["issue"][0]["code"]) == (422, "business-rule"), "the path leads to both"
    gone = patch(region, named(document), operation("DocumentReference.securityLabel[0]", kind="delete"))
    assert (gone.status_code, labels(gone.json())) == (200, ["V"])


def test_what_is_refused_changes_nothing(region: Region, document: dict[str, Any]) -> None:
    where = named(document)
    title = operation("DocumentReference.description", valueString="x")
    add = operation("DocumentReference", kind="add")
    add["part"] = [*add["part"][:2], {"name": "name", "valueString": "extension"}]
    url, said = {"name": "url", "valueUri": f"{PDSM}-deleted"}, {"name": "valueBoolean", "valueBoolean": True}
    add["part"].append({"name": "value", "part": [url, said]})
    for expected, answer in (
        (405, patch(region, where, status("superseded"), title)),
        (412, patch(region, where, status("superseded"), **{"If-Match": 'W/"7"'})),
        (415, patch(region, where, status("superseded"), content_type="application/json-patch+json")),
        (422, patch(region, where, status("superseded"), status("entered-in-error"))),
        (422, patch(region, where, status("superseded"), flag("archived", True))),
        (422, patch(region, where, status("superseded"), add)),
        (400, patch(region, "?status=current", status("superseded"))),
        (404, patch(region, "?identifier=urn:ietf:rfc:3986|urn:oid:1.2.3.4.5", status("superseded"))),
        (404, patch(region, "?identifier=urn:ietf:rfc:3986|urn:oid:1.2.3.4.5&_format=json", status("superseded"))),
        (404, patch(region, "/0b0c1a52-0000-4000-8000-000000000001", status("superseded"))),
    ):
        assert (answer.status_code, answer.json()["resourceType"]) == (expected, "OperationOutcome"), answer.text
    found = region.vendor.http.get(f"{region.vendor.box['fhir']}/DocumentReference{where}").json()
    (entry,) = found["entry"]
    assert (entry["resource"]["status"], entry["resource"]["meta"]["versionId"]) == ("current", "1")
