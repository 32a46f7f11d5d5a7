"""Carries notices of changed cross-references to their consumers (ITI-10, ITI-46)."""

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from hub.app.keys.tls import client_context
from hub.app.settings.model import Settings
from hub.app.settings.sharing import NotificationRecipient
from hub.app.sharing.notices_soap import SoapNoticeSender
from hub.audit.service import AuditService
from hub.context import Context
from hub.errors import HubError, Misconfigured
from hub.exchange.model import Delivery
from hub.exchange.service import ExchangeService
from hub.patients.notices import Notice, Notices, Recipient
from hub.patients.service import PatientService
from hub.pipeline.transaction import Transaction
from hub.storage.engine import Database
from hub.wire.hl7v2.client import MllpClient
from hub.wire.hl7v2.notification import check_acknowledgement, update_notification
from hub.wire.soap.message import Receive
from profiles.pix.iti10_pix_update_notification import TRANSACTION as ITI_10

SECONDS = 30.0  #: that a consumer has to answer


class RecipientGone(Misconfigured):
    """A notice waits for a recipient that the settings no longer have, or of a kind that nothing sends."""

    code = "notification-recipient-gone"
    title = "The settings do not name the recipient of this notification."


class Sender(Protocol):
    """Sends a notice in its wire's words. ``transaction``: how the sending is audited."""

    transaction: Transaction

    def send(self, recipient: NotificationRecipient, notice: Notice, key: str) -> None:
        """``key``: the message's id, by which a consumer knows what it was sent before. Raises Unavailable (tried
        again) or PeerRefused."""
        ...


class MllpSender:
    """ITI-10: ADT^A31. A connection each: notices are rare, and a peer may have closed one that was kept."""

    transaction = ITI_10

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        self._tls = tls

    def send(self, recipient: NotificationRecipient, notice: Notice, key: str) -> None:
        """Raises PeerUnavailable, PeerSilent, PeerRefused."""
        host, _, port = recipient.address.rpartition(":")
        message = update_notification(
            notice.identifiers, key, application=recipient.application, facility=recipient.facility
        )
        tls = self._tls() if recipient.tls else None
        with MllpClient(host.strip("[]"), int(port), timeout=SECONDS, tls=tls) as client:
            check_acknowledgement(client.send(message), key)


class NoticeCarrier:
    """Carries out deliveries of kind ``NOTICE``: by the sender of the recipient's kind."""

    def __init__(
        self, recipients: Iterable[NotificationRecipient], senders: Mapping[str, Sender], audit: AuditService
    ) -> None:
        self.recipients = {recipient.name: recipient for recipient in recipients}
        self.senders = dict(senders)
        self.audit = audit

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Send what a delivery holds. Raises RecipientGone, Unavailable, PeerRefused."""
        notice = Notice.of(delivery.payload)
        recipient = self.recipients.get(notice.recipient)
        sender = self.senders.get(recipient.kind) if recipient is not None else None
        if recipient is None or sender is None:
            raise RecipientGone(recipient=notice.recipient)
        started, failure = time.monotonic(), None
        context.transaction = sender.transaction.id
        for identifier in notice.identifiers:
            context.touch("patient", identifier.cx)
        try:
            sender.send(recipient, notice, delivery.id)
        except HubError as error:
            failure = error
            raise
        finally:
            self.audit.record(sender.transaction, context, failure, int((time.monotonic() - started) * 1000))
        context.led_to("notice", recipient.name)


def build(
    settings: Settings,
    *,
    database: Database,
    patients: PatientService,
    outbox: ExchangeService,
    audit: AuditService,
    receive: Receive,
) -> NoticeCarrier:
    """Listen to the patients room for every configured recipient; what carries their notices."""
    wanted = [Recipient(item.name, frozenset(item.domains)) for item in settings.notifications]
    if wanted:
        notices = Notices(database=database, patients=patients, enqueue=outbox.enqueue, recipients=wanted)
        patients.listeners.append(notices.changed)
    senders: dict[str, Sender] = {
        "hl7v2": MllpSender(lambda: client_context(settings.tls)),
        "hl7v3": SoapNoticeSender(settings.region.home_community_id, lambda: client_context(settings.tls), receive),
    }
    return NoticeCarrier(settings.notifications, senders, audit)
