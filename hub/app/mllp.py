"""HL7 v2 over MLLP: from MSH-9 to the transaction that takes it, and back to one acknowledgement.

Original mode (MSH-15 empty): AA when bytes and effect are committed. Enhanced mode: CA when the bytes are safe (unless
MSH-15 wants failures told alone, ER; SU: success alone); the exchange room's worker carries them out later, in the
source's order, through :meth:`MllpEndpoint.process`, and the application acknowledgement (MSH-16) goes to the feed's
``answer_to`` through the outbox.
"""

import base64
import logging
from collections.abc import Iterable, Sequence
from functools import partial

from hub.access.model import Credentials
from hub.app.keys.certificates import Certificates
from hub.app.keys.tls import client_context
from hub.app.settings.model import Feed, Settings
from hub.context import Context
from hub.errors import Category, HubError, InternalError, Misconfigured
from hub.exchange.model import Delivery
from hub.outbox import Enqueue
from hub.pipeline.catalogue import Bound, Catalogue
from hub.pipeline.pipeline import Pipeline
from hub.pipeline.together import Call, Together
from hub.pipeline.transaction import Durability, Hl7
from hub.wire.hl7v2.answers import COMMITTED, acknowledge, application_answer, refuse, refuse_commit
from hub.wire.hl7v2.charset import codec_named
from hub.wire.hl7v2.client import MllpClient
from hub.wire.hl7v2.errors import (
    FieldMissing,
    UnknownEvent,
    UnknownMessageType,
    UnsupportedProcessing,
    UnsupportedVersion,
)
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.mllp import MllpServer, Peer

log = logging.getLogger(__name__)

WIRE = "hl7v2"
_SHORT = 64 * 1024  #: bytes of a message that others may wait for
_PRODUCTION = "P"  #: what an empty MSH-11 counts as
ANSWER = "hl7-answer"  #: kind of the deliveries that ``MllpEndpoint.deliver`` carries out


