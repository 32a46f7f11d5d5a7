"""Secure mail in this hub: what is mailed, by which servers, how each mail and each report is audited."""

import logging
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hub.access.model import HUB
from hub.app.keys.tls import client_context
from hub.app.outside.mail_clients import Mailbox, Relay
from hub.app.running.rounds import Rounds
from hub.app.settings.mail import SecureMail
from hub.app.settings.model import Settings
from hub.audit.service import AuditService
from hub.context import Context
from hub.documents.model import RetrievedDocument
from hub.documents.withdrawal import WithdrawalService
from hub.errors import HubError
from hub.exchange.model import Delivery
from hub.imaging.ports import Senders
from hub.mail.by_hand import LettersByHand, Reading
from hub.mail.desk import MailDesk
from hub.mail.errors import MailTooLarge, MailUnavailable
from hub.mail.model import LetterKind, Outgoing
from hub.mail.service import KIND, MailService, Rules
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Transaction
from hub.portal import cda
from hub.portal.doorway import AWAITING
from hub.values import now
from hub.wire.mail.composing import Attached, compose
from hub.wire.mail.reading import read_notifications
from hub.wire.xdm.writing import PackedDocument, write_package

if TYPE_CHECKING:
    from hub.app.rooms import Rooms

log = logging.getLogger(__name__)

_XML = ("text/xml", "application/xml", "application/hl7-cda+xml", "application/cda+xml")


def _transaction(name: str, title: str, audit: AuditEvent, direction: Direction) -> Transaction:
    return Transaction(
        id=name,
        title=title,
        profile="XDM",
        initiator="Portable Media Creator",
        responder="Mailbox",
        bindings=(),
        section="ITI TF-2: 3.32",
        kind=Kind.CHANGE,
        permission="",
        audit=audit,
        direction=direction,
    )


#: How mails are audited, and the reports that come back.
SENT = _transaction("ITI-32", "Documents by secure mail", AuditEvent("110106", "Export", "R"), Direction.INITIATOR)
TOLD = _transaction(
    "MAIL-REPORT", "Report of a mail", AuditEvent("110100", "Application Activity", "E"), Direction.RESPONDER
)


