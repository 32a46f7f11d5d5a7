"""Business acknowledgements (ZAM): senders are told how far their documents came, by the outbox."""

import base64
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hub.app.settings.model import Feed
from hub.audit.service import AuditService
from hub.context import Context
from hub.errors import HubError
from hub.exchange.model import Delivery
from hub.imaging.sending_model import Outcome
from hub.outbox import Outbox
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Transaction
from hub.wire.hl7v2.business import business_acknowledgement
from hub.wire.hl7v2.client import MllpClient
from hub.wire.hl7v2.notification import check_acknowledgement

#: The kind of delivery.
KIND = "business-acknowledgement"
#: How each of them is audited.
TOLD = Transaction(
    id="CISIS-ZAM",
    title="Business acknowledgement",
    profile="CI-SIS",
    initiator="Manager",
    responder="Creator",
    bindings=(),
    section="CI-SIS: Transmission de documents CDA en HL7 v2",
    kind=Kind.CHANGE,
    permission="",
    audit=AuditEvent("110106", "Export", "R"),
    direction=Direction.INITIATOR,
)


class BusinessAcknowledgements:
    """Writes and sends them. A feed without ``reports_to`` is told nothing."""

    def __init__(
        self, feeds: Iterable[Feed], outbox: Outbox, audit: AuditService, tls: Callable[[], ssl.SSLContext | None]
    ) -> None:
        self.feeds = {feed.name: feed for feed in feeds if feed.reports_to}
        self.outbox = outbox
        self.audit = audit
        self.tls = tls

    def tell(self, outcome: Outcome, context: Context) -> None:
        """Queue one, in the open unit of work."""
        feed = self.feeds.get(outcome.source)
        if feed is None:
            return
        message, control_id = business_acknowledgement(outcome, application=feed.application, facility=feed.facility)
        payload = {
            "address": feed.reports_to,
            "control_id": control_id,
            "message": base64.b64encode(message).decode(),
        }
        self.outbox.enqueue(f"feed:{feed.name}", KIND, payload, context)
        context.led_to("business-acknowledgement", control_id)

    def handlers(self) -> Mapping[str, Any]:
        """For the worker."""
        return {KIND: self.deliver}

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Send one, and audit it. Raises PeerUnavailable, PeerRefused."""
        started, failure = time.monotonic(), None
        context.transaction = TOLD.id
        host, _, port = str(delivery.payload["address"]).rpartition(":")
        try:
            with MllpClient(host, int(port), tls=self.tls()) as client:
                answer = client.send(base64.b64decode(delivery.payload["message"]))
            check_acknowledgement(answer, str(delivery.payload["control_id"]))
        except HubError as error:
            failure = error
            raise
        finally:
            self.audit.record(TOLD, context, failure, int((time.monotonic() - started) * 1000))
