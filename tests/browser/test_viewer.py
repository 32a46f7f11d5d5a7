"""The story's last scene in headless Chromium: found in the portal, opened in OHIF, pixels on the screen."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from hub.app.demo.region import INS, LOGIN, OPERATOR, PASSWORD, Hospital
from hub.app.wiring import Hub
from hub.errors import HubError
from tests.browser.conftest import enter
from tests.browser.region import region, viewer
from tests.browser.test_accessibility import DESKTOP, TABLET, violations

pytestmark = [pytest.mark.browser, pytest.mark.interop]
OFFICERS = (
    "/operator", "/operator/messages", "/operator/deliveries", "/operator/sources", "/operator/audit",
    "/operator/collectors", "/trail", "/rights/broken",
)  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, tuple[Hospital, Hospital]]]:
    try:
        installed = viewer()
    except HubError as error:
        pytest.skip(error.message)
    with region(tmp_path_factory.mktemp("region"), installed) as told:
        yield told


def person(page: Page, url: str) -> None:
    enter(page, url, LOGIN, PASSWORD)
    page.fill("#identifier", INS)
    page.keyboard.press("Enter")
    page.click(".people h3 a")
    page.wait_for_selector("#timeline")
    page.wait_for_selector(".busy", state="detached")


def shades(picture: bytes) -> int:
    """How many different greys an area of the screen has."""
    image = Image.open(io.BytesIO(picture)).convert("L")
    return sum(1 for count in image.histogram() if count > 20)


@pytest.mark.parametrize("letter", ["A", "B"])
def test_the_images_of_either_hospital_are_on_the_screen(
    browser: Browser, published: tuple[Hub, tuple[Hospital, Hospital]], letter: str
) -> None:
    hub, pair = published
    one = next(item for item in pair if item.letter == letter)
    context = browser.new_context(locale="fr-FR", viewport=DESKTOP)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
    elsewhere: list[str] = []
    page.on("request", lambda asked: elsewhere.append(asked.url) if not asked.url.startswith(_own(hub)) else None)
    person(page, hub.public_url())
    page.click(f"#timeline h3 a:has-text('{one.procedure[1]}')")
    with page.expect_response(lambda answer: "/frames/" in answer.url, timeout=60_000) as frame:
        page.click(".study-acts .button")
    assert frame.value.status == 200
    page.wait_for_url(f"**/ohif/viewer?StudyInstanceUIDs={one.study_instance_uid}")
    canvas = page.locator("canvas.cornerstone-canvas").first
    canvas.wait_for(timeout=60_000)
    for _ in range(60):
        if shades(canvas.screenshot()) > 30:
            break
        page.wait_for_timeout(500)
    assert shades(canvas.screenshot()) > 30, "the viewport shows no image"
    assert problems == []
    assert elsewhere == [], "the viewer calls nobody but the hub"
    context.close()


def _own(hub: Hub) -> tuple[str, ...]:
    return (hub.public_url(), f"blob:{hub.public_url()}", "data:")


def test_without_a_session_the_viewer_reads_nothing(
    browser: Browser, published: tuple[Hub, tuple[Hospital, Hospital]]
) -> None:
    hub, (one, _) = published
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{hub.public_url()}/ohif/viewer?StudyInstanceUIDs={one.study_instance_uid}")
    assert page.url.endswith("/portal/sign-in")
    context.close()


def test_the_real_pages_have_no_serious_violation(
    browser: Browser, published: tuple[Hub, tuple[Hospital, Hospital]], axe: str
) -> None:
    hub, pair = published
    url = hub.public_url()
    context = browser.new_context(locale="en-GB", viewport=TABLET)
    page = context.new_page()
    person(page, url)
    found = violations(page, axe)
    page.click("a[href$='/rights']")
    page.wait_for_selector("table")
    for closed in page.locator("details > summary").all():
        closed.click()
    found += violations(page, axe)
    page.go_back()
    page.wait_for_selector("#timeline")
    page.locator("#timeline .acts .quiet").first.click()
    page.wait_for_selector("article.report")
    assert "Conclusion" in page.inner_text("article.report")
    found += violations(page, axe)
    page.locator("header form button").click()
    enter(page, url, OPERATOR, PASSWORD)
    for path in OFFICERS:
        page.goto(f"{url}/portal{path}")
        found += violations(page, axe)
    page.goto(f"{url}/portal/trail")
    page.select_option("#authority", value=pair[0].authority)
    page.fill("#number", pair[0].local_id)
    page.keyboard.press("Enter")
    page.wait_for_selector("tbody")
    assert page.evaluate("document.activeElement.tagName") == "H2", "what was found is announced"
    found += violations(page, axe)
    page.click("a[href*='/trail/letter']")
    page.wait_for_selector("[data-print]:visible")
    found += violations(page, axe)
    page.goto(f"{url}/portal/operator/messages")
    page.locator("tbody a").first.click()
    found += violations(page, axe)
    context.close()
    assert found == []


def test_an_operator_watches_the_story(browser: Browser, published: tuple[Hub, tuple[Hospital, Hospital]]) -> None:
    hub, _ = published
    context = browser.new_context(locale="fr-FR", viewport=DESKTOP)
    page = context.new_page()
    enter(page, hub.public_url(), OPERATOR, PASSWORD)
    page.goto(f"{hub.public_url()}/portal/operator/messages")
    for event in ("ADT^A28", "ORM^O01", "ORU^R01"):
        assert page.locator(f"tbody th:has-text('{event}')").count() == 2
    page.goto(f"{hub.public_url()}/portal/operator/sources")
    for index in range(2):
        page.locator("form[data-swap] button").nth(index).click()
        page.wait_for_selector(f"#checks-{index + 1} .checks")
    assert page.locator(".checks .bad").count() == 0
    context.close()


def test_screens_for_the_manual(
    browser: Browser,
    published: tuple[Hub, tuple[Hospital, Hospital]],
    tmp_path: Path,
) -> None:
    """The pictures of docs/images are made by ``python -m tests.browser.screens``; here only that it works."""
    from tests.browser.screens import take

    hub, pair = published
    names = take(browser, hub.public_url(), pair[0], tmp_path)
    assert len(names) >= 6
    assert all(0 < (tmp_path / name).stat().st_size < 200_000 for name in names)
