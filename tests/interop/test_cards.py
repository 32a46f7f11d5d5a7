"""A CPS card in a real PKCS#11 token, driven by curl, openssl and Chromium; nginx before the hub; openssl's OCSP."""

import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Playwright

from hub.app.keys import cards as pki_cards
from hub.app.keys import pki
from hub.app.keys.cards import Card, Layout
from hub.app.settings.model import DimsePort, Mllp, Settings, Storage, Web
from hub.app.settings.nodes import Cards, Client, Tls
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome, AuditRecord, AuditSearch
from hub.testing.ports import free_port
from tests.browser.conftest import ARGUMENTS
from tests.token_card import TokenCard, write_card
from tests.waiting import until

pytestmark = pytest.mark.interop
PROXY = "127.0.0.7"  #: address from which the proxy calls the hub
PLACE = "/dicom-web/studies?limit=1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cards")
    pki.init(directory)
    pki.crl(directory)
    pki.issue(directory, "hub")
    for layout in (Layout.CPS, Layout.CPE):
        pki_cards.issue(directory, layout.value, Card(layout=layout))
    pki_cards.issue(directory, "organisation", Card(layout=Layout.ORGANISATION))
    pki_cards.issue(directory, "seal", Card(layout=Layout.SEAL))
    pki_cards.issue(directory, "expired", Card(days=-3))
    pki_cards.issue(directory, "revoked", Card())
    pki.revoke(directory, "revoked")
    pki.init(directory / "foreign")
    pki_cards.issue(directory / "foreign", "cps", Card())
    return directory


@contextmanager
def running(directory: Path, data: Path, web: dict[str, Any] | None = None, **tls: Any) -> Iterator[Hub]:
    ca = directory / "ca.crt"
    own = {} if web else {"certificate": directory / "hub.crt", "key": directory / "hub.key"}
    hub = Hub(
        Settings(
            storage=Storage(database=f"sqlite:///{data / 'hub.sqlite'}", content=data / "content"),
            tls=Tls(**{"ca": ca, "crls": (directory / "ca.crl",), **own, **tls}),
            cards=Cards(authorities=(ca,)),
            clients=(Client(name="hospital-a", certificate_subject={"OU": "1750100125"}, permissions=("imaging.*",)),),
            web=Web(port=0, **(web or {})),
            mllp=Mllp(port=0),
            dimse=DimsePort(port=0),
        )
    )
    hub.start(frozenset({Role.WEB}))
    try:
        yield hub
    finally:
        hub.stop()


@pytest.fixture(scope="module")
def hub(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running(made, tmp_path_factory.mktemp("hub")) as one:
        yield one


@pytest.fixture(scope="module")
def card(made: Path, tmp_path_factory: pytest.TempPathFactory) -> TokenCard:
    return write_card(tmp_path_factory.mktemp("token"), made / "cps.crt")


def records(hub: Hub) -> tuple[AuditRecord, ...]:
    """All records so far, the newest last."""
    assert hub.audit.flush()
    return hub.audit.search(AuditSearch(limit=500)).records[::-1]


# --- the card


def curl(card: TokenCard, url: str, ca: Path, *more: str) -> tuple[int, str]:
    done = card.run(
        *("curl", "--silent", "--show-error", "--max-time", "50", "--cacert", str(ca), "--output", "/dev/null"),
        *("--write-out", "%{http_code}", *more, url),
    )
    return done.returncode, done.stdout.decode() or done.stderr.decode()


def test_curl_with_the_key_in_the_card(hub: Hub, card: TokenCard, made: Path) -> None:
    engine = ("--engine", "pkcs11", "--key-type", "ENG", "--key", card.key, "--cert-type", "ENG")
    code, status = curl(card, hub.public_url() + PLACE, made / "ca.crt", *engine, "--cert", card.certificate)
    assert (code, status[:1]) == (0, "2"), status
    assert curl(card, hub.public_url() + PLACE, made / "ca.crt") == (0, "401")


def test_openssl_with_the_key_in_the_card(hub: Hub, card: TokenCard, made: Path) -> None:
    place = hub.public_url().removeprefix("https://")
    done = card.run(
        *("openssl", "s_client", "-connect", place, "-engine", "pkcs11", "-keyform", "engine", "-key", card.key),
        *("-cert", str(made / "cps.crt"), "-CAfile", str(made / "ca.crt"), "-verify_return_error", "-ign_eof"),
        given=f"GET {PLACE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(),
    )
    assert b"HTTP/1.1 20" in done.stdout, done.stderr


POLICIES = Path("/etc/chromium/policies/managed")


@contextmanager
def chosen(url: str) -> Iterator[None]:
    """Chromium asks which certificate to show; nobody is there to answer: a policy does, for this address."""
    file = POLICIES / f"maillage-test-{url.rpartition(':')[2]}.json"
    try:
        POLICIES.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"AutoSelectCertificateForUrls": [json.dumps({"pattern": url, "filter": {}})]}))
    except PermissionError:
        pytest.skip(f"{POLICIES} can't be written: nobody would choose the certificate")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def test_chromium_with_the_certificate_in_its_store(
    hub: Hub, made: Path, tmp_path: Path, playwright: Playwright
) -> None:
    """As PKCS#12 in the browser's own store: without a screen nobody could type a card's PIN into its window."""
    chromium = shutil.which("chromium")
    if chromium is None or shutil.which("pk12util") is None or shutil.which("certutil") is None:
        pytest.skip("not installed: chromium, libnss3-tools")
    store = f"sql:{tmp_path / '.pki' / 'nssdb'}"
    (tmp_path / ".pki" / "nssdb").mkdir(parents=True)
    bundle = pki.export(made, "cps", "secret")
    for command in (
        ("certutil", "-d", store, "-N", "--empty-password"),
        ("certutil", "-d", store, "-A", "-t", "C,,", "-n", "authority", "-i", str(made / "ca.crt")),
        ("pk12util", "-d", store, "-i", str(bundle), "-W", "secret", "-K", ""),
    ):
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
    environment: dict[str, str | float | bool] = {**os.environ, "HOME": str(tmp_path)}
    with chosen(hub.public_url()):
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS), env=environment)
        try:
            page = browser.new_page()
            page.goto(hub.public_url() + "/portal/sign-in", timeout=60_000)
            assert page.evaluate(f"fetch('{PLACE}').then(answer => answer.status)") < 300
        finally:
            browser.close()
    assert records(hub)[-1].principal_id == "899700000001"


