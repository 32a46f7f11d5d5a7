"""Signing in with a real OpenID provider in a real browser: by redirection and by phone; the choice; the end."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_accessibility import DESKTOP, PHONE, violations
from tests.interop.oidc_provider import DOCTOR_ID, NUMBER, OpenIdProvider
from tests.sign_in import signing_hub, start

pytestmark = [pytest.mark.browser, pytest.mark.interop]
PATIENCE = 30_000  #: milliseconds


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, provider: OpenIdProvider) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    hub = signing_hub(root, f"sqlite:///{root / 'hub.sqlite'}", provider.issuer)
    url = start(hub)
    provider.register(url)
    yield url
    hub.stop()


def choose(page: Page, place: str) -> None:
    """By keyboard: no situation is chosen before somebody does."""
    page.wait_for_selector("fieldset", timeout=PATIENCE)
    assert page.locator("input[type=radio]:checked").count() == 0
    page.keyboard.press("Tab")
    page.locator("input[type=radio]").first.focus()
    page.keyboard.press("Space")
    if not page.locator("label:has(:checked)").inner_text().startswith(place):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")


@pytest.mark.parametrize(("language", "choice"), [("fr-FR", "Choisissez"), ("en-GB", "Choose")])
def test_by_redirection(  # noqa: PLR0917 (fixtures)
    browser: Browser, url: str, axe: str, language: str, choice: str, screens: Path | None
) -> None:
    context = browser.new_context(locale=language, viewport=DESKTOP)
    page = context.new_page()
    page.goto(f"{url}/portal/sign-in")
    assert violations(page, axe) == []
    shoot(page, screens, f"sign-in-{language}")
    page.click("a.provider")
    page.wait_for_url("**/interaction/**", timeout=PATIENCE)
    page.click(f'button[value="{DOCTOR_ID}"]')
    page.wait_for_url("**/situation", timeout=PATIENCE)
    expect(page.locator("h1")).to_contain_text(choice)
    assert violations(page, axe) == []
    shoot(page, screens, f"situation-{language}")
    choose(page, "Cabinet Essai")
    page.wait_for_url("**/portal/search", timeout=PATIENCE)
    expect(page.locator(".who")).to_contain_text("Camille ESSAI")
    expect(page.locator(".who")).to_contain_text("Cabinet Essai")
    shoot(page, screens, f"signed-in-{language}")
    page.click(".who button")
    page.click("button[name=logout]", timeout=PATIENCE)
    page.wait_for_url("**/portal/sign-in?bye=1", timeout=PATIENCE)
    assert not [cookie for cookie in context.cookies() if cookie["name"] == "maillage_session"]
    page.click("a.provider")
    page.wait_for_url("**/interaction/**", timeout=PATIENCE)  # it ended there as well
    context.close()


def test_by_phone(browser: Browser, url: str, axe: str, provider: OpenIdProvider, screens: Path | None) -> None:
    context = browser.new_context(locale="fr-FR", viewport=PHONE)
    page = context.new_page()
    page.goto(f"{url}/portal/sign-in")
    page.fill("#number", NUMBER)
    page.keyboard.press("Enter")
    page.wait_for_selector(".digits strong", timeout=PATIENCE)
    assert page.inner_text(".digits strong") == provider.steer("phones")[NUMBER]
    assert violations(page, axe) == []
    shoot(page, screens, "phone")
    provider.steer("answer", number=NUMBER, accept=True)
    page.wait_for_url("**/situation", timeout=PATIENCE)  # the page goes on by itself
    shoot(page, screens, "situation-phone")
    choose(page, "CHU Essai")
    page.wait_for_url("**/portal/search", timeout=PATIENCE)
    expect(page.locator(".who")).to_contain_text("CHU Essai")
    context.close()


def test_the_phone_says_no(browser: Browser, url: str, provider: OpenIdProvider, screens: Path | None) -> None:
    context = browser.new_context(locale="fr-FR", viewport=DESKTOP)
    page = context.new_page()
    page.goto(f"{url}/portal/sign-in")
    page.fill("#number", NUMBER)
    page.keyboard.press("Enter")
    page.wait_for_selector(".digits strong", timeout=PATIENCE)
    provider.steer("answer", number=NUMBER, accept=False)
    page.wait_for_selector(".notice.bad", timeout=PATIENCE)
    expect(page.locator(".notice.bad")).to_contain_text("refusée")
    shoot(page, screens, "refused")
    context.close()


def shoot(page: Page, screens: Path | None, name: str) -> None:
    if screens is not None:
        page.screenshot(path=screens / f"{name}.png", full_page=True)


@pytest.fixture
def screens() -> Path | None:
    """Where pictures go; set while pages are drawn."""
    return Path(os.environ["SCREENS"]) if "SCREENS" in os.environ else None
