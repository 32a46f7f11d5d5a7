"""Requests that the hub is to make for somebody else (SSRF), and things of one client that another uses.

Where this process connects to, and which names it looks up, is seen by Python's own audit events: whatever library."""

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.app.settings.model import Settings, Storage, Web
from hub.app.settings.nodes import Client
from hub.app.settings.roles import Role
from hub.app.settings.sharing import Subscriptions
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome, AuditRecord, AuditSearch
from hub.context import Context
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, Traits
from hub.values import PatientIdentifier
from tests.hostile.conftest import clean
from tests.interop.by_hand import GET_DOCUMENTS, Entry, Set, envelope, provision, query
from tests.profiles.dsub.clients import System, address_of, fault_of
from tests.profiles.fhir_patients.messages import JSON, subscription

LURES = [
    "http://127.0.0.1:9/x", "http://localhost:9/x", "https://127.0.0.1/x", "https://[::1]/x", "https://127.1/x",
    "https://2130706433/x", "https://0x7f000001/x", "https://[::ffff:127.0.0.1]/x", "https://0.0.0.0/x",
    "http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/x", "https://metadata.google.internal/x",
    "https://localtest.me/x", "https://127.0.0.1.nip.io/x", "https://hub.example.org@127.0.0.1/x",
    "https://good.example.org#@127.0.0.1/x", "https://good.example.org.evil.example/x", "https://good.example.org:22/x",
    "http://good.example.org/x", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "ftp://127.0.0.1/x",
    "//127.0.0.1/x", "https:///x", "https://", "javascript:alert(1)", "https://good.example.org\\@127.0.0.1/x",
    "https://good.example.org%2f@127.0.0.1/x", "https://good.example.org\t.evil.example/x",
]  # fmt: skip
ALL = ("subscriptions.*", "population.subscribe", "documents.*", "patients.*")


class Calls:
    """What this process looks up and connects to while it is watched."""

    def __init__(self) -> None:
        self.on = False
        self.names: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event == "socket.getaddrinfo":
            self.names.append(f"{arguments[0]}:{arguments[1]}")
        elif self.on and event == "socket.connect" and isinstance(arguments[1], tuple):
            self.names.append(f"{arguments[1][0]}:{arguments[1][1]}")

    @contextmanager
    def none_but(self, port: int) -> Iterator[None]:
        """Nothing is called but this port, the hub's own, by the test itself."""
        self.names.clear()
        self.on = True
        try:
            yield
        finally:
            self.on = False
        assert {name for name in self.names if not name.endswith(f":{port}")} == set()


@dataclass
class Place:
    """A hub that may notify one host, and its clients."""

    hub: Hub
    port: int
    calls: Calls
    seen: set[str] = field(default_factory=set)
    systems: dict[str, System] = field(default_factory=dict)

    def __getitem__(self, name: str) -> System:
        if name not in self.systems:
            self.systems[name] = System(self.hub.public_url(), name)
        return self.systems[name]

    def records(self) -> list[AuditRecord]:
        assert self.hub.audit.flush(60)
        found = [item for item in self.hub.audit.search(AuditSearch(limit=300)).records if item.id not in self.seen]
        self.seen |= {item.id for item in found}
        return found

    def refused(self, times: int = 1) -> None:
        """One record each, of a failure."""
        records = self.records()
        assert len(records) == times, records
        assert all(item.outcome is not AuditOutcome.SUCCESS and item.error_code != "internal" for item in records)


CALLS = Calls()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("forgery")
    hub = Hub(
        Settings(
            region={"external_index": True},
            clients=tuple(
                Client(name=name, token_sha256=sha256(name.encode()).hexdigest(), permissions=ALL)
                for name in ("ris", "other")
            ),
            web=Web(port=0),
            storage=Storage(database=f"sqlite:///{root / 'hub.sqlite'}", content=root / "content"),
            subscriptions=Subscriptions(consumers=("good.example.org:443",)),
        )
    )
    hub.start({Role.WEB, Role.WORKER})
    identifier = PatientIdentifier("P1", hub.settings.region.affinity_domain)
    traits = Traits("NAME", "ANNE", birth_date="19520101", sex="F")
    identity = Identity(identifier, traits, status=IdentityStatus.QUALIFIED)
    hub.dispatch(FeedIdentity(identity), Context(source="INDEX"))
    assert hub.web is not None
    yield Place(hub, hub.web.port, CALLS)
    hub.stop()


