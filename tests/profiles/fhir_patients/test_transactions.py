"""PDQm, PIXm and PMIR over real sockets, on both databases: answers, refusals, what is kept, audited and delivered."""

from typing import Any

import httpx
import pytest

from hub.audit.model import AuditOutcome, AuditSearch
from hub.context import Context
from hub.exchange.model import MessageState, Page, ReplayMessage
from tests.profiles.fhir_patients.conftest import A, B, Site
from tests.profiles.fhir_patients.messages import (
    EVENT,
    JSON,
    message,
    number,
    parameters,
    patient,
    replaced,
    subscription,
)
from tests.waiting import until
from tests.wire.fhir.fr_core_rules import broken


def put(site: Site, resource: dict[str, Any], who: str = "his_a", **headers: str) -> httpx.Response:
    row = resource["identifier"][0]
    query = {"identifier": f"{row['system']}|{row['value']}"}
    return site[who].put("Patient", params=query, json=resource, headers={**JSON, **headers})


def issue(answer: httpx.Response) -> tuple[int, str, str, str]:
    """Status, severity, code, diagnostics."""
    (row,) = answer.json()["issue"]
    return answer.status_code, row["severity"], row["code"], row["diagnostics"]


def audited(site: Site, transaction: str) -> list[tuple[bool, tuple[str, ...]]]:
    """(whether it succeeded, kinds of objects) of the records of a transaction, the newest first."""
    assert site.hub.audit.flush(60)
    rows = site.hub.audit.search(AuditSearch(transaction=transaction, limit=50)).records
    return [(record.outcome is AuditOutcome.SUCCESS, tuple(item.kind for item in record.objects)) for record in rows]


def test_a_feed_and_what_can_be_asked_then(site: Site) -> None:
    first = put(site, patient("A1"))
    assert first.status_code == 201
    assert put(site, patient("A1")).status_code == 200
    place = first.headers["Location"]
    read = site["ris"].get(place)
    assert read.status_code == 200
    assert broken(read.json()) == []
    found = site["ris"].get("Patient", params={"family": "durand", "birthdate": "1979-03-27"}).json()
    assert (found["total"], found["entry"][0]["fullUrl"]) == (1, place)
    form = {"family": "durand", "identifier": f"urn:oid:{A}|"}
    only = site["ris"].post("Patient/_search", data=form).json()["entry"][0]["resource"]
    assert [row["value"] for row in only["identifier"]] == ["A1"]
    pix = site["ris"].get("Patient/$ihe-pix", params={"sourceIdentifier": f"urn:oid:{A}|A1"}).json()["parameter"]
    assert {row["name"] for row in pix} == {"targetId", "targetIdentifier"}
    by_id = parameters(("sourceIdentifier", "valueString", f"{site.base}|Patient/{read.json()['id']}"))
    again = site["ris"].post("Patient/$ihe-pix", json=by_id, headers=JSON).json()["parameter"]
    assert [row["valueIdentifier"] for row in again if "valueIdentifier" in row] == [number("A1")]
    described = {name: value for name, value in patient("x").items() if name != "identifier"}
    (match,) = site["ris"].post("Patient/$match", json=described, headers=JSON).json()["entry"]
    assert match["resource"]["id"] == read.json()["id"]
    assert match["search"]["extension"][0]["url"] == "http://hl7.org/fhir/StructureDefinition/match-grade"
    assert 0 < match["search"]["score"] <= 1
    assert audited(site, "ITI-104")[0][0]
    for transaction in ("ITI-78", "ITI-83", "ITI-119"):
        assert audited(site, transaction)[0] == (True, ("patient",))


def test_the_trail_says_what_was_done(site: Site) -> None:
    """ITI-104: 2:3.104.5.1: a conditional update that created somebody is a creation."""
    for _ in range(2):
        put(site, patient("A1"))
    assert site["his_a"].delete("Patient", params={"identifier": f"urn:oid:{A}|A1"}).status_code == 204
    assert site.hub.audit.flush(60)
    rows = site.hub.audit.search(AuditSearch(transaction="ITI-104")).records
    assert [row.action for row in reversed(rows)] == ["C", "U", "D"]


