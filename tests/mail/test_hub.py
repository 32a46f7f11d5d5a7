"""A whole hub with secure mail: settings, the operator's page, and the page that a notice's link leads to."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from hub.app.settings.mail import MailServer, SecureMail
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.mail.model import ListLetters
from hub.mail.service import hashed
from hub.mail.store import LetterStore
from hub.portal.doorway import AWAITING, safe_target
from hub.values import now
from tests.app.test_wiring import settings
from tests.mail.place import LOCAL
from tests.portal.conftest import field

TOKEN = "t" * 43


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    users = [
        {"login": name, "name": name, "roles": [role], "password_argon2": PasswordHasher().hash("secret-of-" + name)}
        for name, role in (("op", "operator"), ("dr", "clinician"))
    ]
    mail = {"server": {"host": "127.0.0.1", "port": 1, "security": "none"}, "address": "hub@chu.mssante.fr"}
    authority = {"namespace": LOCAL.namespace, "oid": LOCAL.authority}
    made = Hub(settings(tmp_path, mail=mail, users=users, authorities=[authority]))
    made.start({Role.WEB})
    yield made
    made.stop()


def signed_in(hub: Hub, name: str) -> httpx.Client:
    client = httpx.Client(base_url=hub.public_url(), headers={"Accept-Language": "en"}, timeout=60)
    form = client.get("/portal/sign-in")
    data = {"csrf": field(form.text, "csrf"), "login": name, "password": f"secret-of-{name}"}
    assert client.post("/portal/sign-in", data=data).is_redirect
    return client


def letter(hub: Hub, key: str, **more: object) -> None:
    values = {
        "id": key, "kind": "professional", "patient": "7^^^&1.2.3&ISO",
        "recipient": "dr@chu.mssante.fr", "message_id": f"<{key}@chu.mssante.fr>", "state": "refused",
        "reason": "recipient-refused", "detail": "5.1.1", "created_at": now(), "changed_at": now(), **more,
    }  # fmt: skip
    with hub.database.transaction() as work:
        LetterStore(work).add(values, [(f"1.2.{key}", f"urn:uuid:{key}")])


def test_a_hub_without_mail_has_nothing_of_it(tmp_path: Path) -> None:
    hub = Hub(settings(tmp_path))
    try:
        assert hub.mail is None
        assert ListLetters not in hub.dispatch.handlers
        assert not any("mail" in str(listener) for listener in hub.imaging.report_listeners)
        assert "secure-mail" not in hub.worker.handlers
    finally:
        hub.stop()


def test_settings_that_are_wrong_are_told() -> None:
    with pytest.raises(ValueError, match="loopback"):
        MailServer(host="smtp.example.org", security="none")
    with pytest.raises(ValueError, match="address"):
        SecureMail(server=MailServer(host="smtp.example.org"))
    assert [MailServer(security=item).number for item in ("starttls", "tls", "none")] == [587, 465, 25]


def test_the_operator_sees_and_sends_again(hub: Hub) -> None:
    letter(hub, "one")
    letter(
        hub, "two", kind="patient", recipient="279035121518989@patient.mssante.fr", state="read", reason="", detail=""
    )
    letter(hub, "three", state="held", reason="combination", detail="")
    with closing(signed_in(hub, "op")) as client:
        page = client.get("/portal/operator/mail")
        assert page.status_code == 200
        assert "dr@chu.mssante.fr" in page.text
        assert "279035121518989" not in page.text
        assert "refuses the recipient" in page.text
        assert "/three/retry" not in page.text
        narrow = client.get("/portal/operator/mail?state=read&offset=0")
        assert "1.2.two" in narrow.text
        assert "1.2.one" not in narrow.text
        csrf = {"csrf": field(page.text, "csrf")}
        assert "sent again" in client.post("/portal/operator/mail/one/retry", data=csrf, follow_redirects=True).text
        for key in ("one", "three", "none"):
            again = client.post(f"/portal/operator/mail/{key}/retry", data=csrf, follow_redirects=True)
            assert re.search("neither held nor refused|no such letter", again.text)
        assert client.post("/portal/operator/mail/one/retry").status_code == 403
    with closing(signed_in(hub, "dr")) as doctor:
        assert doctor.get("/portal/operator/mail").status_code == 403


def test_a_notices_link_asks_who_one_is(hub: Hub) -> None:
    letter(
        hub, "note", kind="notice", state="sent", reason="", token_hash=hashed(TOKEN),
        token_ends_at=now() + timedelta(days=1),
    )  # fmt: skip
    with httpx.Client(base_url=hub.public_url(), headers={"Accept-Language": "en"}, timeout=60) as client:
        form = client.get(AWAITING + TOKEN)
        assert form.status_code == 200
        assert f'name="target" value="{AWAITING}{TOKEN}"' in form.text
        again = client.get(AWAITING + TOKEN, headers={"Sec-Fetch-Site": "cross-site"})
        assert "refresh" in again.text  # from a webmail: the session's cookie only comes with the page's own reload
        data = {"csrf": field(form.text, "csrf"), "login": "dr", "password": "secret-of-dr", "target": AWAITING + TOKEN}
        entered = client.post("/portal/sign-in", data=data)
        assert entered.headers["location"] == AWAITING + TOKEN
        gone = client.get(AWAITING + TOKEN)  # the region holds no such document any more
        unknown = client.get(AWAITING + "u" * 43)
        assert gone.status_code == unknown.status_code == 404
        for page in (gone, unknown):
            assert "link has ended" in page.text
    with closing(signed_in(hub, "op")) as operator:
        assert operator.get(AWAITING + TOKEN).status_code == 403


@pytest.mark.parametrize(
    "end",
    ["", "short", "x" * 200, "../operator", "a" * 30 + "?x=1", "a" * 30 + "\r\nX: y", "//evil.example/" + "a" * 30],
)
def test_only_tokens_lead_there(end: str) -> None:
    assert safe_target(AWAITING + end) == ""
    assert safe_target(AWAITING + TOKEN) == AWAITING + TOKEN
