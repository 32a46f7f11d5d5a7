"""What who feeds a number is answered (Prefer, warnings), and how an identity was checked, told and taken in."""

from typing import Any

import pytest

from tests.profiles.fhir_patients.conftest import A, B, Site
from tests.profiles.fhir_patients.messages import JSON, message, number, patient, replaced, subscription
from tests.profiles.fhir_patients.test_transactions import put
from tests.wire.fhir.fr_core_rules import CORE, broken, extensions, status_of

INS = "1.2.250.1.213.1.4.8"


def reliability(*parts: tuple[str, str, Any]) -> dict[str, Any]:
    rows = [{"url": url, kind: value} for url, kind, value in parts]
    return {"url": f"{CORE}/StructureDefinition/fr-core-identity-reliability", "extension": rows}


def coding(code: str) -> dict[str, str]:
    return {"code": code}


def checked(told: dict[str, Any]) -> dict[str, str]:
    """The reliability's parts, without the status and the time of the last change."""
    (one,) = extensions(told, f"{CORE}/StructureDefinition/fr-core-identity-reliability")
    values = {row["url"]: row.get("valueDate") or row.get("valueCoding", {}).get("code") for row in one["extension"]}
    return {name: value for name, value in values.items() if name not in ("identityStatus", "lastUpdated")}


def qualified(value: str, authority: str = A, status: str = "VALI", matricule: str = "279035121518989") -> Any:
    told = patient(value, authority, extension=[reliability(("identityStatus", "valueCoding", coding(status)))])
    told["identifier"].append({**number(matricule, INS), "type": {"coding": [{"code": "INS-NIR"}]}})
    return told


def test_the_answer_is_what_prefer_says(site: Site) -> None:
    put(site, patient("B1", B), who="his_b")
    for sent, status in ((patient("A1"), 201), (patient("A1", family="DURANT"), 200)):
        least = put(site, sent, Prefer="return=minimal")
        assert (least.status_code, least.content) == (status, b"")
        assert "/Patient/R" in least.headers["Location"]
    shown = put(site, patient("A1"), Prefer='handling=strict, return="representation"')
    assert shown.status_code == 200
    told = shown.json()
    assert told["resourceType"] == "Patient"
    assert shown.headers["Location"].endswith(f"/Patient/{told['id']}")
    assert broken(told) == []
    assert site["region"].post("Patient/$link", json=link("A1", "B1"), headers=JSON).status_code == 200
    alone = put(site, patient("A1"), Prefer="return=representation").json()
    assert {row["value"] for row in alone["identifier"]} == {alone["id"], "A1"}, "of other hospitals it tells nothing"
    for prefer in ("return=OperationOutcome", "return=nonsense", "respond-async"):
        assert put(site, patient("A1"), Prefer=prefer).json()["resourceType"] == "OperationOutcome"
    put(site, patient("A2", family="DUPOND"))
    merged = put(site, replaced("A2", "A1"), Prefer="return=representation").json()
    assert "A1" in [row["value"] for row in merged["identifier"]]
    removed = site["his_a"].delete(
        "Patient", params={"identifier": f"urn:oid:{A}|A1"}, headers={"Prefer": "return=representation"}
    )
    assert (removed.status_code, removed.content) == (204, b"")


def link(one: str, other: str) -> dict[str, Any]:
    rows = [{"name": "identifier", "valueIdentifier": item} for item in (number(one), number(other, B))]
    return {"resourceType": "Parameters", "parameter": [*rows, {"name": "reason", "valueString": "seen"}]}


@pytest.mark.parametrize(
    ("status", "matricule", "code"),
    [("PROV", "279035121518989", "ins-not-qualified"), ("VALI", "279035121518988", "ins-key")],
)
def test_an_ins_that_is_not_kept_is_told(site: Site, status: str, matricule: str, code: str) -> None:
    answer = put(site, qualified("A1", status=status, matricule=matricule))
    assert answer.status_code == 201
    first, second = answer.json()["issue"]
    assert (first["severity"], second["severity"]) == ("information", "warning")
    assert second["details"]["coding"][0]["code"] == code
    assert matricule not in answer.text
    found = site["ris"].get("Patient", params={"identifier": f"urn:oid:{A}|A1"})
    assert matricule not in found.text
    assert len(put(site, qualified("A1")).json()["issue"]) == 1


def test_how_an_identity_was_checked(site: Site) -> None:
    """What ZFD says in version 2: taken in with whichever name FR Core's version has for the date, and told."""
    parts = (
        ("identityStatus", "valueCoding", coding("VALI")),
        ("methodCollection", "valueCoding", coding("INSI")),
        ("dateInterrogationINSi", "valueDate", "2021-12-01"),
        ("validationMode", "valueCoding", coding("CN")),
    )
    told = {"methodCollection": "INSI", "dateCollection": "2021-12-01", "validationMode": "CN"}
    place = site["region"].post("Subscription", json=subscription(site.consumer.url), headers=JSON)
    assert place.status_code == 201
    sent = patient("A1", extension=[reliability(*parts)])
    assert checked(put(site, sent, Prefer="return=representation").json()) == told
    query = {"identifier": f"urn:oid:{A}|A1"}
    (entry,) = site["ris"].get("Patient", params=query).json()["entry"]
    assert checked(entry["resource"]) == told
    assert broken(entry["resource"]) == []
    assert checked(site["ris"].get(f"Patient/{entry['resource']['id']}").json()) == told
    (match,) = site["ris"].post("Patient/$match", json=patient("A1"), headers=JSON).json()["entry"]
    assert checked(match["resource"]) == told
    (feed, *_) = site.consumer.wait(1)
    assert checked(feed["entry"][1]["resource"]["entry"][0]["resource"]) == told
    later = (parts[0], ("dateCollection", "valueDate", "2022-01"), ("validationMode", "valueCoding", coding("LE")))
    put(site, patient("A1", extension=[reliability(*later)]))
    (entry,) = site["ris"].get("Patient", params=query).json()["entry"]
    assert checked(entry["resource"]) == {"dateCollection": "2022-01"}, "a new check as a whole; FR Core has no LE"
    put(site, patient("A1"))
    (entry,) = site["ris"].get("Patient", params=query).json()["entry"]
    assert checked(entry["resource"]) == {"dateCollection": "2022-01"}, "nothing said, nothing changed"
    wrong = (parts[0], ("dateCollection", "valueDate", "yesterday"))
    assert put(site, patient("A1", extension=[reliability(*wrong)])).status_code == 400


