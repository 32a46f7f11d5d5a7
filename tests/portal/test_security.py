"""Forms from elsewhere, headers, hostile requests."""

import re
from collections.abc import Callable

import httpx
import pytest

from hub.portal.actions import ACTIONS
from tests.portal.conftest import Server, field
from tests.portal.fake import PASSWORDS

SignedIn = Callable[[str], httpx.Client]


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "é"])
@pytest.mark.parametrize(
    "path",
    [
        "/portal/search",
        "/portal/sign-out",
        "/portal/operator/messages/m3/replay",
        "/portal/operator/deliveries/d1/replay",
        "/portal/operator/sources/PACS_A/check",
        "/portal/steward/task/2/withdraw",
    ],
)
def test_a_form_from_elsewhere_does_nothing(server: Server, signed_in: SignedIn, path: str, csrf: str | None) -> None:
    client = signed_in("zoe")
    before = len(server.hub.audit.records)
    answer = client.post(path, data={} if csrf is None else {"csrf": csrf})
    assert answer.status_code == 403
    assert "expiré" in answer.text
    assert len(server.hub.audit.records) == before + 1
    assert server.hub.audit.records[0].transaction == "PORTAL-FORGED"
    assert server.hub.exchange.inbox["m3"].state == "refused"


def test_a_sign_in_form_belongs_to_its_browser(client: httpx.Client) -> None:
    csrf = field(client.get("/portal/sign-in").text, "csrf")
    client.cookies.clear()
    answer = client.post("/portal/sign-in", data={"csrf": csrf, "login": "claire", "password": "lune"})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/portal/search", "/portal/operator", "/portal/person/x", "/portal/static/portal.js"])
def test_headers_are_closed(signed_in: SignedIn, path: str) -> None:
    headers = signed_in("zoe").get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    if "static" not in path:
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("proxy", "peer"), [("127.0.0.1", "192.0.2.7"), ("", "127.0.0.1"), ("192.0.2.1", "127.0.0.1")])
def test_behind_a_proxy_that_ends_tls(server: Server, client: httpx.Client, proxy: str, peer: str) -> None:
    server.hub.settings.web.public_url = "https://hub.example"
    server.hub.settings.web.trusted_proxy = proxy
    form = client.get("/portal/sign-in")
    assert "secure" in form.headers["set-cookie"].lower()
    key = form.cookies["maillage_form"]
    headers = {"X-Forwarded-For": "127.0.0.1, 192.0.2.7", "Cookie": f"maillage_form={key}"}
    answer = client.post(
        "/portal/sign-in", data={"csrf": key, "login": "zoe", "password": PASSWORDS["zoe"]}, headers=headers
    )
    assert answer.status_code == 303
    assert server.hub.audit.records[0].peer == peer


def test_pages_hold_nothing_inline(signed_in: SignedIn) -> None:
    client = signed_in("zoe")
    for path in ("/portal/search", "/portal/operator", "/portal/operator/sources", "/portal/operator/audit"):
        page = client.get(path).text
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page), path


@pytest.mark.parametrize(
    "path",
    [
        "/portal/static/../app.py",
        "/portal/static/%2e%2e%2fapp.py",
        "/portal/static/..%5capp.py",
        "/portal/static/none.css",
        "/ohif/../../etc/passwd",
        "/ohif/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_files_outside_are_not_served(client: httpx.Client, path: str) -> None:
    answer = client.get(path)  # httpx makes /portal/app.py of the first: an address as any other
    assert (answer.status_code, answer.headers.get("location", "")) in ((404, ""), (303, "/portal/sign-in"))
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["/portal/nothing", "/portal/person", "/portal/study/a/b/c", "/portal/sign-out"])
def test_an_unknown_address_is_a_page_of_the_portal(server: Server, signed_in: SignedIn, path: str) -> None:
    client = signed_in("claire")
    before = len(server.hub.audit.records)
    answer = client.get(f"{path}?name=MARTIN")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "Cette page n&#39;existe pas" in answer.text
    assert "Retour à l&#39;accueil" in answer.text
    assert 'href="/portal"' in answer.text
    assert "MARTIN" not in answer.text
    assert client.get(path, headers={"X-Requested-With": "portal"}).text.count("<html") == 0
    assert client.head(path).status_code == 404
    assert client.get("/portal/").headers["location"] == "/portal"
    assert len(server.hub.audit.records) == before


def test_an_unknown_address_tells_nothing_without_a_session(server: Server, client: httpx.Client) -> None:
    """It looks as an address that there is: the way to the sign-in, one record."""
    answers = [client.get(path) for path in ("/portal/nothing", "/portal/search")]
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(303, "/portal/sign-in")] * 2
    told = [(item.transaction, item.error_code) for item in server.hub.audit.records]
    assert told == [("PORTAL-PAGE", "not-authenticated")] * 2


def test_a_form_to_an_unknown_address(server: Server, signed_in: SignedIn) -> None:
    client = signed_in("claire")
    assert client.post("/portal/nothing", data={"csrf": "x"}).status_code == 403
    assert server.hub.audit.records[0].transaction == "PORTAL-FORGED"
    csrf = field(client.get("/portal/search").text, "csrf")
    assert client.post("/portal/nothing", data={"csrf": csrf}).status_code == 404


def test_hostile_forms(signed_in: SignedIn) -> None:
    client = signed_in("zoe")
    assert client.post("/portal/search", content=b"a" * 200_000).status_code == 413
    assert client.post("/portal/search", content=b"a=1&" * 1000).status_code == 403
    assert client.post("/portal/search", content=b"\xff\xfe").status_code == 403


def test_markup_in_what_is_typed_stays_text(signed_in: SignedIn) -> None:
    client = signed_in("zoe")
    csrf = field(client.get("/portal/search").text, "csrf")
    answer = client.post(
        "/portal/search",
        data={"csrf": csrf, "name": '"><script>x</script>', "birth_date": "01/01/1950"},
        follow_redirects=True,
    )
    assert "<script>x" not in answer.text


def test_every_action_has_a_permission_and_an_audit_event() -> None:
    assert len(ACTIONS) >= 18
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    for action in ACTIONS:
        assert action.permission
        assert action.audit.code.isdigit()