# --- what is refused


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("expired", "certificate-expired"),
        ("seal", "certificate-for-another-purpose"),
        ("foreign/cps", "certificate-of-another-authority"),
    ],
)
def test_a_bad_certificate_gets_no_handshake(hub: Hub, made: Path, name: str, reason: str) -> None:
    before = hub.certificates.handshakes.count("web", reason)
    with pytest.raises(httpx.TransportError):
        get(hub.public_url(), made, name)
    assert until(lambda: hub.certificates.handshakes.count("web", reason) == before + 1)
    assert b"maillage_tls_handshakes_failed_total" in hub.metrics.text()
    alert = records(hub)[-1]
    assert (alert.transaction, alert.event_code, alert.event_type) == ("TLS-HANDSHAKE", "110113", "110126")
    assert alert.detail == f"The TLS handshake on the port web failed: {reason}."


def test_a_feed_that_can_not_prove_itself_leaves_a_record(made: Path, tmp_path: Path) -> None:
    with running(made, tmp_path, client_certificates="required") as hub:
        hub.mllp.start()
        context = ssl.create_default_context(cafile=made / "ca.crt")
        context.load_cert_chain(made / "foreign/cps.crt", made / "foreign/cps.key")
        host, _, port = hub.mllp_address().partition(":")
        assert heard(context, host, int(port)) == b""
        assert until(lambda: hub.certificates.handshakes.count("mllp", "certificate-of-another-authority") == 1)
        (alert,) = [record for record in records(hub) if record.transaction == "TLS-HANDSHAKE"]
        hub.mllp.stop()
    assert (alert.called, alert.outcome) == ("mllp", AuditOutcome.SERIOUS_FAILURE)


def heard(context: ssl.SSLContext, host: str, port: int) -> bytes:
    """What comes by TLS before the end; with TLS 1.3 a refusal follows the client's own handshake."""
    with socket.create_connection((host, port), timeout=60) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=host) as wire:
                return wire.recv(1)
        except (ssl.SSLError, ConnectionError):
            return b""


def get(base: str, made: Path, name: str) -> httpx.Response:
    context = ssl.create_default_context(cafile=made / "ca.crt")
    context.load_cert_chain(made / f"{name}.crt", made / f"{name}.key")
    with httpx.Client(verify=context, timeout=60) as client:
        return client.get(base + PLACE)


def test_a_revoked_card_is_refused_with_one_record(hub: Hub, made: Path) -> None:
    before = len(records(hub))
    assert get(hub.public_url(), made, "revoked").status_code == 401
    assert len(records(hub)) == before + 1


def test_an_employee_s_card_reads_nothing_with_one_record(hub: Hub, made: Path) -> None:
    before = len(records(hub))
    assert get(hub.public_url(), made, "cpe").status_code == 403
    after = records(hub)
    assert len(after) == before + 1
    assert after[-1].principal_id == "3750100125/88"


def test_a_structure_s_certificate_is_its_node(hub: Hub, made: Path) -> None:
    assert get(hub.public_url(), made, "organisation").status_code < 300
    assert records(hub)[-1].principal_id == "hospital-a"


# --- openssl as OCSP responder