def test_the_check_is_that_of_the_identity_that_is_told(site: Site) -> None:
    """Not a provisional one's, of the same person."""
    cn = reliability(("identityStatus", "valueCoding", coding("VALI")), ("validationMode", "valueCoding", coding("CN")))
    pa = reliability(("identityStatus", "valueCoding", coding("PROV")), ("validationMode", "valueCoding", coding("PA")))
    put(site, patient("A1", extension=[cn]))
    put(site, patient("B1", B, extension=[pa]), who="his_b")
    assert site["region"].post("Patient/$link", json=link("A1", "B1"), headers=JSON).status_code == 200
    (entry,) = site["ris"].get("Patient", params={"identifier": f"urn:oid:{B}|B1"}).json()["entry"]
    assert checked(entry["resource"]) == {"validationMode": "CN"}


@pytest.mark.parametrize("count", [2, 7])
def test_a_page_of_persons_tells_how_each_was_checked(site: Site, count: int) -> None:
    """Few are looked up one by one, many together."""
    for place in range(count):
        seen = ("validationMode", "valueCoding", coding(("CN", "PA")[place % 2]))
        told = reliability(("identityStatus", "valueCoding", coding("PROV")), *([seen] if place else []))
        put(site, patient(f"A{place}", extension=[told]))
    entries = site["ris"].get("Patient", params={"family": "durand"}).json()["entry"]
    found = {
        row["value"]: checked(item["resource"])
        for item in entries
        for row in item["resource"]["identifier"]
        if row["system"].endswith(A)
    }
    wanted = {f"A{place}": {"validationMode": ("CN", "PA")[place % 2]} if place else {} for place in range(count)}
    assert found == wanted


def test_a_message_is_answered_with_what_of_which_entry_is_not_kept(site: Site) -> None:
    entries = (
        ("POST", qualified("A1")),
        ("POST", qualified("A2", status="PROV")),
        ("POST", qualified("A3", status="PROV")),
    )
    answer = site["his_a"].post("$process-message", json=message(*entries), headers=JSON)
    assert answer.status_code == 200
    header, told = answer.json()["entry"]
    assert header["resource"]["response"]["code"] == "ok"
    assert header["resource"]["response"]["details"]["reference"] == told["fullUrl"]
    assert [(row["severity"], row["details"]["coding"][0]["code"]) for row in told["resource"]["issue"]] == [
        ("warning", "ins-not-qualified")
    ] * 2
    assert [row["expression"] for row in told["resource"]["issue"]] == [
        [f"Bundle.entry[1].resource.entry[{place}]"] for place in (1, 2)
    ]
    assert "279035121518989" not in answer.text
    (alone,) = site["his_a"].post("$process-message", json=message(entries[0]), headers=JSON).json()["entry"]
    assert "details" not in alone["resource"]["response"]


def comments(told: dict[str, Any]) -> list[str]:
    (one,) = extensions(told, f"{CORE}/StructureDefinition/fr-core-identity-reliability")
    found = [row["valueCodeableConcept"]["coding"][0] for row in one["extension"] if row["url"] == "comment"]
    assert {row["system"] for row in found} <= {f"{CORE}/CodeSystem/fr-core-cs-identity-status-comment"}
    return [row["code"] for row in found]


def test_attributes_are_told(site: Site) -> None:
    """RNIV 1, EXI SI 09: who is doubtful or fictitious is provisional, whatever else is said."""
    said = ({"coding": [coding("DOUT")]}, {"coding": [coding("HOMD"), coding("OTHER")]})
    parts = [("identityStatus", "valueCoding", coding("VALI")), *(("comment", "valueCodeableConcept", x) for x in said)]
    sent = {**qualified("A1"), "extension": [reliability(*parts)]}
    shown = put(site, sent, Prefer="return=representation").json()
    assert (comments(shown), broken(shown)) == (["DOUT", "HOMD"], [])
    assert status_of(shown) == "PROV"
    assert "279035121518989" not in str(shown)
    (entry,) = site["ris"].get("Patient", params={"identifier": f"urn:oid:{A}|A1"}).json()["entry"]
    assert comments(entry["resource"]) == ["DOUT", "HOMD"]
    put(site, {**qualified("A1"), "extension": [reliability(parts[0])]})
    told = site["ris"].get(f"Patient/{entry['resource']['id']}").json()
    assert (comments(told), status_of(told)) == ([], "QUAL")


def test_one_of_several_birth_dates(site: Site) -> None:
    put(site, patient("A1"))
    put(site, patient("A2", birthDate="1980-01-02"))
    for dates, total in (("1979-03-27,1980-01-02", 2), ("1979-03-27,1990-01-01", 1), ("eq1980-01-02,1990-01-01", 1)):
        assert site["ris"].get("Patient", params={"birthdate": dates}).json()["total"] == total
    refused = site["ris"].get("Patient", params={"family": "durand", "birthdate": "ge1979,lt1950"})
    assert refused.status_code == 400
    assert "without a prefix" in refused.text
