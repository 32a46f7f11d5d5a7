# ruff: noqa: ARG002  (a use case takes a command and a context, whether it looks at them or not)
"""The operator's questions as use cases, so that they are permitted and audited like any other."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from urllib.parse import urlsplit

from hub.audit.model import AuditPage, AuditSearch
from hub.connector.contract import Capability, Check
from hub.connector.loader import SourceHealth
from hub.context import Context
from hub.errors import HubError, NotFound
from hub.exchange.model import Delivery, InboxMessage, Page, Summary
from hub.imaging.manifest_model import CheckReport
from hub.portal import actions
from hub.portal.ports import PortalHub
from hub.subscriptions.model import Subscription
from hub.usecase import use_case
from hub.values import now

SUBSCRIPTIONS = 50


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source as the operator sees it."""

    health: SourceHealth
    capabilities: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()  #: of the last self-test in this process
    tested_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """A subscription as the operator sees it: whom it tells, never about whom."""

    owner: str
    topic: str
    host: str  #: where notifications go; "" for a pull point of the hub
    any_patient: bool
    expires_at: datetime
    notified_at: datetime | None

    @classmethod
    def of(cls, item: Subscription) -> Self:
        """Without patient, filter and path."""
        host = "" if item.pull_point else urlsplit(item.consumer.address).netloc
        return cls(item.owner, item.topic, host, not item.patient, item.expires_at, item.notified_at)


@dataclass(frozen=True, slots=True)
class Overview:
    """The operator's first page."""

    summary: Summary
    messages: Sequence[InboxMessage]  #: the latest
    sources: Sequence[SourceView]
    subscriptions: Sequence[SubscriptionView] = ()
    check: CheckReport | None = None  #: the last check of what is published
    vocabulary: str = ""  #: why the vocabulary file is not used
    worklist: int = 0  #: questions that wait for a steward
    orphans: int = 0  #: studies that nobody knows the patient of


class Desk:
    """Lists for operators, self-tests of sources."""

    def __init__(self, hub: PortalHub) -> None:
        self.hub = hub
        self._tests: dict[str, tuple[datetime, tuple[Check, ...]]] = {}
        self._lock = threading.Lock()

    @use_case
    def list_messages(self, command: actions.ListMessages, context: Context) -> Sequence[InboxMessage]:
        """Inbox messages, newest first."""
        context.touch("query", "messages")
        return self.hub.exchange.messages(command.page)

    @use_case
    def get_message(self, command: actions.GetMessage, context: Context) -> InboxMessage:
        """One message. Raises NotFound."""
        context.touch("message", command.message_id)
        return self.hub.exchange.message(command.message_id)

    @use_case
    def list_deliveries(self, command: actions.ListDeliveries, context: Context) -> Sequence[Delivery]:
        """Deliveries, newest first."""
        context.touch("query", "deliveries")
        return self.hub.exchange.deliveries(command.page)

    @use_case
    def get_delivery(self, command: actions.GetDelivery, context: Context) -> Delivery:
        """One delivery. Raises NotFound."""
        context.touch("delivery", command.delivery_id)
        return self.hub.exchange.delivery(command.delivery_id)

    @use_case
    def overview(self, command: actions.GetOverview, context: Context) -> Overview:
        """Everything that the first page shows, in one record of the audit trail."""
        return Overview(
            self.hub.exchange.summary(),
            self.hub.exchange.messages(Page(limit=8)),
            [self._view(health) for health in self.hub.sources.health()],
            [SubscriptionView.of(item) for item in self.hub.subscriptions.active(SUBSCRIPTIONS)],
            check=self.hub.life.last(),
            vocabulary=self.hub.vocabulary_problem(),
            worklist=sum(self.hub.stewardship.waiting().values()),
            orphans=self.hub.orphans.count(),
        )

    @use_case
    def list_audit(self, command: actions.ListAudit, context: Context) -> AuditPage:
        """The latest audit records."""
        for reference in command.references:
            context.touch("query", reference)
        return self.hub.audit.search(
            AuditSearch(cursor=command.cursor, limit=command.limit, references=command.references, kind=command.kind)
        )

    @use_case
    def list_sources(self, command: actions.ListSources, context: Context) -> Sequence[SourceView]:
        """Configured sources with their last contact."""
        return [self._view(health) for health in self.hub.sources.health()]

    @use_case
    def check_source(self, command: actions.CheckSource, context: Context) -> SourceView:
        """Run a source's self-test. Raises NotFound."""
        for health in self.hub.sources.health():
            if health.name == command.name:
                context.touch("source", health.name)
                checks = self._check(health.name)
                with self._lock:
                    self._tests[health.name] = (now(), checks)
                return self._view(health)
        raise NotFound

    def _check(self, name: str) -> tuple[Check, ...]:
        started = time.monotonic()
        try:
            return tuple(self.hub.sources.check(name))
        except HubError as error:
            return (Check("open", False, error.message, int((time.monotonic() - started) * 1000)),)

    def _view(self, health: SourceHealth) -> SourceView:
        with self._lock:
            tested_at, checks = self._tests.get(health.name, (None, ()))
        offered = tuple(str(one) for one in Capability if self.hub.sources.can(health.name, one))
        return SourceView(health, offered, checks, tested_at)