def test_who_may(site: Site) -> None:
    assert put(site, patient("A1"), who="ris").status_code == 403
    assert put(site, patient("A1"), who="his_b").status_code == 403  # another system's numbers
    assert put(site, patient("B1", B), who="his_b").status_code == 201
    for path in ("Patient?family=DURAND", "Patient/$ihe-pix?sourceIdentifier=a|b"):
        assert site["poor"].get(path).status_code == 403
    assert site["ris"].post("Patient/$link", json={}, headers=JSON).status_code == 403
    with httpx.Client() as stranger:
        assert stranger.get(f"{site.base}/Patient?family=DURAND").status_code == 401
    assert [done for done, _ in audited(site, "ITI-104")] == [True, False, False]


def test_refusals_of_ihe_pix(site: Site) -> None:
    put(site, patient("A1"))

    def asked(source: str, *targets: str) -> tuple[int, str, str, str]:
        query = {"sourceIdentifier": source, "targetSystem": list(targets)}
        return issue(site["ris"].get("Patient/$ihe-pix", params=query))

    assert asked(f"urn:oid:{A}|A2") == (404, "error", "not-found", "sourceIdentifier Patient Identifier not found")
    unknown = (400, "error", "code-invalid", "sourceIdentifier Assigning Authority not found")
    assert asked("urn:oid:1.2.3.4|A1") == unknown
    assert asked("nonsense|A1") == unknown
    assert asked("http://elsewhere.example.org|A1") == unknown
    assert asked(f"urn:oid:{A}|A1", "urn:oid:1.2.3.4") == (403, "error", "code-invalid", "targetSystem not found")
    assert asked("A1")[:3] == (400, "error", "invalid")
    assert asked("")[:3] == (400, "error", "invalid")
    none = site["ris"].get(
        "Patient/$ihe-pix", params={"sourceIdentifier": f"urn:oid:{A}|A1", "targetSystem": f"urn:oid:{B}"}
    )
    assert none.json() == {"resourceType": "Parameters", "parameter": []} or "parameter" not in none.json()


def test_ihe_pix_by_post(site: Site) -> None:
    put(site, patient("A1"))
    source = {"system": f"urn:oid:{A}", "value": "A1"}
    for element, value in (("valueString", f"urn:oid:{A}|A1"), ("valueIdentifier", source)):
        asked = {"resourceType": "Parameters", "parameter": [{"name": "sourceIdentifier", element: value}]}
        answer = site["ris"].post("Patient/$ihe-pix", json=asked, headers=JSON)
        assert answer.status_code == 200
        assert answer.json()["parameter"][0]["name"] == "targetId"


def test_a_message_header_named_by_its_full_url(site: Site) -> None:
    sent = message(("POST", patient("A1")))
    number = sent["entry"][0]["resource"].pop("id")
    answer = site["his_a"].post("$process-message", json=sent, headers=JSON)
    assert answer.status_code == 200
    assert answer.json()["entry"][0]["resource"]["response"]["identifier"] == number
    sent["entry"][0]["fullUrl"] = "http://his.example.org/fhir/MessageHeader/1"
    assert site["his_a"].post("$process-message", json=sent, headers=JSON).status_code == 400


def test_searches_that_are_refused_and_lenient_ones(site: Site) -> None:
    put(site, patient("A1"))
    assert issue(site["ris"].get("Patient?gender=female"))[:3] == (400, "error", "too-costly")
    assert issue(site["ris"].get("Patient?family=d"))[:3] == (400, "error", "too-costly")
    assert issue(site["ris"].get("Patient?family=durand&identifier=urn:oid:1.2.3.4|")) == (
        *(404, "warning", "not-found", "targetSystem not found"),
    )
    strict = site["ris"].get("Patient?family=durand&colour=red")
    assert issue(strict)[:3] == (400, "error", "not-supported")
    lenient = site["ris"].get("Patient?family=durand&colour=red", headers={"Prefer": "handling=lenient"}).json()
    assert lenient["link"][0]["url"] == f"{site.base}/Patient?family=durand"
    assert [row["search"]["mode"] for row in lenient["entry"]] == ["match", "outcome"]


@pytest.mark.parametrize(
    "query",
    [
        {"telecom": "phone|+33 3 80 11 22 33"},
        {"telecom": "0380112233", "gender": "female"},
        {"mothersMaidenName": "lé pe"},
        {"mothersMaidenName:exact": "LE PETIT"},
        {"address": "12 rue des"},
        {"address": "dij"},
        {"address-city": "Dijon,Nantes"},
        {"address-postalcode": "21", "given": "elo"},
    ],
    ids=str,
)
def test_a_telephone_an_address_or_a_mother_find_alone(site: Site, query: dict[str, str]) -> None:
    mother = {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "LE PETIT"}
    described = patient("A1", extension=[mother])
    described["telecom"] = [{"system": "phone", "value": "03.80.11.22.33"}]
    described["address"] = [{"line": ["12 rue des Lilas"], "city": "Dijon", "postalCode": "21000"}]
    put(site, described)
    put(site, patient("A2"))
    found = site["ris"].get("Patient", params=query).json()
    assert [len(found["entry"]), found["total"]] == [1, 1]
    counted = site["ris"].get("Patient", params=query | {"_summary": "count"}).json()
    assert (counted["total"], counted.get("entry")) == (1, None)
    assert site["ris"].get("Patient", params=query | {"_count": "0"}).json()["total"] == 1


