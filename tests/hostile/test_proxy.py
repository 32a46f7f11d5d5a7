"""Headers that only a proxy may write: nobody else's are believed, and the proxy's own are read one way only."""

import ipaddress
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hub.app.keys import pki
from hub.app.settings.model import Security, Settings, Storage, Web
from hub.app.settings.nodes import Client, Tls
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome, AuditRecord, AuditSearch
from hub.portal.certificate import HEADER
from tests.hostile.conftest import SECRET, clean

PROXY, STRANGER = "127.0.0.2", "127.0.0.3"
PUBLIC = "https://hub.example.org"
ASKED = "/fhir/ImagingStudy"


@dataclass
class Site:
    """A hub behind a proxy, and who reaches it past the proxy."""

    hub: Hub
    url: str
    keys: Path
    seen: set[str] = field(default_factory=set)

    def get(self, peer: str, path: str = ASKED, *headers: tuple[str, str]) -> httpx.Response:
        transport = httpx.HTTPTransport(local_address=peer)
        with httpx.Client(base_url=self.url, transport=transport, timeout=60) as http:
            return http.get(path, headers=[(name.encode(), value.encode()) for name, value in headers])

    def records(self) -> list[AuditRecord]:
        """What the trail gained since this was asked last."""
        assert self.hub.audit.flush(60)
        found = [item for item in self.hub.audit.search(AuditSearch(limit=200)).records if item.id not in self.seen]
        self.seen |= {item.id for item in found}
        return found

    def shown(self, name: str) -> str:
        """A certificate as nginx forwards it."""
        return quote(pki.load(self.keys / f"{name}.crt").public_bytes(Encoding.PEM).decode())

    def der(self, name: str) -> str:
        """As HAProxy does."""
        return b64encode(pki.load(self.keys / f"{name}.crt").public_bytes(Encoding.DER)).decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("proxy")
    keys = root / "pki"
    pki.init(keys)
    for node in ("his", "pacs"):
        pki.issue(keys, node)
    pki.init(keys / "foreign")
    pki.issue(keys / "foreign", "his")
    clients = tuple(
        Client(name=name, certificate_sha256=pki.fingerprint(keys / f"{name}.crt"), permissions=("imaging.query",))
        for name in ("his", "pacs")
    )
    token = Client(name="token", token_sha256=sha256(b"good").hexdigest(), permissions=("imaging.query",))
    hub = Hub(
        Settings(
            clients=(*clients, token),
            security=Security(),
            tls=Tls(ca=keys / "ca.crt"),
            web=Web(port=0, public_url=PUBLIC, trusted_proxy=PROXY),
            storage=Storage(database=f"sqlite:///{root / 'hub.sqlite'}", content=root / "content"),
        )
    )
    hub.start({Role.WEB})
    assert hub.web is not None
    yield Site(hub, f"http://127.0.0.1:{hub.web.port}", keys)
    hub.stop()


@pytest.fixture(autouse=True)
def _forget(site: Site) -> None:
    site.records()


def refused(site: Site, answer: httpx.Response, status: int, code: str) -> AuditRecord:
    assert answer.status_code == status, answer.text
    clean(answer.text)
    (record,) = site.records()
    assert record.outcome is not AuditOutcome.SUCCESS
    assert record.error_code == code
    return record


def test_what_the_proxy_says_is_believed(site: Site) -> None:
    for name, text in (("his", site.shown("his")), ("pacs", site.der("pacs"))):
        assert site.get(PROXY, ASKED, (HEADER, text), ("X-Forwarded-For", "192.0.2.7")).status_code == 200
        (record,) = site.records()
        assert (record.principal_id, record.peer) == (name, "192.0.2.7")


@pytest.mark.parametrize("peer", [STRANGER, "127.0.0.1"])
def test_nobody_else_is_the_proxy(site: Site, peer: str) -> None:
    headers = ((HEADER, site.shown("his")), ("X-Forwarded-For", PROXY), ("Forwarded", f"for={PROXY}"))
    record = refused(site, site.get(peer, ASKED, *headers, ("X-Real-IP", PROXY)), 401, "not-authenticated")
    assert record.peer == peer


@pytest.mark.parametrize(
    "name",
    [
        "X-Client-Cert", "X-Forwarded-Client-Cert", "SSL-Client-Cert", "X-SSL-Client-Certificate", "Client-Cert",
        "X-SSL-Cert", "X_SSL_Client_Cert", "X-SSL-Client-S-DN", "X-Remote-User", "Remote-User", "X-Forwarded-User",
    ],
)  # fmt: skip
def test_no_other_header_names_a_caller(site: Site, name: str) -> None:
    for value in (site.shown("his"), "his"):
        refused(site, site.get(PROXY, ASKED, (name, value)), 401, "not-authenticated")