@pytest.fixture(autouse=True)
def _forget(request: pytest.FixtureRequest) -> None:
    if "place" in request.fixturenames:
        request.getfixturevalue("place").records()


def patient(place: Place) -> str:
    return f"P1^^^&{place.hub.settings.region.affinity_domain}&ISO"


def slots(place: Place) -> dict[str, list[str]]:
    return {"XDSDocumentEntryPatientId": [f"'{patient(place)}'"]}


def written(address: str) -> str:
    return address.replace("&", "&amp;").replace("<", "&lt;")


# Requests for somebody else


@pytest.mark.parametrize("address", LURES)
def test_notifications(place: Place, address: str) -> None:
    """DSUB's consumers and FHIR's rest-hooks: https to hosts that a setting names."""
    ris = place["ris"]
    with place.calls.none_but(place.port):
        answer = ris.subscribe(written(address), slots(place))
        assert answer.outcome.startswith("Fault"), answer.outcome
        clean("".join(str(text) for text in answer.root.itertext()))
        place.refused()
        told = ris.http.post(f"{ris.url}/fhir/Subscription", json=subscription(address), headers=JSON)
        assert 400 <= told.status_code < 500, told.text
        assert "OperationOutcome" in told.text
        place.refused()
    assert place.hub.subscriptions.active() == ()


@pytest.mark.parametrize("block", ["ReplyTo", "FaultTo"])
@pytest.mark.parametrize("address", LURES)
def test_answers_elsewhere(place: Place, address: str, block: str) -> None:
    action = "urn:ihe:iti:2007:RegistryStoredQuery"
    message = envelope(action, query(GET_DOCUMENTS, {"XDSDocumentEntryUniqueId": "('1.2')"}))
    more = f"<a:{block}><a:Address>{written(address)}</a:Address></a:{block}></s:Header>"
    with place.calls.none_but(place.port):
        answer = place["ris"].http.post(
            f"{place['ris'].url}/xds/registry",
            content=message.replace(b"</s:Header>", more.encode()),
            headers={"Content-Type": "application/soap+xml"},
        )
        assert answer.status_code in (400, 500), answer.text
        assert "Fault" in answer.text
        place.refused()


@pytest.mark.parametrize("address", LURES[:12])
def test_addresses_in_metadata(place: Place, address: str) -> None:
    """A document's URI, a manifest's Retrieve URL: kept as text, fetched by nobody."""
    entry = Entry(patient=patient(place), slots={"URI": [address], "repositoryUniqueId": [address]})
    kind, body = provision([entry], Set(patient=entry.patient))
    with place.calls.none_but(place.port):
        answer = place["ris"].http.post(
            f"{place['ris'].url}/xds/repository", content=body, headers={"Content-Type": kind}
        )
        assert answer.status_code == 200
        assert len(place.records()) == 1


@pytest.mark.parametrize("address", LURES[:12])
def test_addresses_in_resources(place: Place, address: str) -> None:
    """MHD: an attachment's URL means an entry of the bundle, nothing else."""
    reference = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": address},
        "content": [{"attachment": {"contentType": "text/plain", "url": address}}],
    }
    listed = {
        "resourceType": "List",
        "status": "current",
        "mode": "working",
        "entry": [{"item": {"reference": address}}],
    }
    bundle = {
        "resourceType": "Bundle",
        "meta": {"profile": ["https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.ProvideBundle"]},
        "type": "transaction",
        "entry": [
            {"fullUrl": address, "resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
            for one in (listed, reference)
        ],
    }
    with place.calls.none_but(place.port):
        answer = place["ris"].http.post(f"{place['ris'].url}/fhir", json=bundle, headers=JSON)
        assert 400 <= answer.status_code < 500, answer.text
        assert "OperationOutcome" in answer.text
        place.refused()


def outgoing() -> Iterator[tuple[str, ast.Call]]:
    """Every place of the hub where an HTTP client is made."""
    for root in ("hub", "connectors", "profiles"):
        for file in sorted(Path(root).rglob("*.py")):
            if "testing" in file.parts or "demo" in file.parts:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                    "httpx.Client", "httpx.AsyncClient", "httpx.get", "httpx.post", "httpx.stream", "httpx.request",
                }:  # fmt: skip
                    yield f"{file}:{node.lineno}", node


