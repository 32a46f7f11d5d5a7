"""ITI-81 and ITI-20 over HTTP: fhirpy searches, R4B's models judge every AuditEvent, others' events join the chain."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhirpy import SyncFHIRClient

from hub.app.settings.atna import Atna
from hub.app.wiring import Hub
from hub.audit.model import AuditSearch
from hub.values import PatientIdentifier, now
from hub.wire.fhir.audit_event import BALP
from tests.profiles import running
from tests.wire.atna.test_messages import BY_DOCTOR

NUMBER = PatientIdentifier("A-1", running.OIDS["A"])
FHIR = {"Content-Type": "application/fhir+json"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("trail")
    hub = Hub(
        running.settings(
            f"sqlite:///{root / 'hub.sqlite'}", root / "content", atna=Atna(source_id="hub-1", site="REGION")
        )
    )
    hub.start()
    running.Region(hub).accepted(running.message("ADT^A28^ADT_A05", running.pid("A-1"), "PV1||N"))
    yield hub
    hub.stop()


@pytest.fixture
def web(hub: Hub) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{hub.public_url()}/fhir/", timeout=60) as client:
        yield client


def today() -> str:
    return f"date=ge{(now() - timedelta(days=1)).date()}"


def valid(resource: dict[str, Any]) -> dict[str, Any]:
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return resource


def events(web: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = web.get(f"AuditEvent?{query}")
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in valid(answer.json()).get("entry", [])]


def event(**more: Any) -> dict[str, Any]:
    """What a viewer of another maker saw."""
    return {
        "resourceType": "AuditEvent",
        "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110103", "display": "Accessed"},
        "action": "R",
        "recorded": now().isoformat(timespec="seconds"),
        "outcome": "0",
        "agent": [
            {
                "who": {"identifier": {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899700000009"}},
                "name": "Dr Paul PETIT",
                "requestor": True,
                "network": {"address": "192.0.2.99", "type": "2"},
            }
        ],
        "source": {"observer": {"display": "viewer"}},
        "entity": [
            {
                "what": {"identifier": {"system": f"urn:oid:{NUMBER.authority}", "value": NUMBER.value}},
                "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"},
            }
        ],
        **more,
    }


def test_fhirpy_finds_what_was_asked(hub: Hub, web: httpx.Client) -> None:
    asked = web.get("Patient", params={"identifier": f"urn:oid:{NUMBER.authority}|{NUMBER.value}"})
    assert asked.status_code == 200
    client = SyncFHIRClient(f"{hub.public_url()}/fhir")
    found = client.resources("AuditEvent").search(date__ge=str((now() - timedelta(days=1)).date()), subtype="ITI-78")
    (one,) = found.fetch_all()
    plain = valid(one.serialize())
    assert [item["code"] for item in plain["subtype"]] == ["search", "110112", "ITI-78"]
    assert plain["meta"]["profile"] == [f"{BALP}PatientQuery"]
    assert [agent["requestor"] for agent in plain["agent"]].count(True) == 1
    (query,) = [item for item in plain["entity"] if item.get("role", {}).get("code") == "24"]
    assert "query" in query
    read = web.get(f"AuditEvent/{plain['id']}")
    assert read.json() == plain
    assert web.get("AuditEvent/unknown").status_code == 404
    xml = web.get(f"AuditEvent/{plain['id']}", headers={"Accept": "application/fhir+xml"})
    assert xml.text.startswith("<AuditEvent") or "<AuditEvent" in xml.text[:100]


def test_what_has_no_column_of_its_own_is_found_too(hub: Hub, web: httpx.Client) -> None:
    web.get("Patient", params={"identifier": f"urn:oid:{NUMBER.authority}|{NUMBER.value}"})
    web.post("AuditEvent", json=event(agent=[{"who": {"display": "x"}, "name": 'Anne "A_" MARTIN', "requestor": True}]))

    def ids(query: str) -> set[str]:
        return {row["id"] for row in events(web, f"{today()}&_count=200&{query}")}

    searches = ids("type=110112&subtype=ITI-78")
    assert searches
    codes = ("type=rest", "type=rest,110114", "subtype=search", "subtype=110112")
    for query in (*codes, "entity-type=2", "entity-role=24"):
        assert searches <= ids(query), query
    rest = "http://terminology.hl7.org/CodeSystem/audit-event-type"
    assert all(row["type"]["code"] == "rest" for row in events(web, f"{today()}&type={rest}|rest"))
    assert not searches & ids("type=110114")
    about = ids("entity-type=1")
    assert searches <= about
    assert all(
        any(item.get("type", {}).get("code") == "1" for item in row["entity"])
        for row in events(web, f"{today()}&entity-type=1&source=Device/hub-1")
    )
    assert ids("entity-type=3") | ids("entity-type=4") == set()
    (martin,) = ids("agent-name=" + quote('anne "a_" mar'))
    assert ids("agent-name=anne%20%25") == ids("agent-name=MARTIN") == ids("agent-name=annex,nobody") == set()
    assert martin not in ids("source=Device/hub-1")
    assert searches <= ids("source=Device/hub-1")
    assert searches <= ids("site=REGION")
    assert martin not in ids("site=REGION")
    assert ids("site=elsewhere") == set()


DCM, HL7 = "http://dicom.nema.org/resources/ontology/DCM", "http://terminology.hl7.org/CodeSystem"
OTHERS = "http://viewer.example/codes"


@pytest.mark.parametrize(
    ("name", "code", "system"),
    [
        ("type", "110112", DCM),
        ("type", "rest", f"{HL7}/audit-event-type"),
        ("subtype", "ITI-78", "urn:ihe:event-type-code"),
        ("subtype", "search", "http://hl7.org/fhir/restful-interaction"),
        ("entity-type", "1", f"{HL7}/audit-entity-type"),
        ("entity-role", "24", f"{HL7}/object-role"),
        ("action", "E", f"{HL7}/audit-event-action"),
        ("outcome", "0", f"{HL7}/audit-event-outcome"),
        ("user", "loopback", "urn:maillage:client"),
        ("agent.identifier", "loopback", "urn:maillage:client"),
    ],
)
def test_a_code_of_another_system_is_another_code(web: httpx.Client, name: str, code: str, system: str) -> None:
    web.get("Patient", params={"identifier": f"urn:oid:{NUMBER.authority}|{NUMBER.value}"})

    def found(value: str) -> list[str]:
        return [row["id"] for row in events(web, f"{today()}&_count=200&source=Device/hub-1&{name}={quote(value)}")]

    assert found(f"{system}|{code}") != []
    assert found(f"{OTHERS}|{code}") == found(f"|{code}") == []
    assert set(found(f"{system}|{code}")) <= set(found(f"{OTHERS}|{code},{system}|{code}"))


def test_a_code_that_others_told_is_found_in_its_system(web: httpx.Client) -> None:
    kind = {"system": OTHERS, "code": 'seen "here"'}
    who = {"who": {"identifier": {"system": f"{OTHERS}/staff", "value": "N7"}}, "requestor": True}
    seen = event(type=kind, subtype=[{"system": OTHERS, "code": "110112"}], agent=[who])
    told = web.post("AuditEvent", json=seen, headers=FHIR)
    number = f"urn:oid:{NUMBER.authority}|{NUMBER.value}"

    def ids(query: str) -> set[str]:
        return {row["id"] for row in events(web, f"{today()}&_count=200&{query}")}

    assert ids(f"type={OTHERS}|{quote(kind['code'])}") == ids(f"subtype={OTHERS}|110112") == {told.json()["id"]}
    assert told.json()["id"] in ids("subtype=110112")
    assert told.json()["id"] not in ids(f"subtype={DCM}|110112")
    assert ids(f"user={OTHERS}/staff|N7&entity-role={HL7}/object-role|1") == {told.json()["id"]}
    assert ids(f"user=N7&entity.identifier={number}") == {told.json()["id"]}
    assert ids("user=urn:maillage:client|N7") == ids(f"user=N7&entity.identifier={OTHERS}|{NUMBER.value}") == set()


def test_any_number_of_the_person_finds_it(hub: Hub, web: httpx.Client) -> None:
    web.get("Patient", params={"identifier": f"urn:oid:{NUMBER.authority}|{NUMBER.value}"})
    regional = hub.patients.person(NUMBER)
    assert regional is not None
    by_local = events(web, f"{today()}&patient.identifier=urn:oid:{NUMBER.authority}|{NUMBER.value}&subtype=ITI-78")
    by_regional = events(web, f"{today()}&patient=Patient/{regional.regional.value}&subtype=ITI-78")
    by_entity = events(web, f"{today()}&entity=Patient/{regional.regional.value}&subtype=ITI-78")
    assert by_local == by_regional == by_entity != []
    assert events(web, f"{today()}&patient.identifier=urn:oid:{NUMBER.authority}|nobody&subtype=ITI-78") == []
    assert events(web, f"{today()}&entity-role=1&subtype=ITI-78") == by_local


def test_pages(web: httpx.Client) -> None:
    for _ in range(3):
        web.get("Patient", params={"identifier": f"urn:oid:{NUMBER.authority}|{NUMBER.value}"})
    answer = web.get(f"AuditEvent?{today()}&subtype=ITI-78&_count=2").json()
    seen = [entry["resource"]["id"] for entry in answer["entry"]]
    while following := [link["url"] for link in answer["link"] if link["relation"] == "next"]:
        answer = web.get(following[0]).json()
        seen += [entry["resource"]["id"] for entry in answer["entry"]]
    assert len(seen) == len(set(seen)) == answer["total"] >= 3
    assert "entry" not in web.get(f"AuditEvent?{today()}&_count=0").json()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("subtype=ITI-78", 400),
        ("date=yesterday", 400),
        ("date=ge2026&outcome=9", 400),
        ("date=ge2026&_cursor=x", 400),
        ("date=ge2026&invented=1", 400),
    ],
)
def test_searches_that_are_refused(web: httpx.Client, query: str, status: int) -> None:
    answer = web.get(f"AuditEvent?{query}")
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_looking_at_the_trail_is_in_the_trail(hub: Hub, web: httpx.Client) -> None:
    before = hub.audit.count(AuditSearch(transaction="ITI-81"))
    events(web, f"{today()}&outcome=0&type=110112&address=127.0.0.1")
    assert hub.audit.count(AuditSearch(transaction="ITI-81")) == before + 1


def test_events_of_others(hub: Hub, web: httpx.Client) -> None:
    created = web.post("AuditEvent", json=event(), headers=FHIR)
    assert created.status_code == 201, created.text
    assert created.json() == web.get(created.headers["location"]).json()
    hour_ago = (now() - timedelta(hours=1)).isoformat()  # with +00:00, as Python writes it
    for asked in ("", f"&date=ge{hour_ago}", f"&date=ge{quote(hour_ago)}"):
        assert events(web, f"_id={created.json()['id']}{asked}") == [created.json()], asked
    read = valid(web.get(created.headers["location"]).json())
    assert read["agent"] == event()["agent"]
    assert read["meta"]["source"] == "urn:maillage:client:loopback"
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": event()} for _ in range(3)]}
    answer = web.post("AuditEvent", json=batch, headers=FHIR)
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["201 Created"] * 3
    found = events(web, f"{today()}&user=899700000009&source.identifier=loopback")
    assert len(found) == 4
    number = f"urn:oid:{NUMBER.authority}|{NUMBER.value}"
    for asked in (f"patient.identifier={number}", f"entity.identifier={number}", "agent=Practitioner/899700000009"):
        assert len(events(web, f"{today()}&{asked}&address=192.0.2.99")) == 4, asked
    assert events(web, f"{today()}&agent=Practitioner/899700000008&entity.identifier={number}") == []
    assert events(web, f"{today()}&user=899700000009&source.identifier=hub-1") == []
    assert hub.audit.verify().intact


@pytest.mark.parametrize(
    "wrong",
    [
        {"agent": []},
        {"agent": [1]},
        {"agent": None},
        {"agent": [{"who": {"display": "x"}}]},
        {"agent": [{"who": {"display": "x"}, "requestor": "true"}]},
        {"agent": [{"who": {"display": "x"}, "requestor": True}, {"who": {"display": "y"}}]},
        {"source": {}},
        {"source": None},
        {"type": {}},
        {"type": []},
        {"recorded": "yesterday"},
        {"recorded": "2099-01-01T00:00:00Z"},
        {"recorded": "2026-01-01T00:00:00"},
        {"recorded": 5},
        {"action": "X"},
        {"outcome": ["0"]},
        {"entity": [{"what": {"identifier": "x"}, "role": 7}]},
        {"entity": {"what": 1}},
        {"subtype": [None]},
        {"entity": [{"what": {"reference": "x"}}] * 300},
    ],
)
def test_events_that_are_refused(hub: Hub, web: httpx.Client, wrong: dict[str, Any]) -> None:
    before = hub.audit.count()
    answer = web.post("AuditEvent", json=event(**wrong), headers=FHIR)
    assert answer.status_code in (400, 413)
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert hub.audit.count() == before + 1  # the refusal itself, and nothing else


def test_refusals_are_english(web: httpx.Client) -> None:
    answer = web.post("AuditEvent", json={"resourceType": "Patient"}, headers=FHIR)
    assert answer.json()["issue"][0]["diagnostics"] == "The body is not an AuditEvent or a Bundle."
    answer = web.post("AuditEvent", content="x", headers={"Content-Type": "text/plain"})
    assert "an AuditEvent, is sent as" in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize("who", ["x", ["x"], {"identifier": "x"}, None])
def test_who_is_unknown_where_it_is_no_reference(web: httpx.Client, who: Any) -> None:
    assert web.post("AuditEvent", json=event(agent=[{"who": who, "requestor": True}])).status_code == 201


def test_too_much_is_refused(web: httpx.Client) -> None:
    many = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": event()}] * 501}
    assert web.post("AuditEvent", content=json.dumps(many), headers=FHIR).status_code == 413
    large = event(outcomeDesc="x" * 300_000)
    assert web.post("AuditEvent", content=json.dumps(large), headers=FHIR).status_code == 413
    mixed = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": {"resourceType": "Patient"}}]}
    assert web.post("AuditEvent", content=json.dumps(mixed), headers=FHIR).status_code == 400


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_bundle_at_the_base(hub: Hub, web: httpx.Client, kind: str) -> None:
    """FHIR R4: 3.1.0.11. One record for the Bundle, and the events."""
    request = {"method": "POST", "url": "AuditEvent"}
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"resource": event(), "request": request}] * 2}
    before, fed = hub.audit.count(), hub.audit.count(AuditSearch(transaction="ITI-20"))
    answer = web.post(str(web.base_url).rstrip("/"), json=bundle, headers=FHIR)
    assert answer.status_code == 200, answer.text
    told = valid(answer.json())
    assert told["type"] == f"{kind}-response"
    assert [entry["response"]["status"] for entry in told["entry"]] == ["201 Created"] * 2
    assert hub.audit.flush(60)
    assert hub.audit.count() == before + 3
    assert hub.audit.count(AuditSearch(transaction="ITI-20")) == fed + 1
    valid(web.get(told["entry"][0]["response"]["location"]).json())
    bundle["entry"] = [{"resource": event(), "request": {"method": "DELETE", "url": "AuditEvent"}}]
    refused = web.post(str(web.base_url).rstrip("/"), json=bundle, headers=FHIR)
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["Bundle.entry[0].request"])


def test_entries_of_a_batch_are_independent(hub: Hub, web: httpx.Client) -> None:
    """FHIR R4: 3.1.0.11.1; a transaction is all or none."""
    entries = [{"resource": item} for item in (event(agent=[]), event(), event(outcomeDesc="x" * 300_000), event())]
    before = hub.audit.count()
    answer = web.post("AuditEvent", json={"resourceType": "Bundle", "type": "batch", "entry": entries}, headers=FHIR)
    assert answer.status_code == 200, answer.text
    told = [entry["response"] for entry in valid(answer.json())["entry"]]
    assert [item["status"][:3] for item in told] == ["400", "201", "413", "201"]
    assert told[0]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[0].resource.agent"]
    assert [web.get(item["location"]).status_code for item in told if "location" in item] == [200, 200]
    assert hub.audit.flush(60)
    assert hub.audit.count() == before + 5  # two events, one record of the batch, two of the reading
    whole = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert web.post("AuditEvent", json=whole, headers=FHIR).status_code == 400
    assert hub.audit.flush(60)
    assert hub.audit.count() == before + 6


def test_other_bundles_at_the_base_are_documents(hub: Hub, web: httpx.Client) -> None:
    request = {"method": "POST", "url": "AuditEvent"}
    mixed = [{"resource": event(), "request": request}, {"resource": {"resourceType": "Patient"}, "request": request}]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": mixed}
    before = hub.audit.count(AuditSearch(transaction="ITI-65"))
    assert web.post(str(web.base_url).rstrip("/"), json=bundle, headers=FHIR).status_code == 400
    assert hub.audit.flush(60)
    assert hub.audit.count(AuditSearch(transaction="ITI-65")) == before + 1


def test_a_professionals_break_of_glass_as_an_event(hub: Hub, web: httpx.Client) -> None:
    hub.audit.add(BY_DOCTOR)
    (found,) = events(web, "date=2026-11-22&agent.identifier=899700000001&role=SM26&outcome=0")
    assert found["purposeOfEvent"][0]["coding"][0]["code"] == "bris_de_glace"
    who = next(agent for agent in found["agent"] if agent["requestor"])
    assert who["who"]["identifier"] == {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899700000001"}
    assert [role["coding"][0]["code"] for role in who["role"]] == ["10", "SM26"]
    patient = next(item for item in found["entity"] if item["role"]["code"] == "1")
    assert patient["detail"] == [{"type": "reason", "valueString": "Patient inconscient"}]
    assert any(item["type"]["code"] == "3" and item["what"]["identifier"]["value"] == "1750100125"
               for item in found["entity"])  # fmt: skip