@pytest.mark.parametrize(
    "query", ["telecom=0380", "mothersMaidenName=p", "address-country=FRA", "given=elodie", "address=1"]
)
def test_what_only_narrows_is_refused_alone(site: Site, query: str) -> None:
    assert issue(site["ris"].get(f"Patient?{query}"))[:3] == (400, "error", "too-costly")


def test_the_total_of_several_pages_is_told_where_it_is_asked_for(site: Site) -> None:
    for place in range(3):
        put(site, patient(f"A{place}"))
    first = site["ris"].get("Patient", params={"family": "durand", "_count": "2", "_total": "accurate"}).json()
    assert (len(first["entry"]), first["total"]) == (2, 3)
    follow = next(link["url"] for link in first["link"] if link["relation"] == "next")
    second = site["ris"].get(follow).json()
    assert (len(second["entry"]), second["total"]) == (1, 3)
    assert "total" not in site["ris"].get("Patient", params={"family": "durand", "_count": "2"}).json()


def test_merges_and_removals(site: Site) -> None:
    put(site, patient("A1"))
    put(site, patient("A2", family="DUPOND"))
    assert put(site, replaced("A2", "A1")).status_code == 200
    assert put(site, replaced("A2", "A1")).status_code == 200  # said twice
    one, two = (
        site["ris"].get("Patient", params={"identifier": f"urn:oid:{A}|{value}"}).json()["entry"][0]["resource"]["id"]
        for value in ("A1", "A2")
    )
    assert one == two
    assert issue(put(site, patient("A2", family="DUPOND")))[:3] == (409, "error", "conflict")
    assert issue(put(site, replaced("A1", "A1")))[:3] == (422, "error", "business-rule")
    assert issue(put(site, patient("A1"), **{"If-Match": 'W/"1"'}))[0] == 412


def test_a_withdrawn_number_is_not_told_any_more(site: Site) -> None:
    place = site["region"].post("Subscription", json=subscription(site.consumer.url), headers=JSON).headers["Location"]
    put(site, patient("A1"))
    put(site, patient("A2", family="DUPOND"))
    site.consumer.wait(2)
    query = {"identifier": f"urn:oid:{A}|A1"}
    for _ in range(2):  # a second time changes nothing
        assert site["his_a"].delete("Patient", params=query).status_code == 204
    assert site["his_b"].delete("Patient", params=query).status_code == 403
    assert site["ris"].get("Patient", params={"family": "durand", "birthdate": "1979-03-27"}).json()["total"] == 0
    assert (
        site["his_a"].post("$process-message", json=message(("DELETE", patient("A2"))), headers=JSON).status_code == 200
    )
    told = [one["entry"][1]["resource"]["entry"][0] for one in site.consumer.wait(4)]
    assert [row["request"]["method"] for row in told] == ["POST", "POST", "DELETE", "DELETE"]
    assert put(site, patient("A1")).status_code == 200  # its owner has it again
    assert site["ris"].get("Patient", params=query).json()["total"] == 1
    assert site["region"].delete(place).status_code == 204


def test_xml_is_as_good(site: Site) -> None:
    put(site, patient("A1"))
    xml = {"Accept": "application/fhir+xml"}
    for path in ("Patient?family=durand", f"Patient/$ihe-pix?sourceIdentifier=urn:oid:{A}|A1", "Patient?gender=female"):
        answer = site["ris"].get(path, headers=xml)
        assert answer.headers["Content-Type"].startswith("application/fhir+xml")
        assert "http://hl7.org/fhir" in answer.text
    sent = (
        '<Patient xmlns="http://hl7.org/fhir">'
        f'<identifier><system value="urn:oid:{A}"/><value value="A9"/></identifier>'
        '<name><use value="official"/><family value="MOREL"/></name><birthDate value="1950-01-02"/></Patient>'
    )
    headers = {"Content-Type": "application/fhir+xml"}
    query = {"identifier": f"urn:oid:{A}|A9"}
    assert site["his_a"].put("Patient", params=query, content=sent, headers=headers).status_code == 201
    assert site["ris"].get("Patient", params={"birthdate": "1950-01-02"}).json()["total"] == 1


