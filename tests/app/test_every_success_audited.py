"""What succeeds is in the trail exactly once: every transaction of the catalogue has a case here, or names the test
that carries it out. A new transaction without either fails."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from hub.access.service import hash_password
from hub.app.settings.model import User
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome, AuditRecord, AuditSearch
from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Direction
from hub.wire.hl7v2.client import MllpClient
from tests.hostile import leaking
from tests.hostile.leaking import OID, PROBES, Region, Target, bring_in
from tests.hostile.leaking_people import CLINICIAN, PASSWORD, signed_in, station
from tests.hostile.test_leaks import eventually
from tests.interop.by_hand import Entry, Integrator, Set

ROOT = Path(__file__).parents[2]
Case = Callable[[Region, Target], object]


def get(path: str) -> Case:
    """A GET that is answered with 200."""

    def ask(region: Region, target: Target) -> None:
        answer = httpx.get(f"{region.hub.public_url()}{path.format(t=target, oid=OID)}", timeout=60)
        assert answer.status_code == 200, answer.text

    return ask


def asked(name: str) -> Case:
    """A way to ask of the leak tests, which finds something."""
    return PROBES[name]


def sent(event: str, *segments: str) -> Case:
    """An HL7 v2 message that is taken."""

    def send(region: Region, target: Target) -> None:
        msh = f"MSH|^~\\&|HIS_A|HOSPITAL_A|HUB|REGION|20260310110000||{event}|{time.monotonic_ns()}|P|2.5"
        lines = [segment.format(t=target, cx=f"{target.number}^^^HOSPITAL_A&{OID}&ISO^PI") for segment in segments]
        with MllpClient("127.0.0.1", region.hub.mllp.port, timeout=120) as client:
            answer = client.send(("\r".join([msh, *lines]) + "\r").encode())
        assert b"MSA|AA" in answer, answer

    return send


def provided(region: Region, target: Target) -> None:
    answer = region.vendor.provide([Entry(patient=target.regional)], Set(patient=target.regional))
    assert answer.outcome == "Success", answer.errors


def stored(region: Region, target: Target) -> None:
    leaking.store(region, leaking.image(target.number, target.name))


_PID = "PID|1||{cx}||{t.name}^ZOE^ZOE MARIE^^^^L||19520316|F"
_EVN = "EVN||20260310110000"
_ORC = "ORC|NW|P-{t.number}|F-{t.number}||||||20260310110000"
_OBR = "OBR|1|P-{t.number}|F-{t.number}|CT^Scanner^LOCAL|||||||||||||||ACC-{t.number}||||||CT"
#: transaction -> (what is done, how many records of it)
SUCCESS: dict[str, tuple[Case, int]] = {
    "ITI-18": (asked("ITI-18 FindDocuments"), 2),
    "ITI-38": (asked("ITI-38 FindDocuments"), 2),
    "ITI-51": (asked("ITI-51 FindDocuments"), 2),
    "ITI-43": (asked("ITI-43"), 1),
    "ITI-39": (asked("ITI-39"), 1),
    "ITI-41": (provided, 1),
    "RAD-69": (asked("RAD-69"), 1),
    "RAD-75": (asked("RAD-75"), 1),
    "RAD-55": (asked("WADO-URI DICOM"), 1),
    "RAD-107": (asked("WADO-RS study"), 1),
    "RAD-129": (asked("QIDO-RS by UID"), 1),
    "RAD-14": (asked("C-FIND by UID"), 1),
    "RAD-16": (asked("C-GET"), 1),
    "RAD-8": (stored, 1),
    "RAD-106": (asked("RAD-106 by UID"), 1),
    "FHIR-ImagingStudy": (asked("FHIR ImagingStudy"), 1),
    "ITI-66": (asked("FHIR List"), 1),
    "ITI-67": (asked("FHIR DocumentReference"), 1),
    "ITI-68": (asked("FHIR Binary"), 1),
    "ITI-78": (get("/fhir/Patient?family={t.name}"), 1),
    "ITI-83": (get("/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{oid}%7C{t.number}"), 1),
    "ITI-81": (get("/fhir/AuditEvent?date=ge2026-01-01&_count=1"), 1),
    "FHIR-Consent-query": (get("/fhir/Consent?patient.identifier=urn:oid:{oid}%7C{t.number}"), 1),
    "ITI-30": (sent("ADT^A28^ADT_A05", _EVN, _PID, "PV1||N"), 1),
    "ITI-8": (sent("ADT^A04^ADT_A01", _EVN, _PID, "PV1||O"), 1),
    "ITI-9": (sent("QBP^Q23^QBP_Q21", "QPD|IHE PIX Query|q1|{cx}", "RCP|I"), 1),
    "ITI-21": (sent("QBP^Q22^QBP_Q21", "QPD|IHE PDQ Query|q2|@PID.5.1.1^{t.name}", "RCP|I"), 1),
    "RAD-2": (sent("ORM^O01^ORM_O01", _PID, "PV1||O", _ORC, _OBR, "ZDS|1.2.3.4.5^100^Application^DICOM"), 1),
}
#: transaction -> the test that carries it out to a success.
ELSEWHERE: dict[str, str] = {
    "ITI-20": "tests/profiles/atna",
    "CISIS-CDA": "tests/profiles/test_cisis.py",
    "FHIR-Consent-record": "tests/profiles/test_consent.py",
    "DRIM-CALL": "tests/interop/test_drimbox.py",
    "ITI-52": "tests/profiles/dsub",
    "ITI-53": "tests/profiles/dsub",
    "ITI-54": "tests/profiles/dsub",
    "ITI-69": "tests/profiles/dsub",
    "ITI-70": "tests/profiles/dsub",
    "ITI-102": "tests/interop/test_oauth_clients.py",
    "ITI-103": "tests/interop/test_oauth_clients.py",
    "ITI-71": "tests/interop/test_oauth_clients.py",
    "OAuth-keys": "tests/interop/test_oauth_clients.py",
    "OAuth-revocation": "tests/interop/test_oauth_clients.py",
    "ITI-105": "tests/interop/test_mhd_publish.py",
    "ITI-106": "tests/interop/test_mhd_publish.py",
    "ITI-65": "tests/interop/test_mhd_publish.py",
    "PDSm-update": "tests/interop/test_mhd_publish.py",
    "ITI-31": "tests/profiles/test_pam.py",
    "ITI-22": "tests/profiles/test_pdq.py",
    "ITI-47": "tests/profiles/test_pdqv3.py",
    "ITI-119": "tests/interop/test_fhir_patients.py",
    "ITI-44": "tests/profiles/test_pixv3.py",
    "ITI-45": "tests/profiles/test_pixv3.py",
    "ITI-104": "tests/interop/test_fhir_patients.py",
    "ITI-93": "tests/profiles/fhir_patients",
    "ITI-94": "tests/profiles/fhir_patients",
    "ITI-62": "tests/interop/test_xds_administration.py",
    "ITI-86": "tests/interop/test_xds_administration.py",
    "ITI-92": "tests/interop/test_xds_administration.py",
    "ITI-57": "tests/interop/test_xds_administration.py",
    "RAD-28": "tests/profiles/hl7",
    "RAD-3": "tests/profiles/hl7",
    "RAD-4": "tests/profiles/hl7",
    "RAD-49": "tests/app/test_availability.py",
    "FHIR-Patient-explain": "tests/profiles/fhir_patients",
    "FHIR-Patient-link": "tests/profiles/fhir_patients",
    "FHIR-Patient-unlink": "tests/profiles/fhir_patients",
    "XCA-ITI-18": "tests/interop/test_communities.py",
    "XCA-ITI-43": "tests/interop/test_communities.py",
    "XCA-RAD-69": "tests/interop/test_communities.py",
    "ITI-80": "tests/interop/test_cross_gateway_provide.py",
    "ITI-55": "tests/interop/test_discovery.py",
    "ITI-56": "tests/interop/test_discovery.py",
    "ITI-42": "tests/interop/test_xds_registry.py",
    "ITI-61": "tests/profiles/xds_b",
}


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    arrived: list[str] = []
    clinician = User(login=CLINICIAN, name="Marie", password_argon2=hash_password(PASSWORD), roles=("clinician",))
    with station(arrived) as port:
        hub = Hub(leaking.settings(tmp_path_factory.mktemp("hub"), port, (clinician,)))
        hub.start()
        try:
            url = hub.public_url()
            box = {"xds_registry": f"{url}/xds/registry", "xds_repository": f"{url}/xds/repository"}
            with Integrator({**box, "fhir": f"{url}/fhir"}) as vendor:
                found = Region(hub, vendor, arrived=arrived)
                bring_in(found, "shown", "PX2", "BROCHAND")
                browser = signed_in(found)
                yield found
                browser.close()
        finally:
            hub.stop()


def test_every_transaction_has_a_case() -> None:
    wanted = {
        bound.id
        for bound in discover()
        if bound.transaction.direction is not Direction.INITIATOR and bound.transaction.bindings
    }
    assert wanted == {*SUCCESS, *ELSEWHERE}
    assert not SUCCESS.keys() & ELSEWHERE.keys()
    assert not [path for path in ELSEWHERE.values() if not (ROOT / path).exists()]


@pytest.mark.parametrize("transaction", sorted(SUCCESS))
def test_a_success_is_recorded_once(region: Region, transaction: str) -> None:
    case, wanted = SUCCESS[transaction]

    def records() -> tuple[AuditRecord, ...]:
        assert region.hub.audit.flush(60)
        return region.hub.audit.search(AuditSearch(transaction=transaction, limit=500)).records

    before = {record.id for record in records()}
    case(region, region.people["shown"])
    eventually(lambda: len(records()) >= len(before) + wanted)
    gained = [record for record in records() if record.id not in before]
    assert len(gained) == wanted, [(record.outcome, record.error_code) for record in gained]
    assert {record.outcome for record in gained} == {AuditOutcome.SUCCESS}
    if transaction in ("RAD-69", "RAD-75", "RAD-107", "RAD-16", "RAD-8"):
        assert [item for record in gained for item in record.objects if item.kind == "sop class"]
