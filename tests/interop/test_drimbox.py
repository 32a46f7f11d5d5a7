"""Another DRIMbox asks the hub for images: mutual TLS with an operator's certificate of the signed list, a
professional's token that a real OpenID provider introspects, and the manifest that refers to the images."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from hub.access.model import HUB as PRINCIPAL_HUB
from hub.access.rights_model import Choice, Consent, Matter, RecordConsent
from hub.app.keys import pki
from hub.app.settings.model import Settings
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditRecord, AuditSearch
from hub.context import Context
from hub.imaging.manifest import Manifest, read_manifest
from hub.imaging.model import PublishStudy
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, Traits
from hub.testing.dicom import Label, synthetic_ct
from hub.testing.drimbox import Consumer
from hub.testing.sites import Site, dicomweb_site
from hub.values import PatientIdentifier, new_uid, now
from tests.drimbox import Authority, signed
from tests.interop.oidc_provider import NUMBER, NURSE, STRANGER_ID, OpenIdProvider
from tests.interop.test_token_exchange import SIGNED, exchange_of, professionals_token, provider

__all__ = ["provider"]  #: the fixture
pytestmark = pytest.mark.interop
OID = "1.2.250.1.999.82"
PATIENT = PatientIdentifier("PA-1", OID)
ANS = Authority()


@dataclass
class Region:
    """A hub with one published study of two series, of which a manifest names what is there."""

    hub: Hub
    directory: Path
    study: str
    archive: Site

    @property
    def root(self) -> str:
        return f"{self.hub.public_url()}/dicom-web/studies"

    def box(self, name: str = "box") -> Consumer:
        return Consumer(self.directory / "ca.crt", self.directory / f"{name}.crt", self.directory / f"{name}.key")

    def manifest(self) -> Manifest:
        return read_manifest(self.hub.documents.open_content(self.manifest_id()).path.read_bytes())

    def manifest_id(self) -> str:
        from hub.imaging.store import ImagingStore

        with self.hub.database.reading() as work:
            return ImagingStore(work).studies([self.study])[0].manifest_id

    def last(self) -> AuditRecord:
        assert self.hub.audit.flush(60)
        return self.hub.audit.search(AuditSearch(limit=1)).records[0]

    def count(self) -> int:
        assert self.hub.audit.flush(60)
        return len(self.hub.audit.search(AuditSearch(limit=500)).records)

    def trust(self, *names: str, generated: str = "2026-01-02T03:04:05Z") -> None:
        """The operators whose certificates the list names."""
        boxes = [(f"{name}.test", pki.load(self.directory / f"{name}.crt").subject.rfc4514_string()) for name in names]
        fresh = self.directory / "list.new"
        fresh.write_bytes(signed(boxes, ANS, generated=generated))
        fresh.replace(self.directory / "list.xml")


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory, provider: OpenIdProvider) -> Iterator[Region]:
    root = tmp_path_factory.mktemp("drimbox")
    directory = root / "pki"
    pki.init(directory)
    for node in ("hub", "box", "stranger", "pacs"):
        pki.issue(directory, node)
    (directory / "ans.crt").write_bytes(ANS.ca.pem)
    (directory / "ans.crl").write_bytes(ANS.crl())
    study = synthetic_ct(root / "files", Label("PA-1", accession_number="ACC-1"), slices=4, size=32)
    archive = dicomweb_site(root / "archive")
    region = Region.__new__(Region)
    region.directory, region.study, region.archive = directory, study.study_instance_uid, archive
    region.trust("box")
    exchange = {"userinfo": f"{provider.issuer}/me", "jwks": f"{provider.issuer}/jwks", "acr": (), "clients": {}}
    settings = Settings.model_validate(
        {
            "authorities": [{"namespace": "HOSPITAL_A", "oid": OID}],
            "sources": [
                {
                    "name": "PACS_A",
                    "kind": "dicomweb",
                    "authority": "HOSPITAL_A",
                    "config": {"url": archive.dicomweb_url},
                }
            ],
            "clients": [
                {
                    "name": "pacs",
                    "certificate_sha256": pki.fingerprint(directory / "pacs.crt"),
                    "permissions": ["imaging.retrieve"],
                }
            ],
            "tls": {
                "certificate": directory / "hub.crt",
                "key": directory / "hub.key",
                "ca": directory / "ca.crt",
                "client_certificates": "optional",
            },
            "imaging": {"manifest": "drim-m", "check_at": ""},
            "oauth": {"exchange": exchange_of(provider.issuer, **exchange)},
            "drimbox": {
                "white_list": directory / "list.xml",
                "authorities": [directory / "ans.crt"],
                "crls": [directory / "ans.crl"],
                "operators": [directory / "ca.crt"],
            },
            "web": {"port": 0},
            "storage": {"database": f"sqlite:///{root / 'hub.sqlite'}", "content": root / "content"},
        }
    )
    hub = Hub(settings)
    region.hub = hub
    try:
        archive.store(sorted((root / "files").glob("*.dcm")))
        hub.start({Role.WEB})
        traits = Traits("LEGER", "ZOE", "ZOE", birth_date="19520316", sex="F")
        hub.patients.feed(FeedIdentity(Identity(PATIENT, traits, IdentityStatus.VALIDATED)), Context())
        publish(region)
        yield region
    finally:
        hub.stop()
        archive.stop()


def publish(region: Region) -> None:
    region.hub.imaging.publish_study(PublishStudy("PACS_A", region.study), Context())
    assert region.manifest_id()


def test_a_series_by_its_manifest(region: Region, provider: OpenIdProvider) -> None:
    """A doctor of another region reads what the manifest names; the trail knows who, by which box and manifest."""
    token, manifest, uid = professionals_token(provider), region.manifest(), region.manifest_id()
    for series in manifest.series:
        url = f"{region.root}/{region.study}/series/{series.series_instance_uid}"
        answer = region.box().get(url, token=token, manifest=uid)
        assert answer.status == 200
        found = {str(dcmread(io.BytesIO(part)).SOPInstanceUID) for part in answer.parts}
        assert found == {instance for _, instance in series.instances}
        instance = series.instances[0][1]
        one = region.box().get(f"{url}/instances/{instance}", token=token, manifest=uid)
        assert (one.status, len(one.parts)) == (200, 1)
        assert dcmread(io.BytesIO(one.parts[0])).SOPInstanceUID == instance
    record = region.last()
    assert (record.transaction, record.principal_id, record.scheme) == ("RAD-107", NUMBER, "provider")
    assert uid in json.dumps(record.objects, default=str) or uid in str(record)
    assert region.study in str(record)


def test_whose_claims_come_signed(region: Region, provider: OpenIdProvider) -> None:
    """The provider answers for this software with a JWT of its own key."""
    token = professionals_token(provider, client=SIGNED)
    answer = region.box().get(f"{region.root}/{region.study}", token=token, manifest=region.manifest_id())
    assert answer.status == 200
    assert region.last().principal_id == NUMBER


def refused(region: Region, token: str, manifest: str, path: str = "", box: str = "box") -> tuple[int, str]:
    """(status, code), and exactly one audit record."""
    before = region.count()
    answer = region.box(box).get(f"{region.root}/{path or region.study}", token=token, manifest=manifest)
    assert region.count() == before + 1
    assert not answer.parts
    return answer.status, answer.code


def test_what_is_refused(region: Region, provider: OpenIdProvider) -> None:
    token, uid = professionals_token(provider), region.manifest_id()
    assert refused(region, "", uid) == (401, "bad-credentials")
    assert refused(region, "guessed", uid)[0] == 401
    assert refused(region, "x" * 30_000, uid)[0] == 401
    assert refused(region, token, uid, box="stranger")[0] == 401, "an operator of no list"
    assert refused(region, token, "") == (400, "manifest-needed")
    assert refused(region, token, "../1.2") == (400, "manifest-needed")
    assert refused(region, token, new_uid()) == (404, "unknown-manifest")
    other = new_uid()
    assert refused(region, token, uid, other) == (404, "unknown-manifest"), "of another study"
    assert refused(region, token, uid, f"{region.study}/series/{other}") == (404, "unknown-instance")
    series = region.manifest().series[0].series_instance_uid
    path = f"{region.study}/series/{series}/instances/{other}"
    assert refused(region, token, uid, path) == (404, "unknown-instance")
    for rest in ("/frames/1", "/rendered", "/metadata"):
        assert refused(region, token, uid, path + rest)[0] == 404
        assert refused(region, token, "", path + rest)[0] == 400


def test_a_box_may_do_nothing_else(region: Region, provider: OpenIdProvider) -> None:
    token, uid = professionals_token(provider), region.manifest_id()
    for path in ("/fhir/ImagingStudy", "/dicom-web/studies", "/fhir/Patient?family=LEGER"):
        assert region.box().get(f"{region.hub.public_url()}{path}", token=token, manifest=uid).status == 403
    rendered = f"{region.hub.public_url()}/wado?requestType=WADO&studyUID={region.study}&seriesUID=1&objectUID=2"
    assert region.box().get(rendered, token=token, accept="*/*").status == 403


def test_a_professional_without_a_role(region: Region, provider: OpenIdProvider) -> None:
    token = professionals_token(provider, STRANGER_ID.rpartition(":")[2])
    assert refused(region, token, region.manifest_id()) == (403, "access-denied")


def test_a_system_without_a_manifest_reads_as_before(region: Region) -> None:
    answer = region.box("pacs").get(f"{region.root}/{region.study}")
    assert (answer.status, len(answer.parts)) == (200, 4)
    assert region.box("pacs").get(f"{region.root}/{region.study}", manifest=new_uid()).status == 404


def test_the_list_decides_at_the_next_request(region: Region, provider: OpenIdProvider) -> None:
    token, uid = professionals_token(provider, NURSE), region.manifest_id()
    assert region.box().get(f"{region.root}/{region.study}", token=token, manifest=uid).status == 200
    try:
        region.trust("stranger", generated="2026-01-03T00:00:00Z")
        assert refused(region, token, uid)[0] == 401
        assert region.box("stranger").get(f"{region.root}/{region.study}", token=token, manifest=uid).status == 200
        region.trust("box", generated="2026-01-02T00:00:00Z")
        assert refused(region, token, uid)[0] == 401, "an older list is no list"
        (region.directory / "list.xml").write_bytes(b"<broken")
        assert region.box("stranger").get(f"{region.root}/{region.study}", token=token, manifest=uid).status == 200
        (region.directory / "ans.crl").write_bytes(ANS.crl(ANS.signer))
        assert refused(region, token, uid, box="stranger")[0] == 401, "its signer was revoked: nobody is trusted"
    finally:
        (region.directory / "ans.crl").write_bytes(ANS.crl())
        region.trust("box", generated="2026-01-04T00:00:00Z")
    assert region.box().get(f"{region.root}/{region.study}", token=token, manifest=uid).status == 200


def oppose(region: Region, person: PatientIdentifier, choice: Choice) -> None:
    consent = Consent("", person, Matter.CONSULTATION, choice, now())
    region.hub.consents.record(RecordConsent(consent), Context(principal=PRINCIPAL_HUB))


def test_a_patients_opposition_looks_like_an_unknown_manifest(region: Region, provider: OpenIdProvider) -> None:
    token, uid = professionals_token(provider), region.manifest_id()
    person = region.hub.patients.person(PATIENT)
    assert person is not None
    oppose(region, person.regional, Choice.OPPOSITION)
    try:
        assert refused(region, token, uid) == (404, "unknown-manifest")
        assert refused(region, token, new_uid()) == (404, "unknown-manifest")
    finally:
        oppose(region, person.regional, Choice.CONSENT)
    assert region.box().get(f"{region.root}/{region.study}", token=token, manifest=uid).status == 200


def test_a_token_that_was_revoked(region: Region, provider: OpenIdProvider) -> None:
    token, uid = professionals_token(provider), region.manifest_id()
    assert region.box().get(f"{region.root}/{region.study}", token=token, manifest=uid).status == 200
    provider.steer("revoke")
    assert refused(region, token, uid) == (401, "token-ended")


def test_a_manifest_that_was_withdrawn(region: Region, provider: OpenIdProvider) -> None:
    """The last of the tests: the study is not published any more."""
    token, uid = professionals_token(provider), region.manifest_id()
    region.hub.imaging.withdrawals.withdraw([region.hub.documents.entry(uid).id], Context())
    assert refused(region, token, uid) == (410, "manifest-gone")
    assert refused(region, token, uid, new_uid()) == (404, "unknown-manifest")
