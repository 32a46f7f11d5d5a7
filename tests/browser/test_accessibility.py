"""axe-core finds nothing serious on any page, in both languages, light and dark, on a desktop and on a tablet."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.browser.conftest import enter
from tests.portal.conftest import Server

pytestmark = pytest.mark.browser

DESKTOP = ViewportSize(width=1280, height=800)
TABLET = ViewportSize(width=820, height=1180)
PHONE = ViewportSize(width=390, height=844)
SERIOUS = ("serious", "critical")
STEWARD = ("", "?kind=bridge", "/orphans", "/task/1", "/task/4?other=1", "/task/8", "/task/3")
OPERATOR = ("", "/messages", "/messages/m3", "/messages/m4", "/deliveries", "/deliveries/d1", "/sources", "/audit")


def violations(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)
    found: list[dict[str, Any]] = page.evaluate("axe.run(document)")["violations"]
    return [
        f"{page.url}: {one['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def pages(page: Page, url: str) -> Iterator[str]:
    """Every page, one after the other."""
    page.goto(f"{url}/portal/sign-in")
    yield "sign-in"
    enter(page, url, "zoe", "mer")
    yield "search"
    page.click("button:has-text('Rechercher'), main button:has-text('Search')")
    yield "search with a mistake"
    page.fill("#name", "martin")
    page.fill("#birth_date", "12/05/1956")
    page.keyboard.press("Enter")
    page.wait_for_selector(".people")
    yield "results"
    page.click(".people h3 a")
    page.wait_for_selector(".source.bad")
    page.wait_for_selector(".busy", state="detached")
    page.click("details summary")
    yield "person"
    person = page.url
    page.click("#timeline .first-of-year h3 a")
    page.wait_for_selector("#series")
    yield "study"
    page.goto(person)
    for title in ("Compte rendu de scanner thoracique", "Lettre de sortie", "Fichier joint"):
        page.goto(person)
        page.wait_for_selector(".busy", state="detached")  # the list is still being put together
        page.locator(f"#timeline a:has-text('{title}')").first.click()
        page.wait_for_selector("article.report")
        yield title
    page.goto(person)
    page.wait_for_selector(".busy", state="detached")
    page.locator("#timeline a:has-text('Compte rendu de scanner thoracique')").first.click()
    page.click("article.report a[href$='/life']")
    page.wait_for_selector("#readers")
    yield "life"
    yield from steward_pages(page, url)
    for path in OPERATOR:
        page.goto(f"{url}/portal/operator{path}")
        if path == "/sources":
            page.locator("form[data-swap] button").nth(1).click()
            page.wait_for_selector(".checks .bad")
        if path == "/messages/m3":
            page.click("button:has-text('brut'), button:has-text('raw')")
            page.wait_for_selector("pre.raw")
        yield f"operator{path}"
    page.goto(f"{url}/portal/person/none")
    yield "not found"


def steward_pages(page: Page, url: str) -> Iterator[str]:
    """The worklist, questions of several kinds, a confirmation, a person's identities."""
    for path in STEWARD:
        page.goto(f"{url}/portal/steward{path}")
        yield f"steward{path}"
    page.check("[name=verdict][value=same]")
    page.fill("#reason", "Pièce")
    page.keyboard.press("Enter")
    page.wait_for_selector("button.danger")
    yield "confirmation"
    page.locator(".persons a").first.click()
    page.wait_for_selector("#why")
    page.wait_for_selector(".busy", state="detached")
    page.fill("#link-number", "A-700")
    page.keyboard.press("Enter")
    page.wait_for_selector("#found")
    yield "identities with a number"


@pytest.mark.parametrize(
    ("language", "scheme", "size"), [("fr-FR", "light", DESKTOP), ("en-GB", "dark", TABLET), ("fr-FR", "dark", PHONE)]
)
def test_no_serious_violation(  # noqa: PLR0917 (fixtures and parameters)
    browser: Browser, portal: Server, axe: str, language: str, scheme: Any, size: ViewportSize
) -> None:
    context = browser.new_context(locale=language, color_scheme=scheme, viewport=size)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    found: list[str] = []
    for _ in pages(page, portal.url):
        page.wait_for_load_state()  # with its style sheet
        assert page.locator("html").get_attribute("lang") == language[:2]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{page.url} scrolls sideways"
        found += violations(page, axe)
    context.close()
    assert found == []
    assert errors == []


