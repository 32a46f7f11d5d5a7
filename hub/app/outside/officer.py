"""Mails to the data-protection officer when the glass is broken: one for a while, without patient data, with a link."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hub.access.rights_model import Broken
from hub.access.store_rights import RightsStore
from hub.app.outside.mail import context_of
from hub.app.outside.mail_clients import Relay
from hub.context import Context
from hub.errors import HubError
from hub.exchange.model import Delivery
from hub.pipeline.transaction import AuditEvent, Direction, Kind, Transaction
from hub.portal.rights import ROOT
from hub.values import new_key, now
from hub.wire.mail.digest import compose_digest

if TYPE_CHECKING:
    from hub.app.rooms import Rooms

KIND = "officer-notice"
_DESTINATION = "mail:officer"
#: How it is audited.
TOLD = Transaction(
    id="OFFICER-NOTICE",
    title="Notice of broken glass to the data-protection officer",
    profile="RIGHTS",
    initiator="Document Registry",
    responder="Mailbox",
    bindings=(),
    section="CSP L1111-17",
    kind=Kind.CHANGE,
    permission="",
    audit=AuditEvent("110100", "Application Activity", "E"),
    direction=Direction.INITIATOR,
)


class OfficerNotices:
    """Queues a notice in the commit that keeps the broken glass; what was broken meanwhile goes into the same mail."""

    def __init__(self, rooms: "Rooms", public_url: Callable[[], str]) -> None:
        self.rooms = rooms
        self.settings = rooms.settings.mail
        self.public_url = public_url
        self.relay = Relay(self.settings.notices, context_of(rooms.settings), self.settings.timeout)

    def broken(self, broken: Broken, context: Context) -> None:
        """The glass was broken, in the open unit of work."""
        due = slot(broken.at, timedelta(minutes=self.settings.officer_minutes))
        self.rooms.exchange.enqueue(_DESTINATION, KIND, {}, context, key="glass", due_at=due)

    def handlers(self) -> Mapping[str, Any]:
        """For the worker."""
        return {KIND: self.deliver}

    def deliver(self, _delivery: Delivery, context: Context) -> None:
        """Mail how many await a look; nothing where the officer has looked at all of them. Raises MailUnavailable,
        MailMisconfigured, RecipientRefused, MessageRefused."""
        started, failure = time.monotonic(), None
        with self.rooms.database.reading() as work:
            count = RightsStore(work).unseen_glass()
        if not count:
            return
        context.transaction = TOLD.id
        try:
            self._send(count)
        except HubError as error:
            failure = error
            raise
        finally:
            self.rooms.audit.record(TOLD, context, failure, int((time.monotonic() - started) * 1000))

    def _send(self, count: int) -> None:
        key, sender = new_key(), self.settings.notice_address
        mail = compose_digest(
            count=count,
            link=self.public_url() + f"{ROOT}/broken",
            region=self.rooms.settings.region.name,
            sender=sender,
            recipient=self.settings.officer,
            message_id=f"<{key}@{sender.rpartition('@')[2]}>",
            at=now(),
        )
        self.relay.send(mail, sender, self.settings.officer, envelope=key, tell_delivery=False)


def slot(at: datetime, length: timedelta) -> datetime:
    """The end of the stretch of time in which an instant lies: the same for all that lie in it."""
    start = datetime(2000, 1, 1, tzinfo=UTC)
    return start + ((at - start) // length + 1) * length


def build(rooms: "Rooms", public_url: Callable[[], str]) -> OfficerNotices | None:
    """The officer's notices; None where the settings name nobody."""
    if not rooms.settings.mail.officer:
        return None
    made = OfficerNotices(rooms, public_url)
    rooms.rights.listeners.append(made.broken)
    return made
