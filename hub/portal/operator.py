"""Pages for operators: overview, messages, deliveries, sources, audit trail."""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from hub.audit.model import AuditPage
from hub.errors import HubError
from hub.exchange.model import (
    Delivery,
    DeliveryState,
    DiscardDelivery,
    DiscardMessage,
    InboxMessage,
    MessageState,
    Page,
    ReplayDelivery,
    ReplayMessage,
)
from hub.portal import actions, trail_words
from hub.portal.desk import Overview
from hub.portal.ports import PortalHub
from hub.portal.render import Renderer, see_other
from hub.portal.timeline import Names
from hub.portal.visit import Visit
from hub.portal.web import Route

RAW_SHOWN = 200_000
FILTERS = ("state", "source", "text")
PAGE = 50


class Operator:
    """What an operator watches and repairs."""

    def __init__(self, hub: PortalHub, renderer: Renderer) -> None:
        self.hub = hub
        self.names = Names({source.name: source.title for source in hub.settings.sources})
        self.render = renderer.page

    @property
    def routes(self) -> tuple[Route, ...]:
        """The pages of this module."""
        root = "/portal/operator"
        return (
            Route(root, self.overview),
            Route(f"{root}/messages", self.messages),
            Route(f"{root}/messages", self.filter_messages, "POST"),
            Route(f"{root}/messages/{{id}}", self.message),
            Route(f"{root}/messages/{{id}}/raw", self.raw, "POST"),
            Route(f"{root}/messages/{{id}}/replay", self.replay_message, "POST"),
            Route(f"{root}/messages/{{id}}/discard", self.discard_message, "POST"),
            Route(f"{root}/deliveries", self.deliveries),
            Route(f"{root}/deliveries", self.filter_deliveries, "POST"),
            Route(f"{root}/deliveries/{{id}}", self.delivery),
            Route(f"{root}/deliveries/{{id}}/replay", self.replay_delivery, "POST"),
            Route(f"{root}/deliveries/{{id}}/discard", self.discard_delivery, "POST"),
            Route(f"{root}/sources", self.sources),
            Route(f"{root}/sources/{{name}}/check", self.check, "POST"),
            Route(f"{root}/audit", self.audit),
        )

    # overview

    def overview(self, visit: Visit) -> Response:
        """Counts by state, what needs attention, sources, the latest messages."""
        found: Overview = visit.perform(actions.OVERVIEW, actions.GetOverview())
        template = "partials/overview.html" if visit.partial else "operator_overview.html"
        return self.render(
            visit,
            template,
            summary=found.summary,
            messages=found.messages,
            sources=found.sources if visit.may("sources.read") else (),
            check=found.check,
            vocabulary=found.vocabulary,
            worklist=found.worklist,
            orphans=found.orphans,
            subscriptions=found.subscriptions,
            MessageState=MessageState,
            DeliveryState=DeliveryState,
        )

    # messages

    def messages(self, visit: Visit) -> Response:
        """The inbox, filtered."""
        page = self._page(visit, "messages")
        found: Sequence[InboxMessage] = visit.perform(actions.MESSAGES, actions.ListMessages(page))
        return self._list(visit, "operator_messages.html", page, found, MessageState)

    def filter_messages(self, visit: Visit) -> Response:
        """Seals the filters into the address: what is searched for may name a patient."""
        return self._filtered(visit, "messages")

    def message(self, visit: Visit) -> Response:
        """One message: state, reason, what it led to."""
        found: InboxMessage = visit.perform(actions.MESSAGES, actions.GetMessage(visit.parameters["id"]))
        return self.render(visit, "operator_message.html", message=found, notice=self._notice(visit), raw="", cut=0)

    def raw(self, visit: Visit) -> Response:
        """The bytes as they came, for whoever may see them; always audited."""
        command = actions.GetMessage(visit.parameters["id"], raw=True)
        found: InboxMessage = visit.perform(actions.MESSAGE_RAW, command)
        return self.render(
            visit,
            "operator_message.html",
            message=found,
            notice=("", ""),
            raw=readable(found.raw[:RAW_SHOWN]),
            cut=RAW_SHOWN if len(found.raw) > RAW_SHOWN else 0,
        )

    def replay_message(self, visit: Visit) -> Response:
        """Process a refused message again."""
        return self._change(visit, "messages", actions.MESSAGE_REPLAY, ReplayMessage(visit.parameters["id"]))

    def discard_message(self, visit: Visit) -> Response:
        """Put a refused message away."""
        return self._change(visit, "messages", actions.MESSAGE_DISCARD, DiscardMessage(visit.parameters["id"]))

    # deliveries

    def deliveries(self, visit: Visit) -> Response:
        """The outbox, filtered."""
        page = self._page(visit, "deliveries")
        found: Sequence[Delivery] = visit.perform(actions.DELIVERIES, actions.ListDeliveries(page))
        return self._list(visit, "operator_deliveries.html", page, found, DeliveryState)

    def filter_deliveries(self, visit: Visit) -> Response:
        """Seals the filters into the address."""
        return self._filtered(visit, "deliveries")

    def delivery(self, visit: Visit) -> Response:
        """One delivery: what, where to, how often tried, why not."""
        found: Delivery = visit.perform(actions.DELIVERIES, actions.GetDelivery(visit.parameters["id"]))
        return self.render(
            visit, "operator_delivery.html", delivery=found, names=self.names, notice=self._notice(visit)
        )

    def replay_delivery(self, visit: Visit) -> Response:
        """Have a dead letter tried again."""
        return self._change(visit, "deliveries", actions.DELIVERY_REPLAY, ReplayDelivery(visit.parameters["id"]))

    def discard_delivery(self, visit: Visit) -> Response:
        """Put a dead letter away."""
        return self._change(visit, "deliveries", actions.DELIVERY_DISCARD, DiscardDelivery(visit.parameters["id"]))

    # sources and audit

    def sources(self, visit: Visit) -> Response:
        """Configured sources, their last contact, their self-test."""
        found = visit.perform(actions.SOURCES, actions.ListSources())
        return self.render(visit, "operator_sources.html", sources=found)

    def check(self, visit: Visit) -> Response:
        """Run a source's self-test; a fragment when portal.js asks, else the page again."""
        found = visit.perform(actions.SOURCE_CHECK, actions.CheckSource(visit.parameters["name"]))
        if visit.partial:
            return self.render(visit, "partials/checks.html", source=found)
        return see_other("/portal/operator/sources")

    def audit(self, visit: Visit) -> Response:
        """The latest accesses."""
        cursor = visit.query.get("cursor", "")
        page: AuditPage = visit.perform(actions.AUDIT_TRAIL, actions.ListAudit(cursor, PAGE))
        return self.render(
            visit, "operator_audit.html", records=page.records, more=page.cursor, before=cursor, words=trail_words
        )

    # shared

    def _page(self, visit: Visit, what: str) -> Page:
        sealed = visit.query.get("filter", "")
        values = visit.handles.open(f"filter-{what}", sealed) if sealed else ("", "", "")
        state = visit.query.get("state", "") or values[0]
        return Page(state=state, source=values[1], text=values[2], before=visit.query.get("before", ""), limit=PAGE + 1)

    def _filtered(self, visit: Visit, what: str) -> Response:
        values = [visit.form.get(name, "").strip()[:120] for name in FILTERS]
        query = f"?filter={visit.handles.seal(f'filter-{what}', *values)}" if any(values) else ""
        return see_other(f"/portal/operator/{what}{query}")

    def _list(
        self,
        visit: Visit,
        template: str,
        page: Page,
        found: Sequence[Any],
        states: type[MessageState] | type[DeliveryState],
    ) -> Response:
        shown = found[:PAGE]
        what = "messages" if states is MessageState else "deliveries"
        sealed = visit.handles.seal(f"filter-{what}", page.state, page.source, page.text)
        more = f"?filter={sealed}&before={shown[-1].id}" if len(found) > PAGE else ""
        known = [str(state) for state in states]
        return self.render(visit, template, rows=shown, page=page, more=more, states=known, names=self.names)

    def _change(self, visit: Visit, what: str, transaction: Any, command: Any) -> Response:
        identifier = visit.parameters["id"]
        try:
            outcome = visit.perform(transaction, command)
        except HubError as error:
            return see_other(f"/portal/operator/{what}/{identifier}?failed={error.code}")
        return see_other(f"/portal/operator/{what}/{identifier}?done={outcome.state}")

    def _notice(self, visit: Visit) -> tuple[str, str]:
        """(kind, text) of what a button did."""
        if code := visit.query.get("failed", ""):
            return "bad", visit.phrases.maybe(f"error.{code}", visit.phrases("error.title"))
        state = visit.query.get("done", "")
        if state in ("processed", "received"):
            return "good", visit.phrases("messages.replayed")
        if state == "refused":
            return "bad", visit.phrases("messages.replay_failed")
        if state in ("waiting", "running", "done"):
            return "good", visit.phrases("deliveries.replayed")
        if state == "discarded":
            return "good", visit.phrases("messages.discarded")
        return "", ""


def readable(raw: bytes) -> str:
    """Bytes as text to look at: HL7 segments on lines, control characters made visible."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("iso-8859-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        character if character in "\n\t" or character.isprintable() else _picture(character) for character in text
    )


def _picture(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"
