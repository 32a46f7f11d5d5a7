"""Headless Chromium, axe-core, and the portal to look at."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import axe_core_python
import pytest
from playwright.sync_api import Browser, Page, Playwright

from tests.portal.conftest import Server
from tests.portal.fake import Hub

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's own text, to be run in a page (a page's policy forbids to add it as an element)."""
    return (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(Hub(tmp_path_factory.mktemp("portal"), tmp_path_factory.mktemp("viewer")))
    yield server
    server.stop()


def enter(page: Page, url: str, login: str, password: str) -> None:
    """Sign in, by keyboard."""
    page.goto(f"{url}/portal/sign-in")
    page.fill("#login", login)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "/sign-in" not in address)
