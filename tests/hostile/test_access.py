"""Who shows nothing, or something wrong, is refused before a byte is decoded; and every refusal is audited."""

import contextlib
import socket
import ssl
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification
from sqlalchemy import text

from hub.app.keys import pki
from hub.app.settings.model import Settings, Storage, Web
from hub.app.settings.nodes import Tls
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome, AuditSearch
from hub.storage.engine import Database
from tests.hostile.conftest import SECRET, clean
from tests.interop.by_hand import GET_DOCUMENTS, Integrator, Mllp, envelope, identity, query

ASK = envelope(
    "urn:ihe:iti:2007:RegistryStoredQuery", query(GET_DOCUMENTS, {"XDSDocumentEntryUniqueId": f"('{SECRET}')"})
)
SOAP_TYPE = "application/soap+xml"


def rows(system: Integrator, statement: str, **values: Any) -> list[Any]:
    file = Path(system.box["ca"]).parents[1] / "hub.sqlite"
    database = Database(f"sqlite:///{file}")
    with database.engine.connect() as connection:
        found = list(connection.execute(text(statement), values))
    database.dispose()
    return found


def audited(system: Integrator) -> int:
    """How many failures the audit trail has."""
    return int(rows(system, "SELECT count(*) FROM audit_record WHERE outcome <> 0")[0][0])


def inbox(system: Integrator) -> int:
    return int(rows(system, "SELECT count(*) FROM exchange_message")[0][0])


def wait_for_more(system: Integrator, before: int) -> int:
    end = time.monotonic() + 10
    while (now := audited(system)) <= before and time.monotonic() < end:
        time.sleep(0.05)
    return now


ENDPOINTS = ["xds_registry", "xds_repository", "xds_imaging", "fhir", "dicomweb"]
SHOWN: dict[str, dict[str, str]] = {
    "nothing": {},
    "a wrong token": {"Authorization": "Bearer wrong"},
    "two tokens": {"Authorization": "Bearer a b"},
    "a basic password": {"Authorization": "Basic c2FuZGJveDpzYW5kYm94"},
    "a token of another region": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJzYW5kYm94In0."},
    "an ended session": {"Cookie": f"maillage_session={uuid.uuid4().hex}"},
    "a forged proxy header": {"X-SSL-Client-Cert": "-----BEGIN%20CERTIFICATE-----", "X-Forwarded-For": "127.0.0.1"},
    "a long token": {"Authorization": f"Bearer {'a' * 30_000}"},
}


@pytest.mark.parametrize("shown", sorted(SHOWN))
@pytest.mark.parametrize("where", ENDPOINTS)
def test_http(guarded: Integrator, where: str, shown: str) -> None:
    before, kept = audited(guarded), inbox(guarded)
    url = guarded.box[where]
    with guarded.process.client(token=False) as stranger:
        if where.startswith("xds"):
            answers = [
                stranger.post(url, content=body, headers={"Content-Type": SOAP_TYPE, **SHOWN[shown]})
                for body in (ASK, b"<!DOCTYPE a><a>" + SECRET.encode(), b"\0" * 1000)
            ]
        else:
            path = f"ImagingStudy?patient.identifier=urn:oid:1.2|{SECRET}" if where == "fhir" else f"studies?x={SECRET}"
            answers = [stranger.get(f"{url}/{path}", headers=SHOWN[shown])]
    for answer in answers:
        assert answer.status_code == 401, answer.text
        clean(answer.text)
    assert wait_for_more(guarded, before) >= before + 1
    assert inbox(guarded) == kept


def test_a_body_of_somebody_unknown_is_not_read(guarded: Integrator) -> None:
    """Refused at once, though the announced gigabyte never comes."""
    context = ssl.create_default_context(cafile=guarded.box["ca"])
    host, _, port = guarded.box["portal"].split("/")[2].rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        head = "POST /xds/repository HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n"
        connection.sendall(f"{head}Content-Type: multipart/related\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")


def test_a_certificate_of_nobody(tmp_path: Path) -> None:
    """Signed by the region's authority, but configured nowhere. (A sandbox lets in every certificate of its own.)"""
    directory = pki.init(tmp_path / "pki").parent
    for node in ("hub", "nobody"):
        pki.issue(directory, node)
    hub = Hub(
        Settings(
            tls=Tls(certificate=directory / "hub.crt", key=directory / "hub.key", ca=directory / "ca.crt"),
            web=Web(port=0),
            storage=Storage(database=f"sqlite:///{tmp_path / 'hub.sqlite'}", content=tmp_path / "content"),
        )
    )
    hub.start([Role.WEB])
    try:
        context = ssl.create_default_context(cafile=directory / "ca.crt")
        context.load_cert_chain(directory / "nobody.crt", directory / "nobody.key")
        with httpx.Client(verify=context) as nobody:
            answer = nobody.post(f"{hub.public_url()}/xds/registry", content=ASK, headers={"Content-Type": SOAP_TYPE})
        assert answer.status_code == 401
        clean(answer.text)
        [record] = hub.audit.search(AuditSearch()).records
        assert record.outcome is not AuditOutcome.SUCCESS
    finally:
        hub.stop()


