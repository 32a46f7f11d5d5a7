# ruff: noqa: N802, ARG002  (aiosmtpd names its hooks so, and hands them everything)
"""The data-protection officer is told by mail that the glass was broken: once for a while, and nothing about whom."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from hub.access.model import HUB, Principal, Professional
from hub.access.rights_model import BreakGlass, FindBroken, SeeBroken
from hub.app.outside.officer import KIND, TOLD, slot
from hub.app.settings.mail import SecureMail
from hub.app.wiring import Hub
from hub.audit.model import AuditSearch
from hub.context import Context
from hub.patients.model import FeedIdentity, Identity, IdentityStatus
from tests.access.rights_world import DOCTOR
from tests.app.test_wiring import settings
from tests.imaging.living import TRAITS
from tests.mail.place import LOCAL

OFFICER = "dpo@maillage.example.org"


class Inbox:
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def hub(tmp_path: Path, inbox: Inbox, free_port: int) -> Iterator[Hub]:
    server = Controller(inbox, hostname="127.0.0.1", port=free_port)
    server.start()
    mail = {
        "notices": {"host": "127.0.0.1", "port": server.port, "security": "none"},
        "notice_address": "hub@maillage.example.org",
        "officer": OFFICER,
    }
    authority = {"namespace": LOCAL.namespace, "oid": LOCAL.authority}
    made = Hub(settings(tmp_path, mail=mail, authorities=[authority]))
    made.prepare()
    made.dispatch(FeedIdentity(Identity(LOCAL, TRAITS, IdentityStatus.VALIDATED)), Context(principal=HUB))
    yield made
    made.stop()
    server.stop()


def breaks(hub: Hub, who: Principal) -> None:
    hub.dispatch(BreakGlass(LOCAL, "inconscient"), Context(principal=who))


def an_hour_passes(hub: Hub) -> None:
    with hub.database.transaction() as work:
        work.connection.exec_driver_sql(
            f"UPDATE exchange_delivery SET due_at = created_at WHERE kind = '{KIND}' AND state = 'waiting'"
        )
    hub.worker.run_pending()


def test_one_mail_for_what_was_broken_meanwhile(hub: Hub, inbox: Inbox) -> None:
    for name in ("Dr One", "Dr Two"):
        breaks(hub, replace(DOCTOR, id=name, name=name, professional=Professional(name)))
    hub.worker.run_pending()
    assert inbox.mails == []  # the hour is not over
    an_hour_passes(hub)
    (mail,) = inbox.mails
    assert mail.rcpt_tos == [OFFICER]
    assert isinstance(mail.content, bytes)
    text = mail.content.decode()
    assert "/portal/rights/broken" in text
    told = [LOCAL.value, TRAITS.birth_name, TRAITS.birth_given, TRAITS.birth_date, "inconscient", "Dr One", "Dr Two"]
    assert not [word for word in told if word in text]
    assert hub.audit.flush(30)
    (record,) = hub.audit.search(AuditSearch(transaction=TOLD.id)).records
    assert record.outcome.value == "0"


def test_what_the_officer_has_seen_is_not_mailed(hub: Hub, inbox: Inbox) -> None:
    breaks(hub, DOCTOR)
    (broken,) = hub.dispatch(FindBroken(), Context(principal=HUB))
    hub.dispatch(SeeBroken(broken.key), Context(principal=HUB))
    an_hour_passes(hub)
    assert inbox.mails == []


def test_settings_that_can_not_work() -> None:
    for wrong in ({"officer": OFFICER}, {"officer": "dpo", "notices": {"host": "127.0.0.1", "security": "none"}}):
        with pytest.raises(ValueError, match=r"officer|notice_address"):
            SecureMail.model_validate(wrong)


def test_a_stretch_of_time() -> None:
    hour, noon = timedelta(hours=1), datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert slot(noon, hour) == slot(noon + timedelta(minutes=59), hour) == noon + hour
