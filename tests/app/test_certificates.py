"""Certificates at the hub's door: nodes by subject, cards, what a proxy forwards, files that change, handshakes."""

import shutil
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hub.access.errors import BadCredentials
from hub.access.model import Client as AccessClient
from hub.access.model import Credentials, Principal, Scheme
from hub.access.service import AccessService
from hub.app.doors.certificates import open_door
from hub.app.keys import cards as pki_cards
from hub.app.keys import expiry, pki
from hub.app.keys.cards import Card, Layout
from hub.app.keys.certificates import Certificates
from hub.app.settings.model import Settings
from hub.app.settings.nodes import Cards, Client, Tls
from hub.app.web.server import WebServer
from hub.errors import HubError
from hub.storage.engine import Database
from hub.values import now
from hub.wire.dimse.server import Server as DimseServer
from hub.wire.hl7v2.client import MllpClient
from hub.wire.hl7v2.mllp import MllpServer, Peer
from hub.wire.x509.errors import (
    CertificateExpired,
    CertificatePurpose,
    CertificateRefused,
    CertificateRevoked,
    CertificateUntrusted,
)
from tests.app.test_server import tells_tls
from tests.waiting import until


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.init(directory)
    for layout in Layout:
        pki_cards.issue(directory, layout.value, Card(layout=layout))
    pki_cards.issue(directory, "expired", Card(days=-3))
    pki_cards.issue(directory, "astrologue", Card(profession="999"))
    for node in ("hub", "his"):
        pki.issue(directory, node)
    pki.init(directory / "foreign")
    pki.issue(directory / "foreign", "his")
    pki_cards.issue(directory / "foreign", "cps", Card())
    return directory


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "pki"))


def der(directory: Path, name: str) -> bytes:
    return pki.load(directory / f"{name}.crt").public_bytes(Encoding.DER)


class House:
    """As much of the rooms as the door opens on."""

    def __init__(self, database: Database, directory: Path, *clients: Client, cards: bool = False) -> None:
        ca = directory / "ca.crt"
        self.settings = Settings(
            tls=Tls(certificate=directory / "hub.crt", key=directory / "hub.key", ca=ca, crls=(pki.crl(directory),)),
            clients=clients,
            cards=Cards(authorities=(ca,)) if cards else Cards(),
        )
        self.certificates = Certificates(self.settings)
        exclude = {"certificate_subject", "ca"}
        known = [AccessClient(**client.model_dump(exclude=exclude)) for client in clients]
        self.access = AccessService(database=database, clients=known)
        open_door(self)  # type: ignore[arg-type]

    def enter(self, certificate: bytes, *, forwarded: bool = False) -> Principal:
        return self.access.authenticate(Credentials(certificate=certificate, forwarded=forwarded))


BY_SUBJECT = Client(name="hospital-a", certificate_subject={"OU": "1750100125"}, permissions=("documents.query",))


def test_a_node_by_its_subject(database: Database, directory: Path) -> None:
    house = House(database, directory, BY_SUBJECT)
    found = house.enter(der(directory, "organisation"))
    assert (found.id, found.scheme, found.person) == ("hospital-a", Scheme.CERTIFICATE, False)
    assert found.permissions == {"documents.query"}
    assert "1750100125" in found.name
    assert "hospital-a" in house.certificates.shown
    with pytest.raises(BadCredentials):
        house.enter(der(directory, "his"))


def test_only_its_own_authority_vouches_for_a_subject(database: Database, directory: Path) -> None:
    elsewhere = BY_SUBJECT.model_copy(update={"ca": directory / "foreign" / "ca.crt"})
    with pytest.raises(BadCredentials):
        House(database, directory, elsewhere).enter(der(directory, "organisation"))


def test_a_professional_s_card(database: Database, directory: Path) -> None:
    house = House(database, directory, cards=True)
    found = house.enter(der(directory, "cps"))
    assert (found.id, found.scheme, found.person) == ("899700000001", Scheme.CARD, True)
    assert (found.name, found.level) == ("Anne DURAND", "DIRECTE")
    assert found.professional is not None
    assert found.professional.specialities == ("SM26",)
    assert "clinician" in found.roles
    assert house.enter(der(directory, "cps-old")).roles == found.roles


@pytest.mark.parametrize("layout", ["cpe", "cpe-unnamed"])
def test_an_employee_s_card_reads_nothing_clinical(database: Database, directory: Path, layout: str) -> None:
    house = House(database, directory, cards=True)
    found = house.enter(der(directory, layout))
    assert found.professional is not None
    assert found.professional.structure == "1750100125"
    assert house.access.explain(found, "documents.submit").allowed
    for permission in ("documents.query", "documents.retrieve", "imaging.query", "imaging.retrieve", "portal.search"):
        assert not house.access.explain(found, permission).allowed