def test_what_is_refused_is_kept_and_can_be_carried_out_later(site: Site) -> None:
    put(site, patient("A1"))
    put(site, patient("A2", family="DUPOND"))
    put(site, replaced("A2", "A1"))
    assert put(site, patient("A2", family="DUPOND")).status_code == 409
    (kept,) = site.hub.exchange.messages(Page(state=MessageState.REFUSED))
    assert (kept.transaction, kept.wire, kept.error_code) == ("ITI-104", "fhir", "number-merged")
    again = site.hub.dispatch(ReplayMessage(kept.id), Context())
    assert (again.state, again.error_code) == (MessageState.REFUSED, "number-merged")  # it was carried out again


def test_a_feed_message_is_taken_whole_or_not(site: Site) -> None:
    client = site["his_a"]
    sent = message(("POST", patient("A1")), ("POST", patient("A2", family="DUPOND")))
    answer = client.post("$process-message", json=sent, headers=JSON)
    assert answer.status_code == 200
    (entry,) = answer.json()["entry"]
    assert entry["resource"]["eventUri"] == f"{EVENT}-response"
    assert entry["resource"]["response"] == {"identifier": sent["entry"][0]["resource"]["id"], "code": "ok"}
    half = message(("POST", patient("A3")), ("POST", patient("B1", B)))
    assert client.post("$process-message", json=half, headers=JSON).status_code == 403
    assert "entry" not in site["ris"].get("Patient", params={"identifier": f"urn:oid:{A}|A3"}).json()
    survivor = replaced("A2", "A1")
    survivor["link"][0]["other"] = {"reference": "http://his.example.org/Patient/A1"}
    merge = message(("PUT", survivor), ("PUT", patient("A1", family="DURAND-MARTIN")))
    assert client.post("$process-message", json=merge, headers=JSON).status_code == 200
    pix = site["ris"].get("Patient/$ihe-pix", params={"sourceIdentifier": f"urn:oid:{A}|A2"})
    assert number("A1") in [row.get("valueIdentifier") for row in pix.json()["parameter"]]
    for wrong in (
        {**sent, "type": "transaction"},
        {**sent, "entry": sent["entry"][:1]},
        {**sent, "entry": [sent["entry"][1], sent["entry"][0]]},
        message(("PATCH", patient("A1"))),
        message(
            ("PUT", {**replaced("A4", "A1"), "link": [{"type": "replaced-by", "other": {"reference": "Patient/9"}}]})
        ),
    ):
        assert client.post("$process-message", json=wrong, headers=JSON).status_code == 400
    assert [done for done, _ in audited(site, "ITI-93")].count(True) == 2


def test_subscribers_are_told_of_changes(site: Site) -> None:
    made = site["region"].post("Subscription", json=subscription(site.consumer.url), headers=JSON)
    assert (made.status_code, made.json()["status"]) == (201, "active")
    place = made.headers["Location"]
    put(site, patient("A1"))
    put(site, patient("A2", family="DUPOND"))
    site.consumer.wait(2)
    put(site, replaced("A2", "A1"))
    site.consumer.wait(3)
    first, second, third = (one["entry"][1]["resource"]["entry"] for one in site.consumer.taken[:3])
    assert [(row["request"]["method"], row["response"]["status"]) for row in first] == [("POST", "201")]
    assert broken(first[0]["resource"]) == []
    assert [row["request"]["method"] for row in third] == ["PUT", "PUT"]
    gone = third[1]["resource"]
    assert (gone["active"], gone["link"][0]["type"]) == (False, "replaced-by")
    assert {gone["id"], third[0]["resource"]["id"]} == {first[0]["resource"]["id"], second[0]["resource"]["id"]}
    assert site.consumer.taken[0]["entry"][0]["resource"]["eventUri"] == EVENT
    until(lambda: (True, ("subscription", "patient")) in audited(site, "ITI-93"))
    off = {**made.json(), "status": "off"}
    assert site["region"].put(place, json=off, headers=JSON).json()["status"] == "off"
    put(site, patient("A5", family="PETIT"))
    assert site["region"].put(place, json={**off, "status": "requested"}, headers=JSON).json()["status"] == "active"
    put(site, patient("A6", family="LEGRAND"))
    site.consumer.wait(4)
    names = [one["entry"][1]["resource"]["entry"][0]["resource"]["name"][0]["family"] for one in site.consumer.taken]
    assert "PETIT" not in names
    assert names[-1] == "LEGRAND"
    assert site["ris"].get(place).status_code == 404  # another's
    assert site["region"].delete(place).status_code == 204
    assert site["region"].get(place).status_code == 404


