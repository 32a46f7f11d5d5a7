"""Consents over FHIR, on a running hub: recorded, read, found, changed; what they say counts at the next request."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.consent import Consent

from hub.access.model import Principal, Scheme
from hub.access.rights_model import Kind, Thing
from hub.app.settings.model import Authority, Settings, Storage, Web
from hub.app.settings.nodes import Client
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.context import Context
from hub.patients.model import FeedIdentity
from hub.values import PatientIdentifier, now
from tests.patients.conftest import A, identity

SYSTEM = Context(principal=Principal("HIS", scheme=Scheme.CERTIFICATE))
CLIENTS = {"registrar": ("consents.*",), "reader": ("consents.query",), "poor": ("documents.query",)}
NUMBER = PatientIdentifier("1", A)


class Site:
    """A running hub with one patient."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.patient = hub.patients.feed(FeedIdentity(identity("1", A)), Context(source="HIS_A")).regional.value

    def __call__(self, method: str, path: str, body: object = None, by: str = "registrar", **headers: str) -> Any:
        headers = {"Authorization": f"Bearer {by}", "Accept": "application/fhir+json", **headers}
        if body is not None:
            headers["Content-Type"] = "application/fhir+json"
        url = f"{self.hub.public_url()}/fhir/{path}"
        return httpx.request(method, url, json=body, headers=headers, timeout=120)

    def shown(self) -> bool:
        return self.hub.rights.visible([Thing(Kind.DOCUMENT, NUMBER)], SYSTEM)[0]

    def consent(self, kind: str = "deny", **changes: Any) -> dict[str, Any]:
        scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
        found = {
            "resourceType": "Consent",
            "status": "active",
            "scope": {"coding": [scope]},
            "category": [{"coding": [{"system": "urn:maillage:consent-matter", "code": "consultation"}]}],
            "patient": {"reference": f"Patient/{self.patient}"},
            "dateTime": "2026-03-01",
            "policyRule": {"text": "CSP L1110-4"},
            "provision": {"type": kind},
            **changes,
        }
        return {name: value for name, value in found.items() if value is not None}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    hub = Hub(
        Settings(
            authorities=(Authority(namespace="HOSP_A", oid=A),),
            clients=tuple(
                Client(name=name, token_sha256=sha256(name.encode()).hexdigest(), permissions=permissions)
                for name, permissions in CLIENTS.items()
            ),
            web=Web(port=0),
            storage=Storage(database=request.getfixturevalue(f"{request.param}_url"), content=tmp_path / "content"),
        )
    )
    hub.start({Role.WEB})
    try:
        yield Site(hub)
    finally:
        hub.stop()


def test_an_opposition_is_recorded_read_found_and_ended(site: Site) -> None:
    made = site("POST", "Consent", site.consent())
    assert made.status_code == 201, made.text
    kept = made.json()
    Consent.model_validate(kept)
    assert made.headers["Location"].endswith(f"/fhir/Consent/{kept['id']}")
    assert made.headers["ETag"] == 'W/"1"'
    assert not site.shown()
    read = site("GET", f"Consent/{kept['id']}", by="reader")
    assert read.json() == kept
    for query in (
        f"patient=Patient/{site.patient}",
        f"patient.identifier=urn:oid:{A}|1&status=active",
        f"patient={site.patient}&category=urn:maillage:consent-matter|consultation",
    ):
        found = site("GET", f"Consent?{query}", by="reader").json()
        Bundle.model_validate(found)
        assert [entry["resource"]["id"] for entry in found["entry"]] == [kept["id"]], query
    assert "entry" not in site("GET", f"Consent?patient={site.patient}&status=inactive").json()
    assert "entry" not in site("GET", f"Consent?patient={site.patient}&category=feeding").json()
    address, form = f"{site.hub.public_url()}/fhir/Consent/_search", {"patient": site.patient, "status": "active"}
    posted = httpx.post(address, data=form, headers={"Authorization": "Bearer reader"}).raise_for_status().json()
    assert [entry["resource"]["id"] for entry in posted["entry"]] == [kept["id"]]

    changed = site("PUT", f"Consent/{kept['id']}", {**kept, "status": "inactive"}, **{"If-Match": 'W/"1"'})
    assert (changed.status_code, changed.headers["ETag"], changed.json()["status"]) == (200, 'W/"2"', "inactive")
    assert site.shown()
    assert site("PUT", f"Consent/{kept['id']}", kept, **{"If-Match": 'W/"1"'}).status_code == 412
    assert site("PUT", f"Consent/{kept['id']}", kept).json()["meta"]["versionId"] == "3"
    assert not site.shown()