class MllpEndpoint:
    """The hub's HL7 v2 port. ``enqueue``: the outbox for application acknowledgements; without it none are sent.
    ``certificates``: what is believed of those that are shown.
    ``together``: carries out with one commit what comes at the same time; without it each message has its own."""

    def __init__(
        self,
        pipeline: Pipeline,
        catalogue: Catalogue,
        settings: Settings,
        enqueue: Enqueue | None = None,
        together: Together | None = None,
        *,
        certificates: Certificates | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.together = together
        self.enqueue = enqueue
        self.tls = settings.tls
        self.processing = frozenset[str](settings.mllp.processing_ids)
        self.events = _events(catalogue)
        self.feeds = {(feed.application, feed.facility): feed for feed in settings.feeds}
        self.charsets = {
            feed.name: _codec(feed.charset, f"feeds.{feed.name}.charset") for feed in settings.feeds if feed.charset
        }
        self.default_charset = _codec(settings.mllp.default_charset, "mllp.default_charset")
        self.server = MllpServer(
            self,
            host=settings.mllp.host,
            port=settings.mllp.port,
            tls=(certificates or Certificates(settings)).server_context("mllp"),
            max_bytes=settings.mllp.max_message_mb * 1024 * 1024,
            idle_timeout=settings.mllp.idle_timeout,
            together=self.handle_together if together is not None else None,
            shared=settings.mllp.processes > 1,
        )

    @property
    def port(self) -> int:
        """The real port, once started."""
        return self.server.port

    def start(self) -> None:
        """Listen. Raises OSError."""
        self.server.start()

    def stop(self) -> None:
        """Finish and answer the messages that are being processed, then close."""
        self.server.stop()

    def handle(self, raw: bytes, peer: Peer) -> bytes:
        """The answer to a framed message, empty where it asked for none; never raises."""
        context = Context(peer=peer.address)
        credentials = Credentials(certificate=peer.certificate, peer=peer.address)
        message = Hl7Message.salvage(raw)
        try:
            feed = self._feed(message, context)
            try:
                message = self._read(raw, feed)
                bound = self._bound(message)
            except HubError as error:
                return _refusal(self.pipeline.unreadable(WIRE, message, error, credentials, context), message, context)
            if message.wants_commit and bound.transaction.durability is Durability.INBOX:
                return self._commit(bound, message, credentials, context)
            answer: bytes = self.pipeline.run(bound, WIRE, message, credentials, context)
        except Exception:
            log.exception("an HL7 message could not be handled", extra={"correlation_id": context.correlation_id})
            return _refusal(InternalError(correlation_id=context.correlation_id), message, context)
        return answer

    def handle_together(self, items: Sequence[tuple[bytes, Peer]]) -> list[bytes | None]:
        """The answers to framed messages that came at the same time, None for those that ``handle`` must answer."""
        answers: list[bytes | None] = [None] * len(items)
        if self.together is None:
            return answers
        every = ((place, self._call(raw, peer)) for place, (raw, peer) in enumerate(items))
        calls = [(place, call) for place, call in every if call is not None]
        try:
            found = self.together.run(WIRE, [call for _, call in calls])
        except Exception:
            log.exception("%d HL7 messages could not be handled together", len(calls))
            return answers
        for (place, _), answer in zip(calls, found, strict=True):
            answers[place] = answer
        return answers

    def _call(self, raw: bytes, peer: Peer) -> Call | None:
        """An ordinary message, ready to be carried out with others; None for anything else."""
        if len(raw) > _SHORT:
            return None
        try:
            salvaged = Hl7Message.salvage(raw) if self.charsets else None
            context = Context(peer=peer.address)
            message = self._read(raw, self._feed(salvaged, context) if salvaged is not None else None)
            self._feed(message, context)
            bound = self._bound(message)
        except HubError:
            return None
        if message.wants_commit or bound.transaction.durability is not Durability.INBOX:
            return None
        return Call(bound, message, Credentials(certificate=peer.certificate, peer=peer.address), context)

    def reject(self, raw: bytes, error: HubError, peer: Peer) -> bytes:
        """The answer to bytes that are no framed message; never raises."""
        context = Context(peer=peer.address)
        message = Hl7Message.salvage(raw)
        try:
            self._feed(message, context)
            credentials = Credentials(certificate=peer.certificate, peer=peer.address)
            error = self.pipeline.unreadable(WIRE, message, error, credentials, context)
        except Exception:
            log.exception("bytes could not be kept", extra={"correlation_id": context.correlation_id})
            error = InternalError(correlation_id=context.correlation_id)
        return _refusal(error, message, context)

    def process(self, raw: bytes, context: Context) -> bytes:
        """Carry out a kept message again, or for the first time; its application acknowledgement. Raises HubError."""
        feed = self._feed(Hl7Message.salvage(raw), context)
        message = self._read(raw, feed)
        with self.pipeline.database.transaction() as work:
            try:
                answer: bytes = self.pipeline.replay(self._bound(message), message, context)
            except HubError as error:
                if error.category is not Category.TRANSIENT:  # within this unit of work the answer would be lost
                    work.on_rollback(partial(self._answer_later, feed, message, context, error))
                raise
            self._answer_later(feed, message, context)
        return answer

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Send an application acknowledgement (delivery of kind ``ANSWER``). Raises PeerUnavailable."""
        host, _, port = str(delivery.payload["address"]).rpartition(":")
        tls = client_context(self.tls) if self.tls.certificate else None
        with MllpClient(host, int(port), tls=tls) as client:
            client.send(base64.b64decode(delivery.payload["message"]))
        context.led_to("hl7-answer", str(delivery.payload["control_id"]))

    def _answer_later(
        self, feed: Feed | None, message: Hl7Message, context: Context, error: HubError | None = None
    ) -> None:
        if self.enqueue is None or feed is None or not feed.answer_to or not message.wants_commit:
            return
        if message.wants_answer(failed=error is not None):
            payload = {
                "address": feed.answer_to,
                "control_id": message.control_id,
                "message": base64.b64encode(application_answer(message, error)).decode(),
            }
            self.enqueue(f"feed:{feed.name}", ANSWER, payload, context)

    def _feed(self, message: Hl7Message, context: Context) -> Feed | None:
        sender = (message.sending_application, message.sending_facility)
        feed = self.feeds.get(sender)
        if not context.source and any(sender):
            context.source = feed.name if feed else "|".join(sender)
        return feed

    def _read(self, raw: bytes, feed: Feed | None) -> Hl7Message:
        charset = self.charsets.get(feed.name, "") if feed else ""
        return Hl7Message.parse(raw, charset=charset, default_charset=self.default_charset)

    def _bound(self, message: Hl7Message) -> Bound:
        """The transaction that takes the message.

        Raises FieldMissing, UnsupportedVersion, UnsupportedProcessing, UnknownMessageType, UnknownEvent."""
        msh = message.msh
        kind = msh.require(9)
        if not message.control_id:
            raise FieldMissing(location=msh.at(10))
        if not message.version.startswith("2."):
            raise UnsupportedVersion(location=msh.at(12))
        if msh.field(11) not in self.processing and (msh.value(11) or _PRODUCTION) not in self.processing:
            raise UnsupportedProcessing(location=msh.at(11))
        bound = self.events.get(message.event)
        if bound is not None:
            return bound
        if any(event.startswith(f"{kind}^") for event in self.events):
            raise UnknownEvent(location=msh.at(9, 2))
        raise UnknownMessageType(location=msh.at(9))

    def _commit(self, bound: Bound, message: Hl7Message, credentials: Credentials, context: Context) -> bytes:
        try:
            self.pipeline.accept(bound, WIRE, message, credentials, context)
        except HubError as error:
            return _refusal(error, message, context)
        return acknowledge(message, COMMITTED) if message.wants_commit_when(failed=False) else b""


def _codec(name: str, setting: str) -> str:
    try:
        return codec_named(name)
    except LookupError:
        raise Misconfigured(f"{setting} names no character set that can carry HL7 v2.", location=setting) from None


def _events(catalogue: Catalogue) -> dict[str, Bound]:
    """MSH-9 -> transaction. One event belongs to one transaction: anything else is a mistake in the descriptors."""
    events: dict[str, Bound] = {}
    bindings: Iterable[tuple[Hl7, Bound]] = catalogue.bindings(Hl7)
    for binding, bound in bindings:
        for event in binding.events:
            if event in events:
                raise TypeError(f"{event} is bound to {events[event].id} and to {bound.id}")
            events[event] = bound
    return events


def _refusal(error: HubError, message: Hl7Message, context: Context) -> bytes:
    if message.wants_commit:
        return refuse_commit(error, message) if message.wants_commit_when(failed=True) else b""
    return refuse(error, message, context)
