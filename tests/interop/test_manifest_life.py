"""A manifest's life with a real archive: Orthanc gains and loses objects, DCMTK sends a rejection note, the command
line checks and repairs, and ITI-18, ITI-43 and MHD by hand show what the registry says afterwards."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class
from pydicom import dcmread

from hub.app.settings import file as settings_file
from hub.app.wiring import Hub
from hub.context import Context
from hub.imaging.manifest import read_manifest
from hub.imaging.model import PublishStudy
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.dicom import PLAIN, Label, relabelled
from hub.testing.ports import free_port
from hub.testing.sites import OrthancSite, has_dcmtk, has_orthanc
from hub.wire.hl7v2.client import MllpClient
from tests.imaging.living import key_object
from tests.interop.by_hand import APPROVED, DEPRECATED, Integrator, unique_id
from tests.waiting import until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not (has_orthanc() and has_dcmtk()), reason="Orthanc or DCMTK is not installed"),
]
DOMAIN, OID, REPOSITORY = "1.2.250.1.999.81", "1.2.250.1.999.82", "1.2.250.1.999.1.2"
STUDY = "1.2.826.0.1.3680043.8.498.4711"
PATIENT = hl7.Patient(
    identifier=hl7.local("PA-1", "HOSPITAL_A", OID),
    traits=Traits(birth_name="LEGER", birth_given="ZOE", birth_date="19520316", sex="F"),
)
FHIR_FORMAT, KOS_FORMAT = "urn:ihe:rad:MADO:fhir-manifest:2026", "1.2.840.10008.5.1.4.1.1.88.59"
SCHEMES = {KOS_FORMAT: "1.2.840.10008.2.6.1", FHIR_FORMAT: "1.3.6.1.4.1.19376.1.2.7.1"}


@dataclass
class Region:
    """A running hub, its archive, and a vendor's system that asks the registry."""

    hub: Hub
    settings: Path
    orthanc: OrthancSite
    vendor: Integrator
    files: list[Path]
    patient: str  #: CX in the affinity domain

    def uids(self, format_code: str = KOS_FORMAT, status: str = APPROVED) -> list[str]:
        """uniqueIds of documents that ITI-18 finds."""
        codes = (
            f"('{format_code}^^{'1.2.840.10008.2.6.1' if format_code == KOS_FORMAT else '1.3.6.1.4.1.19376.1.2.7.1'}')"
        )
        answer = self.vendor.find(self.patient, *([status] if status else []), FormatCode=codes)
        return [unique_id(item) for item in answer.objects("ExtrinsicObject")]

    def shown(self) -> set[str]:
        """The instances that the current manifest names, read by ITI-43."""
        found = self.uids()
        if not found:
            return set()
        [uid] = found
        content = self.vendor.retrieve((REPOSITORY, uid)).documents()[uid]
        return {sop for series in read_manifest(content).series for _, sop in series.instances}

    def instance(self, path: Path) -> str:
        return str(dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)

    def delete(self, level: str, uid: str) -> None:
        """Delete at Orthanc by its REST API."""
        [key] = httpx.post(f"{self.orthanc.rest_url}/tools/lookup", content=uid).json()
        assert key["Type"] == level
        httpx.delete(f"{self.orthanc.rest_url}{key['Path']}").raise_for_status()

    def check(self, *arguments: str) -> tuple[int, dict[str, object]]:
        """``maillage imaging check`` in a process of its own, beside the hub."""
        done = subprocess.run(
            [sys.executable, "-c", "from hub.app.commands.main import main; main()", "imaging", "check", "--json",
             "--settings", str(self.settings), *arguments],
            capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def region(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Region]:
    orthanc = OrthancSite(tmp_path / "orthanc")
    database = request.getfixturevalue(f"{request.param}_url")
    settings = tmp_path / "maillage.toml"
    settings.write_text(
        f"""
[region]
affinity_domain = "{DOMAIN}"
repository_unique_id = "{REPOSITORY}"
[[authorities]]
namespace = "HOSPITAL_A"
oid = "{OID}"
[[sources]]
name = "PACS_A"
kind = "dicomweb"
authority = "HOSPITAL_A"
config = {{ url = "{orthanc.dicomweb_url}" }}
[imaging]
manifest = "mado"
[archive]
senders = {{ MODALITY = "HOSPITAL_A" }}
[web]
port = {free_port()}
[mllp]
port = {free_port()}
[dimse]
port = {free_port()}
[health]
port = 0
[security]
node_authentication = false
[storage]
database = "{database}"
content = "{tmp_path / "content"}"
"""
    )
    hub = Hub(settings_file.load(settings))
    try:
        hub.start()
        url = hub.public_url()
        box = {"xds_registry": f"{url}/xds/registry", "xds_repository": f"{url}/xds/repository", "fhir": f"{url}/fhir"}
        relabelled(tmp_path / "files", Label("PA-1", "LEGER^ZOE", study_instance_uid=STUDY), PLAIN)
        files = sorted((tmp_path / "files").glob("*.dcm"))
        host, _, port = hub.mllp_address().rpartition(":")
        with MllpClient(host, int(port)) as client:
            assert b"MSA|AA" in client.send(hl7.adt(hl7.Sender(application="HIS_A", facility="HOSPITAL_A"), PATIENT))
        regional = hub.patients.resolve(PATIENT.identifier)
        assert regional is not None
        with Integrator(box) as vendor:
            yield Region(hub, settings, orthanc, vendor, files, regional.cx)
    finally:
        hub.stop()
        orthanc.stop()


def test_a_manifest_lives_as_long_as_its_study(region: Region, tmp_path: Path) -> None:
    early, late = region.files[:-1], region.files[-1]
    named = {path: region.instance(path) for path in region.files}
    assert region.orthanc.store(early) == len(early)
    region.hub.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    assert region.shown() == {named[path] for path in early}
    assert region.check()[0] == 0

    # a late object is found by the check, and published by the running hub
    assert region.orthanc.store([late]) == 1
    code, report = region.check()
    assert (code, report["differing"], report["repaired"]) == (1, 1, 0)
    code, report = region.check("--repair")
    assert (code, report["differing"], report["repaired"]) == (0, 1, 1)
    until(lambda: region.shown() == set(named.values()))
    assert len(region.uids(status=DEPRECATED)) == 1

    # DCMTK sends a rejection note to the hub: what it names is hidden, though the archive still has it
    note = tmp_path / "note.dcm"
    rejected = early[0]
    key_object([dcmread(rejected)], "113037", "Rejected for Patient Safety Reasons").save_as(
        note, enforce_file_format=True
    )
    port = region.hub.dimse_address().rpartition(":")[2]
    sent = subprocess.run(
        ["storescu", "-aet", "MODALITY", "-aec", "MAILLAGE", "127.0.0.1", port, str(note)],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "TCP_NODELAY": "1"},
    )  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    until(lambda: region.shown() == set(named.values()) - {named[rejected]})
    assert region.check()[0] == 0

    # an object is purged, by night
    region.delete("Instance", named[late])
    region.hub.nightly.run(region.hub.nightly._now())
    until(lambda: region.shown() == set(named.values()) - {named[rejected], named[late]})
    last = region.hub.life.last()
    assert last is not None
    assert (last.checked, last.differing, last.repaired) == (1, 1, 1)

    # everything is purged: nothing is shown, all manifests are deprecated
    before = len(region.uids(status=DEPRECATED))
    region.delete("Study", STUDY)
    assert region.check("--repair")[0] == 0
    until(lambda: not region.uids())
    assert not region.uids(FHIR_FORMAT)
    assert len(region.uids(status=DEPRECATED)) == before + 1
    assert region.check()[1]["checked"] == 0


