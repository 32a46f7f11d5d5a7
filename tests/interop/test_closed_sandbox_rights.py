"""The closed sandbox as somebody outside meets it: consent, broken glass, the trail, what it says of itself."""

import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hub.testing.sandbox import SandboxProcess
from tests.interop.by_hand import read
from tests.interop.outsider import (
    Outsider,
    instant,
)
from tests.interop.outsiders_patient import ADDRESSES, Person, arrive, next_day, seen, someone
from tests.interop.outsiders_view import FHIR, MAILLAGE, NOBODY, SCOPES, Left, run, unsigned

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def box() -> Iterator[SandboxProcess]:
    with SandboxProcess() as running:
        yield running


@pytest.fixture(scope="module")
def outside(box: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Outsider:
    return Outsider(box.description, tmp_path_factory.mktemp("outside"))


@pytest.fixture(scope="module")
def person(outside: Outsider) -> Person:
    """Somebody with a document, a masked one, and a study."""
    return someone(outside)


# --- consent


def test_an_opposition_hides_everything_and_its_end_shows_it(outside: Outsider, person: Person) -> None:
    everything = dict.fromkeys(ADDRESSES, True)
    assert seen(outside, person) == everything
    person.says(outside, consultation="INC")
    try:
        assert seen(outside, person) == dict.fromkeys(ADDRESSES, False)
        for returns in ("LeafClass", "ObjectRef"):
            shown = read(outside.find(person.regional, assertion=outside.assertion(), returns=returns))
            assert not shown.objects("ExtrinsicObject")
            assert not shown.objects("ObjectRef")
    finally:
        person.says(outside, consultation="IC")
    assert seen(outside, person) == everything


def test_a_fhir_consent_does_the_same(outside: Outsider, person: Person) -> None:
    def consent(kind: str, **more: Any) -> dict[str, Any]:
        return {
            "resourceType": "Consent", "status": "active", "dateTime": f"{next_day()}T12:00:00Z",
            "scope": {"coding": [{"system": SCOPES, "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "urn:maillage:consent-matter", "code": "consultation"}]}],
            "patient": {"identifier": {"system": f"urn:oid:{person.authority}", "value": person.number}},
            "provision": {"type": kind}, **more,
        }  # fmt: skip

    with outside.http(outside.node) as client:
        left = Left(outside)
        made = client.post(f"{outside.told['fhir']}/Consent", json=consent("deny"), headers=FHIR)
        assert made.status_code == 201, made.text
        left.one(failure=False)
        try:
            assert not any(seen(outside, person).values())
        finally:
            own = made.json()["id"]
            body = consent("permit", id=own)
            changed = client.put(f"{outside.told['fhir']}/Consent/{own}", json=body, headers=FHIR)
    assert changed.status_code == 200, changed.text
    assert all(seen(outside, person).values())


def test_the_glass_is_broken_with_a_reason(outside: Outsider, person: Person) -> None:
    person.says(outside, consultation="INC")
    try:

        def glass(**more: str) -> bytes:
            return outside.assertion(subject="899700000321", purpose="bris_de_glace", about=person.regional, **more)

        assert not read(outside.find(person.regional, assertion=glass())).uids
        left = Left(outside)
        found = read(outside.find(person.regional, assertion=glass(reason="Patient inconscient")))
        assert person.document in found.uids
        event = left.one(failure=False)
        assert event["purposeOfEvent"][0]["coding"][0]["code"] == "bris_de_glace"
        assert "Patient inconscient" in str(event)
        asked = {"user": "899700000321", "patient.identifier": f"urn:oid:{person.authority}|{person.number}"}
        assert event["id"] in {row["id"] for row in outside.trail(left.since, **asked)}
        assert outside.retrieve(person.document, assertion=glass(reason="Inconscient")).outcome == "Success"
        assert outside.retrieve(person.document, assertion=outside.assertion()).outcome == "Failure"
    finally:
        person.says(outside, consultation="IC")


def test_the_newest_word_counts_whichever_way_it_came_today(outside: Outsider, person: Person) -> None:
    """A feed tells the day, FHIR the second: a word in a feed of today comes after what FHIR said today."""
    today = date.today().strftime("%Y%m%d")
    body = {
        "resourceType": "Consent",
        "status": "active",
        "dateTime": instant(),
        "scope": {"coding": [{"system": SCOPES, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "urn:maillage:consent-matter", "code": "consultation"}]}],
        "patient": {"reference": f"Patient/{person.regional.partition('^')[0]}"},
        "provision": {"type": "permit"},
    }
    with outside.http(outside.node) as client:
        made = client.post(f"{outside.told['fhir']}/Consent", json=body, headers=FHIR)
    assert made.status_code == 201, made.text
    assert read(outside.find(person.regional)).uids
    for word, shown in (("INC", False), ("INC", False), ("IC", True), ("INC", False), ("IC", True), ("IC", True)):
        person.feed(outside, f"ZFA|ACTIF|20200101|||||||||{word}|{today}")
        assert bool(read(outside.find(person.regional)).uids) is shown, word


def test_masked_documents(outside: Outsider, person: Person) -> None:
    found = read(outside.find(person.regional, assertion=outside.assertion())).uids
    assert person.document in found
    assert person.masked not in found
    assert outside.retrieve(person.masked, assertion=outside.assertion()).outcome == "Failure"
    assert outside.retrieve(person.document, assertion=outside.assertion()).outcome == "Success"


def test_an_assertion_for_another_patient(outside: Outsider, person: Person) -> None:
    for about in ("4711^^^&1.2.250.1.999.72&ISO", "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"):
        assert not read(outside.find(person.regional, assertion=outside.assertion(about=about))).uids
        assert outside.retrieve(person.document, assertion=outside.assertion(about=about)).outcome == "Failure"
    for about in (person.regional, f"{person.number}^^^&{person.authority}&ISO^PI"):
        assert read(outside.find(person.regional, assertion=outside.assertion(about=about))).uids


def test_feeding_is_opposed(outside: Outsider) -> None:
    """ZFA-9 IO: what arrives is held back, and shared when the opposition ends."""
    one = arrive(outside, family="VERDIER")
    one.says(outside, feeding="IO")
    one.sends_images(outside)
    assert not read(outside.find(one.regional)).uids
    one.says(outside, feeding="INO")
    one.wait_for_manifest(outside)


# --- the trail


def test_the_trail_is_searched(outside: Outsider, person: Person) -> None:
    start = instant()
    for subject in ("899700000501", "899700000502", "899700000502"):
        outside.find(person.regional, assertion=outside.assertion(subject=subject))
    outside.find(person.regional, assertion=unsigned(outside))
    about = {"patient.identifier": f"urn:oid:{person.authority}|{person.number}"}
    assert len(outside.trail(start, user="899700000502")) == 2
    assert len(outside.trail(start, **about)) >= 3
    assert len(outside.trail(start, **{"patient.identifier": "urn:oid:1.2.250.1.999.99|nobody"})) == 0
    assert len(outside.trail(start, patient=f"Patient/{person.regional.partition('^')[0]}", outcome="0")) == 3
    failures = outside.trail(start, outcome="4,8,12")
    assert len(failures) == 1
    whole, paged = outside.trail(start), outside.trail(start, _count="1")
    assert [row["id"] for row in paged] == [row["id"] for row in whole]
    assert not outside.trail(instant(3600))
    with outside.http(token=outside.told["token"]) as client:
        place = outside.told["audit"] + "/AuditEvent"
        first = client.get(place, params={"date": f"ge{start}", "_count": "1"})
        assert len(first.json()["entry"]) == 1
        assert client.get(place).status_code == 400
        one = client.get(f"{place}/{failures[0]['id']}")
        assert one.json()["outcome"] == failures[0]["outcome"]
    with outside.http() as nobody:
        assert nobody.get(f"{outside.told['audit']}/AuditEvent?date=ge{start}").status_code == 401


def verify(database: str) -> subprocess.CompletedProcess[str]:
    return run(*MAILLAGE, "audit", "verify", MAILLAGE_STORAGE__DATABASE=database)


def test_the_trail_is_verified_and_tampering_is_seen(outside: Outsider, tmp_path: Path) -> None:
    outside.find(NOBODY)
    done = verify(outside.told["database"])
    assert done.returncode == 0, done
    assert done.stdout.startswith("intact:")
    copy = tmp_path / "copy.sqlite"
    with sqlite3.connect(outside.told["database"].removeprefix("sqlite:///")) as live, sqlite3.connect(copy) as other:
        live.backup(other)
    assert verify(f"sqlite:///{copy}").returncode == 0
    third = "WHERE rowid = (SELECT max(rowid) - 2 FROM audit_record)"
    change = f"UPDATE audit_record SET body = replace(body, '127.0.0.1', '127.0.0.9') {third}"
    with sqlite3.connect(copy) as forger:
        with pytest.raises(sqlite3.DatabaseError):
            forger.execute(change)
        guards = [row[0] for row in forger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for guard in guards:
            forger.execute(f"DROP TRIGGER {guard}")
        forger.execute(change)
    done = verify(f"sqlite:///{copy}")
    assert done.returncode == 1, done
    assert "BROKEN" in done.stdout


# --- what it says of itself


def test_descriptions_fit_what_is_there(outside: Outsider) -> None:
    with outside.http() as client:
        root = outside.told["token_issuer"]
        smart = client.get(f"{outside.told['fhir']}/.well-known/smart-configuration").json()
        assert smart["token_endpoint"] == outside.told["token_endpoint"]
        metadata = client.get(f"{outside.told['fhir']}/metadata").json()
        services = [row["code"] for item in metadata["rest"][0]["security"]["service"] for row in item["coding"]]
        assert set(services) == {"Certificates", "OAuth"}
        described = client.get(f"{root}/openapi.json").json()
    assert described["servers"][0]["url"] == root
    assert set(described["components"]["securitySchemes"]) >= {"bearer", "certificate"}
    with outside.http(outside.node) as client:
        for resource in metadata["rest"][0]["resource"]:
            assert f"/fhir/{resource['type']}" in {path.partition("/{")[0] for path in described["paths"]}, resource
            if any(row["code"] == "search-type" for row in resource["interaction"]):
                answer = client.get(f"{outside.told['fhir']}/{resource['type']}", params={"_count": "1"})
                assert answer.status_code in (200, 400), (resource["type"], answer.text)
