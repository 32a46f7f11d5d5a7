"""MHD at a hub that knows other communities: one search, their documents beside its own, each one's part told."""

import hashlib
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.documentreference import DocumentReference

from tests.interop.by_hand import Entry, Set
from tests.interop.test_communities import (
    DOMAIN,
    DOWN,
    NORTH,
    SOUTH,
    World,
    entry,  # noqa: F401 - fixture
    urn,
    world,  # noqa: F401 - fixture
)

pytestmark = pytest.mark.interop


def get(world: World, path: str, *, north: bool = False, **headers: str) -> httpx.Response:  # noqa: F811
    system = world.north if north else world.south
    url = path if path.startswith("http") else f"{system.box['fhir']}/{path}"
    return system.http.get(url, headers=headers)


def search(world: World, kind: str, cx: str, **more: str) -> dict[str, Any]:  # noqa: F811
    number = quote(f"urn:oid:{DOMAIN}|{cx.partition('^')[0]}")
    rest = "".join(f"&{name}={quote(text)}" for name, text in more.items())
    answer = get(world, f"{kind}?patient.identifier={number}{rest}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    Bundle.model_validate(found)
    return found


def matches(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [item["resource"] for item in bundle.get("entry", ()) if item["search"]["mode"] == "match"]


def issues(bundle: dict[str, Any]) -> dict[str, str]:
    """The issue's severity by the community's name."""
    outcomes = [item["resource"] for item in bundle.get("entry", ()) if item["search"]["mode"] == "outcome"]
    assert len(outcomes) <= 1
    rows = [issue for item in outcomes for issue in item["issue"]]
    return {row["diagnostics"].split()[0]: row["severity"] for row in rows}


def home(resource: dict[str, Any]) -> str:
    return str(next(item["valueOid"] for item in resource["extension"] if "valueOid" in item))


def test_documents_of_both_and_a_community_that_is_down(world: World, entry: Entry) -> None:  # noqa: F811
    mine = Entry(patient=entry.patient, content=b"a report of the south")
    assert world.south.provide([mine], Set(patient=entry.patient)).outcome == "Success"
    found = search(world, "DocumentReference", entry.patient)
    by_home = {home(item): item for item in matches(found)}
    assert (set(by_home), found["total"]) == ({urn(NORTH), urn(SOUTH)}, 2)
    assert issues(found) == {"NORTH": "information", "DOWN": "warning"}
    theirs = by_home[urn(NORTH)]
    assert f"urn:oid:{entry.uid}" == theirs["masterIdentifier"]["value"]
    # the person is ours, the entryUUID is theirs
    assert theirs["subject"] == by_home[urn(SOUTH)]["subject"]
    kinds = {item["type"]["coding"][0]["code"]: item["value"] for item in theirs["identifier"] if "type" in item}
    assert theirs["id"].partition(".")[0] == kinds["entryUUID"].removeprefix("urn:uuid:")
    # what is found is read, one by one, and its document as well
    read = get(world, f"DocumentReference/{theirs['id']}")
    assert (read.status_code, DocumentReference.model_validate(read.json()).id) == (200, theirs["id"])
    assert read.json()["content"] == theirs["content"]
    document = get(world, theirs["content"][0]["attachment"]["url"], Accept="*/*")
    assert (document.status_code, document.content) == (200, entry.content)
    assert document.headers["etag"] == f'"{hashlib.sha1(entry.content, usedforsecurity=False).hexdigest()}"'
    one = search(world, "DocumentReference", entry.patient, _id=theirs["id"])
    assert [item["id"] for item in matches(one)] == [theirs["id"]]
    # page by page, in an order that is asked for
    pages = [
        search(world, "DocumentReference", entry.patient, _sort="identifier", _count="1", _offset=str(n))
        for n in (0, 1)
    ]
    uids = [item["masterIdentifier"]["value"] for page in pages for item in matches(page)]
    assert uids == sorted(f"urn:oid:{uid}" for uid in (entry.uid, mine.uid))


def test_lists_of_another_community(world: World, entry: Entry) -> None:  # noqa: F811
    found = search(world, "List", entry.patient, targetCommunityIdList=urn(NORTH))
    (theirs,) = matches(found)
    assert issues(found) == {"NORTH": "information"}
    (member,) = theirs["entry"]
    (document,) = matches(search(world, "DocumentReference", entry.patient, targetCommunityIdList=urn(NORTH)))
    assert member["item"]["reference"] == f"DocumentReference/{document['id']}"
    assert get(world, f"List/{theirs['id']}").json()["entry"] == theirs["entry"]


def test_who_is_asked(world: World, entry: Entry) -> None:  # noqa: F811
    own = search(world, "DocumentReference", entry.patient, targetCommunityIdList=urn(SOUTH))
    assert (matches(own), issues(own)) == ([], {})
    some = search(world, "DocumentReference", entry.patient, targetCommunityIdList=f"{urn(NORTH)},urn:oid:1.2.3")
    assert (len(matches(some)), issues(some)) == (1, {"NORTH": "information", "urn:oid:1.2.3": "warning"})
    number = quote(f"urn:oid:{DOMAIN}|{entry.patient.partition('^')[0]}")
    path = f"DocumentReference?patient.identifier={number}&targetCommunityIdList="
    for name, status, code in (("urn:oid:1.2.3", 404, "unknown-community"), (urn(DOWN), 503, "unavailable-community")):
        answer = get(world, path + name)
        assert (answer.status_code, answer.json()["issue"][0]["details"]["coding"][0]["code"]) == (status, code)
    # the one who is asked asks nobody in turn, and an id of nobody is nobody's
    assert get(world, path, north=True).json()["total"] == 1
    (document,) = matches(search(world, "DocumentReference", entry.patient, targetCommunityIdList=urn(NORTH)))
    uuid, _, key = document["id"].partition(".")
    for wrong in (uuid, f"{uuid}.{key[:-1]}", f"{uuid}.{key}.x", f"{'0' * 8}{uuid[8:]}.{key}"):
        assert get(world, f"DocumentReference/{wrong}").status_code == 404, wrong
        assert get(world, f"Binary/{wrong}", Accept="*/*").status_code == 404, wrong


def test_a_document_about_somebody_who_is_not_known_here(world: World) -> None:  # noqa: F811
    patient = world.north.announce("NORTHERNER", DOMAIN)
    theirs = Entry(patient=patient)
    assert world.north.provide([theirs], Set(patient=patient)).outcome == "Success"
    path = f"DocumentReference?identifier=urn:oid:{theirs.uid}&targetCommunityIdList={urn(NORTH)}"
    found = get(world, path).json()
    assert found.get("total") == 1, str(found)[-900:]
    (document,) = matches(found)
    assert "reference" not in document["subject"]
    assert document["subject"]["identifier"]["value"] == "NORTHERNER"
    assert search(world, "DocumentReference", patient).get("total") == 0