def test_actors_periods_and_numbers_are_kept(site: Site) -> None:
    number = {"system": "https://rpps.esante.gouv.fr", "value": "99700000001"}
    provision = {
        "type": "permit",
        "period": {"start": "2026-03-01T10:00:00+01:00", "end": "2030-01-01"},
        "actor": [{"role": {"text": "doctor"}, "reference": {"identifier": number}}],
    }
    patient = {"identifier": {"system": f"urn:oid:{A}", "value": "1"}}
    kept = site("POST", "Consent", site.consent(provision=provision, patient=patient, dateTime=None)).json()
    Consent.model_validate(kept)
    assert kept["patient"] == {**patient, "reference": f"Patient/{site.patient}"}
    assert kept["dateTime"] == "2026-03-01T09:00:00+00:00"
    assert kept["provision"]["period"] == {"end": "2030-01-01T23:59:59+00:00"}
    assert kept["provision"]["actor"][0]["reference"]["identifier"]["value"] == "899700000001"


def test_the_policy_alone_and_the_day_alone(site: Site) -> None:
    policy = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}
    today = now().date().isoformat()
    assert site("POST", "Consent", site.consent("permit", dateTime=now().isoformat())).status_code == 201
    made = site("POST", "Consent", site.consent(dateTime=today, provision=None, policyRule={"coding": [policy]}))
    assert (made.status_code, made.json()["provision"]["type"]) == (201, "deny"), made.text
    assert not site.shown()
    again = {**policy, "code": "OPTIN"}
    site("POST", "Consent", site.consent(dateTime=today, provision=None, policyRule={"coding": [again]}))
    assert site.shown()


def test_it_holds_from_its_start(site: Site) -> None:
    begun = {"type": "deny", "period": {"start": "2026-02-01"}}
    assert site("POST", "Consent", site.consent(provision=begun)).json()["dateTime"] == "2026-03-01T00:00:00+00:00"
    later = {"type": "permit", "period": {"start": "2999-01-01"}}
    answer = site("POST", "Consent", site.consent(provision=later))
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "consent-in-the-future"
    assert not site.shown()


def test_it_is_taken_and_given_as_xml(site: Site) -> None:
    made = site("POST", "Consent", site.consent())
    found = site("GET", f"Consent/{made.json()['id']}", Accept="application/fhir+xml")
    assert found.headers["content-type"].startswith("application/fhir+xml")
    assert b"<Consent" in found.content


OPTOUT = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]}
ACTOR = {"reference": {"identifier": {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899700000001"}}}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"status": "draft"}, 400, "invalid"),
        ({"scope": {"text": "research"}}, 422, "consent-not-supported"),
        ({"provision": None}, 422, "consent-not-supported"),
        ({"provision": {"type": "deny", "purpose": []}}, 422, "consent-not-supported"),
        ({"provision": {"type": "deny", "provision": [{}]}}, 422, "consent-not-supported"),
        ({"provision": {"type": "deny", "actor": [{}, {}]}}, 422, "consent-not-supported"),
        ({"provision": {"type": "deny", "period": {"end": "2026-02-01"}}}, 422, "consent-already-over"),
        ({"dateTime": "2999-01-01"}, 422, "consent-in-the-future"),
        ({"dateTime": "yesterday"}, 400, "invalid"),
        ({"dateTime": "2026-03-01T10:00:00"}, 400, "invalid"),
        ({"dateTime": "0001-01-01T00:00:00+14:00"}, 400, "invalid"),
        ({"provision": {"type": "permit"}, "policyRule": OPTOUT}, 422, "consent-not-supported"),
        ({"provision": {"type": "permit", "actor": [ACTOR]}, "policyRule": OPTOUT}, 422, "consent-not-supported"),
        ({"patient": {"reference": "Patient/nobody"}}, 422, "patient-not-known"),
        ({"patient": {"reference": "Group/1"}}, 400, "invalid"),
        ({"patient": {"identifier": {"system": "urn:x", "value": "1"}}}, 400, "invalid"),
        ({"patient": None}, 400, "invalid"),
        ({"modifierExtension": []}, 400, "invalid"),
    ],
)
def test_what_is_refused(site: Site, changes: dict[str, Any], status: int, code: str) -> None:
    answer = site("POST", "Consent", site.consent(**changes))
    told = answer.json()
    assert (answer.status_code, told["issue"][0]["details"]["coding"][0]["code"]) == (status, code), answer.text
    assert site.shown()


def test_who_may(site: Site) -> None:
    kept = site("POST", "Consent", site.consent()).json()
    assert site("POST", "Consent", site.consent(), by="reader").status_code == 403
    assert site("GET", f"Consent/{kept['id']}", by="poor").status_code == 403
    assert site("GET", "Consent/nothing").status_code == 404
    nobody = site("GET", "Consent?patient=nobody")
    assert (nobody.status_code, nobody.json()["total"]) == (200, 0)
    for query in ("", "status=active", f"patient={site.patient}&status=maybe", f"patient={site.patient}&category=x"):
        assert site("GET", f"Consent?{query}").status_code == 400, query


def test_it_is_in_the_capability_statement(site: Site) -> None:
    rows = site("GET", "metadata").json()["rest"][0]["resource"]
    [offered] = [row for row in rows if row["type"] == "Consent"]
    assert {row["code"] for row in offered["interaction"]} == {"create", "update", "read", "search-type"}