def test_mado_by_mhd(region: Region) -> None:
    region.orthanc.store(region.files)
    region.hub.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    [kos], [fhir] = region.uids(), region.uids(FHIR_FORMAT)
    answer = region.vendor.retrieve((REPOSITORY, fhir))  # ITI-43
    bundle = orjson.loads(answer.documents()[fhir])
    get_fhir_model_class("Bundle").model_validate(bundle)
    assert bundle["identifier"]["value"] == f"urn:oid:{kos}"
    number, _, authority = region.patient.partition("^^^&")
    who = f"urn:oid:{authority.removesuffix('&ISO')}|{number}"
    found = region.vendor.http.get(
        f"{region.vendor.box['fhir']}/DocumentReference",
        params={"patient.identifier": who, "status": "current", "format": FHIR_FORMAT},
    ).json()
    [reference] = [
        item["resource"] for item in found["entry"] if item["resource"]["resourceType"] == "DocumentReference"
    ]
    get_fhir_model_class("DocumentReference").model_validate(reference)
    [relation] = reference["relatesTo"]
    assert relation["code"] == "transforms"
    target = region.vendor.http.get(f"{region.vendor.box['fhir']}/{relation['target']['reference']}").json()
    assert target["masterIdentifier"]["value"] == f"urn:oid:{kos}"
    read = region.vendor.http.get(reference["content"][0]["attachment"]["url"],
                                  headers={"Accept": "application/fhir+json"})  # fmt: skip
    assert read.status_code == 200
    assert read.content == answer.documents()[fhir]
