"""fhirpy feeds, searches and reads persons over real sockets; the HL7 reference validator judges all that is sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from tests.interop import hapi
from tests.profiles.fhir_patients.conftest import A, B, Consumer, Site, settings
from tests.profiles.fhir_patients.messages import JSON, message, number, parameters, patient, replaced, subscription
from tests.wire.fhir.fr_core_rules import INS, broken
from tests.wire.fhir.test_patients import ins_patient

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory: Path = tmp_path_factory.mktemp("fhir")
    hub = Hub(settings(f"sqlite:///{directory / 'hub.sqlite'}", directory / "content"))
    hub.worker.poll = 0.1
    with Consumer() as consumer:
        hub.start({Role.WEB, Role.WORKER})
        found = Site(hub, consumer)
        try:
            yield found
        finally:
            found.close()


def client(site: Site, name: str) -> SyncFHIRClient:
    return SyncFHIRClient(site.base, authorization=f"Bearer {name}")


def announce(site: Site, resource: dict[str, Any], who: str = "his_a") -> None:
    row = resource["identifier"][0]
    query = {"identifier": f"{row['system']}|{row['value']}"}
    client(site, who).execute("Patient", method="put", params=query, data=resource)


def qualified(value: str, authority: str) -> dict[str, Any]:
    found = ins_patient()
    found["identifier"][0] |= number(value, authority)
    return found


def test_fhirpy_feeds_searches_matches_and_reads(site: Site) -> None:
    announce(site, qualified("Q1", A))
    announce(site, qualified("Q2", B), "his_b")
    reader = client(site, "ris")
    (one,) = reader.resources("Patient").search(family="le goff", birthdate="1979-03-15").fetch_all()
    plain = one.serialize()
    get_fhir_model_class("Patient").model_validate(plain)
    assert INS in plain["meta"]["profile"]
    assert broken(plain) == []
    assert {row["value"] for row in plain["identifier"]} >= {"Q1", "Q2", "279035121518989"}
    assert reader.reference("Patient", plain["id"]).to_resource()["id"] == plain["id"]
    found = reader.execute("Patient/$match", method="post", data=ins_patient(identifier=[number("?")]))
    assert found["entry"][0]["search"]["score"] == 1
    numbers = reader.execute("Patient/$ihe-pix", method="get", params={"sourceIdentifier": f"urn:oid:{A}|Q1"})
    assert number("Q2", B) in [row.get("valueIdentifier") for row in numbers["parameter"]]
    with pytest.raises(ResourceNotFound):
        reader.reference("Patient", "nobody").to_resource()
    with pytest.raises(OperationOutcome):
        reader.resources("Patient").search(gender="female").fetch_all()


def test_every_resource_is_valid(site: Site) -> None:
    """Structure, required bindings, invariants: what is served, refused, answered and delivered."""
    for value in ("V1", "V2"):
        announce(site, patient(value, family=f"VALID{value}"))
    made = site["region"].post("Subscription", json=subscription(site.consumer.url), headers=JSON)
    source, region = site["his_a"], site["region"]
    fed = message(("POST", patient("V3", family="VALIDE")), ("PUT", replaced("V2", "V1")))
    one, other = (("identifier", "valueIdentifier", number(value)) for value in ("V1", "V3"))
    link = parameters(one, other, ("reason", "valueString", "A reason"))
    found: dict[str, Any] = {
        "sent: a feed": fed,
        "sent: a Patient": ins_patient(),
        "Subscription": made.json(),
        "a feed's answer": source.post("$process-message", json=fed, headers=JSON).json(),
        "an update's answer": source.put(
            "Patient", params={"identifier": f"urn:oid:{A}|V1"}, json=patient("V1", family="VALIDV1"), headers=JSON
        ).json(),
        "match": region.post("Patient/$match", json=patient("V1", family="VALIDV1"), headers=JSON).json(),
        "link": region.post("Patient/$link", json=link, headers=JSON).json(),
        "explain": region.post("Patient/$explain", json=parameters(one, other), headers=JSON).json(),
        "unlink": region.post("Patient/$unlink", json=link, headers=JSON).json(),
    }
    for path in (
        "metadata",
        "Patient?family=VALID",
        "Patient?family=VALID&_count=1",
        "Patient?family=NOBODY",
        "Patient?gender=female",
        f"Patient?family=VALID&identifier=urn:oid:{A}|",
        f"Patient/$ihe-pix?sourceIdentifier=urn:oid:{A}|V1",
        f"Patient/$ihe-pix?sourceIdentifier=urn:oid:{A}|V9",
        f"Patient/$ihe-pix?sourceIdentifier=urn:oid:{A}|V1&targetSystem=urn:oid:{B}",
    ):
        found[path] = region.get(path).json()
    lenient = {"Prefer": "handling=lenient"}
    found["lenient"] = region.get("Patient?family=VALID&colour=red", headers=lenient).json()
    for place, delivered in enumerate(site.consumer.wait(3)):
        found[f"delivered {place}"] = delivered
    wrong = {"no such code": {**made.json(), "status": "asleep"}}
    issues = hapi.errors({**json.loads(json.dumps(found)), **wrong})
    assert {item.name for item in issues} >= set(wrong)  # it does judge
    invalid = [f"{item.name}: {item.place}: {item.text}" for item in issues if item.name not in wrong]
    assert not invalid, "\n".join(invalid)
