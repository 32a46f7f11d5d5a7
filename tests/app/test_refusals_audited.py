"""Nobody (401) and somebody who may not (403), on every wire: each refusal is in the audit trail, by query."""

import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from hub.access.service import hash_password
from hub.app.keys import pki
from hub.app.settings.model import Archive, DimsePort, HealthPort, Mllp, Settings, Storage, User, Web
from hub.app.settings.nodes import Client, Tls
from hub.app.wiring import Hub
from hub.audit.model import AuditRecord, AuditSearch
from hub.errors import HubError
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.dicom import Label, relabelled
from hub.wire.dimse import client as dimse
from hub.wire.dimse.association import Association
from hub.wire.dimse.contexts import STUDY_FIND, for_services, for_storage
from hub.wire.dimse.messages import decode
from hub.wire.dimse.part10 import pieces, read_meta
from hub.wire.hl7v2.client import MllpClient
from tests.interop.by_hand import GET_DOCUMENTS, envelope, query
from tests.portal.conftest import field

TOKEN, PASSWORD = "limited-token", "limited-password"
ASK = envelope("urn:ihe:iti:2007:RegistryStoredQuery", query(GET_DOCUMENTS, {"XDSDocumentEntryUniqueId": "('1')"}))
HTTP = {
    "ITI-18": ("POST", "/xds/registry"),
    "ITI-43": ("POST", "/xds/repository"),
    "FHIR": ("GET", "/fhir/ImagingStudy?patient.identifier=urn:oid:1.2|3"),
    "QIDO-RS": ("GET", "/dicom-web/studies?PatientID=1"),
    "WADO-RS": ("GET", "/dicom-web/studies/1.2.3/metadata"),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("guarded")
    keys = root / "pki"
    pki.init(keys)
    for node in ("hub", "limited"):
        pki.issue(keys, node)
    limited = Client(
        name="limited",
        certificate_sha256=pki.fingerprint(keys / "limited.crt"),
        token_sha256=sha256(TOKEN.encode()).hexdigest(),
        permissions=("nothing",),
    )
    clinician = User(login="marie", name="Marie", password_argon2=hash_password(PASSWORD), roles=("clinician",))
    hub = Hub(
        Settings(
            clients=(limited,),
            users=(clinician,),
            archive=Archive(senders={"SENDER": ""}),
            tls=Tls(certificate=keys / "hub.crt", key=keys / "hub.key", ca=keys / "ca.crt"),
            web=Web(port=0),
            mllp=Mllp(port=0),
            dimse=DimsePort(port=0, callers=("ASKER",)),
            health=HealthPort(port=0),
            storage=Storage(database=f"sqlite:///{root / 'hub.sqlite'}", content=root / "content"),
        )
    )
    hub.start()
    yield hub
    hub.stop()


def trusting(hub: Hub, node: str = "") -> ssl.SSLContext:
    assert hub.settings.tls.ca is not None
    context = ssl.create_default_context(cafile=hub.settings.tls.ca)
    if node:
        context.load_cert_chain(
            hub.settings.tls.ca.with_name(f"{node}.crt"), hub.settings.tls.ca.with_name(f"{node}.key")
        )
    return context


class Trail:
    """What the audit trail has gained."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.before = {record.id for record in self._all()}

    def _all(self) -> tuple[AuditRecord, ...]:
        self.hub.audit.flush()
        return self.hub.audit.search(AuditSearch(limit=500)).records

    def gained(self, *codes: str) -> list[AuditRecord]:
        """Wait until records with these error codes are there."""
        end = time.monotonic() + 30
        while True:
            found = [record for record in self._all() if record.id not in self.before]
            if set(codes) <= {record.error_code for record in found}:
                return found
            assert time.monotonic() < end, [(record.transaction, record.error_code) for record in found]
            time.sleep(0.05)


@pytest.mark.parametrize("name", sorted(HTTP))
def test_http(hub: Hub, name: str) -> None:
    method, path = HTTP[name]
    headers = {"Content-Type": "application/soap+xml"} if method == "POST" else {}
    content = ASK if method == "POST" else None
    trail = Trail(hub)
    with httpx.Client(base_url=hub.public_url(), verify=trusting(hub)) as caller:
        nobody = caller.request(method, path, headers=headers, content=content)
        limited = caller.request(method, path, headers={**headers, "Authorization": f"Bearer {TOKEN}"}, content=content)
    assert (nobody.status_code, limited.status_code) == (401, 403)
    found = {record.error_code: record for record in trail.gained("not-authenticated", "access-denied")}
    assert found["not-authenticated"].principal_id == "anonymous"
    assert found["access-denied"].principal_id == "limited"
    assert all(record.peer == "127.0.0.1" for record in found.values())


def test_mllp(hub: Hub) -> None:
    patient = hl7.Patient(identifier=hl7.local("1", "A", "1.2.3"), traits=Traits(birth_name="X", birth_given="Y"))
    message = hl7.adt(hl7.Sender(application="HIS", facility="A"), patient)
    host, _, port = hub.mllp_address().rpartition(":")
    trail = Trail(hub)
    for node in ("", "limited"):
        with MllpClient(host, int(port), tls=trusting(hub, node)) as caller:
            assert b"MSA|A" in (answer := caller.send(message))
            assert b"MSA|AA" not in answer
    found = trail.gained("not-authenticated", "access-denied")
    assert {record.principal_id for record in found} == {"anonymous", "limited"}


def test_dimse(hub: Hub, tmp_path: Path) -> None:
    relabelled(tmp_path, Label("PA-1"), ("CT_small.dcm",))
    (path,) = tmp_path.glob("*.dcm")
    with path.open("rb") as file:
        meta = read_meta(file)
    proposals = for_services([STUDY_FIND]) + for_storage([meta["sop_class"]], [meta["transfer_syntax"]])

    def associate(calling: str, node: str = "") -> Association:
        assert hub.dimse is not None
        return Association.request(
            ("127.0.0.1", hub.dimse.port), called="MAILLAGE", calling=calling, proposals=proposals, idle=30,
            tls=trusting(hub, node),
        )  # fmt: skip

    trail = Trail(hub)
    with pytest.raises(HubError):
        associate("STRANGER").release()
    (turned_away,) = trail.gained("not-authenticated")
    assert turned_away.transaction == "DIMSE-ASSOCIATION"
    for calling, node in (("ASKER", ""), ("ANYTHING", "limited")):  # may ask and not send; may do nothing
        trail = Trail(hub)
        with associate(calling, node) as association, path.open("rb") as file, suppress(dimse.OperationFailed):
            read_meta(file)
            arguments = (meta["sop_class"], meta["sop_instance"], meta["transfer_syntax"])
            assert dimse.store(association, *arguments, pieces(file)) != 0
        (refused,) = trail.gained("access-denied")
        assert refused.transaction == "RAD-8"
    for calling, node in (("SENDER", ""), ("ANYTHING", "limited")):  # may send and not ask; may do nothing
        trail = Trail(hub)
        with associate(calling, node) as association, suppress(dimse.OperationFailed):
            list(dimse.find(association, STUDY_FIND, decode(b"", "1.2.840.10008.1.2")))
        (refused,) = trail.gained("access-denied")
        assert refused.transaction == "RAD-14"


def test_portal(hub: Hub) -> None:
    with httpx.Client(base_url=hub.public_url(), verify=trusting(hub)) as visitor:
        trail = Trail(hub)
        form = visitor.get("/portal/sign-in")
        wrong = {"csrf": field(form.text, "csrf"), "login": "marie", "password": "guess"}
        assert visitor.post("/portal/sign-in", data=wrong).status_code in (401, 403)
        trail.gained("bad-credentials")
        form = visitor.get("/portal/sign-in")
        right = wrong | {"csrf": field(form.text, "csrf"), "password": PASSWORD}
        assert visitor.post("/portal/sign-in", data=right).status_code == 303
        trail = Trail(hub)
        assert visitor.get("/portal/operator").status_code == 403
        (refused,) = trail.gained("access-denied")
        assert refused.principal_id == "marie"
        trail = Trail(hub)
        visitor.cookies.clear()
        stranger = visitor.get("/portal/operator")
        assert stranger.status_code in (303, 401)
        (refused,) = trail.gained("not-authenticated")
        assert refused.principal_id == "anonymous"
