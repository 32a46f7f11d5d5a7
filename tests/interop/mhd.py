"""What the MHD tests share: a region with its person, a Bundle by hand, R4B's models as the judge of every resource."""

import base64
import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhirpy import SyncFHIRClient

from hub.testing.sandbox import SandboxProcess
from tests.interop.by_hand import Integrator, oid

DOMAIN, HOSPITAL = "1.2.250.1.999.41", "1.2.250.1.999.45"
SCHEME = "urn:oid:1.2.250.1.999.50"


@dataclass(frozen=True)
class Region:
    """A sandbox with a person's documents: a report, a letter, and the report that replaced the first."""

    vendor: Integrator
    client: SyncFHIRClient
    number: str
    cx: str
    uids: tuple[str, ...]  #: replaced, letter, current

    @property
    def patient(self) -> str:
        return f"Patient/{self.cx.partition('^')[0]}"

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.vendor.http.get(f"{self.vendor.box['fhir']}/{path}", headers=headers)


@contextlib.contextmanager
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A sandbox on the database that the fixture's parameter names, with one person and no documents."""
    more: list[str] = []
    server = name = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        name = server.create_database()
        more = ["--db", server.url(name)]
    data = str(tmp_path_factory.mktemp("mhd") / "data")
    arguments = ("--open", "--affinity-domain", DOMAIN, "--data", data, *more)
    with SandboxProcess(*arguments) as box, Integrator(box) as vendor:
        yield Region(vendor, SyncFHIRClient(box["fhir"]), "R4711", vendor.announce("R4711", DOMAIN), ())
    if server is not None:
        server.drop_database(name)


def somebody(region: Region) -> str:
    """A person who has no documents yet: the CX."""
    return region.vendor.announce(f"R{oid()[-12:]}", DOMAIN, name=f"N{uuid.uuid4().hex}^A")


def values(item: Any) -> list[str]:
    return [str(row.get("value")) for row in item.iter() if row.get("value")]


def valid(resource: Any) -> dict[str, Any]:
    """The resource, once R4B's model has taken it, contained and bundled ones included."""
    plain: dict[str, Any] = resource.serialize() if hasattr(resource, "serialize") else dict(resource)
    get_fhir_model_class(plain["resourceType"]).model_validate(plain)
    return plain


def found(region: Region, kind: str, **parameters: Any) -> list[dict[str, Any]]:
    """The matches of a search."""
    bundle = valid(region.client.execute(kind, method="get", params=parameters))
    matches = [row for row in bundle.get("entry", []) if row["search"]["mode"] == "match"]
    for row in matches:
        assert row["fullUrl"] == f"{region.vendor.box['fhir']}/{kind}/{row['resource']['id']}"
    return [row["resource"] for row in matches]


def uid_of(resource: dict[str, Any]) -> str:
    value: str = resource["masterIdentifier"]["value"]
    return value.removeprefix("urn:oid:")


def concept(value: str) -> dict[str, Any]:
    return {"coding": [{"system": SCHEME, "code": value, "display": value}]}


def bundle_of(cx: str, *documents: bytes, folder: bool = False) -> dict[str, Any]:
    """An ITI-65 Bundle by hand: comprehensive metadata, a Binary for each document, perhaps a folder for all."""
    subject = {"reference": f"Patient/{cx.partition('^')[0]}"}
    names = [(f"urn:uuid:{uuid.uuid4()}", f"urn:uuid:{uuid.uuid4()}") for _ in documents]
    mhd = "https://profiles.ihe.net/ITI/MHD"
    author = {
        "resourceType": "Practitioner",
        "id": "author",
        "identifier": [{"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "801234"}],
        "name": [{"family": "Curie", "given": ["Marie"]}],
    }
    patient = {
        "resourceType": "Patient",
        "id": "source",
        "identifier": [{"system": "urn:oid:1.2.3.4", "value": "4711"}],
        "name": [{"family": "DUPONT", "given": ["JEANNE"]}],
        "birthDate": "1970-01-01",
    }

    def references(*urls: str) -> list[dict[str, Any]]:
        return [{"item": {"reference": url}} for url in urls]

    def listed(kind: str, urls: list[str], *extensions: dict[str, Any]) -> dict[str, Any]:
        designation = {"url": f"{mhd}/StructureDefinition/ihe-designationType", "valueCodeableConcept": concept("04")}
        return {
            "resourceType": "List",
            "extension": [designation, *extensions],
            "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid()}"}],
            "status": "current",
            "mode": "working",
            "title": f"The {kind}",
            "code": {"coding": [{"system": f"{mhd}/CodeSystem/MHDlistTypes", "code": kind}]},
            "subject": subject,
            "date": "2026-04-01T12:00:00+02:00",
            "entry": references(*urls),
        }

    urls = [reference for reference, _ in names]
    where = f"urn:uuid:{uuid.uuid4()}"
    source = {
        "url": f"{mhd}/StructureDefinition/ihe-sourceId",
        "valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.61"},
    }
    owner = listed("submissionset", [*urls, where] if folder else urls, source)
    entries = [{"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": owner, "request": {"method": "POST", "url": "List"}}]
    for (reference, binary), document in zip(names, documents, strict=True):
        metadata = {
            "resourceType": "DocumentReference",
            "contained": [author, patient],
            "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid()}"},
            "status": "current",
            "type": concept("18748-4"),
            "category": [concept("11")],
            "subject": subject,
            "author": [{"reference": "#author"}],
            "description": "A comment",
            "securityLabel": [concept("N")],
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain",
                        "language": "fr-FR",
                        "url": binary,
                        "size": len(document),
                        "hash": base64.b64encode(hashlib.sha1(document).digest()).decode(),
                        "title": "Lettre",
                        "creation": "2026-04-01T12:00:00+02:00",
                    },
                    "format": {
                        "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
                        "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
                    },
                }
            ],
            "context": {
                "event": [concept("CT")],
                "facilityType": concept("SA01"),
                "practiceSetting": concept("RAD"),
                "sourcePatientInfo": {"reference": "#source"},
            },
        }
        data = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(document).decode()}
        for url, resource in ((reference, metadata), (binary, data)):
            request = {"method": "POST", "url": resource["resourceType"]}
            entries.append({"fullUrl": url, "resource": resource, "request": request})
    if folder:
        found = listed("folder", urls)
        entries.append({"fullUrl": where, "resource": found, "request": {"method": "POST", "url": "List"}})
    profile = f"{mhd}/StructureDefinition/IHE.MHD.Comprehensive.ProvideBundle"
    return valid({"resourceType": "Bundle", "meta": {"profile": [profile]}, "type": "transaction", "entry": entries})


def provide(region: Region, bundle: dict[str, Any]) -> httpx.Response:
    url = region.vendor.box["fhir"]
    return region.vendor.http.post(url, json=bundle, headers={"Content-Type": "application/fhir+json"})


def of_person(region: Region, kind: str, cx: str, **more: str) -> list[dict[str, Any]]:
    return found(region, kind, patient=f"Patient/{cx.partition('^')[0]}", **more)