@pytest.mark.parametrize("size", [PHONE, ViewportSize(width=768, height=1024)], ids=["phone", "tablet"])
@pytest.mark.parametrize("path", ["/messages", "/deliveries", "/audit"])
def test_every_column_is_in_sight(browser: Browser, portal: Server, size: ViewportSize, path: str) -> None:
    """Why a message was refused stands in the last column: nobody looks for it beyond the edge."""
    context = browser.new_context(locale="fr-FR", viewport=size)
    page = context.new_page()
    enter(page, portal.url, "zoe", "mer")
    page.goto(f"{portal.url}/portal/operator{path}")
    page.wait_for_load_state()
    beyond = (
        "cells => cells.filter(cell => cell.getBoundingClientRect().right > innerWidth).map(cell => cell.innerText)"
    )
    assert page.eval_on_selector_all("tbody td, tbody th", beyond) == []
    current = page.locator(".menu [aria-current]").bounding_box()
    assert current is not None
    assert current["x"] >= 0
    assert current["x"] + current["width"] <= size["width"], "the menu shows where one is"
    context.close()


def test_a_finger_finds_every_link(browser: Browser, portal: Server) -> None:
    context = browser.new_context(locale="fr-FR", viewport=TABLET, has_touch=True)
    page = context.new_page()
    small = (
        "found => found.filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 24)"
        ".map(one => one.outerHTML.slice(0, 200))"
    )
    for name in pages(page, portal.url):
        page.wait_for_load_state()
        found = page.eval_on_selector_all("main a, main button, main summary, main select", small)
        assert found == [], f"{name} {page.url}"
    context.close()


def test_by_keyboard_alone(browser: Browser, portal: Server) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    enter(page, portal.url, "claire", "lune")
    assert page.evaluate("document.activeElement.id") == "identifier"
    page.keyboard.type("A-10023")
    page.keyboard.press("Enter")
    page.wait_for_selector(".people")
    assert page.evaluate("document.activeElement.id") == "results", "the results are announced"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#timeline")
    page.wait_for_selector(".busy", state="detached")
    page.focus("#timeline li:first-child h3 a")
    page.keyboard.press("ArrowDown")
    assert "IRM du genou" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector("#series")
    context.close()


def test_the_skip_link_comes_first(browser: Browser, portal: Server) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(f"{portal.url}/portal/sign-in?bye=1")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    first = page.evaluate("[...document.querySelectorAll('a, button, input')][0].className")
    assert first == "skip"
    context.close()


def test_answers_stream_into_the_timeline(browser: Browser, portal: Server) -> None:
    context = browser.new_context(locale="fr-FR")
    page = context.new_page()
    enter(page, portal.url, "claire", "lune")
    page.fill("#identifier", "778812")
    page.keyboard.press("Enter")
    page.click(".people h3 a")
    page.wait_for_selector(".source.bad:has-text('CH de Digne')")
    page.wait_for_selector("#timeline >> text=Échographie abdominale")
    assert page.is_visible("#incomplete")
    dates = page.eval_on_selector_all("#timeline li", "rows => rows.map(row => row.dataset.sort)")
    assert dates == sorted(dates, reverse=True)
    assert len(dates) == len(set(page.eval_on_selector_all("#timeline li", "rows => rows.map(row => row.dataset.key)")))
    page.fill("#filter", "echographie saint")
    assert page.locator("#timeline li:visible").count() == 1
    assert page.inner_text("output") == "1 affichés"
    context.close()


def test_without_javascript(browser: Browser, portal: Server) -> None:
    context = browser.new_context(locale="fr-FR", java_script_enabled=False)
    page = context.new_page()
    enter(page, portal.url, "claire", "lune")
    page.fill("#identifier", "A-10023")
    page.keyboard.press("Enter")
    page.click(".people h3 a")
    page.click("text=Interroger aussi les archives en direct")
    assert page.is_visible("text=Échographie abdominale")
    assert page.is_visible("text=La liste peut être incomplète")
    context.close()
