"""A study whose images another region's box keeps, in headless Chromium: from the hospital's call to pixels in OHIF."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from hub.errors import HubError
from tests.browser.region import viewer
from tests.browser.test_accessibility import DESKTOP, violations
from tests.browser.test_viewer import shades
from tests.drimbox_site import Consumer, call, consumer, known
from tests.interop.oidc_provider import DOCTOR_ID, OpenIdProvider

pytestmark = [pytest.mark.browser, pytest.mark.interop]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consumer]:
    try:
        installed = viewer()
    except HubError as error:
        pytest.skip(error.message)
    root = tmp_path_factory.mktemp("remote")
    database = f"sqlite:///{root / 'hub.sqlite'}"
    with OpenIdProvider() as provider, consumer(root, provider, database, size=256, viewer=installed) as site:
        known(site)
        yield site


def signed_in(page: Page, site: Consumer) -> None:
    """From the call's address, through the provider, to the patient."""
    with site.his() as his:
        address = his.post("/portal/call", data=call(Modality="CT")).headers["location"]
    page.goto(address)
    page.click("a[href^='/portal/sign-in/provider?target=']")
    page.click(f"button[name=login][value='{DOCTOR_ID}']")
    page.wait_for_selector("[name=situation]")
    page.locator("[name=situation]").nth(1).check()
    page.click("form button.wide")
    page.wait_for_url("**/national?**")
    if page.locator("form[action$='/national/authorise'] button.button").count():
        with page.expect_navigation():
            page.click("form[action$='/national/authorise'] button.button")


def test_the_pixels_of_another_region_are_on_the_screen(
    browser: Browser, site: Consumer, tmp_path: Path, axe: str
) -> None:
    context = browser.new_context(locale="en-GB", viewport=DESKTOP, ignore_https_errors=True)
    page = context.new_page()
    elsewhere: list[str] = []
    page.on("request", lambda asked: elsewhere.append(asked.url) if site.place in asked.url else None)
    signed_in(page, site)
    page.click(".timeline h3 a")
    page.wait_for_selector("#study-title")
    assert violations(page, axe) == []
    with page.expect_response(lambda answer: "/frames/" in answer.url, timeout=120_000) as frame:
        page.click(".study-acts .button.big")
    assert frame.value.status == 200
    page.wait_for_url(f"**/ohif/viewer?StudyInstanceUIDs={site.study.study_instance_uid}")
    canvas = page.locator("canvas.cornerstone-canvas").first
    canvas.wait_for(timeout=120_000)
    for _ in range(120):
        if shades(canvas.screenshot()) > 30:
            break
        page.wait_for_timeout(500)
    page.screenshot(path=tmp_path / "viewer.png")
    assert shades(canvas.screenshot()) > 30, "the viewport shows no image"
    page.locator("[data-cy=study-browser-thumbnail]").first.wait_for(timeout=60_000)
    page.screenshot(path=tmp_path / "viewer.png")
    assert elsewhere == [], "the browser itself never calls the other box"
    assert site.source.asked, "the hub did"
    context.close()
