"""A registry and its subscriptions, in one database, with persons and clients that a test makes up."""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from hub.access.model import Client, Principal
from hub.access.rights_model import Everything
from hub.access.service import AccessService
from hub.context import Context
from hub.documents.model import Submission
from hub.documents.service import DocumentService
from hub.exchange.model import Delivery, DeliveryState, Page
from hub.exchange.service import ExchangeService
from hub.storage.engine import Database
from hub.subscriptions.consumers import Consumers
from hub.subscriptions.filters import FILTERS
from hub.subscriptions.model import (
    CreatePullPoint,
    Endpoint,
    Filter,
    GetMessages,
    Notification,
    Subscribe,
    Subscription,
    Topic,
)
from hub.subscriptions.pull_points import PullPointService
from hub.subscriptions.service import SubscriptionService
from tests.documents.builders import ANNE, ANNE_ALIAS, BERT, Region, register, service_on

HUB = "https://hub.example"
CONSUMER = Endpoint("https://ris.example/notify")
READER = ("subscriptions.subscribe", "subscriptions.pull", "documents.query")


def client(name: str, *permissions: str) -> Client:
    return Client(name=name, token_sha256=sha256(name.encode()).hexdigest(), permissions=permissions)


CLIENTS = (
    client("reader", *READER),
    client("other", *READER),
    client("discreet", "subscriptions.subscribe", "subscriptions.pull"),
    client("everyone", *READER, "population.subscribe"),
)


def wanted(kind: str, **parameters: Any) -> Filter:
    """A filter by its name; parameters without ``$``; a value is a text, a list (OR), or a list of lists."""
    groups: dict[str, tuple[tuple[str, ...], ...]] = {}
    for name, value in parameters.items():
        several = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
        groups[f"${name}"] = tuple((item,) if isinstance(item, str) else tuple(item) for item in several)
    return Filter(next(key for key, one in FILTERS.items() if one.query.name == kind), groups)


def about(patient: Any = ANNE, **parameters: Any) -> Filter:
    """A DocumentEntry filter; parameters without their prefix."""
    named = {f"XDSDocumentEntry{name}": value for name, value in parameters.items()}
    return wanted("DocumentEntry", XDSDocumentEntryPatientId=patient.cx, **named)


class Room:
    """Everything that a test of the room needs."""

    def __init__(self, database: Database, directory: Path, clients: tuple[Client, ...] = CLIENTS) -> None:
        self.database = database
        self.patients = Region((ANNE, ANNE_ALIAS), (BERT,))
        self.access = AccessService(database=database, clients=clients)
        self.exchange = ExchangeService(database=database)
        self.documents: DocumentService = service_on(database, directory, patients=self.patients)
        self.broker = self.make_broker()
        self.pull_points = PullPointService(database=database, most=3, most_waiting=5, told=self._readable)
        self.documents.observers.append(lambda told, context: self._broker().happened(told, context))

    def _readable(self, found: Sequence[Notification], context: Context) -> tuple[Notification, ...]:
        return self._broker().told(found, context)

    def _broker(self) -> SubscriptionService:
        return self.broker  # as it is when something is registered: a test may have made another one

    def make_broker(self, **changes: Any) -> SubscriptionService:
        values: dict[str, Any] = {
            "database": self.database,
            "patients": self.patients,
            "access": self.access,
            "outbox": self.exchange,
            "consumers": Consumers(["ris.example"]),
            "pull_points": lambda: f"{HUB}/dsub/pullpoints",
            "longest": timedelta(days=30),
            "most": 20,
            "rights": Everything(),
            **changes,
        }
        return SubscriptionService(**values)

    def context(self, name: str = "reader") -> Context:
        found = self.access.named(name)
        return Context(principal=found or Principal(name))

    def subscribe(
        self,
        what: Filter | None = None,
        topic: str = Topic.FULL_DOCUMENT_ENTRY,
        *,
        who: str = "reader",
        to: Endpoint = CONSUMER,
        until: Any = None,
    ) -> Subscription:
        return self.broker.subscribe(Subscribe(topic, what or about(), to, until), self.context(who))

    def pull_point(self, who: str = "reader") -> tuple[str, Endpoint]:
        made = self.pull_points.create(CreatePullPoint(), self.context(who))
        return made.id, Endpoint(f"{HUB}/dsub/pullpoints/{made.id}")

    def pull(self, pull_point: str, who: str = "reader", limit: int | None = None) -> tuple[Notification, ...]:
        return self.pull_points.get_messages(GetMessages(pull_point, limit), self.context(who))

    def register(self, submission: Submission) -> Submission:
        return register(self.documents, submission).submission

    def waiting(self) -> tuple[Delivery, ...]:
        """Deliveries that wait, in order."""
        return tuple(reversed(self.exchange.deliveries(Page(state=DeliveryState.WAITING, limit=500))))

    def told(self) -> list[Notification]:
        """What waiting deliveries would say, in order."""
        found = [self.broker.outgoing(item.payload["notification"]) for item in self.waiting()]
        return [pair[1] for pair in found if pair]