class PostOffice:
    """Writes letters and hands them to the server that is for their kind."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.mail
        self.region = settings.region
        tls = context_of(settings)
        self.secure = Relay(self.settings.server, tls, self.settings.timeout)
        self.ordinary = Relay(self.settings.notices, tls, self.settings.timeout)

    def send(self, letter: Outgoing) -> None:
        """Raises MailUnavailable, MailMisconfigured, RecipientRefused, MessageRefused, MailTooLarge."""
        notice = letter.kind is LetterKind.NOTICE
        sender = self.settings.notice_address if notice else self.settings.address
        attached = self._attached(letter) if letter.enclosed else None
        mail = compose(letter, attached, sender=sender, region=self.region.name, at=now())
        if len(mail) > self.settings.max_mb * 1024 * 1024:
            raise MailTooLarge()
        relay = self.ordinary if notice else self.secure
        relay.send(
            mail,
            sender,
            letter.recipient,
            envelope=letter.message_id.strip("<>").partition("@")[0],
            tell_delivery=letter.tell_delivery,
        )

    def _attached(self, letter: Outgoing) -> Attached:
        assert letter.patient is not None
        if sum(item.content.size for item in letter.enclosed) > self.settings.max_mb * 1024 * 1024:
            raise MailTooLarge()
        with tempfile.TemporaryFile() as file:
            packed = [PackedDocument(item.entry, item.content.path) for item in letter.enclosed]
            source_id, name = self.region.source_id, self.region.name
            write_package(
                file, packed, letter.patient, source_id=source_id, institution=name, unique_id=letter.package_id
            )
            file.seek(0)
            return Attached(file.read(), tuple(filter(None, (pdf_of(item.content) for item in letter.enclosed))))


def pdf_of(content: RetrievedDocument) -> bytes:
    """The document as PDF, where it is one or carries one; b"" otherwise."""
    if content.mime_type == "application/pdf":
        return content.path.read_bytes()
    if content.mime_type not in _XML:
        return b""
    try:
        view = cda.read(content.path.read_bytes())
    except HubError:
        return b""  # what the portal can't show either still goes as it is, in the package
    return view.body if view.media_type == "application/pdf" else b""


class MailOfHub:
    """What the rest of the hub sees of it."""

    def __init__(
        self,
        service: MailService,
        mailbox: Mailbox | None,
        audit: AuditService,
        poll: float,
        documents: Reading,
    ) -> None:
        self.service = service
        self.documents = documents
        self.mailbox = mailbox
        self.audit = audit
        self.poll = poll
        self._rounds = Rounds("mailbox", self._round)

    @property
    def services(self) -> tuple[MailDesk, LettersByHand]:
        """For the dispatcher."""
        return MailDesk(self.service), LettersByHand(self.service, self.documents)

    def handlers(self) -> Mapping[str, Any]:
        """For the worker."""
        return {KIND: self.deliver}

    def deliver(self, delivery: Delivery, context: Context) -> None:
        """Send one letter, and audit it. Raises HubError."""
        self._audited(SENT, context, lambda: self.service.deliver(delivery, context))

    def look(self) -> int:
        """Read the reports that came; how many. Raises MailUnavailable."""
        return self.mailbox.look(self.take) if self.mailbox is not None else 0

    def take(self, raw: bytes) -> bool:
        """Whether a mail reports about letters of ours; what it reports is kept, and audited."""
        try:
            notifications = read_notifications(raw)
        except HubError as error:
            log.warning("a mail in the hub's box can't be read: %s", error.code)
            return False
        known = [self._told(notification) for notification in notifications]
        return any(known)

    def _told(self, notification: Any) -> bool:
        context = Context(transaction=TOLD.id, principal=HUB)
        known = self.service.notified(notification, context)
        if known:
            self.audit.record(TOLD, context, None, 0)
        else:
            log.warning("a report in the hub's box is about no letter of ours")
        return known

    def _audited(self, transaction: Transaction, context: Context, work: Callable[[], HubError | None]) -> None:
        started = time.monotonic()
        failure: HubError | None = None
        context.transaction = transaction.id
        try:
            failure = work()
        except HubError as error:
            failure = error
            raise
        finally:
            self.audit.record(transaction, context, failure, int((time.monotonic() - started) * 1000))

    # the thread that looks into the box

    def start(self) -> None:
        """Start looking."""
        if self.mailbox is not None:
            self._rounds.start()

    def stop(self) -> None:
        """End it."""
        self._rounds.stop()

    def _round(self) -> float:
        try:
            self.look()
        except MailUnavailable:
            log.warning("the hub's mailbox can't be looked into; looked again in %d seconds", self.poll)
        return self.poll


def build(rooms: "Rooms", public_url: Callable[[], str], senders: Senders | None = None) -> MailOfHub | None:
    """Secure mail of the settings; None where there is none."""
    settings = rooms.settings.mail
    if not settings.enabled:
        return None
    withdrawals = rooms.imaging.withdrawals
    assert isinstance(withdrawals, WithdrawalService)
    service = MailService(
        database=rooms.database,
        patients=rooms.patients,
        words=rooms.rights,
        entries=withdrawals,
        contents=rooms.documents,
        outbox=rooms.exchange,
        post=PostOffice(rooms.settings),
        rules=Rules(
            own=frozenset({rooms.settings.region.source_id}),
            domain=settings.address.rpartition("@")[2],
            patients=settings.patients,
            trusted=settings.domains,
            notices=bool(settings.notices.host),
            link=lambda: public_url() + AWAITING,
            link_days=settings.link_days,
            withdrawals=settings.tell_withdrawals,
            max_bytes=settings.max_mb * 1024 * 1024,
        ),
        senders=senders,
    )
    rooms.imaging.report_listeners.append(service.asked)
    rooms.documents.listeners.append(service.registered)
    withdrawals.listeners.append(service.withdrawn)
    rooms.patients.listeners.append(service.person_changed)
    rooms.consents.listeners.append(service.said)
    return MailOfHub(service, _mailbox(settings, rooms.settings), rooms.audit, settings.box.poll, rooms.documents)


def _mailbox(mail: SecureMail, settings: Settings) -> Mailbox | None:
    return Mailbox(mail.box, context_of(settings), mail.timeout) if mail.box.host else None


def context_of(settings: Settings) -> Callable[[], ssl.SSLContext]:
    """The TLS of both servers: MSSanté's certificates where they are set, else the hub's."""
    mail = settings.mail
    own = {"certificate": mail.certificate, "key": mail.key} if mail.certificate else {}
    if mail.ca:
        own["ca"] = mail.ca
    tls = settings.tls.model_copy(update=own)
    return lambda: client_context(tls)
