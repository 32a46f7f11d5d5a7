"""Every transaction of the catalogue that can be called, called as nobody, as somebody who may not, and with garbage:
each call is answered and is in the trail exactly once. Derived from the catalogue: a new transaction is in it too.
What succeeds is counted by the samples of the profiles' own tests, and here for the questions that need nothing."""

import ssl
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.app.keys import pki
from hub.app.settings.model import Settings, Storage
from hub.app.settings.nodes import Client, Tls
from hub.app.wiring import Hub
from hub.audit.model import AuditRecord, AuditSearch
from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Dicomweb, Direction, Fhir, Hl7, Soap
from hub.wire.hl7v2.client import MllpClient
from tests.interop.by_hand import envelope
from tests.loopback import PORTS

LIMITED, ALL = "limited-token", "all-token"
CALLABLE = [bound for bound in discover() if bound.transaction.direction is not Direction.INITIATOR]


def _place(binding: Any) -> tuple[str, str]:
    return getattr(binding, "method", ""), getattr(binding, "path", "")


HTTP = [
    pytest.param(bound.id, binding, id=f"{bound.id} {getattr(binding, 'method', 'POST')} {binding.path}")
    for bound in CALLABLE
    for binding in bound.transaction.bindings
    if isinstance(binding, Soap | Fhir | Dicomweb)
]
#: Who is known by what a body holds shares its path with others: before the body is read nobody knows which is meant.
SHARED = {
    bound.id: {other.id for other in CALLABLE for one in other.transaction.bindings if _place(one) == _place(binding)}
    for bound in CALLABLE
    for binding in bound.transaction.bindings
    if isinstance(binding, Fhir) and binding.bundles_of
}
EVENTS = [
    pytest.param(bound.id, binding.events[0], id=f"{bound.id} {binding.events[0]}")
    for bound in CALLABLE
    for binding in bound.transaction.bindings
    if isinstance(binding, Hl7)
]
#: Questions that a hub without any content answers with success.
QUESTIONS = {
    "FHIR-ImagingStudy": "/fhir/ImagingStudy?patient.identifier=urn:oid:1.2.250.1.999.1.1|1",
    "RAD-129": "/dicom-web/studies?PatientID=1",
    "ITI-78": "/fhir/Patient?family=nobody&birthdate=2000-01-01",
    "ITI-81": "/fhir/AuditEvent?date=ge2026-01-01",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("walked")
    keys = root / "pki"
    pki.init(keys)
    for node in ("hub", "limited"):
        pki.issue(keys, node)
    clients = (
        Client(
            name="limited",
            certificate_sha256=pki.fingerprint(keys / "limited.crt"),
            token_sha256=sha256(LIMITED.encode()).hexdigest(),
            permissions=("nothing",),
        ),
        Client(name="all", token_sha256=sha256(ALL.encode()).hexdigest(), permissions=("*",)),
    )
    hub = Hub(
        Settings(
            clients=clients,
            tls=Tls(certificate=keys / "hub.crt", key=keys / "hub.key", ca=keys / "ca.crt"),
            **PORTS,
            storage=Storage(database=f"sqlite:///{root / 'hub.sqlite'}", content=root / "content"),
        )
    )
    hub.start()
    yield hub
    hub.stop()


def trusting(hub: Hub, node: str = "") -> ssl.SSLContext:
    ca: Path | None = hub.settings.tls.ca
    assert ca is not None
    context = ssl.create_default_context(cafile=ca)
    if node:
        context.load_cert_chain(ca.with_name(f"{node}.crt"), ca.with_name(f"{node}.key"))
    return context


@pytest.fixture(scope="module")
def web(hub: Hub) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hub.public_url(), verify=trusting(hub), timeout=60) as client:
        yield client


class Gained:
    """What the trail gained."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.head = self._head()

    def _head(self) -> int:
        assert self.hub.audit.flush(60)
        return self.hub.audit.head()[0]

    def one(self) -> AuditRecord:
        """The only record since: waited for, as an answer may come before its record is written."""
        end = time.monotonic() + 30
        while (count := self._head() - self.head) < 1:
            assert time.monotonic() < end
            time.sleep(0.02)
        found = self.hub.audit.search(AuditSearch(limit=max(count, 5))).records[:count]
        assert len(found) == 1, [(record.transaction, record.error_code) for record in found]
        return found[0]


def call(web: httpx.Client, binding: Any, token: str, *, garbage: bool = False) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if isinstance(binding, Soap):
        body = b"<nonsense" if garbage else envelope(binding.action, "<nonsense/>")
        content_type = f'application/soap+xml; charset=UTF-8; action="{binding.action}"'
        return web.post(binding.path, content=body, headers={**headers, "Content-Type": content_type})
    root = "/fhir" if isinstance(binding, Fhir) else binding.root
    path = root + "/".join("1.2.3" if part.startswith("{") else part for part in binding.path.split("/"))
    content = b"\xffnonsense" if binding.method in ("POST", "PUT", "PATCH") else None
    headers |= {"Content-Type": "application/fhir+json"} if content else {}
    return web.request(binding.method, path, content=content, headers=headers)


@pytest.mark.parametrize(("transaction", "binding"), HTTP)
def test_who_is_refused_is_recorded_once(hub: Hub, web: httpx.Client, transaction: str, binding: Any) -> None:
    for token, codes in (("", {"not-authenticated"}), (LIMITED, {"access-denied"})):
        gained = Gained(hub)
        answer = call(web, binding, token)
        assert answer.status_code in (401, 403, 400, 500), answer.text
        record = gained.one()
        assert record.error_code in codes, (record.transaction, record.error_code)
        assert record.transaction in {transaction, "unknown", *SHARED.get(transaction, ())} or isinstance(binding, Soap)


@pytest.mark.parametrize(("transaction", "binding"), HTTP)
def test_garbage_is_recorded_once(hub: Hub, web: httpx.Client, transaction: str, binding: Any) -> None:
    gained = Gained(hub)
    call(web, binding, ALL, garbage=True)
    record = gained.one()
    assert record.principal_id == "all"
    assert record.transaction in {transaction, "unknown", *SHARED.get(transaction, ())} or isinstance(binding, Soap)


@pytest.mark.parametrize(("transaction", "event"), EVENTS)
def test_hl7(hub: Hub, transaction: str, event: str) -> None:
    host, _, port = hub.mllp_address().rpartition(":")
    text = f"MSH|^~\\&|A|B|C|D|20260310110000||{event}|m1|P|2.5\r".encode()
    for node, code in (("", "not-authenticated"), ("limited", "access-denied")):
        gained = Gained(hub)
        with MllpClient(host, int(port), tls=trusting(hub, node)) as client:
            assert b"MSA|A" in client.send(text)
        record = gained.one()
        assert (record.error_code, record.transaction) == (code, transaction)


@pytest.mark.parametrize("transaction", sorted(QUESTIONS))
def test_what_is_answered_is_recorded_once(hub: Hub, web: httpx.Client, transaction: str) -> None:
    gained = Gained(hub)
    answer = web.get(QUESTIONS[transaction], headers={"Authorization": f"Bearer {ALL}"})
    assert answer.status_code in (200, 204), answer.text
    record = gained.one()
    assert (record.transaction, record.outcome.value, record.principal_id) == (transaction, "0", "all")
    assert record.called == QUESTIONS[transaction].partition("?")[0]
    assert record.query
