"""A hub in this process with its web server and worker, on both databases, and the systems that call it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from hub.app.settings.model import Settings, Storage, Web
from hub.app.settings.nodes import Client
from hub.app.settings.roles import Role
from hub.app.settings.sharing import Subscriptions
from hub.app.wiring import Hub
from hub.context import Context
from hub.patients.model import FeedIdentity, Identity, IdentityStatus, MergeIdentities, Traits
from hub.values import PatientIdentifier
from tests.profiles.dsub.clients import Consumer, System

ALL = ("subscriptions.subscribe", "subscriptions.pull", "subscriptions.publish", "subscriptions.notify", "documents.*")
CLIENTS = {
    "ris": ALL,
    "other": ALL,
    "region": (*ALL, "population.subscribe"),
    "poor": ("documents.query",),
}


@dataclass
class Site:
    """A running hub and who talks to it."""

    hub: Hub
    consumer: Consumer
    restart: Callable[[], "Site"]
    systems: dict[str, System] = field(default_factory=dict)

    def __getitem__(self, name: str) -> System:
        if name not in self.systems:
            self.systems[name] = System(self.hub.public_url(), name)
        return self.systems[name]

    def person(self, number: str) -> PatientIdentifier:
        """A person whom the affinity domain's own index announced."""
        identifier = PatientIdentifier(number, self.hub.settings.region.affinity_domain)
        traits = Traits(f"NAME{number}", "ANNE", birth_date=f"19{len(number) + 50}0101", sex="F")
        identity = Identity(identifier, traits, status=IdentityStatus.QUALIFIED)
        self.hub.dispatch(FeedIdentity(identity), Context(source="INDEX"))
        return identifier

    def merge(self, survivor: PatientIdentifier, lost: PatientIdentifier) -> None:
        """A40."""
        traits = Traits(f"NAME{survivor.value}", "ANNE", birth_date="19520101", sex="F")
        identity = Identity(survivor, traits, status=IdentityStatus.QUALIFIED)
        self.hub.dispatch(MergeIdentities(identity, lost), Context(source="INDEX"))


def settings(url: str, directory: Path, consumers: tuple[str, ...], port: int = 0) -> Settings:
    return Settings(
        region={"external_index": True},
        clients=tuple(
            Client(name=name, token_sha256=sha256(name.encode()).hexdigest(), permissions=permissions)
            for name, permissions in CLIENTS.items()
        ),
        web=Web(port=port),
        storage=Storage(database=url, content=directory),
        subscriptions=Subscriptions(consumers=consumers, longest_days=30),
    )


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def site(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Iterator[Site]:
    url = request.getfixturevalue(f"{request.param}_url")
    made: list[Site] = []

    def start(consumer: Consumer) -> Site:
        hub = Hub(settings(url, tmp_path / "content", ("127.0.0.1",), free_port))
        hub.exchange.backoff, hub.exchange.longest_backoff = 0.05, 0.2
        hub.worker.poll = 0.1
        hub.start({Role.WEB, Role.WORKER})
        site = Site(hub, consumer, restart=lambda: again(consumer))
        made.append(site)
        return site

    def again(consumer: Consumer) -> Site:
        made.pop().hub.stop()
        return start(consumer)

    with Consumer() as consumer:
        try:
            yield start(consumer)
        finally:
            for one in made:
                one.hub.stop()
