"""``python -m tests.browser.screens``: the manual's pictures, taken from the demo's region."""

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from hub.app.demo.region import INS, LOGIN, OPERATOR, PASSWORD, Hospital
from tests.browser.conftest import ARGUMENTS, enter
from tests.browser.region import region, viewer
from tests.browser.test_accessibility import DESKTOP, TABLET

IMAGES = Path("docs/images")


def take(browser: Browser, url: str, one: Hospital, directory: Path) -> list[str]:
    """Take every picture into the directory. Outcome: their names."""
    taken: list[str] = []

    def keep(page: Page, name: str) -> None:
        path = directory / f"{name}.png"
        page.screenshot(path=path)
        Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)
        taken.append(path.name)

    context = browser.new_context(locale="en-GB", viewport=DESKTOP)
    page = context.new_page()
    page.goto(f"{url}/portal/sign-in")
    keep(page, "sign-in")
    enter(page, url, LOGIN, PASSWORD)
    page.fill("#identifier", INS)
    page.keyboard.press("Enter")
    page.wait_for_selector(".people")
    keep(page, "search")
    page.click(".people h3 a")
    page.wait_for_selector("#timeline")
    page.wait_for_selector(".busy", state="detached")
    keep(page, "timeline")
    page.click(f"#timeline h3 a:has-text('{one.procedure[1]}')")
    page.wait_for_selector("#series")
    keep(page, "study")
    page.click(".reports a")
    page.wait_for_selector("article.report")
    keep(page, "report")
    page.click("article.report a[href$='/life']")
    page.wait_for_selector("#readers")
    keep(page, "document-life")
    page.go_back()
    page.wait_for_selector("article.report")
    page.go_back()
    page.click(".study-acts .button")
    page.locator("canvas.cornerstone-canvas").first.wait_for(timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)
    keep(page, "viewer")
    context.close()
    context = browser.new_context(locale="en-GB", viewport=TABLET, color_scheme="dark")
    page = context.new_page()
    enter(page, url, OPERATOR, PASSWORD)
    keep(page, "operator")
    context.close()
    return taken


def main() -> int:
    """Take them all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        region(Path(folder), viewer()) as (hub, pair),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))
        for name in take(browser, hub.public_url(), pair[0], IMAGES):
            sys.stdout.write(f"{IMAGES / name}\n")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
