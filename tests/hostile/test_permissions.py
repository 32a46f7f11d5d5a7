"""Every SOAP and FHIR transaction there is, asked by those who may not: refused unread, audited, nothing kept."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from hub.app.settings.model import Settings, Storage, Web
from hub.app.settings.nodes import Client
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditOutcome, AuditRecord, AuditSearch
from hub.exchange.model import Page
from hub.pipeline.catalogue import Bound, discover
from hub.pipeline.transaction import Fhir, Soap
from tests.hostile.conftest import SECRET, clean
from tests.interop.by_hand import envelope

ORDINARY = ("documents.*", "imaging.*", "patients.query", "subscriptions.*")  #: what the settings' example gives
CLIENTS = {"nothing": (), "ordinary": ORDINARY}
CATALOGUE = discover()
SOAP = [(binding, bound) for binding, bound in CATALOGUE.bindings(Soap)]
#: Without those that are known by what the body holds: nobody reads it of who has no permission at all.
FHIR = [
    (binding, bound)
    for binding, bound in CATALOGUE.bindings(Fhir)
    if bound.transaction.permission and not binding.bundles_of
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp("hub")
    settings = Settings(
        clients=tuple(
            Client(name=name, token_sha256=sha256(name.encode()).hexdigest(), permissions=permissions)
            for name, permissions in CLIENTS.items()
        ),
        web=Web(port=0),
        storage=Storage(database=f"sqlite:///{directory}/hub.sqlite", content=Path(directory) / "content"),
    )
    hub = Hub(settings)
    hub.start({Role.WEB})
    yield hub
    hub.stop()


def name_of(item: tuple[Soap | Fhir, Bound]) -> str:
    binding, bound = item
    where = binding.action if isinstance(binding, Soap) else f"{binding.method} {binding.path}"
    return f"{bound.id} {where.rsplit(':', 1)[-1].rsplit('/', 1)[-1]}"


def records(hub: Hub, bound: Bound) -> tuple[AuditRecord, ...]:
    assert hub.audit.flush(60)
    return hub.audit.search(AuditSearch(transaction=bound.id)).records


def send(hub: Hub, item: tuple[Soap | Fhir, Bound], client: str) -> httpx.Response:
    binding, _ = item
    path = re.sub(r"\{\w+\}", SECRET, binding.path)
    headers = {"Authorization": f"Bearer {client}"} if client else {}
    if isinstance(binding, Fhir):
        content = f'{{"resourceType":"{SECRET}"'.encode() if binding.method != "GET" else None
        headers["Content-Type"] = "application/fhir+json"
        return httpx.request(
            binding.method, f"{hub.public_url()}/fhir{path}", content=content, headers=headers, timeout=60
        )
    namespace, _, local = binding.body[1:].partition("}")
    body = f'<{local} xmlns="{namespace}"><x>{SECRET}</x></{local}>'
    headers["Content-Type"] = f'application/soap+xml; charset=UTF-8; action="{binding.action}"'
    url = f"{hub.public_url()}{path}"
    return httpx.post(url, content=envelope(binding.action, body, url), headers=headers, timeout=60)


@pytest.mark.parametrize("item", [*SOAP, *FHIR], ids=name_of)
def test_who_has_no_permission(hub: Hub, item: tuple[Soap | Fhir, Bound]) -> None:
    _, bound = item
    before = len(records(hub, bound))
    assert send(hub, item, "").status_code == 401
    refused = send(hub, item, "nothing")
    assert refused.status_code == 403, refused.text
    clean(refused.text)
    made = records(hub, bound)[: len(records(hub, bound)) - before]
    assert [record.outcome is AuditOutcome.SUCCESS for record in made] == [False, False]
    assert next(record.principal_id for record in made) == "nothing"
    assert all(SECRET not in f"{record.detail}{record.objects}" for record in made)
    assert not hub.exchange.messages(Page())


def test_who_may_submit_documents_feeds_no_trail(hub: Hub) -> None:
    """Both go to the FHIR base: the permission is that of what the Bundle holds."""
    (iti20,) = [bound for binding, bound in CATALOGUE.bindings(Fhir) if binding.bundles_of]
    entry = {"resource": {"resourceType": "AuditEvent"}, "request": {"method": "POST", "url": "AuditEvent"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    before = len(records(hub, iti20))
    answer = httpx.post(
        f"{hub.public_url()}/fhir", json=bundle, timeout=60,
        headers={"Authorization": "Bearer ordinary", "Content-Type": "application/fhir+json"},
    )  # fmt: skip
    assert answer.status_code == 403, answer.text
    (made, *_), after = records(hub, iti20), len(records(hub, iti20))
    assert (after, made.error_code, made.principal_id) == (before + 1, "access-denied", "ordinary")


@pytest.mark.parametrize("item", SOAP, ids=name_of)
def test_an_ordinary_client(hub: Hub, item: tuple[Soap, Bound]) -> None:
    """Whoever shares and reads documents may neither change those of others nor ask about everybody."""
    permission = item[1].transaction.permission
    own = any(fnmatchcase(permission, pattern) for pattern in ORDINARY)
    if permission.startswith(("administration.", "population.")) or permission == "patients.discover":
        assert not own
    if not own:
        assert send(hub, item, "ordinary").status_code == 403