def test_no_peer_redirects_the_hub() -> None:
    """Redirections are not followed, and no proxy of the environment is used, wherever the hub calls somebody."""
    found = dict(outgoing())
    assert len(found) >= 9
    for where, call in found.items():
        given = {item.arg: ast.unparse(item.value) for item in call.keywords}
        assert given.get("follow_redirects", "False") == "False", where
        assert given.get("trust_env") == "False", where
    for module in ("urllib.request", "requests", "aiohttp"):
        for file in Path("hub").rglob("*.py"):
            assert "testing" in file.parts or f"import {module}" not in file.read_text(), file


# A thing of one client in another's hands


Use = Callable[[System, str, str], Any]
SUBSCRIPTION: dict[str, Use] = {
    "renews": lambda system, address, _: system.renew(address, "PT1H"),
    "ends": lambda system, address, _: system.unsubscribe(address),
}
PULL_POINT: dict[str, Use] = {
    "reads": lambda system, _, pull: system.get_messages(pull),
    "destroys": lambda system, _, pull: system.destroy_pull_point(pull),
}


@pytest.mark.parametrize("deed", sorted(SUBSCRIPTION | PULL_POINT))
def test_a_subscription_is_its_owners(place: Place, deed: str) -> None:
    """What somebody else has is answered as what nobody has, and stays as it was."""
    ris, other = place["ris"], place["other"]
    pull = address_of(ris.create_pull_point(), "PullPoint")
    address = address_of(ris.subscribe(pull, slots(place)))
    before = place.hub.subscriptions.active()
    place.records()
    use = (SUBSCRIPTION | PULL_POINT)[deed]
    theirs, nobodys = use(other, address, pull), use(other, address[:-6] + "zzzzzz", pull[:-6] + "zzzzzz")
    place.refused(2)
    assert theirs.outcome == nobodys.outcome
    assert fault_of(theirs) == fault_of(nobodys)
    assert place.hub.subscriptions.active() == before
    assert ris.get_messages(pull).status == 200
    assert ris.unsubscribe(address).status == 200
    assert ris.destroy_pull_point(pull).status == 200


def test_nobody_subscribes_into_anothers_pull_point(place: Place) -> None:
    pull = address_of(place["ris"].create_pull_point(), "PullPoint")
    place.records()
    assert place["other"].subscribe(pull, slots(place)).outcome.startswith("Fault")
    place.refused()
    assert place["ris"].destroy_pull_point(pull).status == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_fhir_subscription_is_its_owners(place: Place, method: str) -> None:
    ris, other = place["ris"], place["other"]
    made = ris.http.post(
        f"{ris.url}/fhir/Subscription", json=subscription("https://good.example.org/feed"), headers=JSON
    )
    assert made.status_code == 201, made.text
    where = httpx.URL(ris.url).join(made.headers["Location"])
    nobodys = str(where)[:-4] + "zzzz"
    place.records()
    answers = [other.http.request(method, each) for each in (where, nobodys)]
    assert [answer.status_code for answer in answers] == [404, 404]
    place.refused(2)
    assert ris.http.get(where).status_code == 200
    assert ris.http.delete(where).status_code == 204


def test_a_token_is_shown_by_who_has_it(place: Place) -> None:
    """A client's name, in whatever place, is no proof."""
    forged = {"X-Client-Id": "ris", "From": "ris", "Authorization": "Bearer sha256"}
    digest = {"Authorization": f"Bearer {sha256(b'ris').hexdigest()}"}
    for headers in (forged, digest, {"Authorization": "Basic cmlzOnJpcw=="}, {"Cookie": "maillage_session=ris"}):
        answer = httpx.get(f"{place.hub.public_url()}/fhir/Patient", headers=headers, timeout=60)
        assert answer.status_code == 401
        place.refused()