def test_a_profession_that_no_table_knows_may_do_nothing(database: Database, directory: Path) -> None:
    found = House(database, directory, cards=True).enter(der(directory, "astrologue"))
    assert found.permissions == frozenset()


def test_without_authorities_of_cards_a_card_is_nobody_s(database: Database, directory: Path) -> None:
    with pytest.raises(BadCredentials):
        House(database, directory).enter(der(directory, "cps"))


def test_a_card_of_another_authority(database: Database, directory: Path) -> None:
    house = House(database, directory, cards=True)
    with pytest.raises(BadCredentials):
        house.enter(der(directory / "foreign", "cps"))
    with pytest.raises(CertificateUntrusted):
        house.enter(der(directory / "foreign", "cps"), forwarded=True)


@pytest.mark.parametrize(
    ("name", "error"),
    [("expired", CertificateExpired), ("seal", CertificatePurpose), ("foreign/his", CertificateUntrusted)],
)
def test_what_a_proxy_forwards_is_verified_even_if_pinned(
    database: Database, directory: Path, name: str, error: type[CertificateRefused]
) -> None:
    path = directory / f"{name}.crt"
    pinned = Client(name="his", certificate_sha256=pki.fingerprint(path), permissions=("*",))
    house = House(database, directory, pinned)
    with pytest.raises(error):
        house.enter(pki.load(path).public_bytes(Encoding.DER), forwarded=True)


def test_what_a_proxy_forwards_is_let_in_when_it_is_good(database: Database, directory: Path) -> None:
    pinned = Client(name="his", certificate_sha256=pki.fingerprint(directory / "his.crt"))
    assert House(database, directory, pinned).enter(der(directory, "his"), forwarded=True).id == "his"


def test_revoked_while_the_hub_runs(database: Database, directory: Path) -> None:
    pinned = Client(name="his", certificate_sha256=pki.fingerprint(directory / "his.crt"))
    house = House(database, directory, pinned, cards=True)
    for name in ("his", "cps"):
        house.enter(der(directory, name))
        pki.revoke(directory, name)
        with pytest.raises(CertificateRevoked):
            house.enter(der(directory, name))


@pytest.mark.parametrize("data", [b"", b"no certificate", b"\x30\x82\xff\xff"])
def test_what_is_no_certificate(database: Database, directory: Path, data: bytes) -> None:
    house = House(database, directory, cards=True)
    if data:
        with pytest.raises(CertificateRefused):
            house.enter(data, forwarded=True)
    else:
        assert not house.enter(data).authenticated


# --- the ports


def client(directory: Path, name: str = "") -> httpx.Client:
    context = ssl.create_default_context(cafile=directory / "ca.crt")
    if name:
        context.load_cert_chain(directory / f"{name}.crt", directory / f"{name}.key")
    return httpx.Client(verify=context)


def settings(directory: Path, **more: Any) -> Settings:
    return Settings(
        tls=Tls(certificate=directory / "hub.crt", key=directory / "hub.key", ca=directory / "ca.crt", **more)
    )


def test_a_new_certificate_counts_without_a_restart(directory: Path) -> None:
    certificates = Certificates(settings(directory))
    server = WebServer(tells_tls, "127.0.0.1", 0, certificates.server_context("web"))
    server.start()
    try:

        def shown() -> bytes:
            return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", server.port)))

        with client(directory) as lasting:
            assert lasting.get(server.url).status_code == 200
            assert shown() == der(directory, "hub")
            (directory / "hub.key").write_text("not a key")  # half of a change: what was good stays
            before = der(directory, "hub")
            assert shown() == before
            pki.issue(directory, "hub")
            assert until(lambda: shown() == der(directory, "hub") != before)
            assert lasting.get(server.url).status_code == 200  # connections that are open last
        (directory / "ca.crt").write_bytes((directory / "foreign" / "ca.crt").read_bytes())
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(directory / "his.crt", directory / "his.key")
        with httpx.Client(verify=context) as stranger, pytest.raises(httpx.TransportError):
            stranger.get(server.url)
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("name", "reason", "alert"),
    [
        ("expired", "certificate-expired", "certificate expired"),
        ("seal", "certificate-for-another-purpose", "certificate"),
        ("foreign/his", "certificate-of-another-authority", "unknown ca"),
    ],
)
def test_a_handshake_that_fails_is_counted_and_the_peer_told_why(
    directory: Path, name: str, reason: str, alert: str
) -> None:
    certificates = Certificates(settings(directory))
    told: list[tuple[str, str, str]] = []
    certificates.handshakes.listener = lambda *found: told.append(found)
    server = WebServer(tells_tls, "127.0.0.1", 0, certificates.server_context("web"))
    server.start()
    try:
        with client(directory, name) as caller, pytest.raises(httpx.TransportError) as refused:
            caller.get(server.url)
        assert f"alert {alert}" in str(refused.value) or "unsupported certificate" in str(refused.value)
        assert until(lambda: certificates.handshakes.count("web", reason) == 1)
        assert until(lambda: told == [("web", reason, "127.0.0.1")])
    finally:
        server.stop()
    family = next(iter(certificates.handshakes.collect()))
    assert [(sample.labels["port"], sample.labels["reason"]) for sample in family.samples] == [("web", reason)]


