"""A letter of several documents in Chromium: by the keyboard alone, without JavaScript, and as axe-core sees it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, Page, ViewportSize, expect

from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.portal.handles import Handles
from hub.portal.visit import SESSION_COOKIE
from tests.app.test_wiring import settings
from tests.browser.conftest import enter
from tests.browser.test_accessibility import DESKTOP, PHONE, violations
from tests.mail.place import DOCTOR, LOCAL
from tests.mail.test_hand_pages import HIDDEN, MASK, UNIQUE_ID, House, furnish

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A hub with secure mail, and a person with three documents."""
    password = PasswordHasher().hash("secret-of-dr")
    users = [{"login": "dr", "name": "Dr Anne MARTIN", "roles": ["clinician"], "password_argon2": password}]
    mail = {"server": {"host": "127.0.0.1", "port": 1, "security": "none"}, "address": "hub@chu.mssante.fr"}
    authority = {"namespace": LOCAL.namespace, "oid": LOCAL.authority}
    made = Hub(settings(tmp_path_factory.mktemp("letters"), mail=mail, users=users, authorities=[authority]))
    made.start({Role.WEB})
    try:
        furnish(made)
        furnish(made, MASK, unique_id=HIDDEN)
        furnish(made, unique_id="1.2.250.1.999.90.3")
        yield House(made)
    finally:
        made.stop()


def to_person(page: Page, house: House) -> None:
    """Sign in, and open the person's page."""
    url = house.hub.public_url()
    enter(page, url, "dr", "secret-of-dr")
    session = next(item["value"] for item in page.context.cookies() if item["name"] == SESSION_COOKIE)
    page.goto(f"{url}/portal/person/" + Handles(session).seal("person", *house.number()))


@pytest.mark.parametrize(("language", "viewport"), [("en-GB", DESKTOP), ("fr-FR", PHONE)], ids=["desktop", "phone"])
def test_by_the_keyboard(browser: Browser, house: House, axe: str, language: str, viewport: ViewportSize) -> None:
    before = len(house.letters())
    context = browser.new_context(locale=language, viewport=viewport)
    page = context.new_page()
    to_person(page, house)
    page.locator(".pick input").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator(".letter-bar output")).to_contain_text("2 documents")
    found = violations(page, axe)
    page.locator(".letter-bar button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".enclosing")
    expect(page.locator(".enclosed li")).to_have_count(2)
    page.fill("#recipients", "somebody@example.org")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    found += violations(page, axe)
    page.fill("#recipients", DOCTOR)
    page.keyboard.press("Enter")
    page.wait_for_selector("#decide")
    found += violations(page, axe)
    page.locator("button[name=confirmed]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.good")
    found += violations(page, axe)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    context.close()
    assert not found
    assert len(house.letters()) == before + 1


def test_without_javascript(browser: Browser, house: House, tmp_path: Path) -> None:
    before = len(house.letters())
    context = browser.new_context(locale="en-GB", viewport=DESKTOP, java_script_enabled=False)
    page = context.new_page()
    to_person(page, house)
    for number in range(3):
        page.locator(".pick input").nth(number).check()
    page.locator(".letter-bar button").click()
    page.wait_for_selector(".enclosing")
    page.click("a[href$='/documents#timeline-title']")  # another choice
    page.wait_for_selector("#timeline")
    assert page.locator(".pick :checked").count() == 3
    page.locator(f".item:has-text('{HIDDEN}') .pick input").uncheck()
    page.screenshot(path=tmp_path / "ticked.png")
    page.locator(".letter-bar button").click()
    page.wait_for_selector(".enclosing")
    assert page.locator(".enclosed li").count() == 2
    assert HIDDEN not in page.locator(".enclosing").inner_text()
    assert UNIQUE_ID in page.locator(".enclosing").inner_text()
    page.check("[name=to_patient]")
    page.click("form.search button[type=submit]")
    page.wait_for_selector("#decide")
    page.click("button[name=confirmed]")
    page.wait_for_selector(".notice.good")
    context.close()
    assert len(house.letters()) == before + 1
