"""Markup in whatever others write (names, series, reports, titles, file names, HL7): shown as text, executed never."""

import html
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page

from tests.browser.conftest import enter
from tests.portal import fake
from tests.portal.conftest import Server
from tests.portal.fake import PASSWORDS, Hub
from tests.portal.made_up import CDA

pytestmark = pytest.mark.browser
MARK = "ZZMARK"
EVIL = (
    f'{MARK}"><script>window.pwned=1</script><img src=x onerror=window.pwned=1><svg/onload=window.pwned=1>'
    "'\">{{7*7}}"
)
#: What people and machines write freely.
FREE = {
    "birth_name", "birth_given", "given_names", "used_name", "used_given", "description", "title", "body_part",
    "manufacturer", "institution", "display", "reason", "detail", "raw_name", "family", "given", "person", "name",
    "comments", "station", "model", "principal_name", "text",
}  # fmt: skip
WATCH = """() => { window.violations = [];
document.addEventListener('securitypolicyviolation',
  e => window.violations.push(e.violatedDirective + ' ' + e.blockedURI)); }"""
PAGES = 45


def poisoned(value: Any, name: str = "") -> Any:
    """The same, with markup behind every free text."""
    if isinstance(value, str):
        return value + EVIL if name in FREE and value else value
    if is_dataclass(value) and not isinstance(value, type):
        names = [item.name for item in fields(value) if item.init]
        return replace(value, **{each: poisoned(getattr(value, each), each) for each in names})
    if type(value) in (tuple, list):
        return type(value)(poisoned(item, name) for item in value)
    return value


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CT", "MR", "OLD"):
            patch.setattr(fake, name, poisoned(getattr(fake, name)))
        escaped = html.escape(EVIL)
        patch.setattr(fake, "CDA", re.sub(r"Compte rendu|MARTIN|Indication|Toux", rf"\g<0>{escaped}", CDA))
        hub = Hub(tmp_path_factory.mktemp("markup"))
        person = hub.index.person
        patch.setattr(hub.index, "person", lambda home: poisoned(person(home)))
        for service in fake_services(hub.pipeline.dispatch):
            service.entries = poisoned(service.entries)
            service.life = poisoned(service.life)
            service.contents |= {"2.25.102": EVIL.encode(), "2.25.104": f"<html>{EVIL}</html>".encode()}
        hub.exchange.inbox = {key: poisoned(item) for key, item in hub.exchange.inbox.items()}
        hub.exchange.outbox = {key: poisoned(item) for key, item in hub.exchange.outbox.items()}
        hub.sources.states = {key: poisoned(item) for key, item in hub.sources.states.items()}
        server = Server(hub)
        yield server
        server.stop()


def fake_services(dispatcher: Any) -> list[fake.Documents]:
    """The documents room behind the portal."""
    found = {id(one): one for one in _owners(dispatcher) if isinstance(one, fake.Documents)}
    assert found
    return list(found.values())


def _owners(dispatcher: Any) -> Iterator[Any]:
    for table in vars(dispatcher).values():
        for method in table.values() if isinstance(table, dict) else ():
            yield getattr(method, "__self__", None)


def looked_at(page: Page, url: str) -> bool:
    """Whether the page shows the mark as text. Nothing of it ran, and nothing even tried to."""
    answer = page.goto(url)
    page.wait_for_load_state("load")
    assert page.evaluate("window.pwned") is None, url
    assert page.evaluate("window.violations") == [], url
    assert page.evaluate("document.querySelectorAll('img[src=x], svg[onload], [onerror]').length") == 0, url
    text = page.inner_text("body")
    assert MARK not in text or "<script>" in text, url  # nothing is lost
    return MARK in text and answer is not None


def test_nothing_runs(browser: Browser, hostile: Server) -> None:
    context = browser.new_context(locale="en-GB")
    context.add_init_script(f"({WATCH})()")
    page = context.new_page()
    dialogs: list[str] = []

    def told(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", told)
    enter(page, hostile.url, "zoe", PASSWORDS["zoe"])
    page.fill("#identifier", "A-10023")
    page.keyboard.press("Enter")
    page.wait_for_selector(".people")
    waiting, seen, marked = [page.url], set[str](), set[str]()
    skip = re.compile(r"sign-out|/language/|/static/|/file|/download|/content|\.pdf|/xdm|\.csv|#")
    for start in (
        "/portal/operator",
        "/portal/operator/audit",
        "/portal/operator/messages",
        "/portal/operator/deliveries",
    ):
        waiting.append(hostile.url + start)
    while waiting and len(seen) < PAGES:
        url = waiting.pop(0)
        if url in seen:
            continue
        seen.add(url)
        if looked_at(page, url):
            marked.add(re.sub(r"[A-Za-z0-9_-]{20,}", "*", url.removeprefix(hostile.url)))
        links = page.eval_on_selector_all("a[href]", "every => every.map(one => one.href)")
        waiting += [link for link in links if link.startswith(f"{hostile.url}/portal") and not skip.search(link)]
    context.close()
    assert dialogs == []
    assert {"/portal/person/*", "/portal/study/*", "/portal/document/*", "/portal/operator/messages"} <= marked