def test_what_can_be_subscribed_to_by_whom_and_where(site: Site) -> None:
    def wanted(who: str, endpoint: str = site.consumer.url, criteria: str = "Patient", **more: Any) -> int:
        body = subscription(endpoint, criteria, **more)
        return site[who].post("Subscription", json=body, headers=JSON).status_code

    regional = put(site, patient("A1")).headers["Location"].rpartition("/")[2]
    assert wanted("ris") == 403  # everybody
    assert wanted("ris", criteria=f"Patient?identifier=urn:oid:{A}|") == 403
    assert wanted("ris", criteria=f"Patient?_id={regional}") == 201
    assert wanted("ris", criteria=f"Patient?identifier=urn:oid:{A}|A7") == 201
    assert wanted("his_a") == 403
    for endpoint in (
        "https://elsewhere.example.org/x",
        "http://10.0.0.1/x",
        "file:///etc/passwd",
        "http://127.0.0.1@x/",
    ):
        assert wanted("region", endpoint) == 409
    for criteria in ("Observation", "Patient?name=x", "Patient?organization=1", "Patient?_id=1&_id=2", "Patient?x"):
        assert wanted("region", criteria=criteria) == 404
    assert wanted("region", end="2020-01-01T00:00:00Z") == 400
    assert wanted("region", channel={"type": "rest-hook", "endpoint": site.consumer.url}) == 404
    put(site, patient("A7", family="MOREAU"))
    put(site, patient("A1", telecom=[{"system": "phone", "value": "1"}]))
    site.consumer.wait(2)
    names = {one["entry"][1]["resource"]["entry"][0]["resource"]["name"][0]["family"] for one in site.consumer.taken}
    assert names == {"MOREAU", "DURAND"}


def test_a_consumer_that_refuses_is_shown(site: Site) -> None:
    site.consumer.status = 422
    place = site["region"].post("Subscription", json=subscription(site.consumer.url), headers=JSON).headers["Location"]
    put(site, patient("A1"))
    until(lambda: site["region"].get(place).json()["status"] == "error")
    assert "422" in site["region"].get(place).json()["error"]


def test_stewards_operations(site: Site) -> None:
    put(site, patient("A1"))
    put(site, patient("B1", B, family="DURANT"), who="his_b")
    both = (("identifier", "valueIdentifier", number("A1")), ("identifier", "valueIdentifier", number("B1", B)))
    client = site["region"]
    body = parameters(*both, ("reason", "valueString", "A typing error: seen on the identity card."))
    done = client.post("Patient/$link", json=body, headers=JSON)
    assert done.status_code == 200, done.text
    rows = {row["name"]: row for row in done.json()["parameter"]}
    assert (rows["changed"]["valueBoolean"], rows["pending"]["valueBoolean"]) == (True, False)
    told = client.post("Patient/$explain", json=parameters(*both), headers=JSON).json()["parameter"]
    assert [row["valueCode"] for row in told if row["name"] == "outcome"]
    links = [row["part"] for row in told if row["name"] == "link"]
    assert {"name": "rule", "valueCode": "steward"} in links[0]
    query = {"identifier": [f"urn:oid:{A}|A1", f"urn:oid:{B}|B1"]}
    assert client.get("Patient/$explain", params=query).status_code == 200
    undone = client.post("Patient/$unlink", json=body, headers=JSON)
    assert undone.status_code == 200, undone.text
    assert len([row for row in undone.json()["parameter"] if row["name"] == "patient"]) == 2
    nobody = parameters(both[0], ("identifier", "valueIdentifier", number("Z9")), ("reason", "valueString", "x"))
    assert client.post("Patient/$link", json=nobody, headers=JSON).status_code == 404
    for wrong in (
        parameters(*both),
        parameters(both[0]),
        parameters(*both, *both),
        parameters(("x", "valueString", "y")),
    ):
        assert client.post("Patient/$link", json=wrong, headers=JSON).status_code == 400
    assert audited(site, "FHIR-Patient-link")[-1][0]