@contextmanager
def responder(made: Path, port: int, revoked: bool, certificate: Path) -> Iterator[None]:
    serial = f"{pki.load(certificate).serial_number:X}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    line = "\t".join(("R" if revoked else "V", "360101000000Z", "250101000000Z" if revoked else "", serial, "unknown",
                      "/CN=x"))  # fmt: skip
    index = certificate.with_suffix(".index")
    index.write_text(line + "\n")
    process = subprocess.Popen(
        [
            *("openssl", "ocsp", "-port", str(port), "-index", str(index), "-CA", str(made / "ca.crt")),
            *("-rsigner", str(made / "ca.crt"), "-rkey", str(made / "ca.key"), "-nmin", "10", "-ignore_err"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:  # a connection that says nothing would keep it waiting for ever: it is not tried out
        assert any(b"waiting for OCSP client connections" in line for line in process.stderr)
        yield
    finally:
        process.terminate()
        process.wait(30)
        process.stderr.close()


def reachable(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("revoked", [False, True])
def test_openssl_says_whether_it_is_revoked(made: Path, tmp_path: Path, revoked: bool) -> None:
    port = free_port()
    pki_cards.issue(made, f"asked-{revoked}", Card(ocsp_url=f"http://127.0.0.1:{port}/"))
    options: dict[str, Any] = {"crls": (), "revocation_hosts": (f"127.0.0.1:{port}",), "revocation_seconds": 20.0}
    mode = "soft" if revoked else "hard"  # each would let the other's answer count when nobody answered
    with (
        responder(made, port, revoked, made / f"asked-{revoked}.crt"),
        running(made, tmp_path, revocation=mode, **options) as hub,
    ):
        for _ in range(2):
            assert (get(hub.public_url(), made, f"asked-{revoked}").status_code == 401) is revoked
    with running(made, tmp_path, revocation="hard", **options) as hub:  # nobody answers: nobody is let in
        assert get(hub.public_url(), made, f"asked-{revoked}").status_code == 401


# --- nginx in front


@contextmanager
def nginx(made: Path, directory: Path, port: int, hub: Hub) -> Iterator[None]:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        pytest.skip("not installed: nginx")
    (directory / "nginx.conf").write_text(f"""
daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {made}/hub.crt; ssl_certificate_key {made}/hub.key;
    ssl_client_certificate {made}/both.crt; ssl_verify_client optional_no_ca;
    location / {{
      proxy_pass {hub.public_url()}; proxy_bind {PROXY}; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;
    }}
  }}
}}
""")
    process = subprocess.Popen([program, "-p", str(directory), "-c", str(directory / "nginx.conf")])
    try:
        assert until(lambda: reachable(port))
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_behind_a_proxy(made: Path, tmp_path: Path) -> None:
    """A proxy that believes another authority as well: the hub verifies, and hears the header from the proxy only."""
    (made / "both.crt").write_bytes((made / "ca.crt").read_bytes() + (made / "foreign" / "ca.crt").read_bytes())
    port = free_port()
    with running(made, tmp_path, {"trusted_proxy": PROXY}) as hub, nginx(made, tmp_path, port, hub):
        front = f"https://127.0.0.1:{port}"
        assert get(front, made, "cps").status_code < 300
        assert records(hub)[-1].principal_id == "899700000001"
        for bad in ("revoked", "foreign/cps"):
            before = len(records(hub))
            assert get(front, made, bad).status_code == 401, bad
            assert len(records(hub)) == before + 1
        context = ssl.create_default_context(cafile=made / "ca.crt")
        with httpx.Client(verify=context, timeout=60) as client:  # through the proxy: it writes the header itself
            assert client.get(front + PLACE, headers=forwarded(made, "cps")).status_code == 401
        # Round the proxy, straight to the hub.
        assert httpx.get(hub.public_url() + PLACE, headers=forwarded(made, "cps")).status_code == 401


def forwarded(made: Path, name: str) -> dict[str, str]:
    return {"X-SSL-Client-Cert": quote((made / f"{name}.crt").read_text())}


def test_behind_a_proxy_that_verifies_nothing(made: Path, tmp_path: Path) -> None:
    own = httpx.HTTPTransport(local_address=PROXY)
    with running(made, tmp_path, {"trusted_proxy": PROXY}) as hub, httpx.Client(transport=own, timeout=60) as proxy:
        place = hub.public_url() + PLACE
        assert proxy.get(place, headers=forwarded(made, "cps")).status_code < 300
        for bad in ("expired", "seal", "revoked", "foreign/cps"):
            before = len(records(hub))
            assert proxy.get(place, headers=forwarded(made, bad)).status_code == 401, bad
            assert len(records(hub)) == before + 1
        both = [("X-SSL-Client-Cert", forwarded(made, "cps")["X-SSL-Client-Cert"])] * 2
        assert proxy.get(place, headers=both).status_code == 400
