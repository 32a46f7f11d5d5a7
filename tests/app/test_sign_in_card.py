"""Signing in to the portal with a card: mutual TLS, or the trusted proxy's header."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from hub.app.keys import cards as pki_cards
from hub.app.keys import pki
from hub.app.keys.cards import Card, Layout
from hub.app.settings.model import DimsePort, Mllp, Settings, Storage, Web
from hub.app.settings.nodes import Cards, Tls
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from tests.sign_in import records


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cards")
    pki.init(directory)
    pki.issue(directory, "hub")
    pki_cards.issue(directory, "cps", Card())
    pki_cards.issue(directory, "organisation", Card(layout=Layout.ORGANISATION))
    pki_cards.issue(directory, "expired", Card(days=-3))
    return directory


@contextmanager
def running(made: Path, data: Path, *, proxy: str = "") -> Iterator[Hub]:
    own = {} if proxy else {"certificate": made / "hub.crt", "key": made / "hub.key"}
    hub = Hub(
        Settings(
            storage=Storage(database=f"sqlite:///{data / 'hub.sqlite'}", content=data / "content"),
            tls=Tls(ca=made / "ca.crt", revocation="off", **own),
            cards=Cards(authorities=(made / "ca.crt",)),
            web=Web(port=0, trusted_proxy=proxy),
            mllp=Mllp(port=0),
            dimse=DimsePort(port=0),
        )
    )
    hub.start([Role.WEB])
    try:
        yield hub
    finally:
        hub.stop()


def browser(hub: Hub, made: Path, card: str = "", **more: Any) -> httpx.Client:
    context = ssl.create_default_context(cafile=made / "ca.crt")
    context.check_hostname = False
    if card:
        context.load_cert_chain(made / f"{card}.crt", made / f"{card}.key")
    return httpx.Client(base_url=hub.public_url(), verify=context, timeout=30, **more)


def enter(client: httpx.Client) -> httpx.Response:
    page = client.get("/portal/sign-in")
    csrf = page.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
    return client.post("/portal/card", data={"csrf": csrf})


def test_a_card_opens_a_session(made: Path, tmp_path: Path) -> None:
    with running(made, tmp_path) as hub, browser(hub, made, "cps") as client:
        page = client.get("/portal/sign-in").text
        assert "Carte CPS" in page
        assert 'name="password"' not in page  # nobody has one
        answer = enter(client)
        assert answer.status_code == 200
        assert client.get("/portal/search").status_code == 200
        session = client.cookies["maillage_session"]
        principal = hub.access._session(session)
        assert principal.professional is not None
        assert principal.person
        assert [(record.transaction, record.error_code) for record in records(hub)] == [("PORTAL-SIGN-IN", "")]
        assert records(hub)[0].principal_id == principal.professional.id


@pytest.mark.parametrize(("card", "code"), [("", "no-card"), ("organisation", "bad-credentials")])
def test_who_shows_no_card_of_a_person_stays_outside(made: Path, tmp_path: Path, card: str, code: str) -> None:
    with running(made, tmp_path) as hub, browser(hub, made, card) as client:
        answer = enter(client)
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text
        assert "maillage_session" not in client.cookies
        assert [record.error_code for record in records(hub)] == [code]


def test_the_proxys_header_counts_from_the_proxy_only(made: Path, tmp_path: Path) -> None:
    header = {"X-SSL-Client-Cert": quote((made / "cps.crt").read_text())}
    with running(made, tmp_path / "one", proxy="127.0.0.1") as hub, browser(hub, made, headers=header) as client:
        assert enter(client).status_code == 200
        assert client.get("/portal/search").status_code == 200
    with running(made, tmp_path / "two", proxy="192.0.2.1") as hub, browser(hub, made, headers=header) as client:
        assert enter(client).status_code == 401
        assert [record.error_code for record in records(hub)] == ["no-card"]


def test_an_expired_card_from_the_proxy_is_refused(made: Path, tmp_path: Path) -> None:
    header = {"X-SSL-Client-Cert": quote((made / "expired.crt").read_text())}
    with running(made, tmp_path, proxy="127.0.0.1") as hub, browser(hub, made, headers=header) as client:
        assert enter(client).status_code == 401
        assert len(records(hub)) == 1
