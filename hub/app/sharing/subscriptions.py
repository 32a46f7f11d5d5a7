"""Carries notifications to their consumers by HTTP, and wires the subscriptions room (ITI-53)."""

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import httpx
from lxml import etree

from hub.access.rights_model import Rights
from hub.access.service import AccessService
from hub.app.settings.sharing import Subscriptions
from hub.audit.service import AuditService
from hub.context import Context
from hub.documents.model import DocumentEntry
from hub.errors import DeadlineExceeded, HubError, Malformed, PeerRefused, Unavailable
from hub.exchange.model import Delivery
from hub.exchange.service import ExchangeService
from hub.patients.service import PatientService
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Transaction
from hub.storage.engine import Database
from hub.subscriptions.consumers import Consumers
from hub.subscriptions.model import Notification, Subscription
from hub.subscriptions.service import SubscriptionService
from hub.wire.http_client import cut_off_after
from hub.wire.soap.names import ANONYMOUS, wsa
from hub.wire.soap.writing import build_envelope, plain_type
from hub.wire.wsn.names import BROKER, NOTIFY, PULL_POINTS
from hub.wire.wsn.writing import write_notify
from hub.wire.xml import parse_xml, serialise

SECONDS = 15.0
#: Answers that say "later": anything else below 500 will stay as it is.
_LATER = frozenset({408, 425, 429})
_LONGEST_FAULT = 64 * 1024

#: How the sending of a notification is audited (ITI TF-2: 3.53.5.1).
SENT = Transaction(
    id="ITI-53",
    title="Document Metadata Notify",
    profile="DSUB",
    initiator="Document Metadata Notification Broker",
    responder="Document Metadata Notification Recipient",
    bindings=(),
    section="ITI TF-2: 3.53",
    kind=Kind.RETRIEVE,
    permission="",
    audit=AuditEvent("110106", "Export", "R"),
    direction=Direction.INITIATOR,
)


def build(
    settings: Subscriptions,
    *,
    database: Database,
    patients: PatientService,
    access: AccessService,
    outbox: ExchangeService,
    public_url: Callable[[], str],
    rights: Rights,
) -> SubscriptionService:
    """The broker, as the settings want it."""
    return SubscriptionService(
        database=database,
        patients=patients,
        access=access,
        outbox=outbox,
        consumers=Consumers(settings.consumers),
        pull_points=lambda: f"{public_url()}{PULL_POINTS}",
        longest=timedelta(days=settings.longest_days),
        rights=rights,
    )


class Notifier:
    """Sends one notification a delivery. Redirects are not followed, answers are not read, no proxy is used."""

    def __init__(
        self,
        broker: SubscriptionService,
        audit: AuditService,
        tls: Callable[[], ssl.SSLContext],
        public_url: Callable[[], str],
        *,
        seconds: float = SECONDS,
    ) -> None:
        self.broker = broker
        self.audit = audit
        self.public_url = public_url
        self.seconds = seconds
        self._context = tls
        self._tls: ssl.SSLContext | None = None

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Send what a delivery names, if it may still be told. Raises Unavailable (tried again) or PeerRefused."""
        self._tls = self._tls or self._context()  # it takes a while, and what may be told is decided last
        notification_id = delivery.payload["notification"]
        found = self.broker.outgoing(notification_id)
        if found is None:
            self.broker.delivered(notification_id)
            return
        subscription, notification = found
        started, failure = time.monotonic(), None
        context.transaction = SENT.id
        _touch(subscription, notification, context)
        try:
            self._send(subscription, notification)
        except HubError as error:
            failure = error
            raise
        finally:
            self.audit.record(SENT, context, failure, int((time.monotonic() - started) * 1000))
        self.broker.delivered(notification_id)
        context.led_to("subscription", subscription.id)

    def _send(self, subscription: Subscription, notification: Notification) -> None:
        broker = f"{self.public_url()}{BROKER}"
        envelope = build_envelope(
            write_notify((notification,), broker, broker), NOTIFY, to=subscription.consumer.address, reply_to=ANONYMOUS
        )
        for text in subscription.consumer.parameters:
            header = parse_xml(text.encode())
            header.set(wsa("IsReferenceParameter"), "true")
            envelope[0].append(header)
        etree.cleanup_namespaces(envelope, keep_ns_prefixes=["ihe", "wsnt"])
        assert self._tls is not None
        send(subscription.consumer.address, serialise(envelope), plain_type(NOTIFY), self._tls, self.seconds)


def send(address: str, content: bytes, media_type: str, tls: ssl.SSLContext, seconds: float) -> None:
    """POST to a permitted address. Raises Unavailable (tried again) or PeerRefused."""
    status, answer = _post(address, content, media_type, tls, seconds)
    if 200 <= status < 300:
        _no_fault(answer)
        return
    if status >= 500 or status in _LATER:
        raise Unavailable(f"The consumer answered HTTP {status}.")
    raise PeerRefused(f"The consumer answered HTTP {status}.")


def _no_fault(answer: bytes) -> None:
    """Some consumers say no with HTTP 200. Raises Unavailable when they failed themselves, or PeerRefused."""
    try:
        root = parse_xml(answer) if answer else None
    except Malformed:  # a page, or more than is read: what counts is the status
        return
    fault = root.find("{*}Body/{*}Fault") if root is not None else None
    if fault is None:
        return
    code = (fault.findtext("{*}Code/{*}Value") or fault.findtext("faultcode") or "").rpartition(":")[2].strip()
    if code in ("Receiver", "Server"):
        raise Unavailable("The consumer answered with a SOAP fault of its own.")
    raise PeerRefused("The consumer refused the message with a SOAP fault.")


def _post(address: str, content: bytes, media_type: str, tls: ssl.SSLContext, seconds: float) -> tuple[int, bytes]:
    """The answer's status, and the beginning of its XML. A consumer that trickles its answer is cut off: a worker must
    not be held."""
    headers = {"Content-Type": media_type}
    with httpx.Client(verify=tls, timeout=seconds, trust_env=False, follow_redirects=False) as client:
        try:
            with (
                cut_off_after(2 * seconds, client.close),
                client.stream("POST", address, content=content, headers=headers) as answer,
            ):
                return answer.status_code, _beginning(answer)
        except httpx.TimeoutException:
            raise DeadlineExceeded("The consumer did not answer in time.") from None
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(f"The consumer can't be reached ({type(error).__name__}).") from None


def _beginning(answer: httpx.Response) -> bytes:
    """As much as a fault is long; nothing where it does not come: the status has been heard."""
    read = b""
    if "xml" in answer.headers.get("content-type", ""):
        with suppress(httpx.HTTPError, OSError):
            for piece in answer.iter_bytes():
                read += piece
                if len(read) >= _LONGEST_FAULT:
                    break
    return read


def _touch(subscription: Subscription, notification: Notification, context: Context) -> None:
    context.touch("subscription", subscription.id)
    for item in notification.objects:
        context.touch("patient", item.patient_id.cx)
        context.touch("document" if isinstance(item, DocumentEntry) else "submission set", item.unique_id)
    for entry, _ in notification.references:
        context.touch("document entry", entry)