def test_a_certificate_of_a_stranger_s_authority(guarded: Integrator, tmp_path: Path) -> None:
    pki.init(tmp_path / "pki")
    pki.issue(tmp_path / "pki", "stranger")
    context = ssl.create_default_context(cafile=guarded.box["ca"])
    context.load_cert_chain(tmp_path / "pki" / "stranger.crt", tmp_path / "pki" / "stranger.key")
    with httpx.Client(verify=context) as stranger, pytest.raises(httpx.TransportError):
        stranger.get(f"{guarded.box['fhir']}/ImagingStudy")


def test_plain_http_to_the_tls_port(guarded: Integrator) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(guarded.box["fhir"].replace("https", "http") + "/metadata")


def test_mllp_without_a_certificate(guarded: Integrator) -> None:
    before, kept = audited(guarded), inbox(guarded)
    tls = ssl.create_default_context(cafile=guarded.box["ca"])
    host, _, port = guarded.box["mllp"].rpartition(":")
    with Mllp(host, int(port), tls) as stranger:
        for message in (identity("A28", "1^^^&1.2.3.77&ISO^PI", name=f"{SECRET}^ANNE"), b"garbage", b"MSH|^~\\&|"):
            answer = stranger.send(message)
            assert "MSA|AR|" in answer or "MSA|AE|" in answer
            clean(answer)
    assert wait_for_more(guarded, before + 2) >= before + 3
    assert inbox(guarded) == kept


def test_mllp_with_one(guarded: Integrator) -> None:
    assert "MSA|AA|" in guarded.feed(identity("A28", f"{uuid.uuid4().hex[:8]}^^^&1.2.3.77&ISO^PI"))


def dicom(system: Integrator, *, called: str = "", calling: str = "STRANGER", tls: ssl.SSLContext | None = None) -> Any:
    title, _, address = system.box["dimse"].partition("@")
    host, _, port = address.rpartition(":")
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.add_requested_context(Verification)
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    options: dict[str, Any] = {"tls_args": (tls, host)} if tls else {}
    return entity.associate(host, int(port), ae_title=called or title, **options)


def test_dicom_of_nobody(guarded: Integrator) -> None:
    for tls in (None, ssl.create_default_context(cafile=guarded.box["ca"])):
        association = dicom(guarded, tls=tls)
        if association.is_established:
            from pydicom.dataset import Dataset

            asked = Dataset()
            asked.QueryRetrieveLevel, asked.PatientID, asked.StudyInstanceUID = "STUDY", SECRET, ""
            statuses = [
                status.get("Status")
                for status, _ in association.send_c_find(asked, StudyRootQueryRetrieveInformationModelFind)
            ]
            association.release()
            assert all(status is None or status >= 0x0100 for status in statuses)


def test_dicom_to_somebody_else(guarded: Integrator) -> None:
    tls = ssl.create_default_context(cafile=guarded.box["ca"])
    tls.load_cert_chain(guarded.box["client_cert"], guarded.box["client_key"])
    assert dicom(guarded, called="NOBODY_HERE", tls=tls).is_rejected
    association = dicom(guarded, tls=tls)
    assert association.is_established
    assert association.send_c_echo().Status == 0
    association.release()


REQUEST = bytes.fromhex("0100")  # A-ASSOCIATE-RQ, reserved
GARBAGE = {
    "random": bytes((number * 7919) % 256 for number in range(50_000)),
    "four gigabytes announced": REQUEST + b"\xff\xff\xff\xff" + b"\x00" * 1000,
    "half a request": REQUEST + b"\x00\x00\x01\x00" + b"\x00\x01\x00\x00",
    "zeros": b"\x00" * 50_000,
    "data before a request": bytes.fromhex("0400") + b"\x00\x00\x10\x00" + b"\x01" * 4096,
    "release before a request": bytes.fromhex("050000000004") + b"\x00" * 4,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "items longer than the request": REQUEST
    + b"\x00\x00\x00\x50"
    + b"\x00\x01\x00\x00"
    + b" " * 32
    + b"\x00" * 32
    + b"\x10\x00\xff\xff"
    + b"1" * 8,
    "nothing": b"",
}


@pytest.mark.parametrize("kind", sorted(GARBAGE))
def test_dicom_garbage(opened: Integrator, kind: str) -> None:
    host, _, port = opened.box["dimse"].partition("@")[2].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        end = time.monotonic() + 5
        with contextlib.suppress(OSError):  # the hub may have closed by then
            connection.sendall(GARBAGE[kind])
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536) and time.monotonic() < end:
                pass
    association = dicom(opened)
    assert association.is_established
    assert association.send_c_echo().Status == 0
    association.release()


def test_many_dicom_connections_that_say_nothing(opened: Integrator) -> None:
    host, _, port = opened.box["dimse"].partition("@")[2].rpartition(":")
    silent = [socket.create_connection((host, int(port)), timeout=5) for _ in range(60)]
    try:
        association = dicom(opened)
        assert association.is_established
        association.release()
    finally:
        for connection in silent:
            connection.close()