def test_a_certificate_that_is_given_twice(site: Site) -> None:
    """What the caller wrote, and what the proxy added: nobody guesses which is which."""
    for first, second in (("his", "pacs"), ("pacs", "his"), ("his", "his")):
        answer = site.get(PROXY, ASKED, (HEADER, site.shown(first)), (HEADER.upper(), site.shown(second)))
        assert answer.status_code == 400
        assert "more than once" in answer.text


def test_two_certificates_in_one_header(site: Site) -> None:
    both = site.shown("foreign/his") + site.shown("his")
    assert site.get(PROXY, ASKED, (HEADER, both)).status_code in (400, 401)
    assert site.get(PROXY, ASKED, (HEADER, f"{site.der('his')}, {site.der('pacs')}")).status_code == 400


def test_a_certificate_of_another_authority(site: Site) -> None:
    refused(site, site.get(PROXY, ASKED, (HEADER, site.shown("foreign/his"))), 401, "certificate-untrusted")


@pytest.mark.parametrize(
    "text", ["", "%", "-----BEGIN%20CERTIFICATE-----", "AAAA", "MIIB", "null", "(null)", "é", SECRET]
)
def test_what_is_no_certificate(site: Site, text: str) -> None:
    answer = site.get(PROXY, ASKED, (HEADER, text))
    assert answer.status_code in (400, 401), answer.text
    clean(answer.text)
    assert all(item.outcome is not AuditOutcome.SUCCESS for item in site.records())


def test_a_token_that_is_given_twice(site: Site) -> None:
    answer = site.get(PROXY, ASKED, ("Authorization", "Bearer good"), ("Authorization", "Bearer other"))
    assert answer.status_code == 400
    assert "more than once" in answer.text


@pytest.mark.parametrize(
    ("lines", "peer"),
    [
        (("192.0.2.7",), "192.0.2.7"),
        (("127.0.0.1, 192.0.2.7",), "192.0.2.7"),
        (("127.0.0.1", "192.0.2.7"), "192.0.2.7"),  # a proxy that adds a line of its own
        (("192.0.2.7", "2001:db8::1"), "2001:db8::1"),
        (("<script>alert(1)</script>",), PROXY),
        (("192.0.2.7 WARNING forged line",), PROXY),
        (("fe80::1%<b>x</b>",), "fe80::1"),
        (("",), PROXY),
        ((f"{SECRET}" * 1000,), PROXY),
    ],
)
def test_the_address_in_the_trail_is_what_the_proxy_added(site: Site, lines: tuple[str, ...], peer: str) -> None:
    headers = [("X-Forwarded-For", line) for line in lines]
    site.get(PROXY, ASKED, *headers)
    (record,) = site.records()
    assert record.peer == peer
    assert ipaddress.ip_address(record.peer)


@pytest.mark.parametrize(
    "headers", [(), (("X-Forwarded-For", "127.0.0.1"),), (("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", "::1"))]
)
def test_who_comes_through_the_proxy_is_not_from_this_machine(site: Site, headers: tuple[tuple[str, str], ...]) -> None:
    """Metrics are for this machine, or for who may."""
    assert site.get(PROXY, "/metrics", *headers).status_code == 401
    assert site.get(STRANGER, "/metrics", *headers).status_code == 401
    assert site.get("127.0.0.1", "/metrics").status_code == 200


@pytest.mark.parametrize(
    "path", ["/fhir/metadata", "/openapi.json", "/xds/registry?wsdl", "/portal/", "/portal/sign-in"]
)
@pytest.mark.parametrize(
    "header", ["Host", "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"]
)
def test_addresses_are_made_of_the_setting(site: Site, path: str, header: str) -> None:
    """A caller's Host header gets into no link, no redirection, no document."""
    for peer in (PROXY, STRANGER):
        more = (("X-Forwarded-Proto", "http"), ("Forwarded", "host=evil.example;proto=http"))
        answer = site.get(peer, path, (header, "evil.example"), *more)
        assert answer.status_code < 400 or answer.status_code in (401, 404)
        assert "evil.example" not in answer.text
        assert "evil.example" not in repr(answer.headers)


def test_absolute_addresses_in_a_path(site: Site) -> None:
    for path in ("//evil.example/portal/search", "/portal//evil.example", "/portal/search/", "/\\evil.example"):
        answer = site.get(STRANGER, path)
        assert answer.status_code in (303, 307, 404)
        place = answer.headers.get("location", "")
        assert not place.startswith(("//", "http://evil", "https://evil", "/\\"))


def test_cookies_are_for_tls_only_when_the_address_is(site: Site) -> None:
    answer = site.get(PROXY, "/portal/sign-in", ("X-Forwarded-Proto", "http"))
    for line in answer.headers.get_list("set-cookie"):
        assert "Secure" in line
        assert "HttpOnly" in line
        assert "samesite" in line.lower()
    assert answer.headers.get_list("set-cookie")
