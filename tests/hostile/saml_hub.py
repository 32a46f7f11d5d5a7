"""A hub within this process that believes two issuers of assertions, and the systems that call it over TLS."""

import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from lxml import etree

from hub.access.model import Credentials
from hub.app.keys import pki
from hub.app.settings.model import Settings, Storage
from hub.app.settings.nodes import Client, Tls
from hub.app.settings.saml import Saml, SamlIssuer
from hub.app.wiring import Hub
from hub.audit.model import AuditRecord, AuditSearch
from tests.hostile.conftest import clean
from tests.interop.by_hand import GET_DOCUMENTS, envelope, query
from tests.loopback import PORTS
from tests.saml import DS, Draft, KeyPair, header, pair, sign

ISSUER, OTHER, AUDIENCE = "https://idp.example/saml", "https://other.example/saml", "https://hub.example.org"
ORGANISATION = "C=FR,ST=Rhône (69),O=CH TEST,OU=1690000001,CN=cachet"
ASK = envelope("urn:ihe:iti:2007:RegistryStoredQuery", query(GET_DOCUMENTS, {"XDSDocumentEntryUniqueId": "('1.2')"}))
NODES = ("a", "b", "speaking")
REQUIRED = ("speaking",)

Element = etree._Element
EVIL = "ZZSECRETNAME"
INVALID, TOKEN, CHECK = "InvalidSecurity", "InvalidSecurityToken", "FailedCheck"
ALGORITHM, UNSUPPORTED, FAILED = "UnsupportedAlgorithm", "UnsupportedSecurityToken", "FailedAuthentication"


@dataclass
class Believing:
    """The hub, keys of its issuers, and what is asked of it."""

    hub: Hub
    directory: Path
    idp: KeyPair
    authority: KeyPair
    stamp: KeyPair  #: an organisation's, by the authority
    seen: set[str] = field(default_factory=set)

    def http(self, node: str) -> httpx.Client:
        """A system's connection."""
        context = ssl.create_default_context(cafile=self.directory / "ca.crt")
        if node:
            context.load_cert_chain(self.directory / f"{node}.crt", self.directory / f"{node}.key")
        return httpx.Client(verify=context, base_url=self.hub.public_url(), timeout=60)

    def certificate(self, node: str) -> bytes:
        """DER of a system's certificate."""
        pem = (self.directory / f"{node}.crt").read_text()
        return ssl.PEM_cert_to_DER_cert(pem)

    def ask(self, security: bytes, node: str = "a", message: bytes = ASK) -> httpx.Response:
        """ITI-18, with this in its header."""
        content = message.replace(b"</s:Header>", security + b"</s:Header>")
        with self.http(node) as client:
            return client.post("/xds/registry", content=content, headers={"Content-Type": "application/soap+xml"})

    def draft(self, **changes: object) -> Draft:
        """What the identity provider would say of a doctor."""
        return Draft(**{"issuer": ISSUER, "audience": AUDIENCE, **changes})  # type: ignore[arg-type]

    def credentials(self, node: str, signed: bytes) -> Credentials:
        """What the hub's edge would make of them."""
        return Credentials(certificate=self.certificate(node), saml=signed, peer="127.0.0.1")

    def forget(self) -> None:
        """What is in the audit trail by now does not count."""
        self.hub.audit.flush()
        self.seen |= {record.id for record in self.hub.audit.search(AuditSearch(limit=500)).records}

    def records(self) -> list[AuditRecord]:
        """What the audit trail has gained since this was called last; waits for the first."""
        end = time.monotonic() + 30
        while True:
            self.hub.audit.flush()
            found = self.hub.audit.search(AuditSearch(limit=200)).records
            fresh = [record for record in found if record.id not in self.seen]
            if fresh or time.monotonic() > end:
                self.seen |= {record.id for record in fresh}
                return fresh
            time.sleep(0.05)


@contextmanager
def believing(root: Path, **saml: object) -> Iterator[Believing]:
    """Started, and stopped in the end."""
    keys = root / "pki"
    pki.init(keys)
    for node in ("hub", *NODES):
        pki.issue(keys, node)
    idp = pair(subject="O=IdP,CN=idp", kind="rsa", number=1)
    authority = pair(subject="C=FR,O=ASIP,CN=AC ORGANISATIONS", kind="ecdsa", number=2, ca=True)
    stamp = pair(subject=ORGANISATION, kind="rsa", number=3, by=authority)
    strong = SamlIssuer(name="idp", issuer=ISSUER, certificate=idp.written(keys, "idp"))
    old = SamlIssuer(name="old-idp", issuer=OTHER, certificate=keys / "idp.crt", algorithms=("rsa-sha1",), reuse=True)
    french = SamlIssuer(name="igc", ca=authority.written(keys, "igc"), subject="CN=*,OU=1*", dialect="vihf")
    clients = tuple(
        Client(
            name=node,
            certificate_sha256=pki.fingerprint(keys / f"{node}.crt"),
            permissions=("documents.*", "patients.query", "imaging.query"),
            assertion="required" if node in REQUIRED else "optional",
        )
        for node in NODES
    )
    settings = Settings(
        clients=clients,
        saml=Saml(**{"audience": AUDIENCE, "issuers": (strong, old, french), **saml}),
        tls=Tls(certificate=keys / "hub.crt", key=keys / "hub.key", ca=keys / "ca.crt"),
        **PORTS,
        storage=Storage(database=f"sqlite:///{root / 'hub.sqlite'}", content=root / "content"),
    )
    hub = Hub(settings)
    hub.start()
    try:
        yield Believing(hub, keys, idp, authority, stamp)
    finally:
        hub.stop()


def fault(answer: httpx.Response) -> tuple[str, str]:
    """Subcode and reason; ("", "") when it is none."""
    codes = re.findall(r"<soap:Value>(?:soap|wsse|wsa):(\w+)</soap:Value>", answer.text)
    reason = re.search(r"<soap:Text[^>]*>([^<]*)</soap:Text>", answer.text)
    return (codes[-1] if codes else "", reason.group(1) if reason else "")


def security(*blocks: bytes) -> bytes:
    """wsse:Security."""
    return header(*blocks)


def refused(box: Believing, security: bytes, code: str, says: str, node: str = "a", **more: bytes) -> None:
    """A fault with the code and the words, one audit record with the same words, nothing of what was sent in either."""
    answer = box.ask(security, node, **more)
    assert answer.status_code == 401, answer.text[:2000]
    subcode, reason = fault(answer)
    assert (subcode, says in reason) == (code, True), (subcode, reason)
    (record,) = box.records()
    assert (record.transaction, record.principal_id, record.detail) == ("ITI-18", node, reason)
    for told in (answer.text, repr(record)):
        assert EVIL not in told
        clean(told)


def good(box: Believing, **changes: object) -> bytes:
    return sign(box.draft(**changes).xml, box.idp)


def signature_of(assertion: Element) -> Element:
    found = assertion.find(f"{{{DS}}}Signature")
    assert found is not None
    return found


def around(*elements: Element) -> bytes:
    return header(*(etree.tostring(element) for element in elements))