class Echo:
    """Answers what it was told."""

    def handle(self, raw: bytes, _: Peer) -> bytes:
        return raw

    def reject(self, raw: bytes, error: HubError, peer: Peer) -> bytes:  # noqa: ARG002
        return raw


def test_who_failed_at_mllp_is_told(directory: Path) -> None:
    """And who did not is served at the same time, many at once."""
    certificates = Certificates(settings(directory, client_certificates="required"))
    told: list[tuple[str, str, str]] = []
    certificates.handshakes.listener = lambda *found: told.append(found)
    server = MllpServer(Echo(), host="127.0.0.1", port=0, tls=certificates.server_context("mllp"))
    server.start()

    def call(good: bool) -> bytes:
        context = ssl.create_default_context(cafile=directory / "ca.crt")
        if good:
            context.load_cert_chain(directory / "his.crt", directory / "his.key")
        with MllpClient("127.0.0.1", server.port, tls=context, timeout=60) as caller:
            return caller.send(b"MSH|x" * 5000)

    def attempt(good: bool) -> bool:
        try:
            return call(good) == b"MSH|x" * 5000
        except (OSError, HubError):
            return False

    try:
        with ThreadPoolExecutor(8) as pool:
            wanted = [number % 2 == 0 for number in range(16)]
            assert list(pool.map(attempt, wanted)) == wanted
        assert until(lambda: told == [("mllp", "no-certificate", "127.0.0.1")] * 8)
    finally:
        server.stop()


def test_no_certificate_and_no_tls_are_counted_too(directory: Path) -> None:
    certificates = Certificates(settings(directory, client_certificates="required"))
    server = WebServer(tells_tls, "127.0.0.1", 0, certificates.server_context("web"))
    server.start()
    try:
        with client(directory) as caller, pytest.raises(httpx.TransportError):
            caller.get(server.url)
        assert until(lambda: certificates.handshakes.count("web", "no-certificate") == 1)
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as clear:
            clear.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert until(lambda: certificates.handshakes.count("web", "not-tls") == 1)
    finally:
        server.stop()


def test_who_only_looks_whether_a_port_is_open_fails_nothing(directory: Path) -> None:
    """A health check, a load balancer: nothing is counted, nothing told."""
    certificates = Certificates(settings(directory))
    told: list[tuple[str, str, str]] = []
    certificates.handshakes.listener = lambda *found: told.append(found)
    servers: dict[str, MllpServer | DimseServer] = {
        "mllp": MllpServer(Echo(), host="127.0.0.1", port=0, tls=certificates.server_context("mllp")),
        "dimse": DimseServer(
            "127.0.0.1", 0, lambda _: None, max_associations=4, tls=certificates.server_context("dimse")
        ),
    }
    for server in servers.values():
        server.start()
    try:
        for server in servers.values():
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as silent:
                silent.shutdown(socket.SHUT_WR)
                assert silent.recv(1) == b""
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as clear:
                clear.sendall(b"no handshake")
        assert until(lambda: len(told) >= len(servers))
        assert {(port, reason) for port, reason, _ in told} == {("mllp", "not-tls"), ("dimse", "not-tls")}
    finally:
        for server in servers.values():
            server.stop()


def test_ends_are_told(directory: Path) -> None:
    told = [*expiry.warnings(settings(directory, crls=(pki.crl(directory, days=2),)), now())]
    assert told == []
    later = now() + timedelta(days=380)
    told = [*expiry.warnings(settings(directory, crls=(directory / "ca.crl",)), later)]
    assert any("own certificate ends" in text for text in told)
    assert any("revocation list ended" in text for text in told)
    metric = next(iter(expiry.Ends(Certificates(settings(directory))).collect()))
    kinds = {sample.labels["kind"] for sample in metric.samples}
    assert kinds == {"own certificate", "authority"}
