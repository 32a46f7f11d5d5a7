# ruff: noqa: ARG002  (a use case takes a command and a context, whether it looks at them or not)
"""The operator's questions as use cases, so that they are permitted and audited like any other."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.audit.model import AuditRecord
from hub.connector.contract import (
    Capability,
    Check,
    Connector,
    DescribesStudy,
    FindsStudies,
    GivesMetadata,
    PassesThrough,
    RetrievesInstances,
)
from hub.context import Context
from hub.errors import HubError, NotFound
from hub.exchange.model import Delivery, InboxMessage, Summary
from hub.portal import actions
from hub.portal.ports import PortalHub, SourceSettings
from hub.usecase import use_case
from hub.values import now

CAPABILITIES: tuple[tuple[Capability, type], ...] = (
    (Capability.FIND_STUDIES, FindsStudies),
    (Capability.DESCRIBE_STUDY, DescribesStudy),
    (Capability.RETRIEVE_INSTANCES, RetrievesInstances),
    (Capability.METADATA, GivesMetadata),
    (Capability.PASS_THROUGH, PassesThrough),
)


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source as the operator sees it."""

    name: str
    title: str
    kind: str
    capabilities: tuple[str, ...] = ()
    last_contact: datetime | None = None
    last_error: str = ""
    checks: tuple[Check, ...] = ()  #: of the last self-test in this process
    tested_at: datetime | None = None


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
    def count(self, command: actions.CountExchange, context: Context) -> Summary:
        """Messages and deliveries by state."""
        return self.hub.exchange.summary()

    @use_case
    def list_audit(self, command: actions.ListAudit, context: Context) -> Sequence[AuditRecord]:
        """The latest audit records."""
        return self.hub.audit.recent(limit=command.limit, before=command.before)

    @use_case
    def list_sources(self, command: actions.ListSources, context: Context) -> Sequence[SourceView]:
        """Configured sources with their last contact."""
        return [self.view(source) for source in self.hub.settings.sources]

    @use_case
    def check_source(self, command: actions.CheckSource, context: Context) -> SourceView:
        """Run a source's self-test. Raises NotFound."""
        for source in self.hub.settings.sources:
            if source.name == command.name:
                context.touch("source", source.name)
                checks = self._check(source)
                with self._lock:
                    self._tests[source.name] = (now(), checks)
                return self.view(source)
        raise NotFound

    def _check(self, source: SourceSettings) -> tuple[Check, ...]:
        started = time.monotonic()
        try:
            connector: Connector = self.hub.sources.get(source.name)
            return tuple(connector.check())
        except HubError as error:
            return (Check("open", False, error.message, int((time.monotonic() - started) * 1000)),)

    def view(self, source: SourceSettings) -> SourceView:
        """What is known of a source, without asking it."""
        with self._lock:
            tested_at, checks = self._tests.get(source.name, (None, ()))
        try:
            connector = self.hub.sources.get(source.name)
            capabilities = tuple(str(name) for name, protocol in CAPABILITIES if isinstance(connector, protocol))
            error = ""
        except HubError as failure:
            capabilities, error = (), failure.message
        return SourceView(
            name=source.name,
            title=source.title or source.name,
            kind=source.kind,
            capabilities=capabilities,
            last_contact=self.hub.sources.last_contact(source.name),
            last_error=error,
            checks=checks,
            tested_at=tested_at,
        )
